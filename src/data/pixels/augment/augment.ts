/** One training view of an image: a crop, perhaps mirrored, and the steps of a policy; a pure function of a key. */
import { foldIn, type Key, Random } from "../../../core/random.js";
import type { RawImage } from "../read/image.js";
import { type Crop, drawCrop } from "../resize/crop.js";
import type { Filter } from "../resize/resample.js";
import { Canvas } from "./canvas.js";
import { drawStep, type Note, type Step } from "./steps.js";

export interface Augmentation {
  readonly crop: Crop;
  /** Share of the images mirrored left to right. */
  readonly flip: number;
  /** In order, after crop and mirroring. */
  readonly steps: readonly Step[];
}

/** What a stream of chance is for; numbers, since a key is folded for every image. */
const STREAM = {
  crop: 0,
  flip: 1,
  choose: 2,
  "sub-policy": 3,
  jitter: 4,
  ink: 5,
  grayscale: 6,
  blur: 7,
  warp: 8,
} as const satisfies Readonly<Record<Step["kind"] | "crop" | "flip", number>>;

let canvas = new Canvas(1);

/** The stream that the crop of `augment` draws from. */
export const cropChance = (key: Key): Random => new Random(foldIn(key, STREAM.crop));

/** Draws one augmentation of `image` into `out` ([size, size, 3]); `note` hears what was done. */
export function augment(
  image: RawImage,
  size: number,
  filter: Filter,
  augmentation: Augmentation,
  key: Key,
  out: Uint8Array,
  note?: Note,
): void {
  const { crop, flip, steps } = augmentation;
  if (canvas.width !== size) canvas = new Canvas(size);
  const pixels = canvas.begin();
  const mirrored = new Random(foldIn(key, STREAM.flip)).uniform() < flip;
  drawCrop(image, size, filter, crop, cropChance(key), pixels, mirrored);
  if (mirrored) note?.("flip");
  for (const [i, step] of steps.entries()) {
    const nth = steps.slice(0, i).filter(({ kind }) => kind === step.kind).length;
    drawStep(canvas, step, new Random(foldIn(key, STREAM[step.kind], nth)), note);
  }
  canvas.end(out);
}
