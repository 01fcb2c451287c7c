/** Kept images in memory shared by all workers, up to a limit; filled as images are first seen, never evicted. */
import type { RawImage } from "../pixels/read/image.js";

/** Plain shared memory: goes to worker threads as it is. */
export interface ImageCacheMemory {
  readonly pixels: SharedArrayBuffer;
  /** Per image: state, block of 64 bytes, width, height. */
  readonly table: SharedArrayBuffer;
  /** Blocks given out, images kept. */
  readonly used: SharedArrayBuffer;
}

const BLOCK = 64;
const FIELDS = 4;
const ABSENT = 0;
const WRITING = 1;
const READY = 2;

/**
 * Memory for `count` images within `limitBytes`; `imageBytes` is their size where it is one. The system backs pages
 * only when they are written.
 */
export function allocateImageCache(
  count: number,
  limitBytes: number,
  imageBytes: number | undefined,
): ImageCacheMemory {
  const wanted = imageBytes === undefined ? limitBytes : count * Math.ceil(imageBytes / BLOCK) * BLOCK;
  return {
    pixels: new SharedArrayBuffer(Math.max(0, Math.min(limitBytes, wanted))),
    table: new SharedArrayBuffer(count * FIELDS * 4),
    used: new SharedArrayBuffer(8),
  };
}

export class ImageCache {
  private readonly pixels: Uint8Array;
  private readonly table: Int32Array;
  private readonly used: Int32Array;

  constructor(memory: ImageCacheMemory) {
    this.pixels = new Uint8Array(memory.pixels);
    this.table = new Int32Array(memory.table);
    this.used = new Int32Array(memory.used);
  }

  /** Images held. */
  get count(): number {
    return Atomics.load(this.used, 1);
  }

  get sizeBytes(): number {
    return Atomics.load(this.used, 0) * BLOCK;
  }

  get(index: number): RawImage | undefined {
    const at = index * FIELDS;
    if (Atomics.load(this.table, at) !== READY) return undefined;
    const start = this.table[at + 1]! * BLOCK;
    const width = this.table[at + 2]!;
    const height = this.table[at + 3]!;
    return { width, height, channels: 3, data: this.pixels.subarray(start, start + width * height * 3) };
  }

  /** Whether an image of `sizeBytes` still has a place. */
  hasRoom(sizeBytes: number): boolean {
    return Atomics.load(this.used, 0) + Math.ceil(sizeBytes / BLOCK) <= this.capacity;
  }

  /** Keeps `image` unless another worker does, or it does not fit any more. */
  put(index: number, image: RawImage): void {
    const blocks = Math.ceil(image.data.length / BLOCK);
    const at = index * FIELDS;
    if (!this.hasRoom(image.data.length)) return;
    if (Atomics.compareExchange(this.table, at, ABSENT, WRITING) !== ABSENT) return;
    const block = this.reserve(blocks);
    if (block === undefined) {
      Atomics.store(this.table, at, ABSENT);
      return;
    }
    this.pixels.set(image.data, block * BLOCK);
    this.table[at + 1] = block;
    this.table[at + 2] = image.width;
    this.table[at + 3] = image.height;
    Atomics.store(this.table, at, READY);
    Atomics.add(this.used, 1, 1);
  }

  private get capacity(): number {
    return Math.floor(this.pixels.length / BLOCK);
  }

  /** The first of `blocks` that are the caller's alone; undefined where there are not as many. */
  private reserve(blocks: number): number | undefined {
    // Taken only where it fits: a place that is given back could have been passed on to two others meanwhile.
    for (let used = Atomics.load(this.used, 0); used + blocks <= this.capacity; ) {
      const found = Atomics.compareExchange(this.used, 0, used, used + blocks);
      if (found === used) return used;
      used = found;
    }
    return undefined;
  }
}
