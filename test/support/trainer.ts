/** `clipwright train` on the engine of tests that joins processes. */

import { entryOf } from "../../src/cli/command.js";
import { makeTrainCommand } from "../../src/cli/commands/train.js";
import { runCommandLine, terminalOf } from "../../src/cli/shell.js";
import { train } from "../../src/train/train.js";
import { openJoined } from "./joined-engine.js";

const command = makeTrainCommand(async () => (recipe, hooks) => train(recipe, hooks, { open: openJoined }));
process.exitCode = await runCommandLine([entryOf(command)], process.argv.slice(2), terminalOf(process));
