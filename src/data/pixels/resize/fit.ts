/** Bringing an image of any size to a square, or near one: the deterministic half of a pipeline. */

import { type Box, crop, type RawImage, type Rgb, roundHalfEven } from "../read/image.js";
import { dropAlpha, premultiply, unpremultiply } from "../read/modes.js";
import type { Decoded } from "../read/reading.js";
import { type Filter, resample, resampleNearest } from "./resample.js";

/**
 * - `shortest`: the shorter side becomes S, the middle is cut out (torchvision Resize, CenterCrop; CLIP's way)
 * - `squash`: both sides become S whatever the shape ("resize only")
 * - `longest`: the longer side becomes S, the rest is filled
 */
export type ResizeMode = "shortest" | "squash" | "longest";

/** Half of an odd number of pixels: to the even neighbour (torchvision's CenterCrop), or down (transformers). */
export type CropRounding = "even" | "down";

/** `image` resized as Pillow would an image of its kind; 3 channels. */
function resizeLikePillow(image: Decoded, width: number, height: number, filter: Filter): RawImage {
  if (image.kind === "indexed") return resampleNearest(image, width, height);
  if (image.kind === "rgba") {
    if (width === image.width && height === image.height) return dropAlpha(image);
    return dropAlpha(unpremultiply(resample(premultiply(image), width, height, filter)));
  }
  return resample(image, width, height, filter);
}

/** torchvision's size for `Resize(size)`: the shorter side is `size`, the longer is cut to a whole number. */
function shortestSize(image: RawImage, size: number): [width: number, height: number] {
  const { width, height } = image;
  return width <= height
    ? [size, Math.trunc((size * height) / width)]
    : [Math.trunc((size * width) / height), size];
}

/** The image at `size` × `size` × 3. `fill` is the border's colour in `longest`. */
export function fitSquare(
  image: Decoded,
  size: number,
  mode: ResizeMode,
  filter: Filter,
  fill: Rgb,
  cropRounding: CropRounding = "even",
): RawImage {
  switch (mode) {
    case "squash":
      return resizeLikePillow(image, size, size, filter);
    case "shortest": {
      const [width, height] = shortestSize(image, size);
      const resized = resizeLikePillow(image, width, height, filter);
      return crop(resized, centre(width, height, size, cropRounding));
    }
    case "longest": {
      // open_clip's ResizeKeepRatio(longest=1) and CenterCropOrPad
      const ratio = Math.max(image.height / size, image.width / size);
      const width = roundHalfEven(image.width / ratio) || 1;
      const height = roundHalfEven(image.height / ratio) || 1;
      return pad(resizeLikePillow(image, width, height, filter), size, fill);
    }
  }
}

/** The whole image with its shorter side brought down to `size`; a smaller image stays as it is. 3 channels. */
export function shrinkTo(image: Decoded, size: number, filter: Filter): RawImage {
  if (Math.min(image.width, image.height) <= size) return dropAlpha(image);
  const [width, height] = shortestSize(image, size);
  return resizeLikePillow(image, width, height, filter);
}

/** The middle square. */
function centre(width: number, height: number, size: number, rounding: CropRounding): Box {
  const round = rounding === "even" ? roundHalfEven : Math.floor;
  return { x: round((width - size) / 2), y: round((height - size) / 2), width: size, height: size };
}

function pad(image: RawImage, size: number, fill: Rgb): RawImage {
  const { width, height } = image;
  if (width === size && height === size) return image;
  const data = new Uint8Array(size * size * 3);
  for (let i = 0; i < data.length; i++) data[i] = fill[i % 3]!;
  const left = (size - width) >> 1;
  const top = (size - height) >> 1;
  for (let y = 0; y < height; y++) {
    data.set(image.data.subarray(y * width * 3, (y + 1) * width * 3), ((top + y) * size + left) * 3);
  }
  return { width: size, height: size, channels: 3, data };
}
