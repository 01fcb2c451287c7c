/** Scoring a model, as `evaluate` and `compare` do: what can be asked for, the sets, the tasks. */

import { join } from "node:path";
import { cacheFolder } from "../core/cache-folder.js";
import { UsageError } from "../core/errors.js";
import { readChoices } from "../data/choices.js";
import { MAX_DISTANCE } from "../data/copies/find.js";
import { dataFields, datasetOptions, selectField } from "../data/fields.js";
import { type Dataset, openDataset } from "../data/index.js";
import { corruptionNames } from "../data/pixels/corrupt/corruption.js";
import { takeSelected } from "../data/selections/select.js";
import type { Engine } from "../engines/engine.js";
import { saveFeatures } from "../evaluate/features/save.js";
import { type FeatureSource, freshFeatures } from "../evaluate/features/source.js";
import { FEATURES_LIMIT_BYTES, FeatureStore } from "../evaluate/features/store.js";
import { type LoadedModel, loadModel } from "../evaluate/model/load-model.js";
import { allCorruptions, type Corruptions, scoreCorrupted } from "../evaluate/suites/corruptions.js";
import { type OpenSet, openSuite } from "../evaluate/suites/open.js";
import { chooseTasks, type ScoredTask, scoreSet } from "../evaluate/suites/score.js";
import { type ShiftScore, shiftScores, shiftTasks } from "../evaluate/suites/shifts.js";
import { loadSuite } from "../evaluate/suites/suite.js";
import { choicesTask } from "../evaluate/tasks/choices.js";
import { tasks } from "../evaluate/tasks/index.js";
import { retrievalTask } from "../evaluate/tasks/retrieval.js";
import type { EvaluationSet } from "../evaluate/tasks/task.js";
import { type ZeroshotDetails, zeroshotTask } from "../evaluate/tasks/zeroshot.js";
import { choice, defaulted, flag, integer, list, optional, text, type Values } from "../settings/fields.js";
import { heldOutSets, type ScoredSet, seenIn, trainingDataOf } from "../train/run/data.js";
import { engineOptions } from "./commands/engines.js";
import { findLeaks, type LeakOptions, leakText, writeLeaks } from "./leaks.js";
import type { ProgressLine } from "./progress-line.js";

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
    "Keep what was embedded under $CLIPWRIGHT_CACHE, and take from there what was kept. Delete the folder features there to clear it.",
  ),
  featuresDisk: defaulted(
    integer(0),
    FEATURES_LIMIT_BYTES / 2 ** 20,
    "MiB of disk that kept features of all models and data may take; the longest unused go.",
  ),
  imageDisk: defaulted(
    integer(0),
    0,
    "MiB of disk that decoded images of all data sets may take, for the next model that is scored on them: in the cache's folder images; 0 keeps none.",
  ),
};

/** Features of a model, kept in the cache folder or, with `keepFeatures` off, made anew. */
export function openFeatures(
  { encoder, key }: LoadedModel,
  { keepFeatures, featuresDisk }: Values<typeof featureOptions>,
  progress: ProgressLine,
): FeatureSource & Disposable {
  if (keepFeatures) {
    const folder = join(cacheFolder(), "features");
    const limitBytes = featuresDisk * 2 ** 20;
    return new FeatureStore(encoder, { folder, model: key(), onProgress: progress.show, limitBytes });
  }
  return { ...freshFeatures(encoder, progress.show), [Symbol.dispose]: () => {} };
}

/** Options on what a model is scored on, and by what. */
export const scoredDataOptions = {
  data: optional(
    list(text("SOURCE"), { separator: "::" }),
    "Images with captions, labels, or both; what the run held out otherwise.",
  ),
  select: selectField("Score only what this selection keeps of --data."),
  suite: optional(
    text("FILE"),
    "Named data sets with their classes, templates and tasks: .json, or a program (docs/evaluation.md).",
  ),
  task: defaulted(
    list(choice(["auto", ...shortNames.keys(), ...tasks.map(({ name }) => name)])),
    ["auto"],
    "auto: zero-shot where the data have labels, retrieval where they have captions that say more, probes where --probe-data are given.",
  ),
  choices: optional(
    text("FILE|FOLDER"),
    "Questions with captions to choose from, instead of --data: files of Winoground or SugarCrepe as they are, pictures in --image-root or beside them.",
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
  corruptions: defaulted(
    flag(),
    false,
    "Score corrupted pictures too (noise, blur, JPEG, …), and tell what is kept of each score.",
  ),
  corruptionKinds: optional(
    list(choice(corruptionNames), { separator: "," }),
    "Of --corruptions: these alone.",
  ),
  corruptionStrengths: optional(
    list(integer(1, 5), { separator: "," }),
    "Of --corruptions: these of 1 … 5 alone.",
  ),
  corruptionSeed: optional(integer(0), "Of --corruptions: for other noise. 0 otherwise."),
  ...dataFields,
};

/** Options of commands that score several runs. */
export const severalRunsOptions = {
  baseline: optional(
    list(text("RUN"), { separator: "," }),
    "Of a suite with shifts: those of the runs through which the line of effective robustness goes; all otherwise.",
  ),
};

/** Throws `UsageError` for a baseline that is none of the runs. */
export function baselineOf(
  { baseline }: Values<typeof severalRunsOptions>,
  runs: readonly string[],
): readonly string[] {
  const unknown = baseline?.find((run) => !runs.includes(run));
  if (unknown === undefined) return baseline ?? runs;
  throw new UsageError(`baseline: must be some of the runs; got ${unknown}. Name it among them too.`, {
    key: "baseline",
  });
}

export type ScoringOptions = Values<typeof scoredDataOptions & typeof modelOptions & typeof featureOptions>;

export interface ScoredModel {
  readonly run: string | undefined;
  readonly scored: readonly ScoredTask[];
  /** Of a suite with shifted sets. */
  readonly shifts: readonly ShiftScore[];
  /** What was found of each set's pictures in the training data, in words; empty unless it was asked for. */
  readonly leaks: readonly string[];
}

/**
 * Scores the model at `path` by all tasks that are asked for. Tells each note once (`told` remembers them).
 * Throws `UsageError` where there is nothing to score it on.
 */
export async function scoreModel(
  engine: Engine,
  path: string,
  options: ScoringOptions & Partial<LeakOptions> & { readonly saveFeatures?: string | undefined },
  progress: ProgressLine,
  told = new Set<string>(),
): Promise<ScoredModel> {
  if (options.select !== undefined && options.data === undefined) {
    throw new UsageError("evaluate: a selection is of --data; got --select alone. Give --data.", {
      key: "select",
    });
  }
  const { classnames, templates } = options;
  const loaded = await loadModel(engine, { path, ...options, say: progress.say, progress: progress.show });
  using _ = loaded;
  const { step, run } = loaded;
  if (step !== undefined) progress.say(`${loaded.weights}, step ${step}`);
  const { sets, probeData } = await setsOf(path, run, options, progress.say);
  using features = openFeatures(loaded, options, progress);
  const all: ScoredTask[] = [];
  const leaks: string[] = [];
  const training = await leakedFrom(path, run, options, progress.say);
  for (const [at, { seen, split, tasks: named, name = options.name, ...set }] of sets.entries()) {
    const data: EvaluationSet = {
      ...set,
      ...(classnames && { classnames }),
      ...(templates && { templates }),
      ...(probeData && { train: probeData }),
    };
    const asked = named === undefined || options.task[0] !== "auto" ? options.task : named;
    const chosen = chooseTasks(
      asked.map((name) => shortNames.get(name) ?? name),
      data,
    );
    if (templates !== undefined && chosen.every((task) => task === retrievalTask)) {
      throw new UsageError("evaluate: templates are for zero-shot; got --task retrieval. Remove them.", {
        key: "templates",
      });
    }
    const where = {
      ...(step !== undefined && { step }),
      ...(split !== undefined && { split }),
      ...(seen !== undefined && { seen }),
    };
    const onScored = ({ notes }: ScoredTask) => {
      for (const note of notes) if (!told.has(note)) progress.say(`  ! ${note}`);
      for (const note of notes) told.add(note);
    };
    const scored = await scoreSet(features, data, chosen, { name, where, onScored });
    all.push(...scored.map((one) => ({ ...one, ...(set.role && { role: set.role }) })));
    const { corruptions = corruptionsOf(options) } = set;
    if (corruptions !== undefined) {
      all.push(...(await scoreCorrupted(features, data, scored, corruptions, { name, where })));
    }
    if (options.saveFeatures !== undefined) {
      const zeroshot = scored.find(({ task }) => task === zeroshotTask.name)?.details as
        | ZeroshotDetails
        | undefined;
      const folder = (name ?? set.dataset.name).replace(/[^\w.+-]+/g, "_");
      await saveFeatures(
        join(options.saveFeatures, folder),
        features,
        set.dataset,
        zeroshot && { names: zeroshot.classes.names, features: zeroshot.classFeatures },
      );
    }
    // Questions of several files are on one set of pictures.
    if (training === undefined || sets[at + 1]?.dataset === set.dataset) continue;
    const { folder, ...wanted } = training;
    const pair = { test: set.dataset, training: wanted.dataset };
    const found = await findLeaks(pair, features, loaded.encoder, wanted.options, progress);
    const page = folder && (await writeLeaks(found, folder(set.dataset.name)));
    leaks.push(
      leakText(
        found,
        scored.flatMap(({ scores }) => scores),
        page,
      ),
    );
  }
  const shifts = shiftScores(all);
  all.push(...shiftTasks(shifts, step === undefined ? {} : { step }));
  return { run, scored: all, shifts, leaks };
}

/** The corruptions that are asked for. */
function corruptionsOf({
  corruptions,
  corruptionKinds: kinds,
  corruptionStrengths: strengths,
  corruptionSeed: seed,
}: ScoringOptions): Corruptions | undefined {
  if (!corruptions && kinds === undefined && strengths === undefined && seed === undefined) return undefined;
  return allCorruptions({
    ...(kinds !== undefined && { kinds }),
    ...(strengths !== undefined && { strengths }),
    ...(seed !== undefined && { seed }),
  });
}

/** Where test pictures are looked for, if they are, and where what is found goes. */
async function leakedFrom(
  path: string,
  run: string | undefined,
  options: ScoringOptions & Partial<LeakOptions>,
  say: (line: string) => void,
) {
  const {
    leaks = false,
    against,
    leaksBy = ["bytes", "embedding"],
    leakBits = MAX_DISTANCE,
    leaksTo,
  } = options;
  if (!leaks && against === undefined) return undefined;
  if (against === undefined && run === undefined) {
    throw new UsageError(
      `${path}: what a model that is no run's was trained on is not known; got no --against. Give --against, its training data.`,
      { key: "against" },
    );
  }
  const dataset =
    against === undefined
      ? await trainingDataOf(run!, say)
      : await openDataset(against, { ...datasetOptions(options), captionsOptional: true, onProgress: say });
  const safe = (name: string): string => name.replace(/[^\w.-]+/g, "-");
  const folder =
    leaksTo !== undefined
      ? (name: string) => (options.data === undefined ? join(leaksTo, safe(name)) : leaksTo)
      : run && ((name: string) => join(run, "leaks", safe(name)));
  return { dataset, folder, options: { leaks, against, leaksBy, leakBits, leaksTo } };
}

/** What is scored, and what probes learn from. */
async function setsOf(
  path: string,
  run: string | undefined,
  options: ScoringOptions,
  say: (line: string) => void,
): Promise<{ sets: readonly (ScoredSet & Partial<OpenSet>)[]; probeData: Dataset | undefined }> {
  const reading = { ...datasetOptions(options), onProgress: say };
  const probeData = options.probeData && (await openDataset(options.probeData, reading));
  if (options.choices !== undefined) {
    const other = (["data", "suite"] as const).find((key) => options[key] !== undefined);
    if (other !== undefined) {
      throw new UsageError(
        `evaluate: questions bring their pictures; got --choices and --${other}. Keep one.`,
        {
          key: "choices",
        },
      );
    }
    return { sets: questionSets(options.choices, options), probeData };
  }
  if (options.suite !== undefined) {
    const refused = (["data", "name"] as const).find((key) => options[key] !== undefined);
    if (refused !== undefined) {
      throw new UsageError(`evaluate: a suite names its own data; got --${refused} too. Leave one out.`, {
        key: refused,
      });
    }
    const open = await openSuite(await loadSuite(options.suite), reading);
    const sets: (ScoredSet & OpenSet)[] = [];
    for (const set of open) sets.push({ ...set, seen: await seenIn(run, set.dataset, say) });
    return { sets, probeData };
  }
  if (options.data === undefined) return { sets: await keptSets(path, run, say), probeData };
  const named = options.name === undefined ? {} : { name: options.name };
  const whole = await openDataset(options.data, { ...reading, ...named });
  const dataset = await takeSelected(whole, options.select, { onProgress: say });
  return { sets: [{ dataset, seen: await seenIn(run, dataset, say) }], probeData };
}

/** A set for each file of questions, and, of several, one for their mean; all on the same pictures. */
function questionSets(
  path: string,
  { imageRoot, name }: Pick<ScoringOptions, "imageRoot" | "name">,
): (ScoredSet & Partial<OpenSet>)[] {
  const { pictures, questions, files } = readChoices(path, { imageRoot });
  const all = { dataset: pictures, questions, tasks: [choicesTask.name], seen: undefined };
  if (files.length === 1) return [{ ...all, ...(name !== undefined && { name }) }];
  const parts = files.map((file) => ({
    ...all,
    questions: questions.filter((question) => question.file === file),
    name: file,
  }));
  return [...parts, { ...all, name: `${name ?? pictures.name} (mean of ${files.length} files)` }];
}

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
