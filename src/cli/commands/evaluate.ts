/** `clipwright evaluate RUN`: scores with intervals, of any model on any data. */

import { join } from "node:path";
import { cacheFolder } from "../../core/cache-folder.js";
import { UsageError } from "../../core/errors.js";
import { appendLineDurably } from "../../core/files.js";
import { dataFields, datasetOptions } from "../../data/fields.js";
import { type Dataset, openDataset } from "../../data/index.js";
import { openEngine } from "../../engines/registry.js";
import { runTask } from "../../evaluate/evaluate.js";
import { type FeatureSource, freshFeatures } from "../../evaluate/features/source.js";
import { FeatureStore } from "../../evaluate/features/store.js";
import { type LoadedModel, loadModel } from "../../evaluate/model/load-model.js";
import { type EvaluationRecord, evaluationLine, evaluationTable } from "../../evaluate/records.js";
import { suitableTasks, tasks } from "../../evaluate/tasks/index.js";
import { retrievalTask } from "../../evaluate/tasks/retrieval.js";
import type { Task } from "../../evaluate/tasks/task.js";
import { zeroshotTask } from "../../evaluate/tasks/zeroshot.js";
import { choice, defaulted, flag, integer, list, optional, text } from "../../settings/fields.js";
import { defineCommand } from "../command.js";
import { ProgressLine } from "../progress-line.js";
import { heldOutSets, type ScoredSet, seenIn } from "../run-data.js";
import { engineOptions } from "./engines.js";

/** Short names of tasks. */
const shortNames: ReadonlyMap<string, string> = new Map([
  ["zeroshot", zeroshotTask.name],
  ["retrieval", retrievalTask.name],
]);

/** Options of every command that opens a model. */
export const modelOptions = {
  ...engineOptions,
  model: optional(
    text("NAME|FILE"),
    "The weights' preset or JSON, where open_clip_config.json does not tell.",
  ),
  tokenizer: optional(text("FILE"), "The weights' tokenizer, where none lies beside them."),
  checkpoint: optional(
    text("best|last|STEP"),
    "Of a run: the best by its held-out score, the last, or that of a step; the best where one was kept.",
  ),
  ema: defaulted(flag(), true, "Use the moving average of the weights where the run kept one."),
  threads: optional(integer(1, 1024), "Threads of the engine; all cores otherwise."),
  workers: optional(integer(1, 256), "Threads that decode images; chosen by cores otherwise."),
};

/** Options of commands that embed whole data sets. */
export const featureOptions = {
  keepFeatures: defaulted(
    flag(),
    true,
    "Keep what was embedded under $CLIPWRIGHT_CACHE, and take from there what was kept.",
  ),
};

/** Features of a model, kept in the cache folder or, with `keepFeatures` off, made anew. */
export function openFeatures(
  { encoder, key }: LoadedModel,
  { keepFeatures }: { readonly keepFeatures: boolean },
  progress: ProgressLine,
): FeatureSource & Disposable {
  if (keepFeatures) {
    const folder = join(cacheFolder(), "features");
    return new FeatureStore(encoder, { folder, model: key(), onProgress: progress.show });
  }
  return { ...freshFeatures(encoder, progress.show), [Symbol.dispose]: () => {} };
}

export const evaluateCommand = defineCommand({
  name: "evaluate",
  summary: "Score a run or a checkpoint: zero-shot classification and retrieval, with 95 % intervals.",
  description:
    "RUN is a run's folder, a checkpoint's folder, or a .safetensors file with open_clip's names. Without --data a run is scored on what it held out; with them, pictures that it was trained on are found (exact copies) and told. Scores of a run are also appended to its evaluation.jsonl. Beside each stands what guessing gives.",
  positionals: [{ name: "RUN", doc: "Run, checkpoint or .safetensors file.", required: false }],
  options: {
    Data: {
      data: optional(
        list(text("SOURCE"), { separator: "::" }),
        "Images with captions, labels, or both; what the run held out otherwise.",
      ),
      task: defaulted(
        list({
          ...choice(["auto", ...shortNames.keys(), ...tasks.map(({ name }) => name)]),
          placeholder: "NAME",
        }),
        ["auto"],
        "Tasks of --list; auto: zero-shot where the data have labels, retrieval where they have captions that say more, probes where --probe-data are given.",
      ),
      probeData: optional(
        list(text("SOURCE"), { separator: "::" }),
        "Labelled images that probes and few-shot learn from, apart from those that are scored.",
      ),
      templates: optional(
        text("NAME|FILE"),
        "Prompt templates, one a line, or a set's name (simple, openai-80, …).",
      ),
      name: optional(text("NAME"), "Name of the data in the results."),
      ...dataFields,
    },
    Model: { ...modelOptions, ...featureOptions },
    Output: {
      json: defaulted(flag(), false, "Print the lines of evaluation.jsonl."),
      list: defaulted(flag(), false, "List the tasks, what they ask of the data, and how they are computed."),
    },
  },
  brief: ["data", "task", "probeData", "classnames", "templates", "name", "engine", "json", "list"],
  examples: [
    ["clipwright evaluate runs/flickr", "On what the run held out (--val-split, --val-data)."],
    ["clipwright evaluate runs/flickr --data test.tar", "Retrieval on pairs that were not trained on."],
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
    await using engine = await openEngine(options.engine, options);
    const loaded = await loadModel(engine, { path, ...options, say: progress.say });
    using _ = loaded.encoder;
    const { step, run } = loaded;
    if (step !== undefined) progress.say(`${loaded.weights}, step ${step}`);
    const sets = options.data === undefined ? await keptSets(path, run, progress.say) : [];
    if (options.data !== undefined) {
      const name = options.name === undefined ? {} : { name: options.name };
      const dataset = await openDataset(options.data, {
        ...datasetOptions(options),
        ...name,
        onProgress: progress.say,
      });
      sets.push({ dataset, seen: await seenIn(run, dataset, progress.say) });
    }
    const { classnames, templates } = options;
    const probeData =
      options.probeData &&
      (await openDataset(options.probeData, { ...datasetOptions(options), onProgress: progress.say }));
    using features = openFeatures(loaded, options, progress);
    const records: EvaluationRecord[] = [];
    const told = new Set<string>();
    for (const set of sets) {
      const data = {
        ...set,
        ...(classnames && { classnames }),
        ...(templates && { templates }),
        ...(probeData && { train: probeData }),
      };
      const chosen = chooseTasks(options.task, set.dataset, probeData !== undefined);
      if (templates !== undefined && chosen.every((task) => task === retrievalTask)) {
        throw new UsageError("evaluate: templates are for zero-shot; got --task retrieval. Remove them.", {
          key: "templates",
        });
      }
      for (const task of chosen) {
        const where = {
          name: options.name,
          ...(step !== undefined && { step }),
          ...(set.split !== undefined && { split: set.split }),
          ...(set.seen !== undefined && { seen: set.seen }),
        };
        const scored = await runTask(task, { features, data }, where).catch((error: unknown) => {
          // Captions may be scored although the labels have no names.
          const another = task === zeroshotTask && chosen.includes(retrievalTask);
          if (!(another && error instanceof UsageError)) throw error;
          return { records: [], notes: [`zero-shot is left out. ${error.message}`] };
        });
        for (const note of scored.notes) if (!told.has(note)) progress.say(`  ! ${note}`);
        for (const note of scored.notes) told.add(note);
        records.push(...scored.records);
      }
    }
    progress.clear();
    if (run !== undefined) remember(run, records);
    terminal.out(options.json ? records.map(evaluationLine).join("") : evaluationTable(records));
    return 0;
  },
});

async function keptSets(
  path: string,
  run: string | undefined,
  say: (line: string) => void,
): Promise<ScoredSet[]> {
  if (run !== undefined) return heldOutSets(run, say);
  throw new UsageError(
    `${path}: a model that is no run's has held nothing out; got no --data. Give --data, pictures with captions or labels.`,
    { key: "data" },
  );
}

/** The tasks that are asked for, in their order, each once. */
function chooseTasks(wanted: readonly string[], dataset: Dataset, probes: boolean): readonly Task[] {
  const names = wanted.map((name) => shortNames.get(name) ?? name);
  const { zeroshot, retrieval } = suitableTasks(dataset);
  const suits = (task: Task): boolean => {
    if (task === zeroshotTask) return zeroshot;
    if (task === retrievalTask) return retrieval;
    return zeroshot && probes && task.needs.includes("train");
  };
  return tasks.filter((task) => names.includes(task.name) || (names.includes("auto") && suits(task)));
}

function taskText({ name, doc, how, source, needs, metrics }: Task): string {
  const rows = metrics.map((metric) => `  ${metric.name}: ${metric.doc}\n`).join("");
  return `${name}\n  ${doc}\n  ${how}\n  Needs ${needs.join(", ")}. Source: ${source}.\n${rows}`;
}

function remember(run: string, records: readonly EvaluationRecord[]): void {
  for (const record of records)
    appendLineDurably(join(run, "evaluation.jsonl"), evaluationLine(record).trimEnd());
}
