/** What a family of timm's models declares: its architectures, their arguments, and how a trunk is built. */

import type { z } from "zod";
import type { Tensor } from "../../graph/tensor.js";
import type { NoiseSpecs } from "../../nn/noise.js";
import type { ParameterSpecs, Scope } from "../../nn/parameters.js";
import type { Depth } from "../depth.js";
import type { StoredForms } from "../weights/stored.js";
import type { TowerOptions } from "./encoder.js";

/** What a trunk depends on beside its arguments. */
export interface TrunkContext extends TowerOptions {
  readonly imageSize: number;
  /** Stochastic depth of the last residual branch; it grows from 0 at the first, linearly. */
  readonly dropPath: number;
}

/** A timm model without its classifier. Names are below `visual.trunk.`. */
export interface Trunk {
  readonly parameters: ParameterSpecs;
  /** See `ImageTower`. */
  readonly statistics?: ParameterSpecs;
  readonly noise?: NoiseSpecs;
  /** Channels W of the features. */
  readonly width: number;
  /** The last group, what follows the last block, may be empty: the projection is added to it. */
  readonly depth: Depth;
  /** See `ImageTower`. */
  readonly tokens?: number | undefined;
  /** Normalized images f32[B,3,S,S] to pooled features f32[B,W]; see `ImageTower`. */
  features(p: Scope, images: Tensor, kept?: Tensor): Tensor;
}

/** A family of timm's models. */
export interface TrunkFamily<A extends object = object> {
  /** As in the literature, e.g. `"ConvNeXt"`. */
  readonly name: string;
  /** The paper, and timm's file. */
  readonly source: string;
  /** Arguments by timm's name of the architecture. */
  readonly architectures: Readonly<Record<string, A>>;
  /** What the arguments may be. */
  readonly args: z.ZodType<A>;
  /** Stochastic depth where the configuration says nothing, as timm has it. Default 0. */
  readonly dropPath?: number;
  /** Name under which timm keeps the classifier. */
  readonly classifier: string;
  /** See `StoredForms`. */
  readonly sizeBound?: StoredForms["sizeBound"];
  /** Sides of the square input are multiples of this. */
  sizeStep(args: A): number;
  build(args: A, context: TrunkContext): Trunk;
}
