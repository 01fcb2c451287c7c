/**
 * How strong a magnitude is: from a level to an operation's argument, as tables. A level of 10 is the far end of
 * AutoAugment's scale and may be exceeded. Lengths are pixels of an image 224 wide and shrink with the image.
 */
import { InternalError } from "../../../core/errors.js";
import type { OperationName } from "../augment/operations/index.js";

/** argument = centre ± (from + (to − from) · level / 10) */
export interface Magnitude {
  /** At level 0. */
  readonly from: number;
  /** At level 10. */
  readonly to: number;
  /** Either sign, by chance, about `centre`. */
  readonly signed?: boolean;
  /** Default 0. */
  readonly centre?: number;
  /** A whole number: the fraction dropped, or to the nearest. */
  readonly whole?: "down" | "nearest";
  /** Least and most, for levels past 10. */
  readonly within?: readonly [number, number];
  /** A length at 224 pixels. */
  readonly length?: boolean;
}

export type Scale = Readonly<Partial<Record<OperationName, Magnitude>>>;

const REFERENCE_SIDE = 224;

const factor: Magnitude = { from: 0.1, to: 1.9 };
const factors = { color: factor, contrast: factor, brightness: factor, sharpness: factor };
const slide: Magnitude = { from: 0, to: 0.3, signed: true };

/** AutoAugment's table 6 (arXiv 1805.09501): 150 of its 331 pixels is 150 / 331 of the side. */
const autoaugment = {
  "shear-x": slide,
  "shear-y": slide,
  "translate-x": { from: 0, to: (150 / 331) * REFERENCE_SIDE, signed: true, length: true },
  "translate-y": { from: 0, to: (150 / 331) * REFERENCE_SIDE, signed: true, length: true },
  rotate: { from: 0, to: 30, signed: true },
  posterize: { from: 4, to: 8, whole: "down", within: [4, 8] },
  solarize: { from: 0, to: 256, whole: "down", within: [0, 256] },
  ...factors,
} as const satisfies Scale;

/** TensorFlow's code, which big_vision's `pp/autoaugment.py` is forked from. */
const code = {
  "shear-x": slide,
  "shear-y": slide,
  "translate-x": { from: 0, to: 100, signed: true, length: true },
  "translate-y": { from: 0, to: 100, signed: true, length: true },
  rotate: { from: 0, to: 30, signed: true },
  posterize: { from: 0, to: 4, whole: "down", within: [0, 8] },
  solarize: { from: 0, to: 256, whole: "down", within: [0, 256] },
  "solarize-add": { from: 0, to: 110, whole: "down" },
  cutout: { from: 0, to: 40, whole: "down", length: true },
  ...factors,
} as const satisfies Scale;

const wideFactor: Magnitude = { from: 0, to: 0.99, signed: true, centre: 1 };

/** TrivialAugment's wide space (arXiv 2103.10158), as torchvision's TrivialAugmentWide. */
const wide = {
  "shear-x": { from: 0, to: 0.99, signed: true },
  "shear-y": { from: 0, to: 0.99, signed: true },
  "translate-x": { from: 0, to: 32, signed: true, whole: "down", length: true },
  "translate-y": { from: 0, to: 32, signed: true, whole: "down", length: true },
  rotate: { from: 0, to: 135, signed: true },
  posterize: { from: 8, to: 2, whole: "nearest", within: [2, 8] },
  solarize: { from: 255, to: 0, within: [0, 256] },
  color: wideFactor,
  contrast: wideFactor,
  brightness: wideFactor,
  sharpness: wideFactor,
} as const satisfies Scale;

export const scales = { autoaugment, code, wide } as const satisfies Readonly<Record<string, Scale>>;

export type ScaleName = keyof typeof scales;

/** The magnitude of an operation on a scale; undefined where it has no argument. */
export const magnitudeOf = (scale: ScaleName, name: OperationName): Magnitude | undefined =>
  (scales[scale] as Scale)[name];

/** The argument at `level` for an image of side `side`, pixels; `negative` takes the other sign where there are two. */
export function argumentAt(magnitude: Magnitude, level: number, side: number, negative: boolean): number {
  const { from, to, signed = false, centre = 0, whole, within, length = false } = magnitude;
  if (!(level >= 0)) throw new InternalError(`magnitude: a level is at least 0; got ${level}`);
  let size = (from + ((to - from) * level) / 10) * (length ? side / REFERENCE_SIDE : 1);
  if (whole === "down") size = Math.trunc(size);
  else if (whole === "nearest") size = Math.round(size);
  if (within !== undefined) size = Math.max(within[0], Math.min(within[1], size));
  return signed && negative ? centre - size : centre + size;
}
