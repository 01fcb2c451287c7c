/** The commands of `clipwright curate`, in the order of the help. Each is a file beside this one, loaded when it is called. */

import { type CommandEntry, entry } from "../../command.js";

export const curateCommands: readonly CommandEntry[] = [
  entry("curate score", async () => (await import("./score.js")).scoreCommand),
  entry("curate select", async () => (await import("./select.js")).selectCommand),
  entry("curate review", async () => (await import("./review.js")).reviewCommand),
  entry("curate show", async () => (await import("./show.js")).showCommand),
  entry("curate watch", async () => (await import("./watch.js")).watchCommand),
];
