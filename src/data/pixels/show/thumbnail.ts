/** Pictures made small enough to be put on a page by the dozen. */
import sharp from "sharp";
import { decodeImage } from "../read/decode.js";
import { ON_WHITE } from "../read/reading.js";

/**
 * The picture within `side` × `side` pixels as WebP, as the model sees it: on white, rows as stored. Throws `UsageError`
 * for bytes that are no picture.
 */
export async function thumbnail(bytes: Uint8Array, side: number): Promise<Uint8Array> {
  const { data, width, height, channels } = await decodeImage(bytes, ON_WHITE);
  const raw = { width, height, channels: channels as 1 | 3 | 4 };
  return sharp(data, { raw })
    .resize({ width: side, height: side, fit: "inside", withoutEnlargement: true })
    .webp({ quality: 82 })
    .toBuffer();
}
