/** What an operation on 8-bit RGB pixels is: a record, so that policies name operations and tables list them. */
import type { Random } from "../../../../core/random.js";
import type { Rgb } from "../../read/image.js";
import type { Canvas } from "../canvas.js";

/** What an operation may need besides its argument. */
export interface Surroundings {
  /** Colour of what comes in at the edges, and of cut-outs. */
  readonly fill: Rgb;
  /** For operations with chance of their own: a place to cut out. */
  readonly random: Random;
}

export interface Operation {
  /** One line: what becomes of the image. */
  readonly doc: string;
  /** What the argument means, with its unit; `none` where there is none. */
  readonly argument: string;
  /** The reference that it equals. */
  readonly source: string;
  /** Works in place. */
  apply(canvas: Canvas, argument: number, surroundings: Surroundings): void;
}

/** ITU-R 601 luma in Pillow's fixed point. */
export const luma = (r: number, g: number, b: number): number =>
  (r * 19595 + g * 38470 + b * 7471 + 0x8000) >> 16;

/** factor · (−255 … 255) in single precision, at index 255 + difference; and its floor where that is safe. */
const steps = new Float32Array(511);
const floors = new Int32Array(511);
/** Stands for a step so little below a whole number that adding it in single precision may reach that. */
const NEAR = -(2 ** 30);

/** Tables of `blendTable`, by factor. */
const tables = new Map<number, Uint8Array>();
const MAX_TABLES = 8;

/**
 * `blended(base, value)` at `base · 256 + value`, for all pixels of an operation. Policies take few factors, so that
 * most tables are there already.
 */
export function blendTable(factor: number): Uint8Array {
  const known = tables.get(factor);
  if (known !== undefined) return known;
  prepareBlend(factor);
  const table = tables.size < MAX_TABLES ? new Uint8Array(65536) : oldestTable();
  for (let base = 0, at = 0; base < 256; base++) {
    for (let value = 0; value < 256; value++) table[at++] = blended(base, value);
  }
  tables.set(factor, table);
  return table;
}

function oldestTable(): Uint8Array {
  const [factor, table] = tables.entries().next().value!;
  tables.delete(factor);
  return table;
}

/** Sets the factor of `blended`, for one operation at a time. */
export function prepareBlend(factor: number): void {
  const single = Math.fround(factor);
  for (let d = -255; d <= 255; d++) {
    const step = Math.fround(single * d);
    const floor = Math.floor(step);
    steps[255 + d] = step;
    floors[255 + d] = step - floor > 1 - 2 ** -15 ? NEAR : floor;
  }
}

/** base + factor · (value − base), cut to 0 … 255, the fraction dropped: a value of Pillow's `Image.blend`. */
export function blended(base: number, value: number): number {
  const at = 255 + value - base;
  const floor = floors[at]!;
  const sum = floor === NEAR ? Math.floor(Math.fround(base + steps[at]!)) : base + floor;
  return sum < 0 ? 0 : Math.min(sum, 255);
}
