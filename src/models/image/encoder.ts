/** What an image encoder is: the part of a configuration that it reads, and the tower that it builds from it. */

import type { z } from "zod";
import type { Tensor } from "../../graph/tensor.js";
import type { NoiseSpecs } from "../../nn/noise.js";
import type { ParameterSpecs, Scope } from "../../nn/parameters.js";
import type { Json, Refused } from "../config/fields.js";
import type { Depth } from "../depth.js";
import type { StoredForms } from "../weights/stored.js";

/** Decisions of a run on its model; a configuration says nothing of them. */
export interface TowerOptions {
  /** Recompute blocks in the backward pass. Default false. */
  readonly rematerialize?: boolean | undefined;
  /** Stochastic depth of the image tower's last residual branch in training; it grows from 0. Default: the model's own. */
  readonly dropPath?: number | undefined;
  /** Side of the images whose parameters the tower has, where it is built for smaller ones. Default: their own. */
  readonly fullSize?: number | undefined;
  /**
   * Side of whole images, where those that come are windows of them: learned positions are resampled from the places of
   * `fullSize` to those of whole images, and those in the middle are used. Default: what comes is whole.
   */
  readonly wholeSize?: number | undefined;
}

/** What a tower depends on outside of its own part of the configuration. */
export interface TowerContext extends TowerOptions {
  /** Channels E of the joint space. */
  readonly embedDim: number;
  /** x·σ(1.702x) instead of GELU. */
  readonly quickGelu: boolean;
}

/** An image tower. Names are below `visual.`, as in open_clip. */
export interface ImageTower {
  readonly parameters: ParameterSpecs;
  /** Running statistics: used in evaluation, brought up to date in training, never differentiated. */
  readonly statistics: ParameterSpecs;
  /** Random numbers that a training pass takes. */
  readonly noise: NoiseSpecs;
  /** Channels W of the features. */
  readonly width: number;
  /** Where in the tower its parameters lie. */
  readonly depth: Depth;
  readonly stored: StoredForms;
  /** Patches P of an image, where the tower can do without some of them in training; undefined where it needs all. */
  readonly tokens?: number | undefined;
  /**
   * Normalized images f32[B,3,S,S] to pooled features f32[B,W]. With `kept` i32[B,K], the numbers of K of the `tokens`
   * patches of each image, ascending: of these alone, and at their cost.
   */
  features(p: Scope, images: Tensor, kept?: Tensor): Tensor;
  /** Features f32[B,W] to the joint space, f32[B,E], not yet of unit length. */
  project(p: Scope, features: Tensor): Tensor;
}

/**
 * A kind of image encoder. `V` is its `vision_cfg` as written, `C` the same with no option left open. A new one is a
 * file with such a record, and a line in `encoders.ts`.
 */
export interface ImageEncoder<
  V extends { readonly image_size?: number } = { readonly image_size?: number },
  C extends { readonly image_size: number } = { readonly image_size: number },
> {
  readonly name: string;
  /** Whether a `vision_cfg` is of this kind; the first in the registry that says so reads it. */
  describes(vision: Json): boolean;
  /** Throws `UsageError` where the kind is known but not this model of it, before anything else is read. */
  identify?(vision: Json, where: string): void;
  readonly schema: z.ZodObject & z.ZodType<V>;
  /** Options of open_clip for such towers that are not built, by key. */
  readonly refused: Readonly<Record<string, Refused>>;
  complete(vision: V): C;
  /** Throws `UsageError` where options do not fit each other. */
  check(vision: V, quickGelu: boolean, where: string): void;
  /** Keys that open_clip lacks, or values that it does not know. */
  extensions(vision: C): string[];
  /** Sides of the square input are multiples of this. */
  sizeStep(vision: C): number;
  build(vision: C, context: TowerContext): ImageTower;
}
