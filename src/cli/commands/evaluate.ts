/** `clipwright evaluate RUN`: scores with intervals, of any model on any data. */

import { basename, join } from "node:path";
import { oneLine, UsageError } from "../../core/errors.js";
import { appendLineDurably } from "../../core/files.js";
import { openEngine } from "../../engines/registry.js";
import {
  type EvaluationRecord,
  evaluationLine,
  evaluationTable,
  modelsTable,
} from "../../evaluate/records.js";
import { benchmarkCsv, benchmarkResults } from "../../evaluate/suites/benchmark-results.js";
import { corruptionTables } from "../../evaluate/suites/corruptions.js";
import { effectiveRecords, effectiveScores, type ShiftScore } from "../../evaluate/suites/shifts.js";
import { tasks } from "../../evaluate/tasks/index.js";
import type { Task } from "../../evaluate/tasks/task.js";
import { choice, defaulted, flag, optional, text } from "../../settings/fields.js";
import { alignColumns } from "../columns.js";
import { defineCommand } from "../command.js";
import { leakOptions } from "../leaks.js";
import { ProgressLine } from "../progress-line.js";
import {
  baselineOf,
  featureOptions,
  modelOptions,
  scoredDataOptions,
  scoreModel,
  severalRunsOptions,
} from "../scoring.js";

const formats = ["table", "jsonl", "clip-benchmark", "clip-benchmark-csv"] as const;

export const evaluateCommand = defineCommand({
  name: "evaluate",
  summary: "Score a run or a checkpoint: zero-shot classification and retrieval, with 95 % intervals.",
  description:
    "RUN is a run's folder, a checkpoint's folder, or another model as clipwright embed takes it: by name, folder or file of weights. Without --data a run is scored on what it held out; with them, pictures that it was trained on are found (exact copies) and told. Scores of a run are also appended to its evaluation.jsonl. Beside each stands what guessing gives.",
  positionals: [{ name: "RUN…", doc: "Runs, checkpoints, or other models.", required: false, many: true }],
  options: {
    Data: { ...scoredDataOptions, ...severalRunsOptions },
    Model: { ...modelOptions, ...featureOptions },
    Leaks: leakOptions,
    Output: {
      json: defaulted(flag(), false, "Print the lines of evaluation.jsonl."),
      format: defaulted(
        choice(formats),
        "table",
        "jsonl: lines of evaluation.jsonl; clip-benchmark: CLIP_benchmark's results, as JSON or as its CSV.",
      ),
      saveFeatures: optional(
        text("FOLDER"),
        "Write what was embedded as .npy, a folder for each data set (and run, where there are several).",
      ),
      list: defaulted(flag(), false, "List the tasks, what they ask of the data, and how they are computed."),
    },
  },
  brief: [
    "data",
    "suite",
    "task",
    "choices",
    "probeData",
    "classnames",
    "templates",
    "name",
    "corruptions",
    "leaks",
    "against",
    "engine",
    "json",
    "format",
    "list",
  ],
  examples: [
    ["clipwright evaluate runs/flickr", "On what the run held out (--val-split, --val-data)."],
    ["clipwright evaluate runs/flickr --data test.tar", "Retrieval on pairs that were not trained on."],
    [
      "clipwright evaluate runs/flickr --data test.tar --leaks",
      "Also the scores without pictures that stand in the run's training data.",
    ],
    [
      "clipwright evaluate runs/flickr --data photos/ --classnames names.txt",
      "Zero-shot on a folder per class.",
    ],
    [
      "clipwright evaluate runs/flickr --data photos/ --corruptions",
      "Also what is left of the scores under noise, blur, JPEG and others.",
    ],
  ],
  async run({ options, positionals, terminal }) {
    if (options.list) {
      terminal.out(tasks.map(taskText).join("\n"));
      return 0;
    }
    const paths = [...new Set(positionals)];
    if (paths.length === 0) {
      throw new UsageError("evaluate: what is scored must be given; got no RUN. Give a run's folder.", {
        code: "ERR_SETTING",
      });
    }
    using progress = new ProgressLine(terminal);
    await using engine = await openEngine(options.engine, {
      ...options,
      onChoice: (line) => terminal.err(`${line}\n`),
    });
    const baseline = baselineOf(options, paths);
    const models: ScoredModel[] = [];
    const told = new Set<string>();
    const found: string[] = [];
    for (const path of paths) {
      const name = shortName(path, paths);
      const { saveFeatures: folder } = options;
      const saveFeatures = folder === undefined || paths.length === 1 ? folder : join(folder, name);
      const { run, scored, shifts, leaks } = await scoreModel(
        engine,
        path,
        { ...options, saveFeatures },
        progress,
        told,
      );
      found.push(...leaks);
      const records = scored.flatMap((one) => one.records);
      if (run !== undefined) remember(run, records);
      models.push({ path, name, records, shifts });
    }
    progress.clear();
    const { scores, refused } = effectiveScores(
      models.map(({ path, shifts }) => ({ name: path, shifts })),
      baseline,
    );
    if (refused !== undefined) progress.say(`  ! ${refused}`);
    const format = options.json ? "jsonl" : options.format;
    const all = models.map((model) => ({
      ...model,
      records: [...model.records, ...effectiveRecords(scores, model.path)],
    }));
    terminal.out(resultText(all, format));
    // Beside the lines of --json they would be no JSON.
    for (const words of found) (format === "table" ? terminal.out : terminal.err)(`\n${words}`);
    return 0;
  },
});

interface ScoredModel {
  readonly path: string;
  readonly name: string;
  readonly records: readonly EvaluationRecord[];
  readonly shifts: readonly ShiftScore[];
}

/** The last part of a path, unless another of the paths ends the same. */
function shortName(path: string, paths: readonly string[]): string {
  const name = basename(path);
  return paths.some((other) => other !== path && basename(other) === name) ? path.replaceAll("/", "_") : name;
}

function resultText(
  models: readonly Omit<ScoredModel, "shifts">[],
  format: (typeof formats)[number],
): string {
  const several = models.length > 1;
  if (format === "table") {
    const scores = several ? modelsTable(models) : evaluationTable(models[0]!.records);
    return scores + models.map(({ name, records }) => corruptionText(records, several ? name : "")).join("");
  }
  if (format === "jsonl") {
    const line = (path: string, record: EvaluationRecord): string =>
      several
        ? `${JSON.stringify({ run: path, ...JSON.parse(evaluationLine(record)) })}\n`
        : evaluationLine(record);
    return models.flatMap(({ path, records }) => records.map((record) => line(path, record))).join("");
  }
  const results = models.flatMap(({ path, name, records }) =>
    benchmarkResults(records, { model: name, pretrained: path }),
  );
  return format === "clip-benchmark" ? `${JSON.stringify(results, null, 1)}\n` : benchmarkCsv(results);
}

function corruptionText(records: readonly EvaluationRecord[], model: string): string {
  return corruptionTables(records)
    .map(({ title, columns, rows }) => {
      const [, ...rest] = columns;
      const head = model === "" ? title : `${model}, ${title}`;
      return `\n${oneLine(head)}\n${alignColumns([["", ...rest], ...rows])}`;
    })
    .join("");
}

function taskText({ name, doc, how, source, needs, metrics }: Task): string {
  const rows = metrics.map((metric) => `  ${metric.name}: ${metric.doc}\n`).join("");
  return `${name}\n  ${doc}\n  ${how}\n  Needs ${needs.join(", ")}. Source: ${source}.\n${rows}`;
}

function remember(run: string, records: readonly EvaluationRecord[]): void {
  for (const record of records)
    appendLineDurably(join(run, "evaluation.jsonl"), evaluationLine(record).trimEnd());
}
