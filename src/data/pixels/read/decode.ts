/**
 * Encoded bytes to pixels, equal to Pillow's: no colour profile is applied, EXIF orientation is ignored, the first
 * frame of an animation is taken, nothing is shrunk on load.
 */
import sharp, { type Metadata } from "sharp";
import { UsageError } from "../../../core/errors.js";
import type { Box, RawImage } from "./image.js";

sharp.cache(false);
sharp.concurrency(1);

export type Rgb = readonly [red: number, green: number, blue: number];

/**
 * What becomes of transparency, and of palettes. A colour: the image is laid on it, then treated as RGB. `pillow`:
 * as open_clip does (resize first, then `convert("RGB")`): alpha is dropped after a resize of premultiplied pixels,
 * and palette and one-bit images are resized by nearest neighbour.
 */
export type Transparency = Rgb | "pillow";

/** The kind of pixel that decides how Pillow resizes them. */
export type PixelKind = "rgb" | "rgba" | "indexed";

export interface Decoded extends RawImage {
  readonly kind: PixelKind;
  /** `jpeg`, `png`, `webp`, … */
  readonly format: string;
}

/** Images above this many pixels are refused as a guard against decompression bombs (open_clip's default is none). */
export const MAX_IMAGE_PIXELS = 268_402_689;

/** What the frame header of a JPEG says, of 8 bits a sample; undefined where there is none. */
export function jpegHeader(
  bytes: Uint8Array,
): { readonly width: number; readonly height: number; readonly components: number } | undefined {
  if (bytes[0] !== 0xff || bytes[1] !== 0xd8) return undefined;
  const short = (at: number): number => (bytes[at]! << 8) | bytes[at + 1]!;
  for (let at = 2; at + 9 < bytes.length && bytes[at] === 0xff; at += 2 + short(at + 2)) {
    const marker = bytes[at + 1]!;
    if (marker === 0xda || marker === 0xff) return undefined; // the scan, or padding
    // SOF0 … SOF15, without the tables and extensions among them
    if (marker < 0xc0 || marker > 0xcf || marker === 0xc4 || marker === 0xc8 || marker === 0xcc) continue;
    const header = { height: short(at + 5), width: short(at + 7), components: bytes[at + 9]! };
    return bytes[at + 4] === 8 && header.width > 0 && header.height > 0 ? header : undefined;
  }
  return undefined;
}

/**
 * Pixels of an encoded image: 3 channels, or 4 where there is alpha and `transparency` is `pillow`. With `box`, those
 * inside it alone. Throws `UsageError` with the decoder's reason.
 */
export async function decodeImage(
  bytes: Uint8Array,
  transparency: Transparency,
  box?: Box,
): Promise<Decoded> {
  if (bytes.length === 0) throw new UsageError("image: is empty (0 bytes).");
  try {
    const image = sharp(bytes, {
      ignoreIcc: true,
      failOn: "error",
      limitInputPixels: MAX_IMAGE_PIXELS,
      sequentialRead: true,
    });
    // Of a plain JPEG all is known that sharp's own look at the header, a fifth of a small image's time, would tell.
    const components = jpegHeader(bytes)?.components;
    const plain = components === 1 || components === 3;
    const { space, isPalette, bitsPerSample, format, depth } = plain
      ? ({ format: "jpeg" } as Partial<Metadata>)
      : await image.metadata();
    const cmyk = space === "cmyk";
    if (cmyk) image.pipelineColourspace("cmyk").toColourspace("cmyk");
    else if (depth === "ushort") image.toColourspace(space === "grey16" ? "b-w" : "srgb");
    if (box !== undefined) image.extract({ left: box.x, top: box.y, width: box.width, height: box.height });
    const { data, info } = await image.raw({ depth: "uchar" }).toBuffer({ resolveWithObject: true });
    const raw = {
      width: info.width,
      height: info.height,
      channels: info.channels,
      data: new Uint8Array(data.buffer, data.byteOffset, data.length),
    };
    const indexed = isPalette === true || (bitsPerSample === 1 && space === "b-w");
    return { format: format!, ...toRgb(raw, cmyk, indexed, transparency) };
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw new UsageError(`image: cannot be decoded (${(error as Error).message.split("\n")[0]}).`);
  }
}

function toRgb(
  raw: RawImage,
  cmyk: boolean,
  indexed: boolean,
  transparency: Transparency,
): RawImage & { kind: PixelKind } {
  if (cmyk) return { ...fromCmyk(raw), kind: "rgb" };
  const rgba = raw.channels < 3 ? fromGrey(raw) : raw;
  if (transparency === "pillow") {
    if (indexed) return { ...dropAlpha(rgba), kind: "indexed" };
    return { ...rgba, kind: rgba.channels === 4 ? "rgba" : "rgb" };
  }
  return { ...(rgba.channels === 4 ? flatten(rgba, transparency) : rgba), kind: "rgb" };
}

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
function fromCmyk(raw: RawImage): RawImage {
  const { data } = raw;
  return mapPixels(raw, 3, (from, to, out) => {
    const light = 255 - data[from + 3]!;
    for (let c = 0; c < 3; c++) out[to + c] = Math.max(0, light - multiply255(data[from + c]!, light));
  });
}

function fromGrey(raw: RawImage): RawImage {
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

function flatten(raw: RawImage, background: Rgb): RawImage {
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
