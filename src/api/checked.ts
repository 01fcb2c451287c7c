/** The public functions, with their arguments checked. */

import {
  findLabelFaults as faultsUnchecked,
  type LabelFaults,
} from "../curate/fit/accuracy/confident-learning.js";
import {
  type CrossfitOptions,
  type CrossfitScores,
  crossfit as crossfitRows,
} from "../curate/fit/crossfit/crossfit.js";
import { pairRows } from "../curate/scores/run/rows.js";
import { type ScorePairsOptions, scorePairs as scoreUnchecked } from "../curate/scores/run/score-pairs.js";
import {
  type Ladder,
  makeLadder as ladderUnchecked,
  type SelectionOptions,
  makeSelection as selectUnchecked,
} from "../curate/select/select.js";
import { type ReadTableOptions, readTable as rowsOf } from "../curate/tables/read.js";
import { summarizeTable as summaryOfTable } from "../curate/tables/summary.js";
import {
  type ProfileOptions,
  profileData as profileUnchecked,
  type WatchOptions,
  watchData as watchUnchecked,
} from "../curate/watch/watch.js";
import {
  type Dataset,
  type DatasetOptions,
  formatInspection as formatInspectionOf,
  type InspectOptions,
  inspectDataset as inspect,
  openDataset as open,
} from "../data/index.js";
import { type SelectOptions, selectFrom } from "../data/selections/select.js";
import { cleanings } from "../data/tokenizer/clean.js";
import type { LoadTokenizerOptions } from "../data/tokenizer/json.js";
import { loadTokenizer as openTokenizer } from "../data/tokenizer/load.js";
import { type EngineOptions, engineChoices, openEngine as openEngineNamed } from "../engines/registry.js";
import { runTask as runUnchecked } from "../evaluate/evaluate.js";
import { loadModel as load } from "../evaluate/model/load-model.js";
import type { ModelSource } from "../evaluate/model/locate.js";
import { type EvaluationContext, evaluationTable as tableOf } from "../evaluate/records.js";
import { type ExportOptions, exportFormNames, exportModel as exportOne } from "../export/export.js";
import { numberFormNames } from "../export/onnx/numbers/number-forms.js";
import { preparePicture as prepareUnchecked } from "../export/prepare-picture.js";
import { makeClip as make } from "../models/clip.js";
import { parseClipConfig as parse } from "../models/config/config.js";
import { summarize as summaryOf } from "../models/presets/catalog.js";
import { findPreset as presetNamed } from "../models/presets/presets.js";
import type { StudiesPageOptions } from "../report/studies/page.js";
import type { StudyPageOptions } from "../report/study/page.js";
import {
  type Findings,
  readFindings as findingsIn,
  readStudies as studiesFrom,
} from "../study/answer/findings.js";
import { completeRecipe } from "../study/plan/complete.js";
import type { TrainHooks, TrainResult } from "../train/hooks.js";
import type { RecipeInput } from "../train/recipe/recipe.js";
import { train as trainChecked } from "../train/train.js";
import {
  callback,
  checked,
  checkedAsync,
  count,
  either,
  flag,
  listOf,
  numbers,
  object,
  oneOf,
  options,
  real,
  signal,
  text,
  thing,
} from "./arguments.js";
import {
  compare as compareUnchecked,
  type EvaluateOptions,
  evaluate as evaluateUnchecked,
} from "./evaluate.js";
import { type OpenModelOptions, openModel as openBoth } from "./open-model.js";

const engine = thing("an engine, as openEngine gives", "compile", "upload");
const dataset = thing("a data set, as openDataset gives", "sample", "length");
const records = listOf(thing("a record of an evaluation", "metric", "value"));
const source = either(text, thing("a source with its weight", "source", "weight"));

/**
 * Opens one or several sources as a data set: a path, a brace range, a glob, an address, or several joined by `::`. They may
 * be folders of images with captions, a folder a class, tables or tars (docs/data.md). Only places and captions are read.
 * Throws `UsageError` when a source is missing, empty, damaged or could be read in several ways.
 */
export const openDataset = checkedAsync(
  "openDataset",
  open,
  1,
  ["source", either(source, listOf(source))],
  [
    "options",
    options<DatasetOptions & { weights: readonly number[] }>({
      name: text,
      format: oneOf(["folder", "csv", "tsv", "jsonl", "parquet", "webdataset"]),
      csvImgKey: text,
      csvCaptionKey: either(text, listOf(text)),
      csvSeparator: { rule: "a text", fits: (x) => typeof x === "string" && x !== "" },
      labelKey: text,
      classnames: text,
      imageKey: text,
      captionKey: text,
      jsonCaptionKey: text,
      imageRoot: text,
      encoding: text,
      captionsOptional: flag,
      strict: flag,
      cacheDir: text,
      onProgress: callback,
      weights: numbers,
    }),
  ],
);

/** Reads every image and caption of a data set once, and says what would be dropped and why. */
export const inspectDataset = checkedAsync(
  "inspectDataset",
  inspect,
  1,
  ["dataset", dataset],
  [
    "options",
    options<InspectOptions>({
      minSize: real("a number of pixels from 0", (x) => x >= 0),
      workers: count(1),
      onProgress: callback,
    }),
  ],
);

/** What `inspectDataset` found, as text. */
export const formatInspection = checked("formatInspection", formatInspectionOf, 1, [
  "inspection",
  thing("what inspectDataset gives", "samples", "usable"),
]);

/**
 * Scores the pairs of a data set into a Parquet table, a row a pair and a column a score (docs/scores.md). Where the table exists,
 * what it lacks is added; a call that was stopped goes on when it is made again. Throws `UsageError` for scores that are none, a file
 * in the way, and half a table of other data.
 */
export const scorePairs = checkedAsync(
  "scorePairs",
  scoreUnchecked,
  2,
  ["dataset", dataset],
  [
    "options",
    options<ScorePairsOptions>(
      {
        out: text,
        scores: listOf(text),
        settings: object,
        workers: count(1),
        processes: object,
        partRows: count(1),
        command: text,
        onProgress: callback,
        onNote: callback,
      },
      ["out"],
    ),
  ],
);

/**
 * Scores every pair of a data set by small CLIPs that are trained here, none of which has seen the pair or a copy of its picture
 * (docs/curation.md). Values of a pair each, in the order of the samples and of their captions; a sample without a caption has one, NaN.
 * Called again with the same folder it goes on. Throws `UsageError` for time that is too short, other data in the folder, and what
 * training refuses.
 */
export const crossfit = checkedAsync(
  "crossfit",
  (of: Dataset, how: CrossfitOptions): Promise<CrossfitScores> => crossfitRows(of, pairRows(of), how),
  2,
  ["dataset", dataset],
  [
    "options",
    options<CrossfitOptions>(
      {
        folder: text,
        seconds: real("a number above 0", (x) => x > 0),
        folds: count(2),
        repeats: count(1),
        drop: real("a number from 0 to below 1", (x) => x >= 0 && x < 1),
        seed: count(0),
        recipe: object,
        workers: count(1),
        onProgress: callback,
        onNote: callback,
      },
      ["folder", "seconds"],
    ),
  ],
);

/**
 * Labels that are likely another class's, by confident learning as cleanlab 2.9 has it. `probabilities` [N, K] row-major are of a
 * classifier that has not seen the row; `labels` [N] are 0 … K-1. Throws `UsageError` for lengths or labels that do not fit.
 */
export const findLabelFaults = checked(
  "findLabelFaults",
  (probabilities: ArrayLike<number>, labels: ArrayLike<number>, classes: number): LabelFaults =>
    faultsUnchecked(probabilities, labels, classes),
  3,
  ["probabilities", numbers],
  ["labels", numbers],
  ["classes", count(1)],
);

const watchedOptions = {
  profile: text,
  table: text,
  model: thing("a model that embeds", "encoder", "path", "key"),
  selection: text,
  settings: object,
  workers: count(1),
  command: text,
  onProgress: callback,
  onNote: callback,
};

/**
 * Writes a profile of a data set: how its scores, captions and embeddings are distributed (docs/watching.md). Its table of scores is
 * made, or brought up to date, first. Throws `UsageError` for data without a picture, and for what scoring refuses.
 */
export const profileData = checkedAsync(
  "profileData",
  profileUnchecked,
  2,
  ["dataset", dataset],
  [
    "options",
    options<ProfileOptions>(
      { ...watchedOptions, scores: listOf(text), rules: listOf(thing("a rule", "kind")) },
      ["profile", "table"],
    ),
  ],
);

/**
 * Scores the pairs of a data set that the profile's table lacks, and compares them with the profile; undefined where nothing is new.
 * Throws `UsageError` where the model is not the profile's.
 */
export const watchData = checkedAsync(
  "watchData",
  watchUnchecked,
  2,
  ["dataset", dataset],
  [
    "options",
    options<WatchOptions>({ ...watchedOptions, thresholds: object, log: text }, ["profile", "table"]),
  ],
);

/** Opens a tokenizer.json, a vocabulary that was learned here, CLIP's, or the folder of one of them. */
export const loadTokenizer = checked(
  "loadTokenizer",
  openTokenizer,
  1,
  ["path", text],
  [
    "options",
    options<LoadTokenizerOptions>({
      contextLength: count(1),
      vocabSize: count(1),
      endToken: text,
      padToken: text,
      clean: oneOf(Object.keys(cleanings)),
    }),
  ],
);

const tableLimits = { memoryLimitBytes: count(2 ** 24), threads: count(1) };
const selecting = options<SelectionOptions>(
  {
    rules: listOf(thing("a rule with its kind", "kind")),
    combine: thing("columns with their weights", "columns"),
    command: text,
    ...tableLimits,
    examples: count(0),
  },
  ["rules"],
);

/**
 * Chooses pairs of a table of scores by rules, and writes the selection: Parquet, or `.npy` as DataComp's subset. Says what each rule
 * drops, alone and in order. Further tables add columns to the pairs of the first; one of them may be a selection, from which the rules
 * start. Throws `UsageError` for a rule that the tables cannot answer, and for tables that do not fit together.
 */
export const makeSelection = checkedAsync(
  "makeSelection",
  selectUnchecked,
  3,
  ["scores", either(text, listOf(text))],
  ["out", text],
  ["options", selecting],
);

/** Writes nested selections, a file a step: the best shares by a score, and random ones as large. */
export const makeLadder = checkedAsync(
  "makeLadder",
  ladderUnchecked,
  4,
  ["scores", either(text, listOf(text))],
  ["out", text],
  [
    "ladder",
    options<Ladder>({
      quality: thing("a score and shares", "by", "shares"),
      random: thing("a seed and shares", "seed", "shares"),
    }),
  ],
  ["options", selecting],
);

/**
 * Applies a selection (Parquet, or DataComp's .npy) to a data set: what is left of it, with weights and corrected texts. Throws
 * `UsageError` where it names nothing of the data, or a pair twice.
 */
export const applySelection = checkedAsync(
  "applySelection",
  selectFrom,
  2,
  ["dataset", dataset],
  ["path", text],
  ["options", options<SelectOptions>({ weight: text, heldOut: count(0), onProgress: callback })],
);

/** The rows of a Parquet table of scores, or of a selection, some thousand at a time. Throws `UsageError` for what is no table. */
export const readTable = checked(
  "readTable",
  rowsOf,
  1,
  ["path", text],
  ["options", options<ReadTableOptions>({ columns: listOf(text), where: text, ...tableLimits })],
);

/** What a table holds, column by column: how much is known, and its range. */
export const summarizeTable = checkedAsync(
  "summarizeTable",
  summaryOfTable,
  1,
  ["path", text],
  [
    "options",
    options<Pick<ReadTableOptions, "where" | "memoryLimitBytes" | "threads">>({
      where: text,
      ...tableLimits,
    }),
  ],
);

/** Opens an engine by name: `onnxruntime`, `openvino`, `xla`, or `auto` for the best of them on this machine. Throws `UsageError` for what the machine lacks. */
export const openEngine = checkedAsync(
  "openEngine",
  openEngineNamed,
  1,
  ["name", text],
  [
    "options",
    options<EngineOptions>({
      threads: count(1),
      profile: text,
      plugin: text,
      devices: count(1),
      cache: either(text, { rule: "false", fits: (x) => x === false }),
      flags: object,
      onChoice: callback,
      processes: object,
    }),
  ],
);

/** What a model is named by. */
const modelSource = options<ModelSource>(
  {
    path: text,
    model: text,
    tokenizer: text,
    checkpoint: either(text, count(0)),
    ema: flag,
    optionPrefix: { rule: "a text", fits: (x) => typeof x === "string" },
    workers: count(1),
    imageDisk: count(0),
    imageBatch: count(1),
    textBatch: count(1),
    say: callback,
    progress: callback,
  },
  ["path"],
);

/**
 * Opens a trained model for use: a run's folder, a checkpoint, or what others store a CLIP in (see `ModelSource`). Throws `UsageError`
 * naming what is missing and how to give it.
 */
export const loadModel = checkedAsync("loadModel", load, 2, ["engine", engine], ["source", modelSource]);

/**
 * Writes the model of `source` down as open_clip, transformers, ONNX Runtime or transformers.js read it, in a new folder; gives
 * the names of its files, and what was found of the forms of its numbers. These are scored where `trial` says on what, e.g.
 * `{ engine, score: (features) => evaluate(model, suite, { features }) }`.
 * Throws `UsageError` where the form cannot say what the model is, with the reasons.
 */
export const exportModel = checkedAsync(
  "exportModel",
  exportOne,
  2,
  ["source", modelSource],
  [
    "options",
    options<ExportOptions>(
      {
        to: oneOf(exportFormNames),
        out: text,
        name: text,
        license: text,
        dtypes: listOf(oneOf(numberFormNames)),
        trial: thing("an engine and how features are scored", "engine", "score"),
        maxLoss: real("a number of points from 0", (x) => x >= 0),
      },
      ["to", "out"],
    ),
  ],
);

/**
 * What the model of an exported folder sees of a picture, a path or encoded bytes: for clients that resize otherwise. Of
 * transformers.js: `new RawImage(data, width, height, channels)`. Throws `UsageError` for a picture that cannot be read.
 */
export const preparePicture = checkedAsync(
  "preparePicture",
  prepareUnchecked,
  2,
  ["picture", either(text, thing("encoded bytes", "byteLength"))],
  ["folder", text],
);

/**
 * Opens a trained model, as `loadModel` finds it, with an engine of its own. Close it when done: `await model.close()`, or
 * `await using model = …` from Node 24 on. Throws `UsageError` naming what is missing and how to give it.
 */
export const openModel = checkedAsync(
  "openModel",
  openBoth,
  1,
  ["path", text],
  [
    "options",
    options<OpenModelOptions>({
      engine: oneOf(engineChoices),
      threads: count(1),
      plugin: text,
      model: text,
      tokenizer: text,
      checkpoint: either(text, count(0)),
      ema: flag,
      workers: count(1),
      imageDisk: count(0),
      imageBatch: count(1),
      textBatch: count(1),
      say: callback,
      progress: callback,
    }),
  ],
);

/**
 * Runs a task (`zeroshotTask`, `retrievalTask`, …: `tasks`) on a model's vectors of a data set: scores with intervals, as
 * records, and the task's details.
 */
export const runTask = checkedAsync(
  "runTask",
  runUnchecked<unknown>,
  2,
  ["task", thing("a task, as tasks lists", "run", "metrics")],
  ["context", thing("where the vectors and the data are", "features", "data")],
  [
    "where",
    options<EvaluationContext & { name?: string | undefined }>({
      name: text,
      step: count(0),
      samplesSeen: count(0),
      macs: real("a number from 0", (x) => x >= 0),
      split: text,
      seen: count(0),
    }),
  ],
) as typeof runUnchecked;

/**
 * Scores a model on every set of a suite: a file, or as `defineSuite` has it, paths then from the working folder. The scores
 * come set by set and task by task, with intervals, as records too. Throws `UsageError` naming the key or the data at fault.
 */
export const evaluate = checkedAsync(
  "evaluate",
  evaluateUnchecked,
  2,
  ["model", thing("a model, as loadModel or openModel gives", "encoder")],
  ["suite", either(text, object)],
  [
    "options",
    options<EvaluateOptions>({
      features: thing("a source of features, such as a FeatureStore", "images", "texts"),
      onProgress: callback,
      onNote: callback,
    }),
  ],
);

/**
 * Compares runs on the same samples: paired differences with intervals and a verdict for each pair of recipes, p-values
 * corrected together (Holm). Scores are those that `evaluate` gives. Throws `UsageError` for fewer than two recipes.
 */
export const compare = checked("compare", compareUnchecked, 1, [
  "runs",
  listOf(thing("a run with its scores", "run", "recipe", "dataset", "task", "scores")),
]);

/** Scores as a table for a terminal. */
export const evaluationTable = checked("evaluationTable", tableOf, 1, ["records", records]);

/** A CLIP of a configuration: its parameters by name and its towers as functions that are traced. */
export const makeClip = checked(
  "makeClip",
  make,
  1,
  ["config", thing("a model's configuration", "vision_cfg", "text_cfg")],
  ["options", object],
);

/** open_clip's JSON of a model, checked. `where` is its file, for messages. */
export const parseClipConfig = checked("parseClipConfig", parse, 2, ["json", object], ["where", text]);

/** The preset of a name. Throws `UsageError` with the nearest name. */
export const findPreset = checked("findPreset", presetNamed, 1, ["name", text]);

/** Parameters, multiply-adds and memory of a preset. */
export const summarize = checked("summarize", summaryOf, 1, ["preset", thing("a preset", "name", "config")]);

/**
 * Trains what `recipe` says (its keys: docs/recipe.md) in the folder `LOGS/NAME`. Without a `model`, `pretrained` brings
 * its own with its tokenizer; else one is chosen for the data and the machine, and told. Called again with the same recipe, it
 * goes on from the latest checkpoint. Throws `UsageError` for what the caller can mend: a wrong setting, bad data, a full
 * disk, a loss that is not finite.
 */
export const train = checkedAsync(
  "train",
  async (input: RecipeInput, hooks: TrainHooks = {}): Promise<TrainResult> => {
    const { recipe, reasons } = await completeRecipe(input);
    for (const line of reasons) hooks.onMessage?.(line, "note");
    return trainChecked(recipe, hooks);
  },
  1,
  ["recipe", object],
  [
    "hooks",
    options<TrainHooks>({
      onStart: callback,
      onStep: callback,
      onMessage: callback,
      onEvaluation: callback,
      onCheckpoint: callback,
      signal,
      stopAfter: count(1),
      finish: signal,
    }),
  ],
);

/** What the study in `folder` came to: its `findings.json`. Throws `UsageError` where there is none, or it is damaged. */
export const readFindings = checked("readFindings", findingsIn, 1, ["folder", text]);

/** What the studies in `folder` came to, by the names of their folders in it. Throws `UsageError` where there is none, or one is damaged. */
export const readStudies = checked("readStudies", studiesFrom, 1, ["folder", text]);

/** The page of several studies as one HTML document that loads nothing: docs/studies.md, "Several studies". */
export const studiesPage = checkedAsync(
  "studiesPage",
  async (studies: readonly Findings[], how: StudiesPageOptions = {}): Promise<string> =>
    (await import("../report/studies/page.js")).studiesPage(studies, how),
  1,
  [
    "studies",
    listOf(thing("what a study came to, as readFindings gives", "question", "cells", "panels", "curves")),
  ],
  ["options", options<StudiesPageOptions>({ command: text, links: object })],
);

/** The page of a study as one HTML document that loads nothing: docs/studies.md, "The page". */
export const studyPage = checkedAsync(
  "studyPage",
  async (findings: Findings, how: StudyPageOptions = {}): Promise<string> =>
    // The library that draws is loaded for those who want a page.
    (await import("../report/study/page.js")).studyPage(findings, how),
  1,
  ["findings", thing("what a study came to, as readFindings gives", "question", "cells", "panels", "curves")],
  ["options", options<StudyPageOptions>({ command: text })],
);
