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

/** The whole image turned, zoomed, stretched and shifted at once, bilinear; what comes in at the edges is `fill`. */
export interface AffineCrop {
  readonly kind: "affine";
  /** Largest turn to either side, degrees. */
  readonly degrees: number;
  /** Zooms by e to the ±x, uniform in x. */
  readonly zoom: number;
  /** Stretches width against height by e to the ±x. */
  readonly stretch: number;
  /** Largest shift each way, as a share of the side. */
  readonly shift: number;
  readonly fill: readonly [number, number, number];
}

/** Colours of a drawing on white varied in ink, 255 − x, so that white stays white. */
export interface InkJitter {
  /** All ink times e to the ±x. */
  readonly gain: number;
  /** Colourfulness times e to the ±x. */
  readonly saturation: number;
  /** Each channel's ink times e to the ±x. */
  readonly channel: number;
  /** Share of the images changed. */
  readonly probability: number;
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
  readonly crop: ResizedCrop | ShiftCrop | AffineCrop;
  /** Share of the images mirrored left to right. */
  readonly flip: number;
  readonly jitter?: ColorJitter;
  readonly ink?: InkJitter;
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
  const { crop } = augmentation;
  if (crop.kind === "affine") warp(image, size, crop, random, out);
  else {
    const box = crop.kind === "resized" ? resizedCropBox(image, crop, random) : shiftBox(image, size, random);
    resample(image, size, size, filter, box, out);
  }
  // Every draw happens whatever the options, so that one option does not change the others' draws.
  const flip = random.uniform() < augmentation.flip;
  const jitter = random.uniform();
  const grey = random.uniform() < augmentation.grayscale;
  if (flip) mirror(out, size);
  if (augmentation.jitter !== undefined && jitter < augmentation.jitter.probability) {
    jitterColors(out, augmentation.jitter, random);
  }
  const { ink } = augmentation;
  if (ink !== undefined && random.uniform() < ink.probability) jitterInk(out, ink, random);
  if (grey) blendGrey(out, 0);
}

/** x ← 255 − M (255 − x), M = channel gains · (grey + saturation · (identity − grey)) · gain. */
function jitterInk(pixels: Uint8Array, ink: InkJitter, random: Random): void {
  const factor = (spread: number): number => Math.exp(spread * (2 * random.uniform() - 1));
  const gain = factor(ink.gain);
  const saturation = factor(ink.saturation);
  const [red, green, blue] = [
    factor(ink.channel) * gain,
    factor(ink.channel) * gain,
    factor(ink.channel) * gain,
  ];
  for (let i = 0; i < pixels.length; i += 3) {
    const r = 255 - pixels[i]!;
    const g = 255 - pixels[i + 1]!;
    const b = 255 - pixels[i + 2]!;
    if ((r | g | b) === 0) continue;
    const grey = 0.299 * r + 0.587 * g + 0.114 * b;
    pixels[i] = clamp(255 - red! * (grey + saturation * (r - grey)));
    pixels[i + 1] = clamp(255 - green! * (grey + saturation * (g - grey)));
    pixels[i + 2] = clamp(255 - blue! * (grey + saturation * (b - grey)));
  }
}

/** Draws the transformation, inverts it, and reads every output pixel's place in the image by bilinear weights. */
function warp(image: RawImage, size: number, crop: AffineCrop, random: Random, out: Uint8Array): void {
  const { width: W, height: H, data, channels } = image;
  const spread = (x: number): number => x * (2 * random.uniform() - 1);
  const angle = (spread(crop.degrees) * Math.PI) / 180;
  const zoom = Math.exp(spread(crop.zoom));
  const stretch = Math.exp(spread(crop.stretch));
  const shiftX = spread(crop.shift) * size;
  const shiftY = spread(crop.shift) * size;
  const scaleX = W / size / (zoom * stretch);
  const scaleY = (H / size / zoom) * stretch;
  const a = Math.cos(angle) * scaleX;
  const b = Math.sin(angle) * scaleX;
  const c = -Math.sin(angle) * scaleY;
  const d = Math.cos(angle) * scaleY;
  const middle = (size - 1) / 2;
  const [fillR, fillG, fillB] = crop.fill;
  const ONE = 256;
  let at = 0;
  for (let y = 0; y < size; y++) {
    const dy = y - middle - shiftY;
    for (let x = 0; x < size; x++, at += 3) {
      const dx = x - middle - shiftX;
      const sx = a * dx + b * dy + (W - 1) / 2;
      const sy = c * dx + d * dy + (H - 1) / 2;
      const left = Math.floor(sx);
      const top = Math.floor(sy);
      if (left < -1 || top < -1 || left >= W || top >= H) {
        out[at] = fillR;
        out[at + 1] = fillG;
        out[at + 2] = fillB;
        continue;
      }
      const fx = ((sx - left) * ONE) | 0;
      const fy = ((sy - top) * ONE) | 0;
      const w00 = (ONE - fx) * (ONE - fy);
      const w10 = fx * (ONE - fy);
      const w01 = (ONE - fx) * fy;
      const w11 = fx * fy;
      const i = (top * W + left) * channels;
      const below = i + W * channels;
      if (left >= 0 && top >= 0 && left < W - 1 && top < H - 1) {
        for (let k = 0; k < 3; k++) {
          out[at + k] =
            (w00 * data[i + k]! +
              w10 * data[i + channels + k]! +
              w01 * data[below + k]! +
              w11 * data[below + channels + k]! +
              32768) >>
            16;
        }
        continue;
      }
      for (let k = 0; k < 3; k++) {
        const fill = crop.fill[k]!;
        const pick = (px: number, py: number): number =>
          px < 0 || py < 0 || px >= W || py >= H ? fill : data[(py * W + px) * channels + k]!;
        out[at + k] =
          (w00 * pick(left, top) +
            w10 * pick(left + 1, top) +
            w01 * pick(left, top + 1) +
            w11 * pick(left + 1, top + 1) +
            32768) >>
          16;
      }
    }
  }
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
