/**
 * Help pages kept beside the program, as Python keeps what it compiled: so that `--help` need not load the commands. They
 * are good until a file of the program is newer, and are then made anew.
 */

import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { writeFileAtomic } from "../core/files.js";
import type { CommandEntry } from "./command.js";
import { commands } from "./commands.js";
import type { HelpPage } from "./help.js";

/** `dist`, where the program lies compiled. */
const program = fileURLToPath(new URL("../../", import.meta.url));
const FILE = "help.json";

/** The pages of commands, all of them loaded. */
export async function helpPages(entries: readonly CommandEntry[]): Promise<HelpPage[]> {
  const { helpPage } = await import("./help-page.js");
  return (await Promise.all(entries.map(({ load }) => load()))).map(helpPage);
}

/** The page of every command, in the order of the help. */
export async function keptHelp(folder: string = program): Promise<readonly HelpPage[]> {
  const file = join(folder, "src", "cli", FILE);
  const kept = readKept(file, newest(folder));
  if (kept !== undefined) return kept;
  const pages = await helpPages(commands);
  try {
    writeFileAtomic(file, JSON.stringify(pages));
  } catch {
    // An installed program may lie where nobody may write.
  }
  return pages;
}

function readKept(file: string, madeMs: number): HelpPage[] | undefined {
  try {
    return statSync(file).mtimeMs < madeMs
      ? undefined
      : (JSON.parse(readFileSync(file, "utf8")) as HelpPage[]);
  } catch {
    return undefined;
  }
}

/** When the last of the program's files was written, in ms. */
function newest(folder: string): number {
  let ms = 0;
  for (const part of ["src", "recipes"]) {
    for (const entry of entriesOf(join(folder, part))) {
      if (entry.isFile() && entry.name.endsWith(".js")) {
        ms = Math.max(ms, statSync(join(entry.parentPath, entry.name)).mtimeMs);
      }
    }
  }
  return ms;
}

function entriesOf(folder: string) {
  try {
    return readdirSync(folder, { recursive: true, withFileTypes: true });
  } catch {
    return [];
  }
}
