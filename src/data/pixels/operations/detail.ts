/** Operations that look at a pixel's neighbours: sharpness and blur. */
import { blended, blendSteps, type Operation } from "./operation.js";

const steps = new Float32Array(511);

/** n / 13 to the nearest whole number, n = the sum of nine values, the middle one five times; ties cannot be. */
const THIRTEENTH = Uint8Array.from({ length: 13 * 255 + 1 }, (_, n) => Math.floor((2 * n + 13) / 26));

export const sharpness: Operation = {
  doc: "Blended with its 3 × 3 smoothed image; the border stays.",
  argument: "factor: 0 is smooth, 1 the image, 2 sharp",
  source: "Pillow ImageEnhance.Sharpness",
  apply(canvas, factor) {
    const { width, height } = canvas;
    const { from, to } = canvas.redraw();
    if (width < 3 || height < 3) return;
    blendSteps(factor, steps);
    const row = width * 3;
    const last = (height - 1) * row;
    to.set(from.subarray(0, row));
    to.set(from.subarray(last, last + row), last);
    for (let y = 1; y < height - 1; y++) {
      const start = y * row;
      for (let i = start; i < start + 3; i++) to[i] = from[i]!;
      for (let i = start + 3; i < start + row - 3; i++) {
        const up = i - row;
        const down = i + row;
        const own = from[i]!;
        const smooth =
          THIRTEENTH[
            from[up - 3]! +
              from[up]! +
              from[up + 3]! +
              from[i - 3]! +
              5 * own +
              from[i + 3]! +
              from[down - 3]! +
              from[down]! +
              from[down + 3]!
          ]!;
        to[i] = blended(smooth, steps[255 + own - smooth]!);
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

/** Most values of one line of an image. */
let line = new Uint8Array(0);

/** One box blur of `count` values at `start`, `stride` apart, edges repeated; in 8.24 fixed point as Pillow. */
function blurLine(
  pixels: Uint8Array,
  start: number,
  stride: number,
  count: number,
  radius: number,
  middle: number,
  edge: number,
): void {
  const top = count - 1;
  for (let x = 0, at = start; x < count; x++, at += stride) line[x] = pixels[at]!;
  let sum = line[0]! * (radius + 1);
  for (let x = 0; x < radius; x++) sum += line[Math.min(x, top)]!;
  for (let x = 0, at = start; x < count; x++, at += stride) {
    const left = line[Math.max(x - radius - 1, 0)]!;
    sum += line[Math.min(x + radius, top)]! - left;
    const far = left + line[Math.min(x + radius + 1, top)]!;
    pixels[at] = (Math.imul(sum, middle) + Math.imul(far, edge) + 0x800000) >>> 24;
  }
}

export const blur: Operation = {
  doc: "Gaussian blur, as three box blurs each way.",
  argument: "sigma, pixels",
  source: "Pillow ImageFilter.GaussianBlur",
  apply(canvas, sigma) {
    const radius = boxRadius(sigma);
    if (!(radius > 0)) return;
    const { width, height } = canvas;
    const pixels = canvas.pixels();
    const whole = Math.trunc(radius);
    const middle = Math.trunc(Math.fround(2 ** 24 / Math.fround(radius * 2 + 1)));
    const edge = Math.trunc((2 ** 24 - (whole * 2 + 1) * middle) / 2);
    if (line.length < Math.max(width, height)) line = new Uint8Array(Math.max(width, height));
    for (let pass = 0; pass < PASSES; pass++) {
      for (let y = 0; y < height; y++) {
        for (let c = 0; c < 3; c++) blurLine(pixels, y * width * 3 + c, 3, width, whole, middle, edge);
      }
    }
    for (let pass = 0; pass < PASSES; pass++) {
      for (let x = 0; x < width * 3; x++) blurLine(pixels, x, width * 3, height, whole, middle, edge);
    }
  },
};
