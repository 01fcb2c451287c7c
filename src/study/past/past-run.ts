/** A run that somebody has done, in the few facts that say what the next one will come to. */

import { z } from "zod";

export interface PastScore {
  readonly dataset: string;
  readonly metric: string;
  readonly value: number;
  /** Ends of the 95 % interval over items. */
  readonly low: number;
  readonly high: number;
  readonly n: number;
  /** What guessing gives. */
  readonly chance?: number | undefined;
}

export interface PastRun {
  /** Its folder, or what the table calls it. */
  readonly run: string;
  /** Its training data, as the recipe names them; several sources joined with commas. */
  readonly data?: string | undefined;
  /** Share of their pairs that its selection kept, 0 … 1; 1 without one, undefined where that is not known any more. */
  readonly kept?: number | undefined;
  /** The score whose best pairs the selection kept, or `random`; undefined where another rule or none decided. */
  readonly keptBy?: string | undefined;
  /** Different pairs that it was trained on. */
  readonly unique: number;
  /** Samples seen. */
  readonly samples: number;
  /** Multiply-adds of all forward passes, 10⁹. */
  readonly gmacs: number;
  /** Of training. */
  readonly seconds: number;
  readonly model: string;
  /** Of the image encoder: `vit`, `resnet`, `convnext`, `swin`, `mixer`. */
  readonly family: string;
  /** Multiply-adds of the model's forward pass on a pair, 10⁹. */
  readonly gmacsPerPair: number;
  readonly strategy: string;
  readonly batchSize: number;
  readonly lr: number;
  readonly seed: number;
  /** Weights that it started from. */
  readonly pretrained?: string | undefined;
  /** What a plan expected of it, as the recipe has it. */
  readonly expected?: string | undefined;
  readonly scores: readonly PastScore[];
}

const positive = z.number().positive();

/** What a line or a row of a file must hold. */
export const pastRunSchema: z.ZodType<PastRun> = z.object({
  run: z.string(),
  data: z.string().optional(),
  kept: positive.max(1).optional(),
  keptBy: z.string().optional(),
  unique: positive,
  samples: positive,
  gmacs: positive,
  seconds: z.number().min(0),
  model: z.string(),
  family: z.string(),
  gmacsPerPair: positive,
  strategy: z.string(),
  batchSize: positive,
  lr: positive,
  seed: z.int().min(0),
  pretrained: z.string().optional(),
  expected: z.string().optional(),
  scores: z.array(
    z.object({
      dataset: z.string(),
      metric: z.string(),
      value: z.number(),
      low: z.number(),
      high: z.number(),
      n: z.number(),
      chance: z.number().optional(),
    }),
  ),
});
