/** Pictures as a page has them, decoded by the browser, and brought to what the model saw in training by our own code. */

import { UsageError } from "../core/errors.js";
import { type ImageFormat, sniffFormat } from "../data/pixels/read/format.js";
import type { RawImage, Rgb } from "../data/pixels/read/image.js";
import { type Decoded, type Reading, toRgb } from "../data/pixels/read/reading.js";
import { type CropRounding, fitSquare, type ResizeMode } from "../data/pixels/resize/fit.js";
import type { Filter } from "../data/pixels/resize/resample.js";

/** A file, the bytes of one, or what a canvas gave: opaque pixels RGBA. */
export type Picture = Blob | Uint8Array<ArrayBuffer> | ImageData;

/** What is done with a picture. */
export interface Preparing extends Reading {
  readonly size: number;
  readonly resize: ResizeMode;
  readonly filter: Filter;
  readonly fill: Rgb;
  readonly cropRounding?: CropRounding;
}

/** The square that the model sees, RGB [size, size, 3]. Throws `UsageError` for what the browser cannot decode. */
export async function preparePixels(picture: Picture, preparing: Preparing): Promise<Uint8Array> {
  const { size, resize, filter, fill, cropRounding } = preparing;
  return fitSquare(await decode(picture, preparing), size, resize, filter, fill, cropRounding).data;
}

async function decode(picture: Picture, reading: Reading): Promise<Decoded> {
  if (picture instanceof ImageData) {
    const raw: RawImage = { ...sizeOf(picture), channels: 4, data: new Uint8Array(picture.data) };
    return {
      format: "png",
      ...toRgb({ raw, cmyk: false, indexed: false, keyed: false }, reading.transparency),
    };
  }
  const bytes = picture instanceof Blob ? new Uint8Array(await picture.arrayBuffer()) : picture;
  const format = sniffFormat(bytes);
  if (format === undefined || typeof format === "object") {
    const what = format === undefined ? "no format known by its first bytes" : format.unread;
    throw new UsageError(`picture: cannot be decoded (${what}). Convert it to JPEG or PNG.`);
  }
  // Browsers turn what EXIF says is turned, unless it does not say so.
  const shown = format === "jpeg" && reading.orientation === "stored" ? withoutExif(bytes) : bytes;
  let bitmap: ImageBitmap;
  try {
    bitmap = await createImageBitmap(new Blob([shown]), {
      premultiplyAlpha: "none",
      colorSpaceConversion: "none",
    });
  } catch (error) {
    throw new UsageError(
      `picture: cannot be decoded (${(error as Error).message}). Convert it to JPEG or PNG.`,
    );
  }
  try {
    const raw = pixelsOf(bitmap, format);
    const header = headerOf(bytes, format);
    return { format, ...toRgb({ raw, cmyk: false, ...header }, reading.transparency) };
  } finally {
    bitmap.close();
  }
}

const sizeOf = ({ width, height }: { readonly width: number; readonly height: number }) => ({
  width,
  height,
});

/** Where a PNG says its bits a sample and its colour type; that type's bits. */
const PNG_DEPTH = 24;
const PNG_COLOR_TYPE = 25;
const PNG_ALPHA = 4;
const PNG_PALETTE = 3;

/** What of a file's pixels its header alone tells. */
function headerOf(bytes: Uint8Array, format: ImageFormat): { indexed: boolean; keyed: boolean } {
  if (format !== "png") return { indexed: format === "gif", keyed: false };
  const type = bytes[PNG_COLOR_TYPE]!;
  const indexed = type === PNG_PALETTE || (type === 0 && bytes[PNG_DEPTH] === 1);
  return { indexed, keyed: (type & PNG_ALPHA) === 0 };
}

/** RGB where the format has no alpha or all of it is opaque, else RGBA, not multiplied. */
function pixelsOf(bitmap: ImageBitmap, format: ImageFormat): RawImage {
  const { width, height } = bitmap;
  const rgba = onCanvas(bitmap);
  if (format === "jpeg" || isOpaque(rgba)) return { width, height, channels: 3, data: withoutAlpha(rgba) };
  // A canvas multiplies colours by alpha and divides again; a texture leaves them as they are.
  return { width, height, channels: 4, data: fromTexture(bitmap) ?? rgba };
}

function onCanvas(bitmap: ImageBitmap): Uint8Array {
  const { width, height } = bitmap;
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  if (context === null) throw new UsageError("picture: this browser gives no canvas to read pixels from.");
  context.drawImage(bitmap, 0, 0);
  return new Uint8Array(context.getImageData(0, 0, width, height).data);
}

/** Undefined where the browser has no WebGL, or no texture that is large enough. */
function fromTexture(bitmap: ImageBitmap): Uint8Array | undefined {
  const { width, height } = bitmap;
  const gl = new OffscreenCanvas(1, 1).getContext("webgl2");
  if (gl === null || Math.max(width, height) > gl.getParameter(gl.MAX_TEXTURE_SIZE)) return undefined;
  gl.pixelStorei(gl.UNPACK_PREMULTIPLY_ALPHA_WEBGL, false);
  gl.pixelStorei(gl.UNPACK_COLORSPACE_CONVERSION_WEBGL, gl.NONE);
  gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
  gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, bitmap);
  gl.bindFramebuffer(gl.FRAMEBUFFER, gl.createFramebuffer());
  gl.framebufferTexture2D(
    gl.FRAMEBUFFER,
    gl.COLOR_ATTACHMENT0,
    gl.TEXTURE_2D,
    gl.getParameter(gl.TEXTURE_BINDING_2D),
    0,
  );
  const data = new Uint8Array(width * height * 4);
  gl.readPixels(0, 0, width, height, gl.RGBA, gl.UNSIGNED_BYTE, data);
  const failed = gl.getError() !== gl.NO_ERROR;
  gl.getExtension("WEBGL_lose_context")?.loseContext();
  return failed ? undefined : data;
}

function isOpaque(rgba: Uint8Array): boolean {
  for (let i = 3; i < rgba.length; i += 4) if (rgba[i] !== 255) return false;
  return true;
}

function withoutAlpha(rgba: Uint8Array): Uint8Array {
  const rgb = new Uint8Array((rgba.length / 4) * 3);
  for (let from = 0, to = 0; from < rgba.length; from += 4) {
    rgb[to++] = rgba[from]!;
    rgb[to++] = rgba[from + 1]!;
    rgb[to++] = rgba[from + 2]!;
  }
  return rgb;
}

/** A JPEG without its segments APP1, where EXIF is. */
function withoutExif(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const parts: Uint8Array[] = [bytes.subarray(0, 2)];
  let at = 2;
  while (at + 4 <= bytes.length && bytes[at] === 0xff && bytes[at + 1] !== 0xda) {
    const next = at + 2 + ((bytes[at + 2]! << 8) | bytes[at + 3]!);
    if (bytes[at + 1] !== 0xe1) parts.push(bytes.subarray(at, next));
    at = next;
  }
  parts.push(bytes.subarray(at));
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let to = 0;
  for (const part of parts) {
    out.set(part, to);
    to += part.length;
  }
  return out;
}
