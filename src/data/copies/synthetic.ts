/** Copies of a picture as they turn up in collections, made to find out how near a copy lies. */

import sharp, { type Sharp } from "sharp";
import { decodeImage } from "../pixels/read/decode.js";
import { ON_WHITE } from "../pixels/read/reading.js";

/** JPEG quality of a picture that was saved again, share of its sides that a crop keeps, and share of a resize. */
const QUALITY = 60;
const KEPT = 0.9;
const SHRUNK = 0.5;

const JPEG = { quality: QUALITY };

/** Makes the copy from a decoded picture of `width` × `height`. */
type Make = (image: Sharp, width: number, height: number) => Sharp;

const kinds = {
  "re-encoded": (image) => image.jpeg(JPEG),
  cropped: (image, width, height) => {
    const [w, h] = [Math.max(1, Math.round(KEPT * width)), Math.max(1, Math.round(KEPT * height))];
    return image.extract({ left: (width - w) >> 1, top: (height - h) >> 1, width: w, height: h }).png();
  },
  resized: (image, width, height) =>
    image
      .resize(Math.max(1, Math.round(SHRUNK * width)), Math.max(1, Math.round(SHRUNK * height)), {
        fit: "fill",
      })
      .png(),
  mirrored: (image) => image.flop().png(),
} as const satisfies Readonly<Record<string, Make>>;

export type CopyKind = keyof typeof kinds;

/** Saved again as JPEG of quality 60, its middle 90 % of each side, half as large, turned round. */
export const COPY_KINDS = Object.freeze(Object.keys(kinds) as CopyKind[]);

/** A copy of an encoded picture, encoded. Throws `UsageError` for bytes that are no picture. */
export async function syntheticCopy(bytes: Uint8Array, kind: CopyKind): Promise<Uint8Array> {
  const { data, width, height, channels } = await decodeImage(bytes, ON_WHITE);
  const image = sharp(data, { raw: { width, height, channels: channels as 1 | 3 | 4 } });
  return kinds[kind](image, width, height).toBuffer();
}
