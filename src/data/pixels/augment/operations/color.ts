/** Operations that mix the channels of a pixel. */
import { blendTable, luma, type Operation } from "./operation.js";

export const color: Operation = {
  doc: "Blended with its grey image: saturation.",
  argument: "factor: 0 is grey, 1 the image",
  source: "Pillow ImageEnhance.Color",
  apply(canvas, factor) {
    const table = blendTable(factor);
    const pixels = canvas.pixels();
    for (let i = 0; i < pixels.length; i += 3) {
      const r = pixels[i]!;
      const g = pixels[i + 1]!;
      const b = pixels[i + 2]!;
      const row = luma(r, g, b) << 8;
      pixels[i] = table[row | r]!;
      pixels[i + 1] = table[row | g]!;
      pixels[i + 2] = table[row | b]!;
    }
  },
};

export const grayscale: Operation = {
  doc: "Its luma in all three channels.",
  argument: "none",
  source: "torchvision to_grayscale on Pillow images",
  apply(canvas) {
    const pixels = canvas.pixels();
    for (let i = 0; i < pixels.length; i += 3) {
      const grey = luma(pixels[i]!, pixels[i + 1]!, pixels[i + 2]!);
      pixels[i] = grey;
      pixels[i + 1] = grey;
      pixels[i + 2] = grey;
    }
  },
};

/** Of every 8-bit hue: which sixth of the circle, and how far into it. */
const SIXTH = new Uint8Array(256);
const WITHIN = new Float32Array(256);
/** Of every 8-bit saturation: its share. */
const SHARE = new Float32Array(256);
for (let h = 0; h < 256; h++) {
  const place = (h * 6) / 255;
  SIXTH[h] = Math.floor(place) % 6;
  WITHIN[h] = place - Math.floor(place);
  SHARE[h] = h / 255;
}

export const hue: Operation = {
  doc: "Turned round the circle of hues, in 8-bit HSV.",
  argument: "share of a turn, −0.5 … 0.5",
  source: "torchvision adjust_hue on Pillow images",
  apply(canvas, turn) {
    const { fround } = Math;
    const shift = Math.trunc(turn * 255) & 0xff;
    const pixels = canvas.pixels();
    for (let i = 0; i < pixels.length; i += 3) {
      const r = pixels[i]!;
      const g = pixels[i + 1]!;
      const b = pixels[i + 2]!;
      const high = Math.max(r, g, b);
      const chroma = high - Math.min(r, g, b);
      if (chroma === 0) continue;
      const dr = fround((high - r) / chroma);
      const dg = fround((high - g) / chroma);
      const db = fround((high - b) / chroma);
      const sixths = fround(r === high ? db - dg : g === high ? 2 + dr - db : 4 + dg - dr);
      const whole = sixths / 6 + 1;
      const h = (((fround(whole >= 1 ? whole - 1 : whole) * 255) | 0) + shift) & 0xff;
      // Through 8-bit saturation and back, as Pillow's HSV mode does.
      const saturation = (fround(chroma / high) * 255) | 0;
      if (saturation === 0) {
        pixels[i] = high;
        pixels[i + 1] = high;
        pixels[i + 2] = high;
        continue;
      }
      const s = SHARE[saturation]!;
      const f = WITHIN[h]!;
      const p = (high * (1 - s) + 0.5) | 0;
      const q = (high * (1 - fround(s * f)) + 0.5) | 0;
      const t = (high * (1 - s * (1 - f)) + 0.5) | 0;
      const sixth = SIXTH[h]!;
      pixels[i] = sixth === 0 || sixth === 5 ? high : sixth === 1 ? q : sixth === 4 ? t : p;
      pixels[i + 1] = sixth === 1 || sixth === 2 ? high : sixth === 0 ? t : sixth === 3 ? q : p;
      pixels[i + 2] = sixth === 3 || sixth === 4 ? high : sixth === 2 ? t : sixth === 5 ? q : p;
    }
  },
};
