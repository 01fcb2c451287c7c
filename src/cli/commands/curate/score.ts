/** `clipwright curate score SOURCE`: a table of scores beside the data, a row a pair and a column a score. */

import { UsageError } from "../../../core/errors.js";
import { scoreFamilies } from "../../../curate/scores/index.js";
import { scorePairs } from "../../../curate/scores/run/score-pairs.js";
import { needOf } from "../../../curate/scores/score.js";
import { dataFields, datasetOptions } from "../../../data/fields.js";
import { openDataset } from "../../../data/index.js";
import { processGroup } from "../../../engines/processes.js";
import { defaulted, type Fields, flag, integer, list, optional, text } from "../../../settings/fields.js";
import { defineCommand, type Terminal } from "../../command.js";
import { commandLine } from "../../command-line.js";
import { wrap } from "../../help.js";
import { ProgressLine } from "../../progress-line.js";

const INDENT = 14;

/** What families let a person set. */
const familyFields: Fields = Object.assign({}, ...scoreFamilies.map(({ settings }) => settings ?? {}));

export const scoreCommand = defineCommand({
  name: "curate score",
  summary: "Score every pair of a data source into a table: captions, pictures, duplicates.",
  description:
    "The table is Parquet, a row a pair and a column a score. Data are never changed. Where the table exists already, only pairs that it lacks " +
    "are scored, and only columns that it lacks are added. A run that was stopped goes on when it is started again.",
  positionals: [
    {
      name: "SOURCE",
      doc: "Folder, pictures, CSV, TSV, JSONL, Parquet, or tars (brace globs, ::, http).",
      required: false,
      many: true,
    },
  ],
  options: {
    Scores: {
      out: defaulted(text("FILE"), "scores.parquet", "The table."),
      scores: optional(
        list(text("NAME"), { separator: "," }),
        "Families or columns, joined with commas; otherwise what the table has, or all that need no model.",
      ),
      list: defaulted(flag(), false, "Tell the families and their columns."),
    },
    Families: familyFields,
    Data: dataFields,
    Output: {
      workers: optional(integer(1, 256), "Threads that read pictures; chosen by cores otherwise."),
      json: defaulted(flag(), false, "Print what was done, or the list, as JSON."),
    },
  },
  brief: ["out", "scores", "list", "workers", "json"],
  examples: [
    ["clipwright curate score photos/ --out scores.parquet", "All scores that need no model."],
    ["clipwright curate score pairs.csv --scores words,language", "Captions alone: pictures are not read."],
    ["clipwright curate score --list", "What there is to score."],
  ],
  async run({ options, given, positionals, terminal }) {
    const { out, scores, list: listed, workers, json, ...rest } = options;
    if (listed) {
      if (json) terminal.out(`${JSON.stringify(scoreFamilies.map(toldOf), null, 2)}\n`);
      else tell(terminal);
      return 0;
    }
    if (positionals.length === 0)
      throw new UsageError(
        "curate score: needs a SOURCE. Name a folder, a table or tars; --list tells what is scored.",
      );
    using progress = new ProgressLine(terminal);
    const dataset = await openDataset(positionals, {
      ...datasetOptions(rest),
      captionsOptional: true,
      onProgress: progress.say,
    });
    const settings = Object.fromEntries(
      Object.keys(familyFields).map((key) => [key, (rest as Record<string, unknown>)[key]]),
    );
    const processes = processGroup();
    const result = await scorePairs(dataset, {
      out,
      scores,
      settings,
      workers,
      processes,
      command: commandLine("curate score", positionals, given),
      onProgress: progress.show,
      onNote: progress.say,
    });
    progress.clear();
    const { rows, added, columns, faults } = result;
    const number = (n: number): string => n.toLocaleString("en-US");
    const more = columns.length === 0 ? "" : `, ${columns.length} columns new`;
    if (json) terminal.out(`${JSON.stringify(result, null, 2)}\n`);
    else if (processes !== undefined && processes.index > 0) {
      const { index, count } = processes;
      terminal.out(`Process ${index} of ${count} has scored ${number(added)} pairs; process 0 joins them.\n`);
    } else {
      const found = Object.entries(faults).sort((a, b) => b[1] - a[1]);
      const lines = found.map(([name, n]) => `  ${number(n).padStart(number(rows).length)}  ${name}\n`);
      const head = `${out}: ${number(rows)} pairs, ${number(added)} of them new${more}\n`;
      terminal.out(`${head}${lines.length === 0 ? "" : `Faults, by rows:\n${lines.join("")}`}`);
    }
    return 0;
  },
});

const toldOf = (family: (typeof scoreFamilies)[number]) => {
  const { name, about, how, source, columns, byDefault } = family;
  return { name, about, how, source, needs: needOf(family), byDefault, columns };
};

/** Every family with its columns, as wide as the terminal. */
function tell(terminal: Terminal): void {
  const write = (label: string, words: string): void => {
    const [first = "", ...more] = wrap(words, Math.max(30, terminal.columns - INDENT));
    const head = label.length < INDENT - 1 ? label.padEnd(INDENT) : `${label}\n${" ".repeat(INDENT)}`;
    terminal.out(`${head}${first}\n${more.map((line) => `${" ".repeat(INDENT)}${line}\n`).join("")}`);
  };
  for (const family of scoreFamilies) {
    write(family.name, `${family.about} Needs ${needOf(family)}.`);
    for (const { name, about } of family.columns) write(`  ${name}`, about);
    terminal.out("\n");
  }
}
