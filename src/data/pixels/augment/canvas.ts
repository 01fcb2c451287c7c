/**
 * The square that operations work on. Point operations only compose their tables; the pixels are read once, by the
 * next operation that needs them or by the end. Two buffers are swapped, and nothing is allocated between images.
 */
import { InternalError } from "../../../core/errors.js";

/** One table of 256 for each of three channels. */
const TABLE = 3 * 256;

export class Canvas {
  private front: Uint8Array;
  private back: Uint8Array;
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
    this.front = new Uint8Array(width * height * 3);
    this.back = new Uint8Array(width * height * 3);
  }

  /** [height, width, 3], to be overwritten as a whole; forgets what was pending. */
  begin(): Uint8Array {
    this.isPending = false;
    return this.front;
  }

  /** [height, width, 3], with everything done to it that was asked for. */
  pixels(): Uint8Array {
    if (this.isPending) this.settle(this.front);
    this.isPending = false;
    return this.front;
  }

  /** The pixels, and a buffer of the same size that `swap` makes the pixels. */
  redraw(): { from: Uint8Array; to: Uint8Array } {
    return { from: this.pixels(), to: this.back };
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
    const { front, counts, moved, pending } = this;
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
    if (this.isPending) this.settle(out);
    else out.set(this.front);
    this.isPending = false;
  }

  private settle(out: Uint8Array): void {
    const { front, pending } = this;
    for (let i = 0; i < front.length; i += 3) {
      out[i] = pending[front[i]!]!;
      out[i + 1] = pending[256 + front[i + 1]!]!;
      out[i + 2] = pending[512 + front[i + 2]!]!;
    }
  }
}
