/**
 * Corruptions of test pictures at stated strengths (Hendrycks and Dietterich 2019, "Benchmarking neural network robustness to
 * common corruptions and perturbations"). They are done to the square that the model sees, as there, so that a strength means
 * the same whatever the size of the files.
 */

import { createHash } from "node:crypto";
import sharp from "sharp";
import { foldIn, type Key } from "../../../core/random.js";
import { Canvas } from "../augment/canvas.js";
import { blurCanvas } from "../augment/operations/detail.js";
import { decodeImage } from "../read/decode.js";
import type { RawImage, Rgb } from "../read/image.js";
import { ON_WHITE } from "../read/reading.js";
import { rotated } from "../resize/crop.js";
import { resample } from "../resize/resample.js";
import { gaussianNoise, halfWords, impulseNoise, shotNoise } from "./noise.js";

/** What a kind of corruption may need besides the picture and its argument. */
interface Surroundings {
  /** The picture's own, so that chance is the same on every thread and in every order. */
  readonly key: Key;
  /** Colour of what comes in at the corners. */
  readonly fill: Rgb;
}

export interface CorruptionKind {
  /** One line: what becomes of the picture. */
  readonly doc: string;
  /** What the argument means, with its unit. */
  readonly argument: string;
  readonly source: string;
  /** Arguments of strengths 1 … 5, for squares of 128 pixels or more (made for 224) and for smaller ones (made for 64). */
  readonly large: readonly number[];
  readonly small: readonly number[];
  /** The argument is a length in pixels, and goes with the square's side. */
  readonly length?: boolean;
  /** Values [size, size, 3] of the corrupted square. */
  apply(image: RawImage, argument: number, surroundings: Surroundings): Uint8Array | Promise<Uint8Array>;
}

const imagenetC = "ImageNet-C and Tiny-ImageNet-C";

export const corruptionKinds = {
  "gaussian-noise": {
    doc: "Normal noise is added to every value.",
    argument: "deviation, share of the range",
    source: imagenetC,
    large: [0.08, 0.12, 0.18, 0.26, 0.38],
    small: [0.04, 0.08, 0.12, 0.15, 0.18],
    apply: ({ data }, sigma, { key }) => gaussianNoise(data, sigma, key),
  },
  "shot-noise": {
    doc: "Every value is counted in few photons.",
    argument: "photons of white",
    source: imagenetC,
    large: [60, 25, 12, 5, 3],
    small: [250, 100, 50, 30, 15],
    apply: ({ data }, photons, { key }) => shotNoise(data, photons, key),
  },
  "impulse-noise": {
    doc: "Some values become 0 or 255.",
    argument: "share of the values",
    source: imagenetC,
    large: [0.03, 0.06, 0.09, 0.17, 0.27],
    small: [0.01, 0.02, 0.05, 0.08, 0.14],
    apply: ({ data }, amount, { key }) => impulseNoise(data, amount, key),
  },
  "gaussian-blur": {
    doc: "Gaussian blur, as Pillow approximates it.",
    argument: "sigma, pixels",
    source: imagenetC,
    large: [1, 2, 3, 4, 6],
    small: [0.5, 0.75, 1, 1.25, 1.5],
    length: true,
    apply: blurred,
  },
  brightness: {
    doc: "The value of HSV, a pixel's brightest channel, is raised.",
    argument: "what is added, share of the range",
    source: imagenetC,
    large: [0.1, 0.2, 0.3, 0.4, 0.5],
    small: [0.1, 0.2, 0.3, 0.4, 0.5],
    apply: brightened,
  },
  contrast: {
    doc: "Each channel is drawn towards its mean.",
    argument: "factor: 0 is one colour, 1 the picture",
    source: imagenetC,
    large: [0.4, 0.3, 0.2, 0.1, 0.05],
    small: [0.4, 0.3, 0.2, 0.1, 0.05],
    apply: flattened,
  },
  pixelate: {
    doc: "Made smaller by means over boxes, and larger again by repeating.",
    argument: "share of the side",
    source: imagenetC,
    large: [0.6, 0.5, 0.4, 0.3, 0.25],
    small: [0.9, 0.8, 0.7, 0.6, 0.5],
    apply: pixelated,
  },
  jpeg: {
    doc: "Written as JPEG with half the colours' resolution, and read again.",
    argument: "quality",
    source: imagenetC,
    large: [25, 18, 15, 10, 7],
    small: [65, 58, 50, 40, 25],
    apply: compressed,
  },
  rotation: {
    doc: "Turned about its centre, half of the pictures to the left, by bilinear weights; corners take the model's border colour.",
    argument: "degrees",
    source: "Engstrom et al. 2019, up to 30°",
    large: [6, 12, 18, 24, 30],
    small: [6, 12, 18, 24, 30],
    apply: (image, degrees, { key, fill }) =>
      rotated(image, halfWords(key, 1)[0]! < 32_768 ? degrees : -degrees, fill),
  },
} as const satisfies Readonly<Record<string, CorruptionKind>>;

export type CorruptionName = keyof typeof corruptionKinds;

export const corruptionNames = Object.keys(corruptionKinds) as readonly CorruptionName[];

export const STRENGTHS = [1, 2, 3, 4, 5] as const;

/** Plain data: goes to worker threads, and into what tells features apart. */
export interface Corruption {
  readonly kind: CorruptionName;
  /** 1 … 5 */
  readonly strength: number;
  /** Other draws of noise and of directions. */
  readonly seed: number;
}

/** Sides of the pictures that the arguments were made for, and where the one list takes over from the other. */
const [LARGE, SMALL, SMALLEST_LARGE] = [224, 64, 128];

/** The argument of a corruption for squares of a side. */
export function argumentOf({ kind, strength }: Pick<Corruption, "kind" | "strength">, side: number): number {
  const { large, small, length = false }: CorruptionKind = corruptionKinds[kind];
  const isLarge = side >= SMALLEST_LARGE;
  const argument = (isLarge ? large : small)[strength - 1]!;
  return length ? (argument * side) / (isLarge ? LARGE : SMALL) : argument;
}

/**
 * The corrupted square of a picture, `image` ([size, size, 3]). Chance comes from the picture's `encoded` bytes, the kind and
 * the seed: it is the same wherever the picture stands, and at every strength.
 */
export async function corrupt(
  image: RawImage,
  corruption: Corruption,
  { encoded, fill }: { readonly encoded: Uint8Array; readonly fill: Rgb },
): Promise<RawImage> {
  const digest = createHash("sha256").update(encoded).digest();
  const own = { lo: digest.readUInt32LE(0), hi: digest.readUInt32LE(4) };
  const key = foldIn(own, corruption.kind, corruption.seed);
  const { apply }: CorruptionKind = corruptionKinds[corruption.kind];
  return { ...image, data: await apply(image, argumentOf(corruption, image.width), { key, fill }) };
}

function blurred({ width, height, data }: RawImage, sigma: number): Uint8Array {
  const canvas = new Canvas(width, height);
  canvas.begin().set(data);
  blurCanvas(canvas, sigma);
  return canvas.pixels();
}

const rounded = (value: number): number => Math.max(0, Math.min(255, Math.floor(value + 0.5)));

function brightened({ data }: RawImage, added: number): Uint8Array {
  const out = new Uint8Array(data.length);
  for (let i = 0; i < data.length; i += 3) {
    const brightest = Math.max(data[i]!, data[i + 1]!, data[i + 2]!);
    const to = Math.min(255, brightest + 255 * added);
    for (let c = 0; c < 3; c++) out[i + c] = rounded(brightest === 0 ? to : (data[i + c]! * to) / brightest);
  }
  return out;
}

function flattened({ data }: RawImage, factor: number): Uint8Array {
  const means = [0, 0, 0];
  for (let i = 0; i < data.length; i++) means[i % 3]! += (3 * data[i]!) / data.length;
  return data.map((x, i) => rounded((x - means[i % 3]!) * factor + means[i % 3]!));
}

function pixelated(image: RawImage, share: number): Uint8Array {
  const { width, height } = image;
  const side = (length: number) => Math.max(1, Math.trunc(length * share));
  const small = resample(image, side(width), side(height), "box");
  return resample(small, width, height, "box").data;
}

async function compressed({ width, height, data }: RawImage, quality: number): Promise<Uint8Array> {
  const written = sharp(data, { raw: { width, height, channels: 3 } });
  const encoded = await written.jpeg({ quality, chromaSubsampling: "4:2:0" }).toBuffer();
  return (await decodeImage(encoded, ON_WHITE)).data;
}
