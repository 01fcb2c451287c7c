/**
 * The square that operations work on. Point operations only compose their tables; the pixels are read once, by the
 * next operation that needs them or by the end. Two buffers are swapped, and nothing is allocated between images.
 */
import { InternalError } from "../../../core/errors.js";

/** One table of 256 for each of three channels. */
const TABLE = 3 * 256;

/** Pixels, and the same memory as words of four values each, up to a whole number of three words. */
interface Plane {
  readonly bytes: Uint8Array;
  readonly words: Uint32Array;
}

function newPlane(length: number): Plane {
  const words = new Uint32Array(Math.ceil(length / 12) * 3);
  return { words, bytes: new Uint8Array(words.buffer, 0, length) };
}

export class Canvas {
  private front: Plane;
  private back: Plane;
  /** [3, 256]: what is still to be done to every value of `front`. */
  private readonly pending = new Uint8Array(TABLE);
  private isPending = false;
  private readonly counts = new Uint32Array(TABLE);
  private readonly moved = new Uint32Array(TABLE);

  /** A canvas of `width` × `height` × 3 bytes; its content is whatever is drawn first. */
  constructor(
    readonly width: number,
    readonly height: number = width,
  ) {
    this.front = newPlane(width * height * 3);
    this.back = newPlane(width * height * 3);
  }

  /** [height, width, 3], to be overwritten as a whole; forgets what was pending. */
  begin(): Uint8Array {
    this.isPending = false;
    return this.front.bytes;
  }

  /** [height, width, 3], with everything done to it that was asked for. */
  pixels(): Uint8Array {
    if (this.isPending) this.settle();
    this.isPending = false;
    return this.front.bytes;
  }

  /** The pixels, and a buffer of the same size that `swap` makes the pixels. */
  redraw(): { from: Uint8Array; to: Uint8Array } {
    return { from: this.pixels(), to: this.back.bytes };
  }

  swap(): void {
    [this.front, this.back] = [this.back, this.front];
  }

  /** Every value x of channel c becomes `table[c · 256 + x]`, or `table[x]` where one table is for all channels. */
  map(table: Uint8Array): void {
    const { pending } = this;
    const stride = table.length === TABLE ? 256 : 0;
    if (table.length !== TABLE && table.length !== 256)
      throw new InternalError("canvas: a table has 256 or 3 · 256");
    for (let c = 0; c < 3; c++) {
      const at = c * 256;
      for (let x = 0; x < 256; x++) {
        pending[at + x] = table[c * stride + (this.isPending ? pending[at + x]! : x)]!;
      }
    }
    this.isPending = true;
  }

  /** [3, 256]: how often every value occurs. Read from the pixels as they lie, then moved by what is pending. */
  histogram(): Uint32Array {
    const { counts, moved, pending } = this;
    const front = this.front.bytes;
    counts.fill(0);
    for (let i = 0; i < front.length; i += 3) {
      counts[front[i]!]!++;
      counts[256 + front[i + 1]!]!++;
      counts[512 + front[i + 2]!]!++;
    }
    if (!this.isPending) return counts;
    moved.fill(0);
    for (let at = 0; at < TABLE; at++) moved[(at & 0x300) | pending[at]!]! += counts[at]!;
    return moved;
  }

  /** Writes the pixels to `out` ([height, width, 3]). */
  end(out: Uint8Array): void {
    out.set(this.pixels());
  }

  /** Four pixels at a time: three words to be read and written instead of twelve values. */
  private settle(): void {
    const { pending } = this;
    const { words } = this.front;
    for (let i = 0; i < words.length; i += 3) {
      const x = words[i]!;
      const y = words[i + 1]!;
      const z = words[i + 2]!;
      words[i] =
        pending[x & 255]! |
        (pending[256 + ((x >>> 8) & 255)]! << 8) |
        (pending[512 + ((x >>> 16) & 255)]! << 16) |
        (pending[x >>> 24]! << 24);
      words[i + 1] =
        pending[256 + (y & 255)]! |
        (pending[512 + ((y >>> 8) & 255)]! << 8) |
        (pending[(y >>> 16) & 255]! << 16) |
        (pending[256 + (y >>> 24)]! << 24);
      words[i + 2] =
        pending[512 + (z & 255)]! |
        (pending[(z >>> 8) & 255]! << 8) |
        (pending[256 + ((z >>> 16) & 255)]! << 16) |
        (pending[512 + (z >>> 24)]! << 24);
    }
  }
}
