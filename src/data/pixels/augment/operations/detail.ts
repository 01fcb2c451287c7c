/** Operations that look at a pixel's neighbours: sharpness and blur. */
import { blurImage, type Taps } from "../../resize/kernels.js";
import type { Canvas } from "../canvas.js";
import { blendTable, type Operation } from "./operation.js";

/**
 * n / 13 to the nearest whole number, n = the sum of nine values, the middle one five times, is (2 n + 13) / 26 rounded
 * down (ties cannot be): a product and a shift, exact for all n up to 13 · 255.
 */
const THIRTEENTH = 20165;
const SHIFT = 19;

/** Sums of three values one above the other, of one row. */
let columns = new Uint16Array(0);

export const sharpness: Operation = {
  doc: "Blended with its 3 × 3 smoothed image; the border stays.",
  argument: "factor: 0 is smooth, 1 the image, 2 sharp",
  source: "Pillow ImageEnhance.Sharpness",
  apply(canvas, factor) {
    const { width, height } = canvas;
    const { from, to } = canvas.redraw();
    if (width < 3 || height < 3) return;
    const table = blendTable(factor);
    const row = width * 3;
    const last = (height - 1) * row;
    to.set(from.subarray(0, row));
    to.set(from.subarray(last, last + row), last);
    if (columns.length < row) columns = new Uint16Array(row);
    const sums = columns;
    for (let y = 1; y < height - 1; y++) {
      const start = y * row;
      for (let x = 0; x < row; x++) {
        const i = start + x;
        sums[x] = from[i - row]! + from[i]! + from[i + row]!;
      }
      for (let i = start; i < start + 3; i++) to[i] = from[i]!;
      for (let c = 0; c < 3; c++) {
        let left = sums[c]!;
        let middle = sums[c + 3]!;
        for (let x = c + 3; x < row - 3; x += 3) {
          const right = sums[x + 3]!;
          const own = from[start + x]!;
          const smooth = ((2 * (left + middle + right + 4 * own) + 13) * THIRTEENTH) >> SHIFT;
          to[start + x] = table[(smooth << 8) | own]!;
          left = middle;
          middle = right;
        }
      }
      for (let i = start + row - 3; i < start + row; i++) to[i] = from[i]!;
    }
    canvas.swap();
  },
};

const PASSES = 3;

/** The box whose three-fold blur has the deviation of a Gaussian (Gwosdek et al. 2011), in single precision. */
function boxRadius(sigma: number): number {
  const { fround } = Math;
  const variance = fround((fround(sigma) * fround(sigma)) / PASSES);
  const length = fround(Math.sqrt(12 * variance + 1));
  const whole = fround(Math.floor((length - 1) / 2));
  const part = fround((2 * whole + 1) * fround(whole * (whole + 1) - 3 * variance));
  return fround(whole + fround(part / (6 * fround(variance - (whole + 1) * (whole + 1)))));
}

/** What a box blur of 2 · `whole` + 1 values of weight `middle` and two of weight `edge` reads, edges repeated. */
function boxTaps(count: number, whole: number, middle: number, edge: number): Taps {
  const size = 2 * whole + 3;
  const taps = {
    size,
    start: new Int32Array(count),
    count: new Int32Array(count),
    weights: new Int32Array(count * size),
  };
  for (let x = 0; x < count; x++) {
    const first = Math.max(0, x - whole - 1);
    taps.start[x] = first;
    taps.count[x] = Math.min(count - 1, x + whole + 1) - first + 1;
    for (let d = -whole - 1; d <= whole + 1; d++) {
      const at = Math.max(0, Math.min(count - 1, x + d)) - first;
      taps.weights[x * size + at]! += Math.abs(d) > whole ? edge : middle;
    }
  }
  return taps;
}

/** Gaussian blur of `sigma` pixels, as three box blurs each way. */
export function blurCanvas(canvas: Canvas, sigma: number): void {
  const radius = boxRadius(sigma);
  if (!(radius > 0)) return;
  const { width, height } = canvas;
  const whole = Math.trunc(radius);
  const middle = Math.trunc(Math.fround(2 ** 24 / Math.fround(radius * 2 + 1)));
  const edge = Math.trunc((2 ** 24 - (whole * 2 + 1) * middle) / 2);
  const across = boxTaps(width, whole, middle, edge);
  const down = width === height ? across : boxTaps(height, whole, middle, edge);
  blurImage(canvas.pixels(), across, down, PASSES);
}

export const blur: Operation = {
  doc: "Gaussian blur, as three box blurs each way.",
  argument: "sigma, pixels",
  source: "Pillow ImageFilter.GaussianBlur",
  apply: blurCanvas,
};
