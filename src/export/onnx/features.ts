/** Features of the programs that an export holds, as any client of theirs gets them: for scoring what is handed out. */

import { evaluationBatches } from "../../data/loading/evaluation.js";
import type { SkippedSample } from "../../data/loading/loader.js";
import { evaluationPipeline } from "../../data/pixels/pipeline.js";
import type { Engine } from "../../engines/engine.js";
import type { OnnxFile } from "../../engines/onnx-file.js";
import { unitFeatures } from "../../evaluate/features/features.js";
import { type FeatureSource, type Progress, rowsInMemory } from "../../evaluate/features/source.js";
import { requireReadable } from "../../evaluate/model/encoder.js";
import { evaluationOptions } from "../../evaluate/model/preprocess.js";
import type { Exported } from "../form.js";
import { logitsOf } from "./towers.js";

/** Pictures or texts in one run. */
const BATCH = 32;

export interface RunningTowers {
  readonly vision: OnnxFile;
  readonly text: OnnxFile;
}

/** `image_embeds` f32[n,E], flat, of pixels u8[n,S,S,3]. */
export async function embedPixels(
  { vision }: RunningTowers,
  model: Exported,
  pixels: Uint8Array,
): Promise<Float32Array> {
  const { mean, std } = model.located.preprocess;
  const S = model.config.vision_cfg.image_size;
  const plane = S * S;
  const n = pixels.length / (3 * plane);
  const values = new Float32Array(pixels.length);
  for (let image = 0; image < n; image++)
    for (let channel = 0; channel < 3; channel++)
      for (let i = 0; i < plane; i++) {
        const byte = pixels[(image * plane + i) * 3 + channel]!;
        values[(image * 3 + channel) * plane + i] = (byte / 255 - mean[channel]!) / std[channel]!;
      }
  const inputs = { pixel_values: { shape: [n, 3, S, S], data: values } };
  return (await vision.run(inputs)).image_embeds!.data as Float32Array;
}

/** `text_embeds` f32[n,E], flat. */
export async function embedTexts(
  { text }: RunningTowers,
  { tokenizer }: Exported,
  texts: readonly string[],
): Promise<Float32Array> {
  const T = tokenizer.contextLength;
  const shape = [texts.length, T];
  const mask = new BigInt64Array(texts.length * T);
  for (const [row, text] of texts.entries())
    mask.fill(1n, row * T, row * T + Math.min(T, tokenizer.encode(text).length));
  const inputs = {
    input_ids: { shape, data: BigInt64Array.from(tokenizer.encodeBatch([...texts]), BigInt) },
    attention_mask: { shape, data: mask },
  };
  return (await text.run(inputs)).text_embeds!.data as Float32Array;
}

/** The towers as tasks ask them; `engine` multiplies what they give. */
export function featuresOf(
  towers: RunningTowers,
  model: Exported,
  engine: Engine,
  {
    onProgress,
    workers,
  }: {
    readonly onProgress?: ((progress: Progress) => void) | undefined;
    readonly workers?: number | undefined;
  } = {},
): FeatureSource {
  const { config, located, tokenizer } = model;
  const width = config.embed_dim;
  const pipeline = evaluationPipeline(config.vision_cfg.image_size, evaluationOptions(located.preprocess));
  return {
    engine,
    scale: async () => logitsOf(model).scale,
    async images(dataset) {
      const vectors: Float32Array[] = [];
      const kept: number[] = [];
      const skipped: SkippedSample[] = [];
      const options = { batchSize: BATCH, pipeline, ...(workers === undefined ? {} : { workers }) };
      for await (const batch of evaluationBatches(dataset, options)) {
        if (batch.indices.length > 0) vectors.push(await embedPixels(towers, model, batch.images));
        kept.push(...batch.indices);
        skipped.push(...batch.skipped);
        const done = kept.length + skipped.length;
        onProgress?.({ what: `images of ${dataset.name}`, done, total: dataset.length });
      }
      requireReadable(dataset.name, kept.length, skipped);
      const features = unitFeatures(joinedRows(vectors), width, `images of ${dataset.name}`);
      return { features: rowsInMemory(features), indices: Uint32Array.from(kept), skipped };
    },
    async texts(texts, what) {
      const vectors: Float32Array[] = [];
      for (let at = 0; at < texts.length; at += BATCH) {
        vectors.push(await embedTexts(towers, model, texts.slice(at, at + BATCH)));
        onProgress?.({ what, done: Math.min(texts.length, at + BATCH), total: texts.length });
      }
      const isCut = (text: string) => tokenizer.encode(text).length > tokenizer.contextLength;
      const cut = [...texts.keys()].filter((i) => isCut(texts[i]!));
      return { features: unitFeatures(joinedRows(vectors), width, what), cut };
    },
  };
}

function joinedRows(parts: readonly Float32Array[]): Float32Array {
  const out = new Float32Array(parts.reduce((n, part) => n + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
