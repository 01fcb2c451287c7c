/** The public functions, with their arguments checked. */

import { type DawidSkeneOptions, dawidSkene as skillsOf } from "../curate/review/agreement/dawid-skene.js";
import { agreementOf as agreementOfRatings } from "../curate/review/agreement/measures.js";
import { readReviewLog as readLog } from "../curate/review/log/log.js";
import { faultsLeft as faultsIn } from "../curate/review/order/faults-left.js";
import { reviewOrders } from "../curate/review/order/priority.js";
import { openReview as openReviewUnchecked, type ReviewOptions } from "../curate/review/review.js";
import { type ScorePairsOptions, scorePairs as scoreUnchecked } from "../curate/scores/run/score-pairs.js";
import {
  type DatasetOptions,
  formatInspection as formatInspectionOf,
  type InspectOptions,
  inspectDataset as inspect,
  openDataset as open,
} from "../data/index.js";
import { cleanings } from "../data/tokenizer/clean.js";
import type { LoadTokenizerOptions } from "../data/tokenizer/load.js";
import { loadTokenizer as openTokenizer } from "../data/tokenizer/load.js";
import { type EngineOptions, engineChoices, openEngine as openEngineNamed } from "../engines/registry.js";
import { runTask as runUnchecked } from "../evaluate/evaluate.js";
import { loadModel as load } from "../evaluate/model/load-model.js";
import type { ModelSource } from "../evaluate/model/locate.js";
import { type EvaluationContext, evaluationTable as tableOf } from "../evaluate/records.js";
import { makeClip as make } from "../models/clip.js";
import { parseClipConfig as parse } from "../models/config/config.js";
import { summarize as summaryOf } from "../models/presets/catalog.js";
import { findPreset as presetNamed } from "../models/presets/presets.js";
import { completeRecipe } from "../train/forecast/choose.js";
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

const share = real("a number from 0 to 1", (x) => x >= 0 && x <= 1);

/**
 * Opens a review of a selection, of a table of scores, or of both, by people together: `serve` shows its page, `report` says how
 * they agree, `export` writes what they decided as a selection (docs/review.md). Throws `UsageError` for tables that are none, data
 * that have none of their pairs, and a log that cannot be written.
 */
export const openReview = checkedAsync(
  "openReview",
  openReviewUnchecked,
  2,
  ["tables", either(text, listOf(text))],
  ["dataset", dataset],
  [
    "options",
    options<ReviewOptions>({
      log: text,
      where: text,
      limit: count(1),
      order: oneOf(reviewOrders),
      opinions: count(1),
      overlap: share,
      repeats: share,
      audit: share,
      gold: text,
      stopAt: share,
    }),
  ],
);

const ratings = listOf(thing("a rating", "item", "rater", "label"));

/** Raw agreement, kappas and Krippendorff's alpha of ratings; answers may be missing. */
export const agreementOf = checked("agreementOf", agreementOfRatings, 1, ["ratings", ratings]);

/** What is true where raters disagree, and how good each rater is: Dawid and Skene's model (1979). */
export const dawidSkene = checked(
  "dawidSkene",
  skillsOf,
  1,
  ["ratings", ratings],
  ["options", options<DawidSkeneOptions>({ rounds: count(1), tolerance: real("a number", () => true) })],
);

/**
 * Faults expected among the items that nobody has seen, by a random audit of each stratum, with an interval; undefined while fewer
 * than five were audited.
 */
export const faultsLeft = checked(
  "faultsLeft",
  faultsIn,
  1,
  ["strata", listOf(thing("a stratum", "unseen", "audited", "faults"))],
  ["level", real("a number between 0 and 1", (x) => x > 0 && x < 1)],
);

/** All verdicts of a review's log. Throws a `UsageError` where there is none. */
export const readReviewLog = checked("readReviewLog", readLog, 1, ["path", text]);

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

/**
 * Opens a trained model for use: a run's folder, a checkpoint, or what others store a CLIP in (see `ModelSource`). Throws `UsageError`
 * naming what is missing and how to give it.
 */
export const loadModel = checkedAsync(
  "loadModel",
  load,
  2,
  ["engine", engine],
  [
    "source",
    options<ModelSource>(
      {
        path: text,
        model: text,
        tokenizer: text,
        checkpoint: either(text, count(0)),
        ema: flag,
        optionPrefix: { rule: "a text", fits: (x) => typeof x === "string" },
        workers: count(1),
        say: callback,
        progress: callback,
      },
      ["path"],
    ),
  ],
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
      finish: signal,
    }),
  ],
);
