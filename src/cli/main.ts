#!/usr/bin/env node
/** `clipwright COMMAND`. */

import { realpathSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { commands } from "./commands.js";
import { keptHelp } from "./kept-help.js";
import { runCommandLine, terminalOf } from "./shell.js";

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  // A reader that closes early, such as `head`, is no failure.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(0);
    throw error;
  });
  process.exitCode = await runCommandLine(commands, process.argv.slice(2), terminalOf(process), keptHelp);
}
