/** The commands that use a trained model, in the order of the help. Each is a file beside this one, loaded when it is called. */

import { type CommandEntry, entry } from "../../command.js";

export const useCommands: readonly CommandEntry[] = [
  entry("index", async () => (await import("./index-pictures.js")).indexCommand),
  entry("search", async () => (await import("./search.js")).searchCommand),
  entry("serve", async () => (await import("./serve.js")).serveCommand),
  entry("site", async () => (await import("./site.js")).siteCommand),
  entry("watch", async () => (await import("./watch.js")).watchCommand),
  entry("classify", async () => (await import("./classify.js")).classifyCommand),
];
