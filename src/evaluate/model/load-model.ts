/** A trained model from a run's folder, a checkpoint of it, or what others store a CLIP in. */

import { packedInCache } from "../../data/loading/packed/open.js";
import { evaluationPipeline } from "../../data/pixels/pipeline.js";
import type { Cleaning } from "../../data/tokenizer/clean.js";
import { loadTokenizer } from "../../data/tokenizer/load.js";
import type { Tokenizer } from "../../data/tokenizer/tokenizer.js";
import type { DeviceBuffer, Engine } from "../../engines/engine.js";
import { type Clip, makeClip } from "../../models/clip.js";
import { type ClipConfig, clipDefaults } from "../../models/config/config.js";
import { readWeights } from "../../models/weights/weights.js";
import { parameterTypes } from "../../nn/parameters.js";
import { Encoder } from "./encoder.js";
import { modelIdentity, modelKey } from "./key.js";
import { locateModel, type ModelSource } from "./locate.js";
import { evaluationOptions } from "./preprocess.js";

/** A model in use. Disposing of it frees the encoder and the weights; the engine stays. */
export interface LoadedModel extends Disposable {
  readonly encoder: Encoder;
  readonly clip: Clip;
  /** Steps of the checkpoint, where it has them. */
  readonly step: number | undefined;
  /** The file with the weights, or with the index of those that have them. */
  readonly weights: string;
  /** Folder of the run that the weights are of, if they are of one. */
  readonly run: string | undefined;
  readonly buffers: Readonly<Record<string, DeviceBuffer>>;
  /** Tells this model from every other: a hash of all that decides its features. Reads the weights' file. */
  key(): string;
  /** The same whatever engine computes: models of one identity embed into one space. */
  identity(): string;
}

/** Opens a model for use. Throws `UsageError` naming what is missing and how to give it. */
export async function loadModel(engine: Engine, source: ModelSource): Promise<LoadedModel> {
  const located = await locateModel(source);
  const { weights, step, run, config, preprocess, clean } = located;
  const clip = makeClip(config);
  const tokenizer = openTokenizer(located.tokenizer, config, clean);
  const values = await readWeights(weights, clip.variables, { quickGelu: clip.config.quick_gelu });
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
    imageBatch: source.imageBatch ?? 32,
    textBatch: source.textBatch ?? 64,
    workers: source.workers,
    packed: packedInCache(source.imageDisk),
  });
  const key = () => modelKey(engine, encoder, located);
  return {
    encoder: encoder.use(buffers),
    clip,
    step,
    run,
    weights,
    buffers,
    key,
    identity: () => modelIdentity(encoder, located),
    [Symbol.dispose]() {
      encoder[Symbol.dispose]();
      for (const buffer of Object.values(buffers)) buffer[Symbol.dispose]();
    },
  };
}

/** The tokenizer of a model, as long as its texts and no longer than its vocabulary. */
export function openTokenizer(path: string, { text_cfg: text }: ClipConfig, clean: Cleaning): Tokenizer {
  const { context_length: contextLength, vocab_size: vocabSize } = { ...clipDefaults.text_cfg, ...text };
  const tokenizer = loadTokenizer(path, { contextLength, vocabSize });
  if (tokenizer.kind !== "huggingface") return tokenizer;
  return loadTokenizer(path, { contextLength, vocabSize, clean });
}
