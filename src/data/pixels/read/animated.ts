/** Whether a picture moves, by its file alone: only the first frame of one is read. */

import type { ImageFormat } from "./format.js";

/** Whether a file of `format` has more than one frame. */
export function isAnimated(bytes: Uint8Array, format: ImageFormat): boolean {
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  switch (format) {
    case "gif":
      return gifFrames(file) > 1;
    case "png": // an APNG has its acTL before the pixels
      return pngChunks(file).includes("acTL");
    case "webp": // the bit A of VP8X
      return file.toString("latin1", 12, 16) === "VP8X" && (file[20]! & 2) !== 0;
    case "avif":
      return file.toString("latin1", 8, 12) === "avis";
    default:
      return false;
  }
}

/** Types of the chunks before the pixels. */
function pngChunks(file: Buffer): string[] {
  const types: string[] = [];
  for (let at = 8; at + 8 <= file.length; at += 12 + file.readUInt32BE(at)) {
    const type = file.toString("latin1", at + 4, at + 8);
    if (type === "IDAT") break;
    types.push(type);
  }
  return types;
}

/** Pictures in a GIF, counted up to 2. */
function gifFrames(file: Buffer): number {
  const tableBytes = (flags: number): number => ((flags & 0x80) === 0 ? 0 : 3 * 2 ** ((flags & 7) + 1));
  let at = 13 + tableBytes(file[10] ?? 0);
  let frames = 0;
  while (at < file.length && frames < 2) {
    const block = file[at];
    if (block === 0x2c) {
      frames++;
      at += 11 + tableBytes(file[at + 9] ?? 0);
    } else if (block === 0x21) {
      at += 2;
    } else break;
    while (at < file.length && file[at] !== 0) at += 1 + file[at]!; // data in pieces, to an empty one
    at++;
  }
  return frames;
}
