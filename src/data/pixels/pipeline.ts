/**
 * From encoded bytes to the square a model sees, in two halves: `keepImage` decodes and resizes, the same for every
 * epoch, so its result may be kept in memory; `drawImage` crops, flips and colours, anew for every epoch.
 */
import { isDeepStrictEqual } from "node:util";
import { UsageError } from "../../core/errors.js";
import type { Key } from "../../core/random.js";
import { type Augmentation, augment, cropChance } from "./augment/augment.js";
import { findPolicy, type Policy } from "./augment/policies.js";
import type { ColorJitter, InkJitter, Note, Step } from "./augment/steps.js";
import type { Corruption } from "./corrupt/corruption.js";
import { decodeImage, plainJpeg } from "./read/decode.js";
import { crop, type RawImage, type Rgb } from "./read/image.js";
import { dropAlpha } from "./read/modes.js";
import type { Decoded, Reading } from "./read/reading.js";
import { type DecodedPart, decodeTurbo } from "./read/turbo.js";
import { type AffineCrop, resizedCropBox } from "./resize/crop.js";
import { type CropRounding, fitSquare, type ResizeMode, shrinkTo } from "./resize/fit.js";
import { type Filter, resample } from "./resize/resample.js";

/** What is done with an image before chance has a say. */
export interface Preparation extends Reading {
  /** Default `shortest`. */
  readonly resize: ResizeMode;
  /** Default `bicubic`. */
  readonly filter: Filter;
  /** Border in `longest`. Default black, as in open_clip. */
  readonly fill: Rgb;
  /** Pixels cut off along each edge first: what of the file is no part of the picture. Default 0. */
  readonly border?: number;
  /** In `shortest`: where the middle lies when an odd number of pixels is cut off. Default `even`, as torchvision. */
  readonly cropRounding?: CropRounding;
  /** Done to the square last, in evaluation. Default none. */
  readonly corruption?: Corruption;
}

/** What a data set asks to be done with its pictures, whatever the model. */
export type OwnPreparation = Pick<Preparation, "border" | "corruption">;

/** Plain data: goes to worker threads, and into a run's `config.json`. */
export interface Pipeline extends Preparation {
  /** Side of the square that comes out, in pixels. */
  readonly size: number;
  /** Training: side to which images are brought before the random crop; absent: crops are cut from whole images. */
  readonly keepSize?: number;
  /** Training; absent: evaluation. */
  readonly augmentation?: Augmentation;
}

export type EvaluationOptions = Partial<Omit<Preparation, keyof OwnPreparation>>;

export interface TrainingOptions extends EvaluationOptions {
  /**
   * Brings images to this size first (by `resize`; `shortest` keeps the whole image), in pixels, ≥ size. Small kept
   * images fit in memory and make an epoch almost free; default: none, crops are cut from the whole image.
   */
  readonly keepSize?: number;
  /**
   * `whole`: no cut, both sides resized; `shift`: a window of the output's size (needs `keepSize`); `affine`: the whole image turned, zoomed and shifted
   * (needs `keepSize`, and `affine`); default: resized crops.
   */
  readonly crop?: "shift" | "resized" | "affine" | "whole";
  /** Of an affine crop. */
  readonly affine?: Omit<AffineCrop, "kind" | "fill">;
  /** Colours varied in ink, for drawings on white; default none. */
  readonly ink?: InkJitter;
  /** The steps, and what the options below are unless they are said: a name as `findPolicy` reads; default `none`. */
  readonly policy?: string | Policy;
  /** Of a resized crop: share of the area; with `none` [0.9, 1] (open_clip). */
  readonly scale?: readonly [number, number];
  /** Of a resized crop: width / height; with `none` [3/4, 4/3]. */
  readonly ratio?: readonly [number, number];
  /** Share mirrored; with `none` 0: left and right are in captions. */
  readonly flip?: number;
  /** Stands for the policy's own colour jitter, or comes before its steps. */
  readonly jitter?: ColorJitter;
  /** Share turned grey: stands for the policy's own, or comes after its steps. */
  readonly grayscale?: number;
}

const WHITE: Rgb = [255, 255, 255];
const BLACK: Rgb = [0, 0, 0];

/** The same pixels every time: what a model is evaluated on. With `transparency: "pillow"`, open_clip's to the bit. */
export function evaluationPipeline(size: number, options: EvaluationOptions = {}): Pipeline {
  checkSize("size", size);
  return {
    size,
    resize: options.resize ?? "shortest",
    filter: options.filter ?? "bicubic",
    transparency: options.transparency ?? WHITE,
    orientation: options.orientation ?? "stored",
    fill: options.fill ?? BLACK,
    ...(options.cropRounding === undefined ? {} : { cropRounding: options.cropRounding }),
  };
}

/** Random crops, flips and colours for training. Throws `UsageError` naming an option out of its range. */
export function trainingPipeline(size: number, options: TrainingOptions = {}): Pipeline {
  const { keepSize, crop = "resized", jitter, ink, grayscale } = options;
  const policy = typeof options.policy === "object" ? options.policy : findPolicy(options.policy ?? "none");
  const { scale = policy.scale, ratio = policy.ratio, flip = policy.flip } = options;
  const range = (name: string, [low, high]: readonly [number, number], top: number): void => {
    if (!(low > 0 && low <= high && high <= top)) {
      throw new UsageError(
        `pipeline: ${name} is a range low ≤ high within (0, ${top}]; got ${name}=[${low}, ${high}].`,
      );
    }
  };
  range("scale", scale, 1);
  range("ratio", ratio, 100);
  for (const [name, share] of Object.entries({
    flip,
    grayscale: grayscale ?? 0,
    "jitter.probability": jitter?.probability ?? 0,
    "ink.probability": ink?.probability ?? 0,
  })) {
    if (!(share >= 0 && share <= 1))
      throw new UsageError(`pipeline: ${name} is a share 0 … 1; got ${name}=${share}.`);
  }
  if (keepSize !== undefined) checkSize("keepSize", keepSize);
  if (keepSize !== undefined && keepSize < size) {
    throw new UsageError(`pipeline: keepSize is at least size; got keepSize=${keepSize}, size=${size}.`);
  }
  if ((crop === "shift" || crop === "affine") && keepSize === undefined) {
    throw new UsageError(
      `pipeline: crop "${crop}" starts from images brought to one size; got no keepSize. Set keepSize, say size + 8.`,
    );
  }
  const affine = options.affine ?? { degrees: 0, zoom: 0, stretch: 0, shift: 0 };
  const fill = Array.isArray(options.transparency ?? WHITE)
    ? ((options.transparency ?? WHITE) as Rgb)
    : WHITE;
  const crops = {
    shift: { kind: "shift" },
    whole: { kind: "whole" },
    resized: { kind: "resized", scale, ratio },
    affine: { kind: "affine", ...affine, fill },
  } as const;
  const steps: Step[] = [...policy.steps];
  const put = (step: Step, place: "first" | "last"): void => {
    const own = steps.findIndex(({ kind }) => kind === step.kind);
    if (own >= 0) steps[own] = step;
    else if (place === "first") steps.unshift(step);
    else steps.push(step);
  };
  if (ink !== undefined) put({ kind: "ink", ...ink }, "first");
  if (jitter !== undefined) put({ kind: "jitter", ...jitter }, "first");
  if (grayscale !== undefined) put({ kind: "grayscale", probability: grayscale }, "last");
  const augmentation: Augmentation = { crop: crops[crop], flip, steps };
  return {
    ...evaluationPipeline(size, options),
    ...(keepSize === undefined ? {} : { keepSize }),
    augmentation,
  };
}

/**
 * Another view of the image that `pipeline` trains on: its own crop, mirroring and steps, by `policy`, from the same
 * decoded image, at the same size. Throws `UsageError` when there is no such policy.
 */
export function viewPipeline(pipeline: Pipeline, policy: string | Policy): Pipeline {
  const { size, keepSize } = pipeline;
  const kept = { ...preparationOf(pipeline), ...(keepSize === undefined ? {} : { keepSize }) };
  return trainingPipeline(size, { ...kept, policy });
}

/** The part of a pipeline that says what an image is brought to. */
export const preparationOf = ({
  resize,
  filter,
  transparency,
  orientation,
  fill,
  border,
  cropRounding,
  corruption,
}: Pipeline): Preparation => ({
  ...(border !== undefined && { border }),
  ...(cropRounding !== undefined && { cropRounding }),
  ...(corruption !== undefined && { corruption }),
  resize,
  filter,
  transparency,
  orientation,
  fill,
});

/** The same without chance: what the whole image comes to. */
export const withoutChance = (pipeline: Pipeline): Pipeline => ({
  size: pipeline.size,
  ...preparationOf(pipeline),
});

/** The same for images of another size: what they are brought to before the crop keeps its proportion to it. */
export function pipelineOfSize(pipeline: Pipeline, size: number): Pipeline {
  checkSize("size", size);
  const { size: before, keepSize } = pipeline;
  if (keepSize === undefined) return { ...pipeline, size };
  return { ...pipeline, size, keepSize: Math.max(size, Math.round((keepSize * size) / before)) };
}

/** True when both draw from the same kept image, so that it is decoded once for both. */
export const keepsTheSame = (a: Pipeline, b: Pipeline): boolean =>
  a.augmentation !== undefined &&
  b.augmentation !== undefined &&
  a.keepSize === b.keepSize &&
  isDeepStrictEqual(preparationOf(a), preparationOf(b));

function checkSize(name: string, size: number): void {
  if (!(Number.isInteger(size) && size > 0 && size <= 8192)) {
    throw new UsageError(`pipeline: ${name} is a whole number of pixels 1 … 8192; got ${name}=${size}.`);
  }
}

/** Bytes of a kept image where all have the same size, else undefined. */
export function keptBytes(pipeline: Pipeline): number | undefined {
  if (pipeline.augmentation === undefined) return pipeline.size ** 2 * 3;
  if (pipeline.keepSize === undefined || pipeline.resize === "shortest") return undefined;
  return pipeline.keepSize ** 2 * 3;
}

/** All that decides what `keepImage` makes of a picture. */
export const keptAs = (pipeline: Pipeline): object => ({
  ...(pipeline.augmentation === undefined ? { size: pipeline.size } : { keepSize: pipeline.keepSize }),
  ...preparationOf(pipeline),
});

/** Decodes and resizes: the half that does not depend on chance; 3 channels. Throws `UsageError` when unreadable. */
export async function keepImage(bytes: Uint8Array, pipeline: Pipeline): Promise<RawImage> {
  const { size, resize, filter, fill, keepSize, border = 0, cropRounding } = pipeline;
  const decoded = withoutBorder(await decodeImage(bytes, pipeline), border);
  if (pipeline.augmentation === undefined) {
    const square = fitSquare(decoded, size, resize, filter, fill, cropRounding);
    if (pipeline.corruption === undefined) return square;
    const { corrupt } = await import("./corrupt/corruption.js"); // its tables are for those who ask
    return corrupt(square, pipeline.corruption, { encoded: bytes, fill });
  }
  if (keepSize === undefined) return dropAlpha(decoded);
  return resize === "shortest"
    ? shrinkTo(decoded, keepSize, filter)
    : fitSquare(decoded, keepSize, resize, filter, fill);
}

function withoutBorder(image: Decoded, border: number): Decoded {
  if (border === 0) return image;
  const [width, height] = [image.width - 2 * border, image.height - 2 * border];
  if (width < 1 || height < 1) {
    throw new UsageError(
      `image: must be larger than its border of ${border} pixels; got ${image.width} × ${image.height}.`,
    );
  }
  return { ...image, ...crop(image, { x: border, y: border, width, height }) };
}

/**
 * Writes the square for the model into `out` ([size, size, 3]); chance comes from `key` alone. `note` hears what was
 * done after the crop.
 */
export function drawImage(kept: RawImage, pipeline: Pipeline, key: Key, out: Uint8Array, note?: Note): void {
  if (pipeline.augmentation === undefined) {
    if (kept.width === pipeline.size && kept.height === pipeline.size) out.set(kept.data);
    else resample(kept, pipeline.size, pipeline.size, pipeline.filter, undefined, out);
    return;
  }
  augment(kept, pipeline.size, pipeline.filter, pipeline.augmentation, key, out, note);
}

/**
 * `drawImage` of an encoded image that is not to be kept: of a JPEG, only the part that is cut out is decoded. The
 * same pixels. Throws `UsageError` when unreadable.
 */
export async function drawEncoded(
  bytes: Uint8Array,
  pipeline: Pipeline,
  key: Key,
  out: Uint8Array,
): Promise<void> {
  const { size, filter, keepSize, augmentation, orientation } = pipeline;
  const crop = augmentation?.crop;
  const inPart = crop?.kind === "resized" && keepSize === undefined && orientation === "stored";
  const header = inPart ? plainJpeg(bytes) : undefined;
  // Whether a file that breaks off counts as broken must not hang on where it is cut.
  const ends = bytes.at(-2) === 0xff && bytes.at(-1) === 0xd9;
  if (header?.components !== 3 || !ends || augmentation === undefined || crop?.kind !== "resized") {
    drawImage(await keepImage(bytes, pipeline), pipeline, key, out);
    return;
  }
  const box = resizedCropBox(header, crop, cropChance(key));
  const part: DecodedPart = decodeTurbo(bytes, box) ?? (await decodeImage(bytes, pipeline, box));
  const inside = { kind: "whole", ...(part.box === undefined ? {} : { box: part.box }) } as const;
  augment(part, size, filter, { ...augmentation, crop: inside }, key, out);
}

/** One image, decoded and resized without chance: uint8 RGB, [size, size, 3]; a random crop is left out. */
export async function preprocessImage(bytes: Uint8Array, pipeline: Pipeline): Promise<Uint8Array> {
  return (await keepImage(bytes, withoutChance(pipeline))).data;
}
