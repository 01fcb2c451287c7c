/** Where a model's parts lie: of a run, a checkpoint, a file of weights, or a folder as others store a CLIP. */

import { existsSync, statSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { UsageError } from "../../core/errors.js";
import { withFileErrors } from "../../core/files.js";
import { type Cleaning, cleanings } from "../../data/tokenizer/clean.js";
import { usualNames } from "../../data/tokenizer/load.js";
import type { ClipConfig } from "../../models/config/config.js";
import { isModelFile, MODEL_FILES, RUN_MODEL_FILE, readModelFile } from "../../models/config/model-file.js";
import type { PreprocessConfig } from "../../models/config/preprocess.js";
import { findPreset } from "../../models/presets/presets.js";
import { flawOfFile } from "../../storage/checkpoint.js";
import { chooseCheckpoint, parseChoice } from "../../storage/choose.js";
import { localPath } from "../pretrained/local.js";

export interface ModelSource {
  /**
   * A run's folder, a checkpoint's folder, a folder of open_clip's or of Hugging Face's CLIPModel, or a file of weights:
   * safetensors, or PyTorch's own form, under the names of either. A name, `hf-hub:OWNER/NAME[@REVISION]` or one of
   * `pretrainedModels`, is fetched into the cache folder, once.
   */
  readonly path: string;
  /** Preset or model JSON; needed for a lone file without open_clip_config.json or config.json beside it. */
  readonly model?: string | undefined;
  /** Tokenizer file; default: the one in the same folder. */
  readonly tokenizer?: string | undefined;
  /** Take the moving average of the weights where there is one. Default true. */
  readonly ema?: boolean | undefined;
  /** Of a run: `best` by the score that it keeps, `last`, or a step. Default: the best where there is one. */
  readonly checkpoint?: "best" | "last" | number | (string & {}) | undefined;
  /** What comes before the names of options in messages, e.g. `teacher-` for `--teacher-model`. Default nothing. */
  readonly optionPrefix?: string | undefined;
  readonly workers?: number | undefined;
  /**
   * MiB of disk that decoded images of all data sets may take in the cache folder (`images/`): those that are embedded are found
   * there again by the next model that sees them alike. Default 0: none are kept.
   */
  readonly imageDisk?: number | undefined;
  /** Images in one run of the graph. Default 32; 1 answers a single query soonest. */
  readonly imageBatch?: number | undefined;
  /** Texts in one run of the graph. Default 64. */
  readonly textBatch?: number | undefined;
  /** Told in one line of a checkpoint that is passed over, damaged or newer than the best, and of what is fetched. */
  readonly say?: ((line: string) => void) | undefined;
  /** Told how far a file that is fetched has come, in bytes. */
  readonly progress?: ((at: { what: string; done: number; total: number }) => void) | undefined;
}

/** Where a model's parts lie. */
export interface LocatedModel {
  /** The file with the weights, or with the index of those that have them. */
  readonly weights: string;
  readonly tokenizer: string;
  readonly config: ClipConfig;
  readonly preprocess: PreprocessConfig;
  /** How texts are cleaned before a Hugging Face tokenizer. */
  readonly clean: Cleaning;
  /** Folder of the run that the weights are of, if they are of one. */
  readonly run: string | undefined;
  /** Steps of the checkpoint, where it has them. */
  readonly step: number | undefined;
}

/** Finds a model without opening it. Throws `UsageError` naming what is missing and how to give it. */
export async function locateModel(named: ModelSource): Promise<LocatedModel> {
  const source = { ...named, path: await localPath(named.path, named) };
  const { weights, run, step, folders } = findWeights(source);
  return { weights, run, step, ...findConfig(source, folders), tokenizer: findTokenizer(source, folders) };
}

/** The file with the weights of a run, a checkpoint, a model's folder, or the file itself. */
export const weightsFile = async (path: string, say?: (line: string) => void): Promise<string> =>
  findWeights({ path: await localPath(path, { say }), say }).weights;

/** Files that say what weights at `path` are of, where they lie beside them. */
export function filesBeside(path: string): {
  readonly config: string | undefined;
  readonly tokenizer: string | undefined;
} {
  const { folders } = placeOf(statSync(path).isDirectory() ? path : dirname(path));
  return { config: modelFileIn(folders), tokenizer: firstThere(folders, usualNames) };
}

const firstThere = (folders: readonly string[], names: readonly string[]): string | undefined =>
  folders.flatMap((folder) => names.map((name) => join(folder, name))).find((file) => existsSync(file));

interface Found {
  readonly weights: string;
  readonly step: number | undefined;
  readonly run: string | undefined;
  /** Where the configuration and the tokenizer may lie, nearest first. */
  readonly folders: readonly string[];
}

/** Weights by name, the wanted first: of a run's checkpoint, of open_clip and of transformers on the Hugging Face hub. */
const WEIGHTS = [
  "ema.safetensors",
  "params.safetensors",
  "open_clip_model.safetensors",
  "model.safetensors",
  "model.safetensors.index.json",
  "open_clip_pytorch_model.bin",
  "open_clip_model.pt",
  "pytorch_model.bin",
  "pytorch_model.bin.index.json",
];

function findWeights({ path, ema = true, checkpoint, say = () => {} }: ModelSource): Found {
  const isFolder = withFileErrors("read", path, () => statSync(path)).isDirectory();
  if (!isFolder) return { weights: path, ...soundPlaceOf(path) };
  const of = (folder: string) =>
    WEIGHTS.filter((name) => ema || name !== "ema.safetensors")
      .map((name) => join(folder, name))
      .find((file) => existsSync(file));
  const choice = checkpoint === undefined ? undefined : parseChoice(checkpoint, "checkpoint");
  const chosen = chooseCheckpoint(join(path, "checkpoints"), choice, say);
  const folder = chosen?.path ?? path;
  const weights = of(folder);
  if (weights !== undefined)
    return { weights, ...(chosen === undefined ? soundPlaceOf(weights) : placeOf(folder)) };
  throw new UsageError(
    `${path}: must be a run with a checkpoint, or a folder with one of ${WEIGHTS.join(", ")}; got neither. Train first, or give the file of weights.`,
  );
}

/** `placeOf` of a file that, if it is a checkpoint's, is what was written. Throws `UsageError` where it is not. */
function soundPlaceOf(weights: string): Omit<Found, "weights"> {
  const flaw = flawOfFile(weights);
  if (flaw === undefined) return placeOf(dirname(weights));
  throw new UsageError(
    `${dirname(weights)}: the checkpoint must be as it was written; ${flaw}. Give another, or the run.`,
  );
}

/** What a folder of weights belongs to: `RUN/checkpoints/step-N` is of a run, and what is missing in it lies in RUN. */
function placeOf(folder: string): Omit<Found, "weights"> {
  const absolute = resolve(folder);
  const step = /^step-(\d+)$/.exec(basename(absolute))?.[1];
  if (step === undefined || basename(dirname(absolute)) !== "checkpoints") {
    return { step: undefined, run: undefined, folders: [folder] };
  }
  const run = join(folder, "..", "..");
  return { step: Number(step), run, folders: [folder, run] };
}

function findConfig(
  { model, path, optionPrefix = "" }: ModelSource,
  folders: readonly string[],
): Pick<LocatedModel, "config" | "preprocess" | "clean"> {
  if (model !== undefined && !model.endsWith(".json")) {
    const { config, preprocess } = findPreset(model);
    return { config, preprocess, clean: cleanIn(undefined, config, model) };
  }
  const file = model ?? modelFileIn(folders);
  if (file === undefined) {
    throw new UsageError(
      `${path}: has no ${MODEL_FILES.join(" or ")} beside it, so the model is unknown. Give --${optionPrefix}model, a preset's name or a model's JSON.`,
    );
  }
  const { config, preprocess, clean } = readModelFile(file);
  return { config, preprocess, clean: cleanIn(clean, config, file) };
}

/** The file of a folder that says what the model is. A config.json may be another program's, or a run's. */
function modelFileIn(folders: readonly string[]): string | undefined {
  const [ours, theirs] = MODEL_FILES;
  const other = firstThere(folders, [theirs]);
  return (
    firstThere(folders, [RUN_MODEL_FILE, ours]) ??
    (other !== undefined && isModelFile(other) ? other : undefined)
  );
}

/**
 * Our runs say in `tokenizer_cfg` how texts were cleaned; open_clip cleans them before a Hugging Face tokenizer, as its
 * own does where the configuration names none; transformers does not.
 */
function cleanIn(stated: unknown, { text_cfg: text }: ClipConfig, file: string): Cleaning {
  const clean = stated ?? (text.hf_tokenizer_name === undefined ? "lower" : "whitespace");
  if (Object.hasOwn(cleanings, clean as string)) return clean as Cleaning;
  throw new UsageError(
    `${file}: tokenizer_cfg.clean must be one of ${Object.keys(cleanings).join(", ")}; got ${JSON.stringify(clean)}. Correct it as the model was trained.`,
  );
}

function findTokenizer(
  { tokenizer, path, optionPrefix = "" }: ModelSource,
  folders: readonly string[],
): string {
  if (tokenizer !== undefined) return tokenizer;
  const found = firstThere(folders, usualNames);
  if (found !== undefined) return found;
  throw new UsageError(
    `${path}: has no tokenizer beside it. Give --${optionPrefix}tokenizer: a tokenizer.json, or CLIP's bpe_simple_vocab_16e6.txt.gz.`,
  );
}
