/** What the main thread and its data workers say to each other. */
import type { Key } from "../../core/random.js";
import type { PerceptualHash } from "../copies/perceptual-hash.js";
import type { ImageIndex } from "../image-index.js";
import type { ImageMeasures } from "../pixels/measure.js";
import type { Pipeline } from "../pixels/pipeline.js";
import type { ImageCacheMemory } from "./cache.js";
import type { PackedImages } from "./packed/open.js";

/** Given to a worker at its start. */
export interface WorkerSetup {
  readonly images: ImageIndex;
  /** What is drawn of every image, all from one kept image. */
  readonly pipelines?: readonly Pipeline[];
  readonly cache?: ImageCacheMemory;
  readonly packed?: PackedImages;
  /** Where the worker says what it reads, so that a worker that is stuck can be told by the image's name. */
  readonly reading?: ReadingNow;
}

/** Words of each worker: the sample that it reads, or -1; how many it has begun; 0 once its modules are loaded. */
export const READING_WORDS = 3;

/** `READING_WORDS` of each worker, from -1 on. */
export interface ReadingNow {
  readonly memory: SharedArrayBuffer;
  /** Which of the workers this is. */
  readonly worker: number;
}

/** Draw images into places of a batch. */
export interface FillTask {
  readonly kind: "fill";
  /** One a pipeline: [batch, size, size, 3] uint8 */
  readonly buffers: readonly SharedArrayBuffer[];
  readonly indices: readonly number[];
  /** Of each index: its row in the batch. */
  readonly places: readonly number[];
  /** Of each index: the pass over its source; with the index it decides all chance, by `viewKey`. */
  readonly passes: readonly number[];
  readonly key: Key;
}

/** Look at images for a report or a split. */
export interface ExamineTask {
  readonly kind: "examine";
  readonly indices: readonly number[];
  /** Of each index its captions, whose uids are wanted. */
  readonly captions?: readonly (readonly string[])[];
  /** Make the perceptual hash too. */
  readonly perceptual?: boolean;
  /** Measure what tells faulty pictures, too, and hash the pixels. */
  readonly measured?: boolean;
}

export interface BrokenImage {
  readonly place: number;
  readonly index: number;
  readonly reason: string;
}

/** What is found out where it is asked for. */
export interface MeasuredPicture extends ImageMeasures {
  readonly animated: boolean;
  /** SHA-256 of width, height and pixels (RGB, on white), 64 hex digits. */
  readonly pixelSha256: string;
}

/** What is known of an image after looking at it. */
export interface Examined {
  readonly index: number;
  readonly sizeBytes: number;
  /** Absent when the bytes cannot be read. */
  readonly sha256?: string;
  /** Of the captions that were sent along, as `pairUid`. */
  readonly uids?: readonly string[];
  /** Absent when the image cannot be decoded. */
  readonly picture?: {
    readonly width: number;
    readonly height: number;
    readonly format: string;
    /** Difference hash: high and low 32 bits. */
    readonly hash: readonly [high: number, low: number];
    /** 8 × 8 RGB in miniature, 192 bytes. */
    readonly miniature: Uint8Array;
    /** Where it was asked for. */
    readonly perceptual?: PerceptualHash;
    readonly measured?: MeasuredPicture;
  };
  readonly error?: string;
}

export type Task = FillTask | ExamineTask;

export interface Reply {
  readonly id: number;
  readonly broken?: readonly BrokenImage[];
  readonly examined?: readonly Examined[];
  /** A fault of ours, not of an image. */
  readonly fault?: string;
}
