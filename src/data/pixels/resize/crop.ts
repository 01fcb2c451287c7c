/** Where an image is cut for training: every draw comes from the caller's stream. */
import type { Random } from "../../../core/random.js";
import { type Box, type RawImage, type Rgb, roundHalfEven } from "../read/image.js";
import { type Filter, resample } from "./resample.js";

/** A window of random area and shape, resized (torchvision RandomResizedCrop). */
export interface ResizedCrop {
  readonly kind: "resized";
  /** Range of the share of the area. */
  readonly scale: readonly [number, number];
  /** Range of width / height. */
  readonly ratio: readonly [number, number];
}

/** A window of the output's size at a random place: no resampling, close to free. */
export interface ShiftCrop {
  readonly kind: "shift";
}

/** The whole image turned, zoomed, stretched and shifted at once, bilinear; what comes in at the edges is `fill`. */
export interface AffineCrop {
  readonly kind: "affine";
  /** Largest turn to either side, degrees. */
  readonly degrees: number;
  /** Zooms by e to the ±x, uniform in x. */
  readonly zoom: number;
  /** Stretches width against height by e to the ±x. */
  readonly stretch: number;
  /** Largest shift each way, as a share of the side. */
  readonly shift: number;
  readonly fill: readonly [number, number, number];
}

/** No cut: the whole image, or what of it is in `box`, both sides brought to the output's. */
export interface WholeCrop {
  readonly kind: "whole";
  readonly box?: Box;
}

export type Crop = ResizedCrop | ShiftCrop | AffineCrop | WholeCrop;

/** Draws one crop of `image` into `out` ([size, size, 3]), left to right when `mirrored`. */
export function drawCrop(
  image: RawImage,
  size: number,
  filter: Filter,
  crop: Crop,
  random: Random,
  out: Uint8Array,
  mirrored: boolean,
): void {
  if (crop.kind === "affine") drawAffine(image, size, crop, random, out, mirrored);
  else resample(image, size, size, filter, cropBox(image, size, crop, random), out, mirrored);
}

function cropBox(
  image: RawImage,
  size: number,
  crop: Exclude<Crop, AffineCrop>,
  random: Random,
): Box | undefined {
  if (crop.kind === "whole") return crop.box;
  return crop.kind === "resized" ? resizedCropBox(image, crop, random) : shiftBox(image, size, random);
}

/** Draws the transformation, inverts it, and reads every output pixel's place in the image. */
function drawAffine(
  image: RawImage,
  size: number,
  crop: AffineCrop,
  random: Random,
  out: Uint8Array,
  mirrored: boolean,
): void {
  const spread = (x: number): number => x * (2 * random.uniform() - 1);
  const angle = (spread(crop.degrees) * Math.PI) / 180;
  const zoom = Math.exp(spread(crop.zoom));
  const stretch = Math.exp(spread(crop.stretch));
  const shift = [spread(crop.shift) * size, spread(crop.shift) * size] as const;
  const scaleX = image.width / size / (zoom * stretch);
  const scaleY = (image.height / size / zoom) * stretch;
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  const matrix = [cos * scaleX, sin * scaleX, -sin * scaleY, cos * scaleY] as const;
  readAffine(image, size, { matrix, shift, fill: crop.fill, mirrored }, out);
}

/** A square turned about its centre, anticlockwise, by bilinear weights; what comes in at the corners is `fill`. */
export function rotated(image: RawImage, degrees: number, fill: Rgb): Uint8Array {
  const angle = (degrees * Math.PI) / 180;
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  const out = new Uint8Array(image.data.length);
  readAffine(
    image,
    image.width,
    { matrix: [cos, -sin, sin, cos], shift: [0, 0], fill, mirrored: false },
    out,
  );
  return out;
}

/** From places of the result to places of the image, both from their middles: place = matrix · (x, y) less `shift`. */
interface Affine {
  readonly matrix: readonly [a: number, b: number, c: number, d: number];
  /** Pixels of the result. */
  readonly shift: readonly [x: number, y: number];
  readonly fill: Rgb;
  readonly mirrored: boolean;
}

/** Reads every output pixel's place in the image by bilinear weights. */
function readAffine(
  image: RawImage,
  size: number,
  { matrix: [a, b, c, d], shift: [shiftX, shiftY], fill, mirrored }: Affine,
  out: Uint8Array,
): void {
  const { width: W, height: H, data, channels } = image;
  const middle = (size - 1) / 2;
  const [fillR, fillG, fillB] = fill;
  const ONE = 256;
  let at = 0;
  for (let y = 0; y < size; y++) {
    const dy = y - middle - shiftY;
    for (let x = 0; x < size; x++, at += 3) {
      const dx = (mirrored ? size - 1 - x : x) - middle - shiftX;
      const sx = a * dx + b * dy + (W - 1) / 2;
      const sy = c * dx + d * dy + (H - 1) / 2;
      const left = Math.floor(sx);
      const top = Math.floor(sy);
      if (left < -1 || top < -1 || left >= W || top >= H) {
        out[at] = fillR;
        out[at + 1] = fillG;
        out[at + 2] = fillB;
        continue;
      }
      const fx = ((sx - left) * ONE) | 0;
      const fy = ((sy - top) * ONE) | 0;
      const w00 = (ONE - fx) * (ONE - fy);
      const w10 = fx * (ONE - fy);
      const w01 = (ONE - fx) * fy;
      const w11 = fx * fy;
      const i = (top * W + left) * channels;
      const below = i + W * channels;
      if (left >= 0 && top >= 0 && left < W - 1 && top < H - 1) {
        for (let k = 0; k < 3; k++) {
          out[at + k] =
            (w00 * data[i + k]! +
              w10 * data[i + channels + k]! +
              w01 * data[below + k]! +
              w11 * data[below + channels + k]! +
              32768) >>
            16;
        }
        continue;
      }
      for (let k = 0; k < 3; k++) {
        const own = fill[k]!;
        const pick = (px: number, py: number): number =>
          px < 0 || py < 0 || px >= W || py >= H ? own : data[(py * W + px) * channels + k]!;
        out[at + k] =
          (w00 * pick(left, top) +
            w10 * pick(left + 1, top) +
            w01 * pick(left, top + 1) +
            w11 * pick(left + 1, top + 1) +
            32768) >>
          16;
      }
    }
  }
}

/** torchvision RandomResizedCrop.get_params: ten tries, then the largest middle window of an allowed shape. */
export function resizedCropBox(
  { width: W, height: H }: Pick<RawImage, "width" | "height">,
  { scale, ratio }: ResizedCrop,
  random: Random,
): Box {
  const logRatio = [Math.log(ratio[0]), Math.log(ratio[1])] as const;
  for (let attempt = 0; attempt < 10; attempt++) {
    const area = W * H * (scale[0] + (scale[1] - scale[0]) * random.uniform());
    const aspect = Math.exp(logRatio[0] + (logRatio[1] - logRatio[0]) * random.uniform());
    const width = roundHalfEven(Math.sqrt(area * aspect));
    const height = roundHalfEven(Math.sqrt(area / aspect));
    if (width > 0 && width <= W && height > 0 && height <= H) {
      return { x: random.integer(W - width + 1), y: random.integer(H - height + 1), width, height };
    }
  }
  let width = W;
  let height = H;
  if (W / H < ratio[0]) height = Math.min(H, roundHalfEven(W / ratio[0]));
  else if (W / H > ratio[1]) width = Math.min(W, roundHalfEven(H * ratio[1]));
  return { x: (W - width) >> 1, y: (H - height) >> 1, width, height };
}

function shiftBox(image: RawImage, size: number, random: Random): Box {
  const width = Math.min(size, image.width);
  const height = Math.min(size, image.height);
  return {
    x: random.integer(image.width - width + 1),
    y: random.integer(image.height - height + 1),
    width,
    height,
  };
}
