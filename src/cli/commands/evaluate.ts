/** `clipwright evaluate RUN`: scores with intervals, of any model on any data. */

import { join } from "node:path";
import { UsageError } from "../../core/errors.js";
import { appendLineDurably } from "../../core/files.js";
import { openEngine } from "../../engines/registry.js";
import { type EvaluationRecord, evaluationLine, evaluationTable } from "../../evaluate/records.js";
import { tasks } from "../../evaluate/tasks/index.js";
import type { Task } from "../../evaluate/tasks/task.js";
import { defaulted, flag } from "../../settings/fields.js";
import { defineCommand } from "../command.js";
import { leakOptions } from "../leaks.js";
import { ProgressLine } from "../progress-line.js";
import { featureOptions, modelOptions, scoredDataOptions, scoreModel } from "../scoring.js";

export const evaluateCommand = defineCommand({
  name: "evaluate",
  summary: "Score a run or a checkpoint: zero-shot classification and retrieval, with 95 % intervals.",
  description:
    "RUN is a run's folder, a checkpoint's folder, or a .safetensors file with open_clip's names. Without --data a run is scored on what it held out; with them, pictures that it was trained on are found (exact copies) and told. Scores of a run are also appended to its evaluation.jsonl. Beside each stands what guessing gives.",
  positionals: [{ name: "RUN", doc: "Run, checkpoint or .safetensors file.", required: false }],
  options: {
    Data: scoredDataOptions,
    Model: { ...modelOptions, ...featureOptions },
    Leaks: leakOptions,
    Output: {
      json: defaulted(flag(), false, "Print the lines of evaluation.jsonl."),
      list: defaulted(flag(), false, "List the tasks, what they ask of the data, and how they are computed."),
    },
  },
  brief: [
    "data",
    "task",
    "probeData",
    "classnames",
    "templates",
    "name",
    "leaks",
    "against",
    "engine",
    "json",
    "list",
  ],
  examples: [
    ["clipwright evaluate runs/flickr", "On what the run held out (--val-split, --val-data)."],
    ["clipwright evaluate runs/flickr --data test.tar", "Retrieval on pairs that were not trained on."],
    [
      "clipwright evaluate runs/flickr --data test.tar --leaks",
      "Also what the scores are without pictures that stand in the run's training data.",
    ],
    [
      "clipwright evaluate runs/flickr --data photos/ --classnames names.txt",
      "Zero-shot on a folder per class.",
    ],
  ],
  async run({ options, positionals, terminal }) {
    if (options.list) {
      terminal.out(tasks.map(taskText).join("\n"));
      return 0;
    }
    const [path] = positionals;
    if (path === undefined) {
      throw new UsageError("evaluate: what is scored must be given; got no RUN. Give a run's folder.", {
        code: "ERR_SETTING",
      });
    }
    using progress = new ProgressLine(terminal);
    await using engine = await openEngine(options.engine, {
      ...options,
      onChoice: (line) => terminal.err(`${line}\n`),
    });
    const { run, scored, leaks } = await scoreModel(engine, path, options, progress);
    const records = scored.flatMap((one) => one.records);
    progress.clear();
    if (run !== undefined) remember(run, records);
    terminal.out(options.json ? records.map(evaluationLine).join("") : evaluationTable(records));
    // Beside the lines of --json they would be no JSON.
    for (const words of leaks) (options.json ? terminal.err : terminal.out)(`\n${words}`);
    return 0;
  },
});

function taskText({ name, doc, how, source, needs, metrics }: Task): string {
  const rows = metrics.map((metric) => `  ${metric.name}: ${metric.doc}\n`).join("");
  return `${name}\n  ${doc}\n  ${how}\n  Needs ${needs.join(", ")}. Source: ${source}.\n${rows}`;
}

function remember(run: string, records: readonly EvaluationRecord[]): void {
  for (const record of records)
    appendLineDurably(join(run, "evaluation.jsonl"), evaluationLine(record).trimEnd());
}
