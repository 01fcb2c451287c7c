/**
 * Many texts in about as many bytes as they have: their UTF-8 one behind the other, decoded when one is asked for. Plain
 * data in shared memory, which worker threads get without a copy.
 */
import { GrowingColumn, shared } from "./numbers.js";

export interface Texts {
  readonly length: number;
  /** UTF-8; no text lies in two. */
  readonly blocks: readonly Uint8Array[];
  /** Of each block: the position of its first text. */
  readonly firsts: readonly number[];
  /** [length]: where each text ends in its block. */
  readonly ends: Uint32Array;
  /** Texts with half a surrogate pair, which UTF-8 cannot hold, by position. */
  readonly unpaired: ReadonlyMap<number, string>;
}

/** The text at `i`, below `length`. */
export function textAt({ blocks, firsts, ends, unpaired }: Omit<Texts, "length">, i: number): string {
  if (unpaired.size > 0 && unpaired.has(i)) return unpaired.get(i)!;
  let low = 0;
  for (let high = firsts.length - 1; low < high; ) {
    const middle = (low + high + 1) >>> 1;
    if (firsts[middle]! <= i) low = middle;
    else high = middle - 1;
  }
  const start = i === firsts[low] ? 0 : ends[i - 1]!;
  return slice(blocks[low]!, start, ends[i]!).toString();
}

/** The texts of a list. */
export function textsOf(list: Iterable<string>): Texts {
  const writer = new TextsWriter();
  for (const text of list) writer.push(text);
  return writer.done();
}

/** Whether `part` stands in any of the texts; as fast as memory. */
export function anyHolds({ blocks, unpaired }: Texts, part: string): boolean {
  const bytes = Buffer.from(part);
  for (const text of unpaired.values()) if (text.includes(part)) return true;
  return blocks.some((block) => slice(block, 0, block.length).includes(bytes));
}

const slice = ({ buffer, byteOffset }: Uint8Array, start: number, end: number): Buffer =>
  Buffer.from(buffer, byteOffset + start, end - start);

const BLOCK_BYTES = 2 ** 20;
const UNPAIRED = /\p{Surrogate}/u;

/** Collects texts; `at` reads them meanwhile. */
export class TextsWriter {
  private readonly blocks: Uint8Array[] = [];
  private readonly firsts: number[] = [];
  private readonly ends = new GrowingColumn(shared.u32);
  private readonly unpaired = new Map<number, string>();
  /** The last block, and how much of it is filled. */
  private block: Buffer = Buffer.alloc(0);
  private filled = 0;

  get length(): number {
    return this.ends.length;
  }

  /** Gives the text's position. */
  push(text: string): number {
    // A UTF-16 unit has at most 3 bytes.
    if (3 * text.length > this.block.length - this.filled) this.makeRoom(Buffer.byteLength(text));
    if (UNPAIRED.test(text)) this.unpaired.set(this.length, text);
    this.filled += this.block.write(text, this.filled);
    return this.ends.push(this.filled);
  }

  at(i: number): string {
    const { blocks, firsts, unpaired } = this;
    return textAt({ blocks, firsts, ends: this.ends.values, unpaired }, i);
  }

  done(): Texts {
    this.cutBlock();
    const { blocks, firsts, unpaired, length } = this;
    return { length, blocks, firsts, ends: this.ends.done(), unpaired };
  }

  private makeRoom(sizeBytes: number): void {
    if (this.blocks.length > 0 && sizeBytes <= this.block.length - this.filled) return;
    this.cutBlock();
    this.block = Buffer.from(new SharedArrayBuffer(Math.max(BLOCK_BYTES, sizeBytes)));
    this.filled = 0;
    this.firsts.push(this.length);
    this.blocks.push(this.block);
  }

  /** Gives back what is free of the last block. */
  private cutBlock(): void {
    if (this.blocks.length === 0) return;
    const cut = new Uint8Array(new SharedArrayBuffer(this.filled));
    cut.set(this.block.subarray(0, this.filled));
    this.blocks[this.blocks.length - 1] = cut;
  }
}
