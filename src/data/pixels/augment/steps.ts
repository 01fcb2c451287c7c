/**
 * What may follow a crop: steps, plain data, drawn in order. A step's chance is its own, so adding or removing one
 * leaves the draws of the others as they were.
 */
import type { Random } from "../../../core/random.js";
import type { Rgb } from "../read/image.js";
import { argumentAt, magnitudeOf, type ScaleName } from "../resize/scales.js";
import type { Canvas } from "./canvas.js";
import { type OperationName, operations } from "./operations/index.js";
import { warp } from "./operations/warp.js";

/** A factor from [1 − x, 1 + x] each, in random order: torchvision's ColorJitter. */
export interface ColorJitter {
  readonly brightness: number;
  readonly contrast: number;
  readonly saturation: number;
  /** Of a turn, ≤ 0.5. */
  readonly hue: number;
  /** Share of the images changed. */
  readonly probability: number;
}

/** Colours of a drawing on white varied in ink, 255 − x, so that white stays white. */
export interface InkJitter {
  /** All ink times e to the ±x. */
  readonly gain: number;
  /** Colourfulness times e to the ±x. */
  readonly saturation: number;
  /** Each channel's ink times e to the ±x. */
  readonly channel: number;
  /** Share of the images changed. */
  readonly probability: number;
}

/** Operations drawn one after the other, any of them again, at one level: RandAugment, TrivialAugment. */
export interface ChooseStep {
  readonly kind: "choose";
  readonly operations: readonly OperationName[];
  readonly count: number;
  /** 10 is the scale's far end; `any`: uniform among 31 from 0 to 10, anew for each. */
  readonly level: number | "any";
  readonly scale: ScaleName;
  readonly fill: Rgb;
}

/** One list of operations, each with its own probability and level: AutoAugment. */
export interface SubPolicyStep {
  readonly kind: "sub-policy";
  readonly lists: readonly (readonly (readonly [
    name: OperationName,
    probability: number,
    level: number,
  ])[])[];
  readonly scale: ScaleName;
  readonly fill: Rgb;
}

export type Step =
  | ChooseStep
  | SubPolicyStep
  | ({ readonly kind: "jitter" } & ColorJitter)
  | ({ readonly kind: "ink" } & InkJitter)
  | { readonly kind: "grayscale"; readonly probability: number }
  /** Sigma uniform in a range, in pixels of an image 224 wide. */
  | { readonly kind: "blur"; readonly sigma: readonly [number, number]; readonly probability: number }
  /** Four points pulled by normal draws times a length up to `reach`, in pixels of an image 224 wide. */
  | { readonly kind: "warp"; readonly reach: number; readonly probability: number };

/** Told what was done, in words, e.g. `rotate −27`. */
export type Note = (words: string) => void;

const LEVELS = 31;
const REFERENCE_SIDE = 224;

/** Applies one operation, with its name and argument to `note`. */
export function applyOperation(
  canvas: Canvas,
  name: OperationName,
  argument: number | undefined,
  fill: Rgb,
  random: Random,
  note?: Note,
): void {
  operations[name].apply(canvas, argument ?? 0, { fill, random });
  note?.(argument === undefined ? name : `${name} ${readable(argument)}`);
}

/** Whole from 10 on, else to two places; with a true minus. */
export const readable = (x: number): string =>
  String(Number(x.toFixed(Math.abs(x) >= 10 ? 0 : 2)) + 0).replace("-", "\u2212");

/** Draws one step on `canvas`. */
export function drawStep(canvas: Canvas, step: Step, random: Random, note?: Note): void {
  const drawn = (name: OperationName, scale: ScaleName, level: number, fill: Rgb): void => {
    const magnitude = magnitudeOf(scale, name);
    const negative = random.integer(2) === 1;
    const argument =
      magnitude === undefined ? undefined : argumentAt(magnitude, level, canvas.width, negative);
    applyOperation(canvas, name, argument, fill, random, note);
  };
  if (step.kind === "choose") {
    for (let i = 0; i < step.count; i++) {
      const name = step.operations[random.integer(step.operations.length)]!;
      const level = step.level === "any" ? (10 * random.integer(LEVELS)) / (LEVELS - 1) : step.level;
      drawn(name, step.scale, level, step.fill);
    }
    return;
  }
  if (step.kind === "sub-policy") {
    for (const [name, probability, level] of step.lists[random.integer(step.lists.length)]!) {
      if (random.uniform() < probability) drawn(name, step.scale, level, step.fill);
    }
    return;
  }
  if (!(random.uniform() < step.probability)) return;
  if (step.kind === "jitter") jitterColors(canvas, step, random, note);
  else if (step.kind === "grayscale") applyOperation(canvas, "grayscale", undefined, NO_FILL, random, note);
  else if (step.kind === "ink") {
    jitterInk(canvas.pixels(), step, random);
    note?.("ink");
  } else if (step.kind === "blur") {
    const [least, most] = step.sigma;
    const sigma = (least + (most - least) * random.uniform()) * (canvas.width / REFERENCE_SIDE);
    applyOperation(canvas, "blur", sigma, NO_FILL, random, note);
  } else {
    const length = step.reach * random.uniform() * (canvas.width / REFERENCE_SIDE);
    warp(
      canvas,
      Float64Array.from({ length: 8 }, () => length * random.normal()),
    );
    note?.(`warp ${readable(length)}`);
  }
}

/** For operations that fill nothing. */
const NO_FILL: Rgb = [0, 0, 0];

const JITTERED = [
  ["brightness", "brightness"],
  ["contrast", "contrast"],
  ["saturation", "color"],
] as const satisfies readonly (readonly [keyof ColorJitter, OperationName])[];

function jitterColors(canvas: Canvas, jitter: ColorJitter, random: Random, note?: Note): void {
  const factor = (spread: number): number => {
    const least = Math.max(0, 1 - spread);
    return least + (1 + spread - least) * random.uniform();
  };
  for (const turn of random.permutation(JITTERED.length + 1)) {
    const [part, name] = JITTERED[turn] ?? (["hue", "hue"] as const);
    const spread = jitter[part];
    if (spread === 0) continue;
    const argument = name === "hue" ? spread * (2 * random.uniform() - 1) : factor(spread);
    applyOperation(canvas, name, argument, NO_FILL, random, note);
  }
}

const clamp = (x: number): number => (x < 0 ? 0 : Math.min(x, 255));

/** x ← 255 − M (255 − x), M = channel gains · (grey + saturation · (identity − grey)) · gain. */
function jitterInk(pixels: Uint8Array, ink: InkJitter, random: Random): void {
  const factor = (spread: number): number => Math.exp(spread * (2 * random.uniform() - 1));
  const gain = factor(ink.gain);
  const saturation = factor(ink.saturation);
  const red = factor(ink.channel) * gain;
  const green = factor(ink.channel) * gain;
  const blue = factor(ink.channel) * gain;
  for (let i = 0; i < pixels.length; i += 3) {
    const r = 255 - pixels[i]!;
    const g = 255 - pixels[i + 1]!;
    const b = 255 - pixels[i + 2]!;
    if ((r | g | b) === 0) continue;
    const grey = 0.299 * r + 0.587 * g + 0.114 * b;
    pixels[i] = clamp(255 - red * (grey + saturation * (r - grey)));
    pixels[i + 1] = clamp(255 - green * (grey + saturation * (g - grey)));
    pixels[i + 2] = clamp(255 - blue * (grey + saturation * (b - grey)));
  }
}
