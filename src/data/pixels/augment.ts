/** Random crop, flip and colour changes on raw pixels; every draw comes from the caller's key. */
import type { Random } from "../../core/random.js";
import { type Box, type RawImage, roundHalfEven } from "./image.js";
import { type Filter, resample } from "./resample.js";

/** A window of random area and shape, resized (torchvision RandomResizedCrop). */
export interface ResizedCrop {
  readonly kind: "resized";
  /** Range of the share of the area. */
  readonly scale: readonly [number, number];
  /** Range of width / height. */
  readonly ratio: readonly [number, number];
}

/** A window of the output's size at a random place: no resampling, close to free. */
export interface ShiftCrop {
  readonly kind: "shift";
}

export interface ColorJitter {
  /** A factor from [1-x, 1+x] each, in random order, as torchvision's ColorJitter. */
  readonly brightness: number;
  readonly contrast: number;
  readonly saturation: number;
  /** Of a turn, ≤ 0.5. */
  readonly hue: number;
  /** Share of the images changed. */
  readonly probability: number;
}

export interface Augmentation {
  readonly crop: ResizedCrop | ShiftCrop;
  /** Share of the images mirrored left to right. */
  readonly flip: number;
  readonly jitter?: ColorJitter;
  /** Share of the images turned grey. */
  readonly grayscale: number;
}

/** Draws one augmentation of `image` into `out` ([size, size, 3]). */
export function augment(
  image: RawImage,
  size: number,
  filter: Filter,
  augmentation: Augmentation,
  random: Random,
  out: Uint8Array,
): void {
  const box =
    augmentation.crop.kind === "resized"
      ? resizedCropBox(image, augmentation.crop, random)
      : shiftBox(image, size, random);
  resample(image, size, size, filter, box, out);
  // Every draw happens whatever the options, so that one option does not change the others' draws.
  const flip = random.uniform() < augmentation.flip;
  const jitter = random.uniform();
  const grey = random.uniform() < augmentation.grayscale;
  if (flip) mirror(out, size);
  if (augmentation.jitter !== undefined && jitter < augmentation.jitter.probability) {
    jitterColors(out, augmentation.jitter, random);
  }
  if (grey) blendGrey(out, 0);
}

/** torchvision RandomResizedCrop.get_params: ten tries, then the largest middle window of an allowed shape. */
export function resizedCropBox(image: RawImage, { scale, ratio }: ResizedCrop, random: Random): Box {
  const { width: W, height: H } = image;
  const logRatio = [Math.log(ratio[0]), Math.log(ratio[1])] as const;
  for (let attempt = 0; attempt < 10; attempt++) {
    const area = W * H * (scale[0] + (scale[1] - scale[0]) * random.uniform());
    const aspect = Math.exp(logRatio[0] + (logRatio[1] - logRatio[0]) * random.uniform());
    const width = roundHalfEven(Math.sqrt(area * aspect));
    const height = roundHalfEven(Math.sqrt(area / aspect));
    if (width > 0 && width <= W && height > 0 && height <= H) {
      return { x: random.integer(W - width + 1), y: random.integer(H - height + 1), width, height };
    }
  }
  let width = W;
  let height = H;
  if (W / H < ratio[0]) height = Math.min(H, roundHalfEven(W / ratio[0]));
  else if (W / H > ratio[1]) width = Math.min(W, roundHalfEven(H * ratio[1]));
  return { x: (W - width) >> 1, y: (H - height) >> 1, width, height };
}

function shiftBox(image: RawImage, size: number, random: Random): Box {
  const width = Math.min(size, image.width);
  const height = Math.min(size, image.height);
  return {
    x: random.integer(image.width - width + 1),
    y: random.integer(image.height - height + 1),
    width,
    height,
  };
}

function mirror(pixels: Uint8Array, size: number): void {
  for (let y = 0; y < size; y++) {
    let left = y * size * 3;
    let right = left + (size - 1) * 3;
    while (left < right) {
      for (let c = 0; c < 3; c++) {
        const swap = pixels[left + c]!;
        pixels[left + c] = pixels[right + c]!;
        pixels[right + c] = swap;
      }
      left += 3;
      right -= 3;
    }
  }
}

/** ITU-R 601 luma in Pillow's fixed point. */
export const luma = (r: number, g: number, b: number): number =>
  (r * 19595 + g * 38470 + b * 7471 + 0x8000) >> 16;

const clamp = (x: number): number => (x < 0 ? 0 : Math.min(x, 255));

function jitterColors(pixels: Uint8Array, jitter: ColorJitter, random: Random): void {
  const factor = (spread: number): number => Math.max(0, 1 + spread * (2 * random.uniform() - 1));
  for (const step of random.permutation(4)) {
    if (step === 0 && jitter.brightness > 0) blend(pixels, 0, factor(jitter.brightness));
    if (step === 1 && jitter.contrast > 0) blend(pixels, meanLuma(pixels), factor(jitter.contrast));
    if (step === 2 && jitter.saturation > 0) blendGrey(pixels, factor(jitter.saturation));
    if (step === 3 && jitter.hue > 0) turnHue(pixels, jitter.hue * (2 * random.uniform() - 1));
  }
}

/** x ← base + factor·(x - base) */
function blend(pixels: Uint8Array, base: number, factor: number): void {
  const table = Uint8Array.from({ length: 256 }, (_, x) => clamp(base + factor * (x - base)));
  for (let i = 0; i < pixels.length; i++) pixels[i] = table[pixels[i]!]!;
}

function meanLuma(pixels: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < pixels.length; i += 3) sum += luma(pixels[i]!, pixels[i + 1]!, pixels[i + 2]!);
  return Math.trunc(sum / (pixels.length / 3) + 0.5);
}

/** x ← grey + factor·(x - grey); factor 0 is a grey image. */
function blendGrey(pixels: Uint8Array, factor: number): void {
  for (let i = 0; i < pixels.length; i += 3) {
    const grey = luma(pixels[i]!, pixels[i + 1]!, pixels[i + 2]!);
    for (let c = 0; c < 3; c++) pixels[i + c] = clamp(grey + factor * (pixels[i + c]! - grey));
  }
}

/** Turns the hue by `turn` of a full circle, keeping HSV saturation and value. */
function turnHue(pixels: Uint8Array, turn: number): void {
  for (let i = 0; i < pixels.length; i += 3) {
    const r = pixels[i]!;
    const g = pixels[i + 1]!;
    const b = pixels[i + 2]!;
    const high = Math.max(r, g, b);
    const chroma = high - Math.min(r, g, b);
    if (chroma === 0) continue;
    let hue = high === r ? (g - b) / chroma : high === g ? 2 + (b - r) / chroma : 4 + (r - g) / chroma;
    hue = (((hue / 6 + turn) % 1) + 1) % 1;
    for (let c = 0; c < 3; c++) {
      // HSV → RGB: value - chroma · max(0, min(k, 4-k, 1)), k = (n + 6·hue) mod 6, n = 5, 3, 1
      const k = (5 - 2 * c + hue * 6) % 6;
      pixels[i + c] = Math.round(high - chroma * Math.max(0, Math.min(k, 4 - k, 1)));
    }
  }
}
