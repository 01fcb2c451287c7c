/** Looking at every image of a data set once, in worker threads: size, format, exact and perceptual fingerprints. */
import { InternalError } from "../../core/errors.js";
import type { Dataset } from "../dataset.js";
import type { Examined } from "../loading/messages.js";
import { WorkerPool } from "../loading/pool.js";

export type { Examined } from "../loading/messages.js";

const CHUNK = 16;

export interface ExamineOptions {
  /** Worker threads; default: cores - 1, at least 1. */
  readonly workers?: number;
  /** Sample indices to look at; default all. */
  readonly indices?: ArrayLike<number>;
  /** Make perceptual hashes too. Default false. */
  readonly perceptual?: boolean;
  readonly onProgress?: (done: number, total: number) => void;
}

/** One finding an image, in the order of the indices. */
export async function examineImages(dataset: Dataset, options: ExamineOptions = {}): Promise<Examined[]> {
  const indices =
    options.indices === undefined
      ? Array.from({ length: dataset.length }, (_, i) => i)
      : Array.from(options.indices);
  const pool = new WorkerPool({ images: dataset.images }, options.workers);
  let done = 0;
  const look = async (start: number): Promise<readonly Examined[]> => {
    const part = indices.slice(start, start + CHUNK);
    const { examined } = await pool.run({
      kind: "examine",
      indices: part,
      perceptual: options.perceptual ?? false,
    });
    if (examined === undefined) throw new InternalError("examineImages: a worker answered something else");
    done += part.length;
    options.onProgress?.(done, indices.length);
    return examined;
  };
  try {
    const parts: Promise<readonly Examined[]>[] = [];
    for (let start = 0; start < indices.length; start += CHUNK) parts.push(look(start));
    return (await pool.hold(Promise.all(parts))).flat();
  } finally {
    await pool.close();
  }
}
