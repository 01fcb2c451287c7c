/** Operations that send every value of a channel to another: a table of 256, some of them made from the image's histogram. */
import type { Canvas } from "../canvas.js";
import { blended, luma, type Operation, prepareBlend } from "./operation.js";

const table = new Uint8Array(256);
const tables = new Uint8Array(3 * 256);

/** Maps all channels by x ↦ f(x), f whole numbers, cut to 0 … 255. */
function mapAll(canvas: Canvas, f: (x: number) => number): void {
  for (let x = 0; x < 256; x++) table[x] = Math.max(0, Math.min(255, f(x)));
  canvas.map(table);
}

/** x ← base + factor·(x − base) */
function blendWith(canvas: Canvas, base: number, factor: number): void {
  prepareBlend(factor);
  mapAll(canvas, (x) => blended(base, x));
}

function meanLuma(canvas: Canvas): number {
  const pixels = canvas.pixels();
  let sum = 0;
  for (let i = 0; i < pixels.length; i += 3) sum += luma(pixels[i]!, pixels[i + 1]!, pixels[i + 2]!);
  return Math.trunc(sum / (pixels.length / 3) + 0.5);
}

export const identity: Operation = {
  doc: "Nothing is changed.",
  argument: "none",
  source: "RandAugment (arXiv 1909.13719)",
  apply: () => undefined,
};

export const invert: Operation = {
  doc: "Every value is turned round: 255 − x.",
  argument: "none",
  source: "Pillow ImageOps.invert",
  apply: (canvas) => mapAll(canvas, (x) => 255 - x),
};

export const posterize: Operation = {
  doc: "The highest bits of every value are kept.",
  argument: "bits kept, 0 … 8",
  source: "Pillow ImageOps.posterize; 0 bits (black) as in big_vision",
  apply: (canvas, bits) => mapAll(canvas, (x) => x & ~(2 ** (8 - bits) - 1)),
};

export const solarize: Operation = {
  doc: "Values from a threshold on are turned round.",
  argument: "threshold, 0 … 256",
  source: "Pillow ImageOps.solarize",
  apply: (canvas, threshold) => mapAll(canvas, (x) => (x < threshold ? x : 255 - x)),
};

export const solarizeAdd: Operation = {
  doc: "Values below 128 are made brighter.",
  argument: "levels added",
  source: "big_vision pp/autoaugment.py solarize_add; timm solarize_add",
  apply: (canvas, added) => mapAll(canvas, (x) => (x < 128 ? x + added : x)),
};

export const brightness: Operation = {
  doc: "Blended with black.",
  argument: "factor: 0 is black, 1 the image",
  source: "Pillow ImageEnhance.Brightness",
  apply: (canvas, factor) => blendWith(canvas, 0, factor),
};

export const contrast: Operation = {
  doc: "Blended with the mean of its luma.",
  argument: "factor: 0 is one grey, 1 the image",
  source: "Pillow ImageEnhance.Contrast",
  apply: (canvas, factor) => blendWith(canvas, meanLuma(canvas), factor),
};

export const autocontrast: Operation = {
  doc: "Every channel is stretched to 0 … 255.",
  argument: "none",
  source: "Pillow ImageOps.autocontrast",
  apply(canvas) {
    const counts = canvas.histogram();
    for (let at = 0; at < 768; at += 256) {
      let low = 0;
      let high = 255;
      while (low < 255 && counts[at + low] === 0) low++;
      while (high > 0 && counts[at + high] === 0) high--;
      const scale = 255 / (high - low);
      const offset = -low * scale;
      for (let x = 0; x < 256; x++) {
        tables[at + x] = high <= low ? x : Math.max(0, Math.min(255, Math.trunc(x * scale + offset)));
      }
    }
    canvas.map(tables);
  },
};

export const equalize: Operation = {
  doc: "Every channel's histogram is made flat.",
  argument: "none",
  source: "Pillow ImageOps.equalize",
  apply(canvas) {
    const counts = canvas.histogram();
    const total = canvas.width * canvas.height;
    for (let at = 0; at < 768; at += 256) {
      let high = 255;
      while (high > 0 && counts[at + high] === 0) high--;
      const step = Math.floor((total - counts[at + high]!) / 255);
      let sum = step >> 1;
      for (let x = 0; x < 256; x++) {
        tables[at + x] = step === 0 ? x : Math.min(255, Math.floor(sum / step));
        sum += counts[at + x]!;
      }
    }
    canvas.map(tables);
  },
};
