/** The images of a data set once, in order, for evaluation and embedding. */
import { UsageError } from "../../core/errors.js";
import { keyFromSeed } from "../../core/random.js";
import type { Dataset } from "../dataset.js";
import { type Pipeline, withoutChance } from "../pixels/pipeline.js";
import type { SkippedSample } from "./loader.js";
import { openPackedImages, type PackedOptions } from "./packed/open.js";
import { WorkerPool } from "./pool.js";

export interface EvaluationBatchOptions {
  readonly batchSize: number;
  readonly pipeline: Pipeline;
  /** Worker threads; default: cores - 1, at least 1. */
  readonly workers?: number;
  /** Sample indices to go through; default all, in order. */
  readonly indices?: ArrayLike<number>;
  /** Keeps images as the model sees them on disk, for the next time; default: none. */
  readonly packed?: PackedOptions | undefined;
}

export interface EvaluationBatch {
  /** [n, size, size, 3] uint8 RGB, n ≤ batchSize: the last batch, and batches with unreadable images, are shorter. */
  readonly images: Uint8Array;
  /** [n] */
  readonly indices: Uint32Array;
  /** Left out because unreadable. */
  readonly skipped: readonly SkippedSample[];
}

/** Batches made ahead of the consumer. */
const AHEAD = 2;

/** Goes through the images in order. The workers end when the loop does, however it ends. */
export async function* evaluationBatches(
  dataset: Dataset,
  options: EvaluationBatchOptions,
): AsyncGenerator<EvaluationBatch> {
  const { batchSize, packed } = options;
  if (!(Number.isInteger(batchSize) && batchSize >= 1)) {
    throw new UsageError(`evaluationBatches: batchSize is a whole number ≥ 1; got batchSize=${batchSize}.`);
  }
  const all =
    options.indices === undefined
      ? Array.from({ length: dataset.length }, (_, i) => i)
      : Array.from(options.indices);
  const pipeline = { ...withoutChance(options.pipeline), ...dataset.images.prepared };
  const pool = new WorkerPool(
    {
      ...{ images: dataset.images, pipelines: [pipeline] },
      ...(packed && { packed: openPackedImages(dataset.images, pipeline, packed) }),
    },
    options.workers,
  );
  const imageBytes = pipeline.size ** 2 * 3;

  const make = async (start: number): Promise<EvaluationBatch> => {
    const wanted = all.slice(start, start + batchSize);
    const buffer = new SharedArrayBuffer(wanted.length * imageBytes);
    const chunk = Math.max(8, Math.ceil(wanted.length / (2 * pool.workers)));
    const replies = [];
    for (let at = 0; at < wanted.length; at += chunk) {
      const indices = wanted.slice(at, at + chunk);
      const places = indices.map((_, i) => at + i);
      const passes = indices.map(() => 0);
      replies.push(
        pool.run({ kind: "fill", buffers: [buffer], indices, places, passes, key: keyFromSeed(0) }),
      );
    }
    const skipped = (await Promise.all(replies))
      .flatMap((reply) => reply.broken ?? [])
      .sort((a, b) => a.place - b.place);
    const gone = new Set(skipped.map(({ place }) => place));
    const images = new Uint8Array(buffer);
    const kept: number[] = [];
    for (const [place, index] of wanted.entries()) {
      if (gone.has(place)) continue;
      if (kept.length !== place)
        images.copyWithin(kept.length * imageBytes, place * imageBytes, (place + 1) * imageBytes);
      kept.push(index);
    }
    return {
      images: images.subarray(0, kept.length * imageBytes),
      indices: Uint32Array.from(kept),
      skipped: skipped.map(({ index, reason }) => ({ index, key: dataset.sample(index).key, reason })),
    };
  };

  const ahead: Promise<EvaluationBatch>[] = [];
  try {
    for (let start = 0; start < all.length || ahead.length > 0; ) {
      while (ahead.length <= AHEAD && start < all.length) {
        const made = make(start);
        made.catch(() => undefined); // reported when its turn comes
        ahead.push(made);
        start += batchSize;
      }
      yield await pool.hold(ahead.shift()!);
    }
  } finally {
    await pool.close();
  }
}
