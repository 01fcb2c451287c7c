/** A command of the shell: a small record with its options, its help and what it does. What it calls is imported by `run`. */

import { oneLine } from "../core/errors.js";
import type { Fields, Values } from "../settings/fields.js";

export interface Positional {
  /** e.g. `RECIPE`. */
  readonly name: string;
  readonly doc: string;
  readonly required: boolean;
  /** Takes all that are left. */
  readonly many?: boolean;
}

/** Where a command writes; tests put their own. */
export interface Terminal {
  /** On a terminal control characters are made visible; `own` text has commands of ours, and nothing of anybody else's. */
  out(text: string, own?: boolean): void;
  err(text: string, own?: boolean): void;
  /** Standard error is a terminal that can redraw a line. */
  readonly interactive: boolean;
  readonly columns: number;
  /** False when NO_COLOR is set or the output is no terminal. */
  readonly color: boolean;
}

/** Tells lines beside the result, each as one line, whatever names and captions it repeats. */
export const notesOn =
  ({ err }: Pick<Terminal, "err">) =>
  (line: string): void =>
    err(`${oneLine(line)}\n`);

export interface Invocation<F extends Fields = Fields> {
  /** Checked option values, defaults filled in. */
  readonly options: Values<F>;
  /** Only what was written, unchecked, by key: for commands that lay it over something else. */
  readonly given: Readonly<Record<string, unknown>>;
  readonly positionals: readonly string[];
  readonly terminal: Terminal;
}

export interface Command<F extends Fields = Fields> {
  /** One word, or of a group's command two: `curate select`. */
  readonly name: string;
  /** One line for `clipwright --help`. */
  readonly summary: string;
  /** A paragraph or two for the command's own help. */
  readonly description?: string;
  readonly positionals: readonly Positional[];
  /** Options under the headings of the help. */
  readonly options: Readonly<Record<string, Fields>>;
  /** Keys that `--help` shows; the others wait for `--help --all`. Default: every option. */
  readonly brief?: readonly string[];
  /** Command lines that work, with what they do. */
  readonly examples: readonly (readonly [line: string, what: string])[];
  /** True when `run` checks `given` itself, e.g. over a recipe; `options` then holds nothing. */
  readonly checksOptions?: boolean;
  /** Gives the exit code; nothing is 0. */
  run(invocation: Invocation<F>): Promise<number | undefined>;
}

/** A command by name, loaded when it is called. */
export interface CommandEntry {
  readonly name: string;
  load(): Promise<Command>;
}

export const entry = (name: string, load: () => Promise<Command>): CommandEntry => ({ name, load });

/** The entry of a command that is loaded already. */
export const entryOf = (command: Command): CommandEntry => ({
  name: command.name,
  load: async () => command,
});

type All<G> = { [K in keyof G]: (group: G[K]) => void }[keyof G] extends (group: infer F) => void ? F : never;

/** Declares a command whose `run` sees the types of its options. */
export function defineCommand<const G extends Readonly<Record<string, Fields>>>(
  command: Omit<Command, "options" | "run"> & {
    readonly options: G;
    run(
      invocation: { readonly options: Values<All<G>> } & Omit<Invocation, "options">,
    ): Promise<number | undefined>;
  },
): Command {
  return command as unknown as Command;
}

/** All options of a command, by key. */
export const optionsOf = (command: Command): Fields => Object.assign({}, ...Object.values(command.options));
