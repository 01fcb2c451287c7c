/** Verdicts from other programs' files, into a log. */

import { UsageError } from "../../../core/errors.js";
import { readJson, readJsonLines } from "../../../core/files.js";
import type { ReviewLog } from "../log/log.js";
import { type Verdict, verdictOfLine } from "../log/verdict.js";
import { fromArgilla } from "./argilla.js";
import { fromLabelStudio } from "./label-studio.js";

export interface Imported {
  readonly from: "Label Studio" | "Argilla" | "a log";
  /** Verdicts in the file, and those that the log did not have. */
  readonly verdicts: number;
  readonly added: number;
}

/** The verdicts of a file: Label Studio's JSON, Argilla's, or lines of another log (`.jsonl`). */
export function readForeign(path: string): { readonly from: Imported["from"]; readonly verdicts: Verdict[] } {
  if (path.endsWith(".jsonl")) {
    const verdicts = readJsonLines(path).map((value) => verdictOfLine(JSON.stringify(value)));
    return { from: "a log", verdicts: verdicts.filter((verdict) => verdict !== undefined) };
  }
  const value = readJson(path);
  const records: readonly unknown[] = Array.isArray(value) ? value : [];
  const [first] = records;
  const has = (name: string): boolean => typeof first === "object" && first !== null && name in first;
  if (has("data")) return { from: "Label Studio", verdicts: fromLabelStudio(path, records) };
  if (has("fields")) return { from: "Argilla", verdicts: fromArgilla(path, records) };
  throw new UsageError(
    `import ${path}: must be a list of Label Studio's tasks or of Argilla's records, or a review's log (.jsonl). Export it as JSON there.`,
    { file: path },
  );
}

/** Adds to the log what it does not have yet; what is imported twice is there once. */
export function importVerdicts(path: string, log: ReviewLog): Imported {
  const { from, verdicts } = readForeign(path);
  const known = new Set(log.read().verdicts.map(({ id }) => id));
  const fresh = verdicts.filter(({ id }) => !known.has(id));
  log.append(...fresh);
  return { from, verdicts: verdicts.length, added: fresh.length };
}
