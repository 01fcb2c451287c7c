/**
 * Numbers that tell faulty pictures: dark, light, blurred, blank, grey. Formulas of CleanVision
 * (cleanvision/issue_managers/image_property.py), whose thresholds hold for them, and the colourfulness of Hasler and
 * Süsstrunk (2003).
 */

import { luma } from "./augment/operations/operation.js";
import type { RawImage } from "./read/image.js";
import { resample } from "./resize/resample.js";

export interface ImageMeasures {
  /** Percentiles of the pixels' brightness √(0.241 R² + 0.691 G² + 0.068 B²) / 255, 0 … 1, to 1/16,384. */
  readonly brightness: { readonly p1: number; readonly p5: number; readonly p99: number };
  /** Bits: of the grey values, or of all three channels' values together, as Pillow has it. */
  readonly entropy: number;
  /** Standard deviation of the picture's edges, of 255, the longer side shrunk to 64 pixels. */
  readonly edges: number;
  /** Standard deviation of the 256 counts of the grey histogram of the same. */
  readonly histogramSpread: number;
  /** All pixels are grey. */
  readonly grey: boolean;
  /** 0 grey, 15 slightly, 45 quite, 109 extremely colourful. */
  readonly colorfulness: number;
}

/** Pixels that are looked at; of larger pictures those of a grid. */
const MOST_PIXELS = 2 ** 20;
const BRIGHTNESS_BINS = 16_384;
/** The longer side on which blur is looked for. */
const BLUR_SIDE = 64;

/** Measures of an RGB image. */
export function measureImage(image: RawImage): ImageMeasures {
  const { width, height, data } = image;
  const step = Math.max(1, Math.ceil(Math.sqrt((width * height) / MOST_PIXELS)));
  const bins = new Uint32Array(BRIGHTNESS_BINS + 1);
  const values = new Uint32Array(3 * 256);
  let [count, grey] = [0, true];
  let [rgSum, rgSquares, ybSum, ybSquares] = [0, 0, 0, 0];
  for (let y = 0; y < height; y += step)
    for (let x = 0; x < width; x += step) {
      const at = 3 * (y * width + x);
      const [r, g, b] = [data[at]!, data[at + 1]!, data[at + 2]!];
      const brightness = Math.sqrt(0.241 * r * r + 0.691 * g * g + 0.068 * b * b) / 255;
      bins[Math.round(brightness * BRIGHTNESS_BINS)]!++;
      values[r]!++;
      values[256 + g]!++;
      values[512 + b]!++;
      grey &&= r === g && g === b;
      const rg = r - g;
      const yb = (r + g) / 2 - b;
      rgSum += rg;
      rgSquares += rg * rg;
      ybSum += yb;
      ybSquares += yb * yb;
      count++;
    }
  const percentile = (share: number): number => percentileOf(bins, share * (count - 1)) / BRIGHTNESS_BINS;
  // √(σ_rg² + σ_yb²) + 0.3·√(μ_rg² + μ_yb²)
  const [rgMean, ybMean] = [rgSum / count, ybSum / count];
  const spread = rgSquares / count - rgMean ** 2 + ybSquares / count - ybMean ** 2;
  return {
    brightness: { p1: percentile(0.01), p5: percentile(0.05), p99: percentile(0.99) },
    entropy: entropyOf(grey ? values.subarray(0, 256) : values),
    ...blurOf(image),
    grey,
    colorfulness: Math.sqrt(Math.max(0, spread)) + 0.3 * Math.hypot(rgMean, ybMean),
  };
}

/** The value at `rank`, counted from 0, of numbers counted in bins; between two of them by their distance, as NumPy has it. */
function percentileOf(bins: Uint32Array, rank: number): number {
  const valueAt = (whole: number): number => {
    let [before, value] = [0, 0];
    while (before + bins[value]! <= whole) before += bins[value++]!;
    return value;
  };
  const low = valueAt(Math.floor(rank));
  return low + (rank - Math.floor(rank)) * (valueAt(Math.ceil(rank)) - low);
}

/** -Σ p·log₂ p of counts. */
function entropyOf(counts: Uint32Array): number {
  const total = counts.reduce((sum, count) => sum + count, 0);
  let entropy = 0;
  for (const count of counts) if (count > 0) entropy -= (count / total) * Math.log2(count / total);
  return entropy;
}

/** Population standard deviation. */
function deviation(values: ArrayLike<number>): number {
  let [sum, squares] = [0, 0];
  for (let i = 0; i < values.length; i++) {
    sum += values[i]!;
    squares += values[i]! ** 2;
  }
  return Math.sqrt(Math.max(0, squares / values.length - (sum / values.length) ** 2));
}

function blurOf(image: RawImage): Pick<ImageMeasures, "edges" | "histogramSpread"> {
  const longer = Math.max(image.width, image.height);
  const scaled = (side: number): number => Math.max(1, Math.floor((side * BLUR_SIDE) / longer));
  const { data, width, height } =
    longer > BLUR_SIDE ? resample(image, scaled(image.width), scaled(image.height), "bicubic") : image;
  const grey = Uint8Array.from({ length: width * height }, (_, at) =>
    luma(data[3 * at]!, data[3 * at + 1]!, data[3 * at + 2]!),
  );
  const histogram = new Uint32Array(256);
  for (const value of grey) histogram[value]!++;
  return { edges: deviation(edgesOf(grey, width, height)), histogramSpread: deviation(histogram) };
}

/** Pillow's FIND_EDGES: 8 times a pixel less its neighbours, cut to 0 … 255; the border stays as it is. */
function edgesOf(grey: Uint8Array, width: number, height: number): Uint8ClampedArray {
  const edges = Uint8ClampedArray.from(grey);
  for (let y = 1; y < height - 1; y++)
    for (let x = 1; x < width - 1; x++) {
      const at = y * width + x;
      let sum = 9 * grey[at]!;
      for (const row of [at - width, at, at + width]) sum -= grey[row - 1]! + grey[row]! + grey[row + 1]!;
      edges[at] = sum;
    }
  return edges;
}
