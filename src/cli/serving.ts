/** What commands that serve a page have in common. */

import { defaulted, integer, text } from "../settings/fields.js";

/** Where the page is served; `port` unless another is said. */
export const serverOptions = (port: number) => ({
  host: defaulted(
    text("ADDRESS"),
    "127.0.0.1",
    "Where the page is served; 0.0.0.0 for all addresses. Any but this machine's own asks for the token in the printed address.",
  ),
  port: defaulted(integer(0, 65_535), port, "0 takes a free one."),
});

/** Until Ctrl-C, or until the process is asked to end. */
export const interrupted = (): Promise<void> =>
  new Promise((resolve) => {
    process.once("SIGINT", () => resolve());
    process.once("SIGTERM", () => resolve());
  });
