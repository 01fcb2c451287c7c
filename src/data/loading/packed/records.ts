/**
 * A part of the kept images on the disk: what one writer has appended to two files and nobody changes. `.pixels` has records of
 * a header and pixels, both filled up to 64 bytes; `.index` the same headers alone, each written after its record.
 */

import { closeSync, openSync, readSync } from "node:fs";
import { sizeOfFile } from "../../../core/disk.js";

export const PIXELS = ".pixels";
export const INDEX = ".index";

/** Bytes to which headers and pixels are filled up in `.pixels`. */
export const BLOCK = 64;

/** Words of a header: what it is, row in the source, width, height, sum of the pixels, stamp of the file, sum of these. */
export const HEADER_WORDS = 7;
const MAGIC = 0x4c505743;

/** FNV-1a over the words from `start` to before `end`. */
export function sumOfWords(words: Uint32Array, start = 0, end = words.length): number {
  let sum = 0x811c9dc5;
  for (let i = start; i < end; i++) sum = Math.imul(sum ^ words[i]!, 0x01000193);
  return sum >>> 0;
}

const blocksOf = (bytes: number): number => Math.ceil(bytes / BLOCK);

/** Blocks of a record with its header. */
export const recordBlocks = (width: number, height: number): number => 1 + blocksOf(width * height * 3);

export interface Header {
  /** Of the image, in its source. */
  readonly row: number;
  readonly width: number;
  readonly height: number;
  /** Of the words of the pixels. */
  readonly sum: number;
  /** `fileStamp` of when it was read. */
  readonly stamp: number;
}

export function writeHeader(words: Uint32Array, { row, width, height, sum, stamp }: Header): void {
  words.set([MAGIC, row, width, height, sum, stamp]);
  words[HEADER_WORDS - 1] = sumOfWords(words, 0, HEADER_WORDS - 1);
}

/** Undefined where the words from `at` on are no header. */
export function readHeader(words: Uint32Array, at = 0): Header | undefined {
  const last = at + HEADER_WORDS - 1;
  if (words[at] !== MAGIC || words[last] !== sumOfWords(words, at, last)) return undefined;
  return {
    row: words[at + 1]!,
    width: words[at + 2]!,
    height: words[at + 3]!,
    sum: words[at + 4]!,
    stamp: words[at + 5]!,
  };
}

export interface Found {
  readonly row: number;
  /** Where its record begins. */
  readonly block: number;
  readonly width: number;
  readonly height: number;
}

/** Headers read at a time. */
const PIECE = 65_536;

/** The whole records of the part at `stem`, up to the first that is not one; none of a part that is gone. */
export function* recordsOf(stem: string): Generator<Found> {
  const blocks = (sizeOfFile(stem + PIXELS) ?? 0) / BLOCK;
  let file: number;
  try {
    file = openSync(stem + INDEX, "r");
  } catch {
    return; // gone, or somebody else's
  }
  try {
    const words = new Uint32Array(PIECE * HEADER_WORDS);
    for (let block = 0, position = 0; ; ) {
      const bytes = readSync(file, words, 0, words.byteLength, position);
      const whole = Math.floor(bytes / (4 * HEADER_WORDS));
      if (whole === 0) return;
      for (let at = 0; at < whole * HEADER_WORDS; at += HEADER_WORDS) {
        const header = readHeader(words, at);
        if (header === undefined) return;
        const { row, width, height } = header;
        const next = block + recordBlocks(width, height);
        if (next > blocks) return;
        yield { row, block, width, height };
        block = next;
      }
      position += whole * 4 * HEADER_WORDS;
    }
  } finally {
    closeSync(file);
  }
}
