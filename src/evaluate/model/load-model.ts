/** A trained model from a run's folder, a checkpoint of it, or an open_clip checkpoint. */

import { existsSync, statSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { UsageError } from "../../core/errors.js";
import { readJson, withFileErrors } from "../../core/files.js";
import { evaluationPipeline } from "../../data/pixels/pipeline.js";
import { type Cleaning, cleanings } from "../../data/tokenizer/clean.js";
import { loadTokenizer } from "../../data/tokenizer/load.js";
import type { Tokenizer } from "../../data/tokenizer/tokenizer.js";
import type { DeviceBuffer, Engine } from "../../engines/engine.js";
import { type Clip, makeClip } from "../../models/clip.js";
import { type ClipConfig, clipDefaults, parseClipConfig } from "../../models/config/config.js";
import { type PreprocessConfig, parsePreprocess } from "../../models/config/preprocess.js";
import { findPreset } from "../../models/presets/presets.js";
import { refuseForeignPlace, refusePickledFolder } from "../../models/weights/foreign.js";
import { readWeights } from "../../models/weights/weights.js";
import { parameterTypes } from "../../nn/parameters.js";
import { flawOfFile } from "../../storage/checkpoint.js";
import { chooseCheckpoint, parseChoice } from "../../storage/choose.js";
import { Encoder } from "./encoder.js";
import { modelKey } from "./key.js";
import { evaluationOptions } from "./preprocess.js";

export interface ModelSource {
  /** A run's folder, a checkpoint's folder, or a safetensors file with open_clip's names, or the folder of one. */
  readonly path: string;
  /** Preset or model JSON; needed for a lone safetensors file without open_clip_config.json beside it. */
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
  /** Told in one line of a checkpoint that is passed over: damaged, or newer than the best. */
  readonly say?: ((line: string) => void) | undefined;
}

/** A model in use. Disposing of it frees the encoder and the weights; the engine stays. */
export interface LoadedModel extends Disposable {
  readonly encoder: Encoder;
  readonly clip: Clip;
  /** Steps of the checkpoint, where it has them. */
  readonly step: number | undefined;
  /** The safetensors file. */
  readonly weights: string;
  /** Folder of the run that the weights are of, if they are of one. */
  readonly run: string | undefined;
  readonly buffers: Readonly<Record<string, DeviceBuffer>>;
  /** Tells this model from every other: a hash of all that decides its features. Reads the weights' file. */
  key(): string;
}

const CONFIG = "open_clip_config.json";

/** Where a model's parts lie. */
export interface LocatedModel {
  /** The safetensors file. */
  readonly weights: string;
  readonly tokenizer: string;
  readonly config: ClipConfig;
  readonly preprocess: PreprocessConfig;
  /** How texts are cleaned before a Hugging Face tokenizer. */
  readonly clean: Cleaning;
  /** Folder of the run that the weights are of, if they are of one. */
  readonly run: string | undefined;
}

/** Finds a model without opening it. Throws `UsageError` naming what is missing and how to give it. */
export function locateModel(source: ModelSource): LocatedModel {
  const { weights, run, folders } = findWeights(source);
  return { weights, run, ...findConfig(source, folders), tokenizer: findTokenizer(source, folders) };
}

/** Opens a model for use. Throws `UsageError` naming what is missing and how to give it. */
export async function loadModel(engine: Engine, source: ModelSource): Promise<LoadedModel> {
  const { weights, step, run, folders } = findWeights(source);
  const { config, preprocess, clean } = findConfig(source, folders);
  const clip = makeClip(config);
  const tokenizerFile = findTokenizer(source, folders);
  const tokenizer = openTokenizer(tokenizerFile, config, clean);
  const values = readWeights(weights, clip.variables);
  const buffers = Object.fromEntries(
    Object.entries(parameterTypes(clip.variables)).map(([name, type]) => [
      name,
      engine.upload(type, values[name]!, { adopt: true }),
    ]),
  );
  const encoder = await Encoder.create(engine, {
    clip,
    tokenizer,
    normalization: { mean: preprocess.mean, std: preprocess.std },
    pipeline: evaluationPipeline(clip.config.vision_cfg.image_size, evaluationOptions(preprocess)),
    imageBatch: 32,
    textBatch: 64,
    workers: source.workers,
  });
  const key = () => modelKey(engine, encoder, { weights, tokenizer: tokenizerFile, clean });
  return {
    encoder: encoder.use(buffers),
    clip,
    step,
    run,
    weights,
    buffers,
    key,
    [Symbol.dispose]() {
      encoder[Symbol.dispose]();
      for (const buffer of Object.values(buffers)) buffer[Symbol.dispose]();
    },
  };
}

/** The safetensors file with the weights of a run, a checkpoint, a model's folder, or the file itself. */
export const weightsFile = (path: string, say?: (line: string) => void): string =>
  findWeights({ path, say }).weights;

/** Files that say what weights at `path` are of, where they lie beside them. */
export function filesBeside(path: string): {
  readonly config: string | undefined;
  readonly tokenizer: string | undefined;
} {
  const { folders } = placeOf(statSync(path).isDirectory() ? path : dirname(path));
  return { config: firstThere(folders, [CONFIG]), tokenizer: firstThere(folders, TOKENIZERS) };
}

const TOKENIZERS = ["tokenizer.json", "bpe_simple_vocab_16e6.txt.gz", "bpe_simple_vocab_16e6.txt"];

const firstThere = (folders: readonly string[], names: readonly string[]): string | undefined =>
  folders.flatMap((folder) => names.map((name) => join(folder, name))).find((file) => existsSync(file));

interface Found {
  readonly weights: string;
  readonly step: number | undefined;
  readonly run: string | undefined;
  /** Where the configuration and the tokenizer may lie, nearest first. */
  readonly folders: readonly string[];
}

/** Weights by name, the wanted first: of a run's checkpoint, of open_clip on the Hugging Face hub. */
const WEIGHTS = ["ema.safetensors", "params.safetensors", "open_clip_model.safetensors", "model.safetensors"];

function findWeights({ path, ema = true, checkpoint, say = () => {} }: ModelSource): Found {
  refuseForeignPlace(path);
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
  refusePickledFolder(folder);
  throw new UsageError(
    `${path}: must be a run with a checkpoint, or a folder with one of ${WEIGHTS.join(", ")}; got neither. Train first, or give the .safetensors file.`,
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
  const file = model ?? firstThere(folders, [CONFIG]);
  if (file === undefined) {
    throw new UsageError(
      `${path}: has no ${CONFIG} beside it, so the model is unknown. Give --${optionPrefix}model, a preset's name or a model's JSON.`,
    );
  }
  const json = readJson(file);
  const config = parseClipConfig(json, file);
  return { config, preprocess: parsePreprocess(json, file), clean: cleanIn(json, config, file) };
}

/**
 * Our runs say in `tokenizer_cfg` how texts were cleaned; open_clip cleans them before a Hugging Face tokenizer, as its
 * own does where the configuration names none.
 */
function cleanIn(json: unknown, { text_cfg: text }: ClipConfig, file: string): Cleaning {
  const { tokenizer_cfg: stated } = (json ?? {}) as { tokenizer_cfg?: { clean?: unknown } | null };
  const clean = stated?.clean ?? (text.hf_tokenizer_name === undefined ? "lower" : "whitespace");
  if (Object.hasOwn(cleanings, clean as string)) return clean as Cleaning;
  throw new UsageError(
    `${file}: tokenizer_cfg.clean must be one of ${Object.keys(cleanings).join(", ")}; got ${JSON.stringify(clean)}. Correct it as the model was trained.`,
  );
}

function openTokenizer(path: string, { text_cfg: text }: ClipConfig, clean: Cleaning): Tokenizer {
  const { context_length: contextLength, vocab_size: vocabSize } = { ...clipDefaults.text_cfg, ...text };
  const tokenizer = loadTokenizer(path, { contextLength, vocabSize });
  if (tokenizer.kind !== "huggingface") return tokenizer;
  return loadTokenizer(path, { contextLength, vocabSize, clean });
}

function findTokenizer(
  { tokenizer, path, optionPrefix = "" }: ModelSource,
  folders: readonly string[],
): string {
  if (tokenizer !== undefined) return tokenizer;
  const found = firstThere(folders, TOKENIZERS);
  if (found !== undefined) return found;
  throw new UsageError(
    `${path}: has no tokenizer beside it. Give --${optionPrefix}tokenizer: a tokenizer.json, or CLIP's bpe_simple_vocab_16e6.txt.gz.`,
  );
}
