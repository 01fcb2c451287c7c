/** Looking at every image of a data set once, in worker threads: size, format, exact and perceptual fingerprints. */
import { InternalError } from "../../core/errors.js";
import type { Dataset } from "../dataset.js";
import type { Examined } from "../loading/messages.js";
import { WorkerPool } from "../loading/pool.js";

export type { Examined } from "../loading/messages.js";

const CHUNK = 16;
/** Chunks of each worker that are looked at ahead of what was given out. */
const AHEAD = 4;

export interface ExamineOptions {
  /** Worker threads; default: cores - 1, at least 1. */
  readonly workers?: number | undefined;
  /** Sample indices to look at; default all. */
  readonly indices?: ArrayLike<number>;
  /** Make perceptual hashes too. Default false. */
  readonly perceptual?: boolean;
  /** Measure brightness, blur and the like, and hash pixels. Default false. */
  readonly measured?: boolean;
  /** Make the uids of every caption. Default false. */
  readonly uids?: boolean;
  /** Told how many images are done, of how many. */
  readonly onProgress?: (done: number, total: number) => void;
}

/** One finding an image, in the order of the indices, some at a time: no more are held than are being looked at. */
export async function* eachExamined(
  dataset: Dataset,
  options: ExamineOptions = {},
): AsyncGenerator<readonly Examined[]> {
  const { indices, perceptual = false, measured = false, uids = false, workers, onProgress } = options;
  const total = indices?.length ?? dataset.length;
  const pool = new WorkerPool({ images: dataset.images }, workers);
  const look = async (start: number): Promise<readonly Examined[]> => {
    const length = Math.min(CHUNK, total - start);
    const part = Array.from({ length }, (_, i) => indices?.[start + i] ?? start + i);
    const captions = uids ? { captions: part.map((i) => dataset.sample(i).captions) } : {};
    const { examined } = await pool.run({
      kind: "examine",
      indices: part,
      ...captions,
      perceptual,
      measured,
    });
    if (examined === undefined) throw new InternalError("examineImages: a worker answered something else");
    return examined;
  };
  try {
    const ahead: Promise<readonly Examined[]>[] = [];
    for (let next = 0, done = 0; done < total; ) {
      for (; next < total && ahead.length < AHEAD * pool.workers; next += CHUNK) {
        const looking = look(next);
        looking.catch(() => {}); // told where it is awaited
        ahead.push(looking);
      }
      const part = await pool.hold(ahead.shift()!);
      done += part.length;
      onProgress?.(done, total);
      yield part;
    }
  } finally {
    await pool.close();
  }
}

/** One finding an image, in the order of the indices. */
export async function examineImages(dataset: Dataset, options: ExamineOptions = {}): Promise<Examined[]> {
  const all: Examined[] = [];
  for await (const part of eachExamined(dataset, options)) all.push(...part);
  return all;
}
