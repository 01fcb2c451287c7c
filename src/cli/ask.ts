/** The questions of `clipwright init`. */

import { existsSync } from "node:fs";
import type { Readable, Writable } from "node:stream";
import { parseSeconds } from "../settings/duration.js";

/** What is asked. */
export interface Answers {
  readonly seconds: number;
  /** File of a suite; undefined: pairs that are held out. */
  readonly suite: string | undefined;
  readonly out: string;
}

/**
 * Asks what was not said; undefined when the person leaves.
 * @param said what holds unless the person says otherwise.
 * @param at where questions stand and answers come from. Default: the terminal, standard error.
 */
export async function askFor(
  said: Answers,
  open: { readonly time: boolean; readonly out: boolean },
  at: { readonly input?: Readable; readonly output: Writable } = { output: process.stderr },
): Promise<Answers | undefined> {
  const { intro, isCancel, outro, select, text: line } = await import("@clack/prompts");
  intro("A recipe for your data", at);
  let { seconds, suite, out } = said;
  if (open.time) {
    const chosen = await select({
      ...at,
      message: "How long may training take?",
      options: [
        { value: "10m", label: "10 minutes", hint: "to see whether it works" },
        { value: "1h", label: "an hour" },
        { value: "8h", label: "a night" },
        { value: "", label: "something else" },
      ],
    });
    if (isCancel(chosen)) return undefined;
    const words =
      chosen === ""
        ? await line({
            ...at,
            message: "How long?",
            placeholder: "2h30m",
            validate: (value) =>
              (parseSeconds(value ?? "") ?? 0) > 0 ? undefined : "Write e.g. 2h30m or 90s.",
          })
        : chosen;
    if (isCancel(words)) return undefined;
    seconds = parseSeconds(words)!;
  }
  if (suite === undefined) {
    const file = await line({
      ...at,
      message: "What is the model judged by? A suite's file, or nothing: pairs of the data that are held out",
      placeholder: "held-out pairs",
      validate: (value) =>
        value === undefined || value === "" || existsSync(value) ? undefined : "There is no such file.",
    });
    if (isCancel(file)) return undefined;
    suite = file === "" || file === undefined ? undefined : file;
  }
  if (open.out) {
    const file = await line({
      ...at,
      message: "Where does the recipe go?",
      placeholder: out,
      defaultValue: out,
      validate: (value) => (existsSync(value || out) ? "That file is there already." : undefined),
    });
    if (isCancel(file)) return undefined;
    out = file;
  }
  outro("Looking at the data, and timing models here …", at);
  return { seconds, suite, out };
}
