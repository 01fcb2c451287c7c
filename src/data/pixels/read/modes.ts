/** From one kind of pixel to another, with Pillow's rounding. */
import type { RawImage, Rgb } from "./image.js";

/** a·b/255 rounded, as Pillow's MULDIV255. */
const multiply255 = (a: number, b: number): number => {
  const t = a * b + 128;
  return ((t >> 8) + t) >> 8;
};

const mapPixels = (
  raw: RawImage,
  channels: number,
  write: (from: number, to: number, out: Uint8Array) => void,
): RawImage => {
  const pixels = raw.width * raw.height;
  const data = new Uint8Array(pixels * channels);
  for (let i = 0; i < pixels; i++) write(i * raw.channels, i * channels, data);
  return { width: raw.width, height: raw.height, channels, data };
};

/** Pillow's plain CMYK → RGB: (1-K)·(1-ink). */
export function fromCmyk(raw: RawImage): RawImage {
  const { data } = raw;
  return mapPixels(raw, 3, (from, to, out) => {
    const light = 255 - data[from + 3]!;
    for (let c = 0; c < 3; c++) out[to + c] = Math.max(0, light - multiply255(data[from + c]!, light));
  });
}

export function fromGrey(raw: RawImage): RawImage {
  const { data } = raw;
  const channels = raw.channels === 2 ? 4 : 3;
  return mapPixels(raw, channels, (from, to, out) => {
    out.fill(data[from]!, to, to + 3);
    if (channels === 4) out[to + 3] = data[from + 1]!;
  });
}

export function dropAlpha(raw: RawImage): RawImage {
  if (raw.channels === 3) return raw;
  const { data } = raw;
  return mapPixels(raw, 3, (from, to, out) => {
    out[to] = data[from]!;
    out[to + 1] = data[from + 1]!;
    out[to + 2] = data[from + 2]!;
  });
}

export function flatten(raw: RawImage, background: Rgb): RawImage {
  const { data } = raw;
  return mapPixels(raw, 3, (from, to, out) => {
    const alpha = data[from + 3]!;
    for (let c = 0; c < 3; c++) {
      out[to + c] = multiply255(data[from + c]!, alpha) + multiply255(background[c]!, 255 - alpha);
    }
  });
}

/** RGBA → RGBa: colours multiplied by alpha, as Pillow does around a resize. */
export function premultiply(raw: RawImage): RawImage {
  const { data } = raw;
  return mapPixels(raw, 4, (from, to, out) => {
    const alpha = data[from + 3]!;
    for (let c = 0; c < 3; c++) out[to + c] = multiply255(data[from + c]!, alpha);
    out[to + 3] = alpha;
  });
}

/** RGBa → RGBA. */
export function unpremultiply(raw: RawImage): RawImage {
  const { data } = raw;
  return mapPixels(raw, 4, (from, to, out) => {
    const alpha = data[from + 3]!;
    for (let c = 0; c < 3; c++) {
      const value = data[from + c]!;
      out[to + c] = alpha === 0 || alpha === 255 ? value : Math.min(255, Math.trunc((255 * value) / alpha));
    }
    out[to + 3] = alpha;
  });
}
