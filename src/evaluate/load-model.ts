/** A trained model from a run's folder, a checkpoint of it, or an open_clip checkpoint. */

import { existsSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { UsageError } from "../core/errors.js";
import { readJson, withFileErrors } from "../core/files.js";
import { evaluationPipeline } from "../data/pixels/pipeline.js";
import { loadTokenizer } from "../data/tokenizer/load.js";
import type { DeviceBuffer, Engine } from "../engines/engine.js";
import { type Clip, makeClip } from "../models/clip.js";
import { type ClipConfig, parseClipConfig } from "../models/config.js";
import { findPreset, openaiPreprocess, type PreprocessConfig } from "../models/presets.js";
import { readWeights } from "../models/weights.js";
import { parameterTypes } from "../nn/parameters.js";
import { listCheckpoints } from "../storage/checkpoint.js";
import { Encoder } from "./encoder.js";

export interface ModelSource {
  /** A run's folder, a checkpoint's folder, or a safetensors file with open_clip's names. */
  readonly path: string;
  /** Preset or model JSON; needed for a lone safetensors file without open_clip_config.json beside it. */
  readonly model?: string | undefined;
  /** Tokenizer file; default: the one in the same folder. */
  readonly tokenizer?: string | undefined;
  /** Take the moving average of the weights where there is one. Default true. */
  readonly ema?: boolean | undefined;
  readonly workers?: number | undefined;
}

export interface LoadedModel {
  readonly encoder: Encoder;
  readonly clip: Clip;
  /** Steps of the checkpoint, where it has them. */
  readonly step: number | undefined;
  /** The safetensors file. */
  readonly weights: string;
  readonly buffers: Readonly<Record<string, DeviceBuffer>>;
}

const CONFIG = "open_clip_config.json";

/** Opens a model for use. Throws `UsageError` naming what is missing and how to give it. */
export async function loadModel(engine: Engine, source: ModelSource): Promise<LoadedModel> {
  const { weights, step, folders } = findWeights(source);
  const { config, preprocess } = findConfig(source, folders);
  const clip = makeClip(config);
  const tokenizer = loadTokenizer(findTokenizer(source, folders), {
    contextLength: clip.config.text_cfg.context_length,
    vocabSize: clip.config.text_cfg.vocab_size,
  });
  const values = readWeights(weights, clip.parameters);
  const buffers = Object.fromEntries(
    Object.entries(parameterTypes(clip.parameters)).map(([name, type]) => [
      name,
      engine.upload(type, values[name]!, { adopt: true }),
    ]),
  );
  const encoder = await Encoder.create(engine, {
    clip,
    tokenizer,
    normalization: { mean: preprocess.mean, std: preprocess.std },
    pipeline: evaluationPipeline(clip.config.vision_cfg.image_size, {
      resize: preprocess.resize_mode,
      filter: preprocess.interpolation,
      // A run of ours lays drawings on white, as in training; open_clip leaves transparency to Pillow.
      ...(step === undefined ? { transparency: "pillow" as const } : {}),
    }),
    imageBatch: 32,
    textBatch: 64,
    workers: source.workers,
  });
  return { encoder: encoder.use(buffers), clip, step, weights, buffers };
}

interface Found {
  readonly weights: string;
  readonly step: number | undefined;
  /** Where the configuration and the tokenizer may lie, nearest first. */
  readonly folders: readonly string[];
}

function findWeights({ path, ema = true }: ModelSource): Found {
  const isFolder = withFileErrors("read", path, () => statSync(path)).isDirectory();
  if (!isFolder) return { weights: path, step: undefined, folders: [dirname(path)] };
  const of = (folder: string) =>
    ["ema.safetensors", "params.safetensors", "open_clip_model.safetensors", "model.safetensors"]
      .filter((name) => ema || name !== "ema.safetensors")
      .map((name) => join(folder, name))
      .find((file) => existsSync(file));
  const latest = listCheckpoints(join(path, "checkpoints")).at(-1);
  if (latest !== undefined) return { weights: of(latest.path)!, step: latest.step, folders: [path] };
  const own = of(path);
  if (own !== undefined) {
    const match = /step-(\d+)[/\\]?$/.exec(path);
    return {
      weights: own,
      step: match ? Number(match[1]) : undefined,
      folders: [path, dirname(dirname(path))],
    };
  }
  throw new UsageError(
    `${path}: must be a run with a checkpoint, or a folder with a .safetensors file; got neither. Train first, or give the file.`,
  );
}

function findConfig(
  { model, path }: ModelSource,
  folders: readonly string[],
): { config: ClipConfig; preprocess: PreprocessConfig } {
  if (model !== undefined && !model.endsWith(".json")) return findPreset(model);
  const file = model ?? folders.map((folder) => join(folder, CONFIG)).find((f) => existsSync(f));
  if (file === undefined) {
    throw new UsageError(
      `${path}: has no ${CONFIG} beside it, so the model is unknown. Give --model, a preset's name or a model's JSON.`,
    );
  }
  const json = readJson(file);
  const preprocess = (json as { preprocess_cfg?: Partial<PreprocessConfig> }).preprocess_cfg;
  return { config: parseClipConfig(json, file), preprocess: { ...openaiPreprocess, ...preprocess } };
}

function findTokenizer({ tokenizer, path }: ModelSource, folders: readonly string[]): string {
  if (tokenizer !== undefined) return tokenizer;
  const names = ["tokenizer.json", "bpe_simple_vocab_16e6.txt.gz", "bpe_simple_vocab_16e6.txt"];
  const found = folders.flatMap((folder) => names.map((n) => join(folder, n))).find((f) => existsSync(f));
  if (found !== undefined) return found;
  throw new UsageError(
    `${path}: has no tokenizer beside it. Give --tokenizer: a tokenizer.json, or CLIP's bpe_simple_vocab_16e6.txt.gz.`,
  );
}
