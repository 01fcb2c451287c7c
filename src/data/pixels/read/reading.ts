/** What becomes of decoded pixels before anything is done with them. No decoder is known here: browsers have their own. */

import type { ImageFormat } from "./format.js";
import type { RawImage, Rgb } from "./image.js";
import { dropAlpha, flatten, fromCmyk, fromGrey } from "./modes.js";

/**
 * What becomes of transparency, and of palettes. A colour: the image is laid on it, then treated as RGB. `pillow`:
 * as open_clip does (resize first, then `convert("RGB")`): alpha is dropped after a resize of premultiplied pixels,
 * and palette and one-bit images are resized by nearest neighbour.
 */
export type Transparency = Rgb | "pillow";

/** `stored`: rows as the file has them, as open_clip and Pillow. `exif`: turned as its EXIF says, as viewers show it. */
export type Orientation = "stored" | "exif";

/** How encoded pictures are read. */
export interface Reading {
  /** Default white; `pillow` equals open_clip also on transparent and palette images. */
  readonly transparency: Transparency;
  /** Default `stored`. */
  readonly orientation: Orientation;
}

/** For looking at pictures. */
export const ON_WHITE: Reading = { transparency: [255, 255, 255], orientation: "stored" };

/** The kind of pixel that decides how Pillow resizes them. */
export type PixelKind = "rgb" | "rgba" | "indexed";

export interface Decoded extends RawImage {
  readonly kind: PixelKind;
  readonly format: ImageFormat;
}

/** Pixels as the file has them, and what they stand for. */
export interface Stored {
  readonly raw: RawImage;
  readonly cmyk: boolean;
  readonly indexed: boolean;
  /** Transparent is one colour of a PNG without alpha: Pillow resizes such pictures as opaque ones. */
  readonly keyed: boolean;
}

/** The pixels as a model's towers are shown them: 3 channels, or 4 where `pillow` keeps alpha for the resize. */
export function toRgb(
  { raw, cmyk, indexed, keyed }: Stored,
  transparency: Transparency,
): RawImage & { kind: PixelKind } {
  if (cmyk) return { ...fromCmyk(raw), kind: "rgb" };
  const rgba = raw.channels < 3 ? fromGrey(raw) : raw;
  if (transparency === "pillow") {
    if (indexed) return { ...dropAlpha(rgba), kind: "indexed" };
    if (keyed) return { ...dropAlpha(rgba), kind: "rgb" };
    return { ...rgba, kind: rgba.channels === 4 ? "rgba" : "rgb" };
  }
  return { ...(rgba.channels === 4 ? flatten(rgba, transparency) : rgba), kind: "rgb" };
}
