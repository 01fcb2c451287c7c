/**
 * Windows bitmaps to pixels as Pillow reads them; libvips does not, and what npm has is wrong at odd widths.
 *
 * A file header (`BM`, size, place of the pixels), an information header whose first number is its length, perhaps
 * masks and a palette of blue, green, red, then rows from the bottom, each filled up to 4 bytes. Source: Microsoft's
 * "Bitmap Header Types"; Pillow's BmpImagePlugin.
 */
import type { RawImage } from "./image.js";

export interface Bitmap extends RawImage {
  /** Whether pixels are places in a palette of colours, or two tones: Pillow resizes those by nearest neighbour. */
  readonly indexed: boolean;
}

/** Lengths of the information header: OS/2's, Windows 3's with 0, 3 or 4 masks, OS/2 2's, versions 4 and 5. */
const HEADERS = [12, 40, 52, 56, 64, 108, 124];
const RAW = 0;
const RLE8 = 1;
const RLE4 = 2;
const MASKS = 3;

interface Header {
  readonly width: number;
  readonly height: number;
  readonly fromTop: boolean;
  readonly bits: number;
  readonly compression: number;
  readonly pixels: Uint8Array;
  /** Bytes of red, green, blue for each place. */
  readonly palette: Uint8Array;
  /** Of red, green, blue and alpha; 0 for none. */
  readonly masks: readonly number[];
}

/** 3 channels, or 4 where a mask for alpha is given. Throws an `Error` that says what is wrong. */
export function decodeBmp(bytes: Uint8Array, maxPixels: number): Bitmap {
  const header = readHeader(bytes, maxPixels);
  if (header.bits > 8) return { ...deepPixels(header), indexed: false };
  const places = header.compression === RAW ? packedPlaces(header) : runs(header);
  const { width, height, palette } = header;
  const data = new Uint8Array(width * height * 3);
  for (let i = 0; i < places.length; i++) {
    for (let c = 0; c < 3; c++) data[i * 3 + c] = palette[places[i]! * 3 + c] ?? 0;
  }
  return { width, height, channels: 3, data, indexed: !isGreyRamp(palette) };
}

function readHeader(bytes: Uint8Array, maxPixels: number): Header {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = bytes.length < 18 ? 0 : view.getUint32(14, true);
  if (!HEADERS.includes(length) || bytes.length < 14 + length) {
    throw new Error(`its header of ${length} bytes is none of a bitmap's`);
  }
  const small = length === 12;
  const width = small ? view.getUint16(18, true) : view.getInt32(18, true);
  const rows = small ? view.getUint16(20, true) : view.getInt32(22, true);
  const bits = view.getUint16(small ? 24 : 28, true);
  const compression = small ? RAW : view.getUint32(30, true);
  const height = Math.abs(rows);
  if (width < 1 || height < 1) throw new Error(`a bitmap of ${width} × ${rows} pixels`);
  if (width * height > maxPixels) throw new Error("Input image exceeds pixel limit");
  const fits =
    compression === RAW
      ? [1, 4, 8, 16, 24, 32].includes(bits)
      : (compression === RLE8 && bits === 8) ||
        (compression === RLE4 && bits === 4) ||
        (compression === MASKS && (bits === 16 || bits === 32));
  if (!fits) throw new Error(`a bitmap of ${bits} bits with compression ${compression} is not read`);
  const start = view.getUint32(10, true);
  // Masks follow the shortest header, and are a part of the longer ones.
  const maskCount = compression !== MASKS ? 0 : length >= 56 ? 4 : 3;
  let at = Math.max(14 + length, maskCount === 3 ? 66 : 0);
  const masks = maskCount === 0 ? usualMasks(bits) : [0, 0, 0, 0];
  if (maskCount > 0 && bytes.length < 54 + 4 * maskCount) throw new Error("it ends within its masks");
  for (let c = 0; c < maskCount; c++) masks[c] = view.getUint32(54 + 4 * c, true);
  const entry = small ? 3 : 4;
  const stated = small ? 0 : view.getUint32(46, true);
  const colors = bits > 8 ? 0 : Math.min(stated || 2 ** bits, 2 ** bits);
  if (at + colors * entry > bytes.length) throw new Error("it ends within its palette");
  const palette = new Uint8Array(colors * 3);
  for (let i = 0; i < colors; i++, at += entry) {
    for (let c = 0; c < 3; c++) palette[i * 3 + c] = bytes[at + 2 - c]!;
  }
  const pixels = bytes.subarray(start);
  return { width, height, fromTop: rows < 0, bits, compression, pixels, palette, masks };
}

const usualMasks = (bits: number): number[] =>
  bits === 16 ? [0x7c00, 0x3e0, 0x1f, 0] : [0xff0000, 0xff00, 0xff, 0];

/** The first byte of row `y` counted from the top, in rows of `bits` a pixel. Throws when the file ends before. */
function rowStarts({ width, height, fromTop, pixels }: Header, bits: number): (y: number) => number {
  const stride = Math.ceil((width * bits) / 32) * 4;
  const last = stride * (height - 1) + Math.ceil((width * bits) / 8);
  if (pixels.length < last) throw new Error(`it ends ${last - pixels.length} bytes early`);
  return (y) => stride * (fromTop ? y : height - 1 - y);
}

/** Pixels of 16, 24 or 32 bits. */
function deepPixels(header: Header): RawImage {
  const { width, height, bits, pixels } = header;
  const start = rowStarts(header, bits);
  const size = bits / 8;
  const channels = header.masks[3] === 0 ? 3 : 4;
  const fields = header.masks.slice(0, channels).map((mask) => {
    const shift = mask === 0 ? 0 : 31 - Math.clz32(mask & -mask);
    return { shift, most: mask >>> shift };
  });
  const data = new Uint8Array(width * height * channels);
  let to = 0;
  for (let y = 0; y < height; y++) {
    for (let at = start(y), x = 0; x < width; x++, at += size) {
      let value = 0;
      for (let i = 0; i < size; i++) value += pixels[at + i]! * 2 ** (8 * i);
      for (const { shift, most } of fields) {
        const field = (value >>> shift) & most;
        data[to++] = most === 0 ? 0 : Math.floor(((field >>> 0) * 255) / most);
      }
    }
  }
  return { width, height, channels, data };
}

/** Places of the palette, 1, 4 or 8 bits each, the highest bits first. */
function packedPlaces(header: Header): Uint8Array {
  const { width, height, bits, pixels } = header;
  const start = rowStarts(header, bits);
  const places = new Uint8Array(width * height);
  const mask = 2 ** bits - 1;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const byte = pixels[start(y) + ((x * bits) >> 3)]!;
      places[y * width + x] = (byte >> (8 - bits - ((x * bits) & 7))) & mask;
    }
  }
  return places;
}

/**
 * Run-length encoded places: a count and a byte; or 0 and 0 for the next row, 1 for the end, 2 for a move, or a
 * number of places that follow as they are, filled up to 2 bytes. What no run reaches is place 0.
 */
function runs({ width, height, fromTop, bits, pixels }: Header): Uint8Array {
  // A run of two bytes makes 255 pixels at most; a size beyond that is no picture's.
  if (width * height > (pixels.length / 2) * 255) throw new Error("it ends within its runs");
  const places = new Uint8Array(width * height);
  let [x, y, at] = [0, 0, 0];
  const put = (place: number): void => {
    if (x < width && y < height) places[(fromTop ? y : height - 1 - y) * width + x] = place;
    x++;
  };
  const half = (byte: number, i: number): number => (i % 2 === 0 ? byte >> 4 : byte & 15);
  const next = (): number => {
    if (at >= pixels.length) throw new Error("it ends within its runs");
    return pixels[at++]!;
  };
  while (y < height) {
    const count = next();
    const value = next();
    if (count > 0) {
      for (let i = 0; i < count; i++) put(bits === 8 ? value : half(value, i));
    } else if (value === 0) {
      x = 0;
      y++;
    } else if (value === 1) {
      break;
    } else if (value === 2) {
      x += next();
      y += next();
    } else {
      const begin = at;
      const size = bits === 8 ? value : Math.ceil(value / 2);
      if (begin + size > pixels.length) throw new Error("it ends within its runs");
      for (let i = 0; i < value; i++) {
        put(bits === 8 ? pixels[begin + i]! : half(pixels[begin + (i >> 1)]!, i));
      }
      at = begin + size + (size % 2);
    }
  }
  return places;
}

/** Whether place i is the grey i, as Pillow finds out what is grey and not a palette. */
const isGreyRamp = (palette: Uint8Array): boolean =>
  palette.length > 6 && palette.every((value, i) => value === Math.floor(i / 3));
