/** Command lines run in this process, with all that a person would see of them. */

import { type Command, type CommandEntry, entryOf } from "../../src/cli/command.js";
import { runCommandLine } from "../../src/cli/shell.js";

export interface Seen {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs words on a terminal of `columns` (default 80) without colour. */
export async function runWords(
  commands: readonly (Command | CommandEntry)[],
  words: readonly string[],
  { columns = 80, interactive = false } = {},
): Promise<Seen> {
  let out = "";
  let err = "";
  const code = await runCommandLine(
    commands.map((command) => ("run" in command ? entryOf(command) : command)),
    words,
    {
      out: (piece) => {
        out += piece;
      },
      err: (piece) => {
        err += piece;
      },
      interactive,
      columns,
      color: false,
    },
  );
  return { code, out, err };
}
