/** `clipwright evaluate RUN --data …`: scores with intervals, of any model on any data. */

import { join } from "node:path";
import { UsageError } from "../../core/errors.js";
import { appendLineDurably } from "../../core/files.js";
import { openDataset } from "../../data/index.js";
import { openEngine } from "../../engines/registry.js";
import { runTask } from "../../evaluate/evaluate.js";
import { freshFeatures } from "../../evaluate/features/source.js";
import { loadModel } from "../../evaluate/model/load-model.js";
import { type EvaluationRecord, evaluationLine, evaluationTable } from "../../evaluate/records.js";
import { offers } from "../../evaluate/tasks/index.js";
import { retrievalTask } from "../../evaluate/tasks/retrieval.js";
import type { Task } from "../../evaluate/tasks/task.js";
import { zeroshotTask } from "../../evaluate/tasks/zeroshot.js";
import { choice, defaulted, flag, integer, list, optional, required, text } from "../../settings/fields.js";
import { defineCommand, notesOn } from "../command.js";
import { engineOptions } from "./engines.js";

/** Options of every command that opens a model. */
export const modelOptions = {
  ...engineOptions,
  model: optional(
    text("NAME|FILE"),
    "The weights' preset or JSON, where open_clip_config.json does not tell.",
  ),
  tokenizer: optional(text("FILE"), "The weights' tokenizer, where none lies beside them."),
  ema: defaulted(flag(), true, "Use the moving average of the weights where the run kept one."),
  threads: optional(integer(1, 1024), "Threads of the engine; all cores otherwise."),
  workers: optional(integer(1, 256), "Threads that decode images; chosen by cores otherwise."),
};

export const evaluateCommand = defineCommand({
  name: "evaluate",
  summary: "Score a run or a checkpoint: zero-shot classification and retrieval, with 95 % intervals.",
  description:
    "RUN is a run's folder, a checkpoint's folder, or a .safetensors file with open_clip's names. Scores of a run are also appended to its evaluation.jsonl.",
  positionals: [{ name: "RUN", doc: "Run, checkpoint or .safetensors file.", required: true }],
  options: {
    Data: {
      data: required(list(text("SOURCE"), { separator: "::" }), "Images with captions, labels, or both."),
      task: defaulted(
        choice(["auto", "zeroshot", "retrieval"]),
        "auto",
        "auto: zero-shot where the data have labels, else retrieval.",
      ),
      classnames: optional(text("FILE"), "Class names, one a line, or JSON from label to name."),
      templates: optional(
        text("NAME|FILE"),
        "Prompt templates, one a line, or a set's name (simple, openai-80, …).",
      ),
      name: optional(text("NAME"), "Name of the data in the results."),
    },
    Model: modelOptions,
    Output: { json: defaulted(flag(), false, "Print the lines of evaluation.jsonl.") },
  },
  examples: [
    ["clipwright evaluate runs/flickr --data test.tar", "Retrieval on held-out pairs."],
    [
      "clipwright evaluate runs/flickr --data photos/ --classnames names.txt",
      "Zero-shot on a folder per class.",
    ],
  ],
  async run({ options, positionals, terminal }) {
    const [path] = positionals as [string];
    await using engine = await openEngine(options.engine, options);
    const loaded = await loadModel(engine, { path, ...options, say: notesOn(terminal) });
    using encoder = loaded.encoder;
    const dataset = await openDataset(options.data, options.name === undefined ? {} : { name: options.name });
    const context = loaded.step === undefined ? {} : { step: loaded.step };
    const task = options.task === "auto" ? (offers(dataset).labels ? "zeroshot" : "retrieval") : options.task;
    if (task === "retrieval" && (options.classnames ?? options.templates) !== undefined) {
      throw new UsageError(
        "evaluate: class names and templates are for zero-shot; got data without labels, or --task retrieval.",
      );
    }
    const features = freshFeatures(encoder);
    const data = { dataset, classnames: options.classnames, templates: options.templates };
    const chosen: Task = task === "zeroshot" ? zeroshotTask : retrievalTask;
    const { records, notes } = await runTask(chosen, { features, data }, context);
    for (const note of notes) notesOn(terminal)(`  ! ${note}`);
    if (loaded.run !== undefined) remember(loaded.run, records);
    terminal.out(options.json ? records.map(evaluationLine).join("") : evaluationTable(records));
    return 0;
  },
});

function remember(run: string, records: readonly EvaluationRecord[]): void {
  for (const record of records)
    appendLineDurably(join(run, "evaluation.jsonl"), evaluationLine(record).trimEnd());
}
