/** The registry: every command, in the order of the help. What a command needs is loaded when it runs. */

import type { TrainFunction } from "../train/hooks.js";
import type { Command } from "./command.js";
import { type Inspector, inspectCommand } from "./inspect.js";
import { trainCommand } from "./train.js";

/** A module beside this one, by URL: these are built apart from the shell. */
const module = async <T>(path: string): Promise<T> => await import(new URL(path, import.meta.url).href);

export const commands: readonly Command[] = Object.freeze([
  trainCommand(async () => (await module<{ train: TrainFunction }>("../train/train.js")).train),
  inspectCommand(async () => (await module<{ inspector: Inspector }>("../data/inspect.js")).inspector),
]);
