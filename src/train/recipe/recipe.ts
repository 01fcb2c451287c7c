/**
 * The recipe: everything that decides a training run, as one typed object. The table below is the schema of
 * recipe files and of `config.json`, the options of `clipwright train`, the type of the API, and the help.
 *
 * Names follow open_clip where the meaning is the same: camelCase in files, kebab-case on the command line.
 */

import { didYouMean, UsageError } from "../../core/errors.js";
import { dataFields, policyName, selectField } from "../../data/fields.js";
import { policyList } from "../../data/pixels/augment/policies.js";
import {
  checkAll,
  choice,
  defaulted,
  duration,
  flag,
  integer,
  kebab,
  list,
  namingKeys,
  optional,
  real,
  required,
  text,
  textOrObject,
  toJson,
  type Values,
} from "../../settings/fields.js";
import { reporterNames } from "../report-to/names.js";
import { strategyNames } from "../strategies/index.js";
import { evaluationFields, evaluationRules, scoredMetrics } from "./evaluation-fields.js";
import type { RecipeInput } from "./input.js";
import { machineFields } from "./machine-fields.js";
import { optimizerFields } from "./optimizer-fields.js";
import { pickFields, pickRules } from "./pick-fields.js";
import { ruledRates } from "./rates.js";
import { scheduleFields } from "./schedule-fields.js";
import { stages } from "./stages.js";
import { startFields, startRules } from "./start-fields.js";
import { completeStrategy, strategyFields, strategyRules } from "./strategy-fields.js";
import { teacherFields, teacherRules } from "./teacher-fields.js";

/** Settings under the headings of the help. */
export const recipeGroups = {
  Model: {
    model: required(
      textOrObject("NAME|FILE|JSON"),
      "Preset (see clipwright models), a model file in open_clip's JSON form, or that object itself; --pretrained brings its own.",
    ),
    forceImageSize: optional(integer(8, 2048), "Side of the square input in pixels, instead of the model's."),
    imageSizes: optional(
      stages(integer(8, 2048)),
      "Sides of the training images in the course of the run, each with its share: 112:0.6,160:0.3; the rest as the model has it.",
    ),
    contextLengths: optional(
      stages(integer(2, 4096)),
      "Tokens of the training texts in the course of the run, each with its share: 8:0.9; the rest as the model has it.",
    ),
    forceContextLength: optional(integer(2, 4096), "Text tokens per caption, instead of the model's."),
    logitScaleInit: optional(
      real({ above: 0, max: 1000 }),
      "Inverse temperature at the start (not its logarithm); 1 / 0.07 unless the strategy has its own.",
    ),
    logitScaleMax: defaulted(real({ above: 0, max: 1000 }), 100, "Clamp of the inverse temperature."),
  },
  Strategy: {
    strategy: defaulted(
      choice(strategyNames),
      "clip",
      "What is learned from a batch; see docs/strategies.md.",
    ),
    ...strategyFields,
    dropPath: optional(
      real({ min: 0, below: 1 }),
      "Stochastic depth of the image tower: share of the samples whose last residual branch is left out; the model's own otherwise.",
    ),
  },
  Start: startFields,
  Teacher: teacherFields,
  Picking: pickFields,
  Data: {
    trainData: required(
      list(text("SOURCE"), { separator: "::" }),
      "Folder, CSV, TSV, JSONL, Parquet, or tars (brace globs, http). Join several with ::, or repeat.",
    ),
    trainDataUpsamplingFactors: optional(
      list(real({ above: 0 }), { separator: "::" }),
      "Weight of each source of --train-data, joined with ::.",
    ),
    valData: optional(
      list(text("SOURCE"), { separator: "::" }),
      "Held-out pairs, in any form that train-data takes.",
      {
        free: true,
      },
    ),
    valSplit: defaulted(
      real({ min: 0, max: 0.5 }),
      0,
      "Share of the training images to hold out; duplicates stay on one side.",
    ),
    ...dataFields,
    select: selectField(
      "Parquet or .npy file that says which pairs of the training data are trained on, with which weights and texts; what --val-split holds out is not touched.",
    ),
    sampleWeight: optional(
      text("COLUMN"),
      "Of --select: the column that says how much each pair weighs in the loss (default weight); with it a table of scores is taken, too, and keeps every pair.",
    ),
    captions: defaulted(
      choice(["random", "first"]),
      "random",
      "Which of an image's captions a visit takes: one at random, or always the first.",
    ),
    captionDropout: defaulted(
      real({ min: 0, below: 1 }),
      0,
      "Share of a caption's words left out, anew for every visit; one always stays.",
    ),
  },
  Text: {
    tokenizer: defaulted(
      text("FILE|bpe"),
      "bpe",
      "tokenizer.json, CLIP's bpe_simple_vocab_16e6.txt.gz, or bpe: learned on the training captions.",
    ),
    vocabSize: optional(
      integer(260, 200_000),
      "Tokens to learn with --tokenizer bpe; chosen by corpus size otherwise.",
    ),
  },
  Image: {
    imageResizeMode: optional(
      choice(["shortest", "longest", "squash"]),
      "Crop to the shortest side, pad to the longest, or squash; the model's own otherwise.",
    ),
    imageTransparency: optional(
      choice(["white", "black", "pillow"]),
      "What transparent pictures are laid on, or Pillow's way, as open_clip; the model's own otherwise, else white.",
    ),
    exifOrientation: optional(
      flag(),
      "Turn pictures as their EXIF says; otherwise as the model's file says, else as stored, as open_clip.",
    ),
    keepSize: optional(
      integer(8, 4096),
      "Bring images to this many pixels first; small ones stay in memory and make an epoch almost free.",
    ),
    crop: defaulted(
      choice(["resized", "whole", "shift", "affine"]),
      "resized",
      "In training: a random part, resized; the whole image, resized; a window of the input's size; or the whole image turned, zoomed and shifted by --affine (both need --keep-size).",
    ),
    affine: defaulted(
      list(real({ min: 0, max: 180 }), { separator: ",", length: 4 }),
      [10, 0.2, 0.1, 0.05],
      "Of affine crops: degrees, zoom and stretch by e to the ±x, shift as a share of the side.",
    ),
    inkJitter: optional(
      list(real({ min: 0, max: 4 }), { separator: ",", length: 3 }),
      "For drawings on white, which stays white: ink, its colourfulness and its channels times e to the ±x, e.g. 0.3,0.6,0.2.",
    ),
    augment: optional(
      policyName(),
      `Policy in training (docs/augmentation.md), with parameters after a colon: ${policyList.map(({ name }) => name).join(", ")}; the strategy's own otherwise. The settings below override the policy's.`,
    ),
    cropScale: optional(
      list(real({ above: 0, max: 1 }), { separator: ",", length: 2 }),
      "Of resized crops: least and most share of the area, e.g. 0.5,1; the policy's own otherwise, 0.9,1 with none.",
    ),
    cropRatio: optional(
      list(real({ above: 0 }), { separator: ",", length: 2 }),
      "Of resized crops: least and most width / height; the policy's own otherwise, 3/4 to 4/3.",
    ),
    flip: optional(
      real({ min: 0, max: 1 }),
      "Share of the training images mirrored; the policy's own otherwise, 0 with none. Not for captions that say left or right.",
    ),
    colorJitter: optional(
      list(real({ min: 0 }), { separator: ",", length: 4 }),
      "Brightness, contrast, saturation and hue to vary by, e.g. 0.4,0.4,0.4,0.1; instead of the policy's own, or before its operations.",
    ),
    colorJitterProb: defaulted(
      real({ min: 0, max: 1 }),
      0.8,
      "Share of the training images that --color-jitter and --ink-jitter vary.",
    ),
    grayScaleProb: optional(
      real({ min: 0, max: 1 }),
      "Share of the training images turned grey; instead of the policy's own, or after its operations.",
    ),
    normalize: optional(
      choice(["openai", "imagenet", "inception", "none"]),
      "Mean and deviation of the pixels, by model family; the model's own otherwise.",
    ),
    imageMemory: defaulted(
      real({ min: 0 }),
      512,
      "Most memory for decoded training images, MiB; 0 keeps none.",
      {
        free: true,
      },
    ),
    imageDisk: defaulted(
      real({ min: 0 }),
      0,
      "Most disk for decoded images of all data sets together, MiB: those trained on at --keep-size, and those scored. Later epochs and runs find them in the cache's folder images; 0 keeps none.",
      {
        free: true,
      },
    ),
  },
  "Length of the run (exactly one)": {
    samples: optional(duration("samples"), "Samples seen, e.g. 2M samples or 2000000."),
    epochs: optional(real({ above: 0 }), "Passes over the training data."),
    steps: optional(integer(1), "Optimizer steps."),
    time: optional(
      duration("seconds"),
      "Wall-clock time, e.g. 2h30m. The first steps are timed, then the length is fixed.",
    ),
  },
  Optimizer: optimizerFields,
  Schedule: scheduleFields,
  Evaluation: evaluationFields,
  Checkpoints: {
    saveFrequency: defaulted(
      duration("epochs"),
      { unit: "seconds", value: 600 },
      "How often to save: 10m, 500 steps; a number counts epochs, 0 is only at the end.",
      {
        free: true,
      },
    ),
    keepLast: defaulted(integer(1), 2, "Checkpoints to keep besides the best.", { free: true }),
    keepBest: optional(
      text("METRIC"),
      "Also keep the best by this score, which is then the one that is used: acc1, image_retrieval_recall@1, …; a loss counts downwards. val_loss where pairs are held out; none keeps none.",
      { free: true },
    ),
    resume: defaulted(
      choice(["latest", "extend", "plateau", "none"]),
      "latest",
      "latest continues the run of the same name; extend goes on with it to another length, with a warm-up and a decay anew; plateau continues it from where a cooldown began early, as if it had not; none refuses to touch it.",
      { free: true },
    ),
  },
  Machine: machineFields,
  Run: {
    name: optional(
      text("NAME"),
      "Folder of the run under --logs; the recipe's or the model's name otherwise.",
    ),
    logs: defaulted(text("FOLDER"), "runs", "Where runs are kept.", { free: true }),
    seed: defaulted(integer(0), 0, "Decides initial weights, order of samples, and augmentation."),
    expected: optional(
      text("SCORE"),
      "What a plan expects of the run, SET/METRIC VALUE (LOW to HIGH); clipwright plan writes it, and --check reads it.",
      { free: true },
    ),
    logEveryNSteps: defaulted(integer(1), 10, "Steps between lines of metrics.jsonl.", { free: true }),
    reportTo: optional(
      list(choice(reporterNames), { separator: "," }),
      "Also write what metrics.jsonl and evaluation.jsonl get for other programs, joined with a comma: tensorboard (event files with a picture of what the model is shown, in RUN/tensorboard), csv.",
      { free: true },
    ),
  },
} as const;

type Flat<G> = { [K in keyof G]: (x: G[K]) => void }[keyof G] extends (x: infer All) => void ? All : never;
type RecipeFields = { readonly [K in keyof Flat<typeof recipeGroups>]: Flat<typeof recipeGroups>[K] };

/** All settings, by key. */
export const recipeFields = Object.assign({}, ...Object.values(recipeGroups)) as RecipeFields;

export type { RecipeInput };

/** A checked recipe, defaults filled in. */
export type Recipe = Omit<Values<RecipeFields>, "name" | "logitScaleInit" | "augment" | "lr" | "wd"> & {
  readonly name: string;
  readonly lr: number;
  readonly wd: number;
  readonly logitScaleInit: number;
  readonly augment: string;
};

/** The keys that say how long a run is. */
export const lengthKeys = ["samples", "epochs", "steps", "time"] as const satisfies readonly (keyof Recipe)[];

/** Cooldown share when `const-cooldown` is chosen and nothing is said. */
const DEFAULT_COOLDOWN = 0.2;

/** Of `keepBest`: no checkpoint is kept for its score. */
export const NO_BEST = "none";

/** Typed help for writing a recipe file: `export default defineRecipe({ … })`. */
export const defineRecipe = (recipe: RecipeInput): RecipeInput => recipe;

/**
 * A recipe checked as a whole.
 * @param name used when the recipe names no run.
 * @throws UsageError naming the key and the remedy.
 */
export const checkRecipe = (input: RecipeInput, name?: string): Recipe =>
  namingKeys(recipeFields, () => check(input, name));

function check(input: RecipeInput, name: string | undefined): Recipe {
  const values = checkAll(recipeFields, { ...withFraction(input) });
  const recipe: Recipe = {
    ...values,
    ...completeStrategy(values),
    ...ruledRates(values),
    keepBest: bestBy(values),
    cooldown: values.schedule === "const-cooldown" ? (values.cooldown ?? DEFAULT_COOLDOWN) : undefined,
    name: values.name ?? name ?? (typeof values.model === "string" ? lastPart(values.model) : "run"),
  };
  checkLength(recipe);
  for (const rule of rules) {
    const problem = rule(recipe, values);
    if (problem !== undefined) throw new UsageError(problem);
  }
  return recipe;
}

/** The score that the best checkpoint is kept by: the loss on held-out pairs, where there are any. */
const bestBy = ({ keepBest, valData, valSplit }: Checked): string | undefined =>
  keepBest ?? (valData !== undefined || valSplit > 0 ? "val_loss" : undefined);

/** The recipe as `config.json` holds it; `checkRecipe` reads it back as the same. */
export const recipeToJson = (recipe: Recipe): Record<string, unknown> =>
  toJson(recipeFields, recipe as Values<RecipeFields>);

/** A warm-up below 1 is a share of the run; from 1 on it counts steps. */
function withFraction(input: RecipeInput): RecipeInput {
  const warmup =
    typeof input.warmup === "string" && input.warmup.trim() !== "" ? Number(input.warmup) : input.warmup;
  if (typeof warmup !== "number" || Number.isNaN(warmup)) return input;
  if (warmup > 0 && warmup < 1)
    return { ...input, warmup: { percent: Number((warmup * 100).toPrecision(12)) } };
  if (warmup >= 0 && Number.isInteger(warmup)) return { ...input, warmup: { steps: warmup } };
  throw new UsageError(
    `warmup: must be a fraction below 1 or a whole number of steps; got warmup=${warmup}. Write 0.05, 500 or "2 epochs".`,
  );
}

const lastPart = (path: string): string =>
  path
    .replace(/\.json$/, "")
    .split(/[/\\]/)
    .at(-1)!;

function checkLength(recipe: Recipe): void {
  const lengths = lengthKeys.filter((key) => recipe[key] !== undefined);
  if (lengths.length === 0) {
    throw new UsageError(
      "length: the recipe must say how long to train; got none of samples, epochs, steps, time. Add one, e.g. --epochs 10 or --time 30m.",
      { code: "ERR_SETTING" },
    );
  }
  if (lengths.length > 1) {
    const json = recipeToJson(recipe);
    const shown = lengths.map((key) => `${key}=${JSON.stringify(json[key])}`).join(" and ");
    throw new UsageError(`${lengths[1]}: the length must be given once; got ${shown}. Keep one of them.`);
  }
  const { samples, time } = recipe;
  if (samples && samples.unit !== "samples") {
    throw new UsageError(
      `samples: must count samples; got ${samples.value} ${samples.unit}. Use --${samples.unit === "seconds" ? "time" : "epochs or --steps"}.`,
    );
  }
  if (time && time.unit !== "seconds") {
    throw new UsageError(
      `time: must be a time; got ${time.value} ${time.unit}. Write 2h30m, or use --${time.unit}.`,
    );
  }
  if (samples?.value === 0 || time?.value === 0) {
    throw new UsageError(`${lengths[0]}: must be above 0; got ${lengths[0]}=0. Say how long to train.`);
  }
}

type Checked = Values<RecipeFields>;
const says = (key: keyof RecipeFields) => `--${kebab(key)}`;

/** What must hold between keys; each gives the message or undefined. */
const rules: readonly ((recipe: Recipe, given: Checked) => string | undefined)[] = [
  ...strategyRules,
  ...startRules,
  ...teacherRules,
  ...pickRules,
  ({ select, sampleWeight }) =>
    sampleWeight !== undefined && select === undefined
      ? `sampleWeight: names a column of a table; got sampleWeight=${sampleWeight} without select. Add ${says("select")} FILE.`
      : undefined,
  ({ valData, valSplit }) =>
    valData !== undefined && valSplit > 0
      ? `valSplit: held-out pairs come from one place; got valData=${JSON.stringify(valData)} and valSplit=${valSplit}. Remove one.`
      : undefined,
  ({ trainData, trainDataUpsamplingFactors: factors }) =>
    factors !== undefined && factors.length !== trainData.length
      ? `trainDataUpsamplingFactors: must give one weight per source; got ${factors.length} for ${trainData.length} in trainData. Write ${trainData.map(() => "1").join("::")}.`
      : undefined,
  ({ tokenizer, vocabSize }) =>
    vocabSize !== undefined && tokenizer !== "bpe"
      ? `vocabSize: a tokenizer from a file has its own size; got vocabSize=${vocabSize} with tokenizer=${tokenizer}. Remove it, or use --tokenizer bpe.`
      : undefined,
  ({ batchSize, microBatch, textMicroBatch }) => {
    if (textMicroBatch !== undefined && microBatch === undefined)
      return `textMicroBatch: texts come in parts where images do; got textMicroBatch=${textMicroBatch} without microBatch. Add ${says("microBatch")}.`;
    const parts = { microBatch, textMicroBatch };
    for (const [key, size] of Object.entries(parts))
      if (size !== undefined && batchSize % size !== 0)
        return `${key}: must divide the batch; got ${key}=${size}, batchSize=${batchSize}. Choose powers of two.`;
    return undefined;
  },
  ({ cropScale: [least, most] = [0, 1] }) =>
    least! > most!
      ? `cropScale: the least must not exceed the most; got cropScale=${least},${most}. Write ${most},${least}.`
      : undefined,
  ({ cropRatio: [least, most] = [1, 1] }) =>
    least! > most!
      ? `cropRatio: the least must not exceed the most; got cropRatio=${least},${most}. Write ${most},${least}.`
      : undefined,
  ({ imageDisk, keepSize }) =>
    imageDisk > 0 && keepSize === undefined
      ? `imageDisk: images are kept on disk at one size; got imageDisk=${imageDisk} without keepSize. Add ${says("keepSize")}, somewhat above the input's size.`
      : undefined,
  ({ crop, keepSize }) =>
    (crop === "shift" || crop === "affine") && keepSize === undefined
      ? `keepSize: such crops start from images of a known size; got crop=${crop} without keepSize. Add ${says("keepSize")}, somewhat above the input's size.`
      : undefined,
  ({ colorJitter }) =>
    colorJitter !== undefined && colorJitter[3]! > 0.5
      ? `colorJitter: the hue turns by at most 0.5; got colorJitter=${colorJitter.join(",")}. Lower the fourth number.`
      : undefined,
  ({ logitScaleInit, logitScaleMax }) =>
    logitScaleInit > logitScaleMax
      ? `logitScaleInit: must not exceed logitScaleMax; got logitScaleInit=${logitScaleInit}, logitScaleMax=${logitScaleMax}. Raise ${says("logitScaleMax")}.`
      : undefined,
  ({ lr, lrEnd }) =>
    lrEnd > lr
      ? `lrEnd: must not exceed lr; got lrEnd=${lrEnd}, lr=${lr}. Lower ${says("lrEnd")}.`
      : undefined,
  ({ schedule }, { cooldown }) =>
    cooldown !== undefined && schedule !== "const-cooldown"
      ? `cooldown: only const-cooldown decays at the end; got cooldown=${cooldown} with schedule=${schedule}. Add --schedule const-cooldown, or remove it.`
      : undefined,
  ({ schedule, deadline }) =>
    deadline !== undefined && schedule !== "const-cooldown"
      ? `deadline: only const-cooldown can end at any time; got schedule=${schedule}. Add --schedule const-cooldown.`
      : undefined,
  ({ grace }) =>
    grace.unit === "seconds"
      ? undefined
      : `grace: must be a time; got grace=${grace.value} ${grace.unit}. Write 25s.`,
  ({ warmup, steps }) =>
    warmup.unit === "steps" && steps !== undefined && warmup.value >= steps
      ? `warmup: must be shorter than the run; got warmup=${warmup.value} steps, steps=${steps}. Write a fraction such as --warmup 0.05.`
      : undefined,
  ({ warmup }) =>
    warmup.unit === "seconds"
      ? `warmup: must be a fraction, steps, epochs or samples; got warmup=${warmup.value}s. Write --warmup 0.05.`
      : undefined,
  ({ warmup, cooldown = 0 }) =>
    warmup.unit === "percent" && warmup.value / 100 + cooldown > 1
      ? `cooldown: warm-up and cooldown must fit into the run; got warmup=${warmup.value / 100}, cooldown=${cooldown}. Shorten one of them.`
      : undefined,
  ...evaluationRules,
  ({ keepBest, valData, valSplit, zeroshotData }) =>
    keepBest !== undefined &&
    keepBest !== NO_BEST &&
    valData === undefined &&
    valSplit === 0 &&
    zeroshotData === undefined
      ? `keepBest: needs something that is evaluated; got keepBest=${keepBest}. Add ${says("valSplit")} 0.05, ${says("valData")} or ${says("zeroshotData")}.`
      : undefined,
  (recipe) => {
    const { keepBest, valData, valSplit } = recipe;
    if (keepBest === undefined || keepBest === NO_BEST) return undefined;
    const known = scoredMetrics(recipe, valData !== undefined || valSplit > 0);
    const metric = keepBest.split("/").at(-1)!;
    if (known.includes(metric)) return undefined;
    const hint = didYouMean(metric, known) || ` There are ${known.join(", ")}.`;
    return `keepBest: must be a score that the run gets; got keepBest=${keepBest}.${hint}`;
  },
  ({ name }) =>
    /^[\w][\w.@+=-]*$/.test(name)
      ? undefined
      : `name: must be one folder name of letters, digits and . _ @ + = -; got name="${name}". Use ${says("logs")} for the folder above it.`,
];
