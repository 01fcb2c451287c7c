/** What an operation on 8-bit RGB pixels is: a record, so that policies name operations and tables list them. */
import type { Random } from "../../../core/random.js";
import type { Canvas } from "../canvas.js";
import type { Rgb } from "../decode.js";

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

/** f·(−255 … 255) in single precision, as Pillow's `Image.blend` multiplies; at index 255 + difference. */
export function blendSteps(factor: number, steps: Float32Array): Float32Array {
  const single = Math.fround(factor);
  for (let d = -255; d <= 255; d++) steps[255 + d] = single * d;
  return steps;
}

/** base + step cut to 0 … 255, the fraction dropped: Pillow's `Image.blend` of one value, step of `blendSteps`. */
export function blended(base: number, step: number): number {
  const value = Math.fround(base + step);
  return value <= 0 ? 0 : value >= 255 ? 255 : value | 0;
}
