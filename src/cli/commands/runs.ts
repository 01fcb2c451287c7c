/** `clipwright runs`: which runs there are, how far they came, what they scored; and to remove or rename them. */

import { UsageError } from "../../core/errors.js";
import { scoreWords } from "../../evaluate/records.js";
import { defaulted, flag, optional, text } from "../../settings/fields.js";
import { listRuns, type RunSummary, removeRun, renameRun, runNamed } from "../../train/run/list.js";
import { formatClock } from "../../train/watch/progress.js";
import { alignColumns } from "../columns.js";
import { defineCommand } from "../command.js";

const HEAD = ["name", "state", "steps", "samples", "time", "score", "model", "last"];

export const runsCommand = defineCommand({
  name: "runs",
  summary: "List runs with state, length, time and score; remove or rename them.",
  description:
    "running: a process writes to it; done: it has all of its steps; stopped: clipwright train RUN goes on with it. The score is the one its checkpoints are kept by, or its top-1, recall or held-out loss.",
  positionals: [{ name: "NAME", doc: "Only these runs.", required: false, many: true }],
  options: {
    Runs: {
      logs: defaulted(text("FOLDER"), "runs", "Where runs are kept."),
      remove: defaulted(flag(), false, "Remove the runs that are named, with their checkpoints."),
      rename: optional(text("NEW"), "Another name for the run that is named."),
    },
    Output: { json: defaulted(flag(), false, "Print a JSON array.") },
  },
  examples: [
    ["clipwright runs", "All runs in runs/, the last first."],
    ["clipwright runs first --rename photos-b32", "Renames a run."],
    ["clipwright runs try-1 try-2 --remove", "Removes two."],
  ],
  async run({ options, positionals, terminal }) {
    const { logs, remove, rename, json } = options;
    const named = positionals.map((name) => runNamed(logs, name));
    if (remove && rename !== undefined)
      throw new UsageError("--remove, --rename: one of both; got both.", { key: "remove" });
    if (remove) {
      if (named.length === 0)
        throw new UsageError("--remove: needs the names of runs; got none. Name them.", { key: "remove" });
      for (const path of named) {
        removeRun(path);
        terminal.out(`removed ${path}\n`);
      }
      return 0;
    }
    if (rename !== undefined) {
      if (named.length !== 1)
        throw new UsageError(`--rename: needs the name of one run; got ${named.length}.`, { key: "rename" });
      terminal.out(`${renameRun(named[0]!, rename)}\n`);
      return 0;
    }
    const runs = listRuns(logs).filter(({ path }) => named.length === 0 || named.includes(path));
    if (json) {
      terminal.out(`${JSON.stringify(runs, null, 2)}\n`);
      return 0;
    }
    if (runs.length === 0) {
      terminal.err(`No runs in ${logs}; clipwright train makes them.\n`);
      return 0;
    }
    terminal.out(alignColumns([HEAD, ...runs.map(rowOf)]));
    for (const { path, problem } of runs) if (problem !== undefined) terminal.err(`${path}: ${problem}\n`);
    return 0;
  },
});

function rowOf({
  name,
  state,
  step,
  totalSteps,
  samplesSeen,
  seconds,
  score,
  model,
  changedMs,
}: RunSummary): string[] {
  const of = totalSteps === undefined || totalSteps === step ? "" : ` of ${totalSteps}`;
  return [
    ...[name, state, `${step}${of}`, samplesSeen.toLocaleString("en-US"), formatClock(seconds)],
    ...[score === undefined ? "–" : `${score.metric} ${scoreWords(score).value}`, model],
    new Date(changedMs).toISOString().slice(0, 16).replace("T", " "),
  ];
}
