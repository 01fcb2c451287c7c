/**
 * Encoded bytes to pixels, equal to Pillow's: no colour profile is applied, the first frame of an animation is taken,
 * nothing is shrunk on load. docs/data.md lists where the two differ.
 */
import sharp, { type Metadata } from "sharp";
import { UsageError } from "../../../core/errors.js";
import { decodeBmp } from "./bmp.js";
import { type ImageFormat, sniffFormat } from "./format.js";
import type { Box } from "./image.js";
import { type JpegHeader, jpegHeader } from "./jpeg.js";
import { type Decoded, type Reading, type Stored, toRgb } from "./reading.js";
import { decodeTurbo } from "./turbo.js";

sharp.cache(false);
sharp.concurrency(1);

/** Images above this many pixels are refused, as Pillow does: twice its MAX_IMAGE_PIXELS. */
export const MAX_IMAGE_PIXELS = 178_956_970;

/**
 * Pixels of an encoded image: 3 channels, or 4 where there is alpha and `transparency` is `pillow`. With `box`, those
 * inside it alone, of a JPEG read as stored that `decodeTurbo` did not take. Throws `UsageError` with the decoder's
 * reason, or the name of a format that is not read.
 */
export async function decodeImage(bytes: Uint8Array, reading: Reading, box?: Box): Promise<Decoded> {
  if (bytes.length === 0) throw new UsageError("image: is empty (0 bytes).");
  const format = sniffFormat(bytes);
  if (typeof format === "object") {
    throw new UsageError(`image: its format, ${format.unread}, is not read. Convert it to JPEG or PNG.`);
  }
  if (format === undefined)
    throw new UsageError("image: cannot be decoded (no format known by its first bytes).");
  try {
    const header = format === "jpeg" ? plainJpeg(bytes) : undefined;
    if (header !== undefined && box === undefined && !(header.exif && reading.orientation === "exif")) {
      const image = decodeTurbo(bytes);
      if (image !== undefined) return { format, ...image, kind: "rgb" };
    }
    const plain = header !== undefined;
    const read = format === "bmp" ? readBmp(bytes) : await readBySharp(bytes, format, reading, plain, box);
    return { format, ...toRgb(read, reading.transparency) };
  } catch (error) {
    throw new UsageError(`image: cannot be decoded (${(error as Error).message.split("\n")[0]}).`);
  }
}

function readBmp(bytes: Uint8Array): Stored {
  const { indexed, ...raw } = decodeBmp(bytes, MAX_IMAGE_PIXELS);
  return { raw, cmyk: false, indexed, keyed: false };
}

/** The header of a JPEG of the usual kinds: grey or colour of 8 bits, baseline or progressive, not too large. */
export function plainJpeg(bytes: Uint8Array): JpegHeader | undefined {
  const header = jpegHeader(bytes);
  if (header === undefined || header.coding > 2 || header.width * header.height > MAX_IMAGE_PIXELS)
    return undefined;
  return header.components === 1 || header.components === 3 ? header : undefined;
}

/** Where a PNG says its colour type, and that type's bit for alpha. */
const PNG_COLOR_TYPE = 25;
const PNG_ALPHA = 4;

async function readBySharp(
  bytes: Uint8Array,
  format: ImageFormat,
  { orientation }: Reading,
  plain: boolean,
  box: Box | undefined,
): Promise<Stored> {
  const image = sharp(bytes, {
    ignoreIcc: true,
    failOn: "error",
    limitInputPixels: MAX_IMAGE_PIXELS,
    sequentialRead: true,
  });
  // Of a plain JPEG all is known that sharp's own look at the header, a fifth of a small image's time, would tell.
  const { space, isPalette, bitsPerSample, depth } = plain
    ? ({} as Partial<Metadata>)
    : await image.metadata();
  const cmyk = space === "cmyk";
  if (cmyk) image.pipelineColourspace("cmyk").toColourspace("cmyk");
  else if (depth === "ushort") image.toColourspace("srgb");
  if (orientation === "exif") image.autoOrient();
  if (box !== undefined) image.extract({ left: box.x, top: box.y, width: box.width, height: box.height });
  const { data, info } = await image.raw({ depth: "uchar" }).toBuffer({ resolveWithObject: true });
  const { width, height, channels } = info;
  return {
    raw: { width, height, channels, data: new Uint8Array(data.buffer, data.byteOffset, data.length) },
    cmyk,
    indexed: isPalette === true || (bitsPerSample === 1 && space === "b-w"),
    keyed: format === "png" && (bytes[PNG_COLOR_TYPE]! & PNG_ALPHA) === 0,
  };
}
