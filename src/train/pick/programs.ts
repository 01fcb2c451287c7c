/** The programs by which a batch is picked from a super-batch: the towers as they are, and the terms of JEST. */

import type { TensorType } from "../../core/shape.js";
import type { Graph } from "../../graph/graph.js";
import { constant, gather, iota } from "../../graph/ops/index.js";
import type { Tensor } from "../../graph/tensor.js";
import { trace } from "../../graph/trace.js";
import { parameterTypes } from "../../nn/parameters.js";
import { inPrecision, readImages, type StepOptions } from "../step/options.js";
import type { Conditional } from "../strategies/conditional.js";
import type { Rows } from "../strategies/loss.js";

/** How pairs are judged: what each candidate's logit is made of. */
export interface Judges {
  /** The loss beside what is chosen. */
  readonly beside: Conditional;
  /** Width of the unit vectors of each model that judges. */
  readonly widths: Readonly<Record<string, number>>;
}

/** Pairs of the super-batch, and of a chunk. */
export interface DrawSizes {
  readonly from: number;
  readonly chunk: number;
}

const scalar: TensorType = { dtype: "f32", shape: [] };

/**
 * Images as the model sees them in evaluation. Inputs `params.*`, the CLIP's variables, and `images` as the step takes them,
 * `rows` of them: output `features` f32[rows,E].
 */
export function imageTower(options: StepOptions, rows: number): Graph {
  const { clip, normalization } = options;
  const S = clip.config.vision_cfg.image_size;
  const images: TensorType =
    normalization === undefined
      ? { dtype: "f32", shape: [rows, 3, S, S] }
      : { dtype: "u8", shape: [rows, S, S, 3] };
  const graph = trace({ params: parameterTypes(clip.variables), images }, (x) => ({
    features: clip.encodeImage(x.params, readImages(x.images, options)),
  }));
  return inPrecision(graph, options);
}

/** As `imageTower`, for `tokens` i32[rows,T]. */
export function textTower(options: StepOptions, rows: number): Graph {
  const { clip, contextLength: T } = options;
  const tokens: TensorType = { dtype: "i32", shape: [rows, T] };
  const graph = trace({ params: parameterTypes(clip.variables), tokens }, (x) => ({
    features: clip.encodeText(x.params, x.tokens),
  }));
  return inPrecision(graph, options);
}

function judgeTypes({ beside, widths }: Judges, { from: S }: DrawSizes) {
  const ids: TensorType = { dtype: "i32", shape: [S] };
  const each = <T>(make: (width: number) => T): Record<string, T> =>
    Object.fromEntries(Object.entries(widths).map(([name, width]) => [name, make(width)]));
  const vectors = (width: number): TensorType => ({ dtype: "f32", shape: [S, width] });
  const carried = Object.fromEntries(
    Object.keys(beside.carried).map((name) => [name, { dtype: "f32", shape: [S] } as TensorType]),
  );
  return {
    imageIds: ids,
    textIds: ids,
    judges: each((width) => ({
      features: { images: vectors(width), texts: vectors(width) },
      logits: { scale: scalar, bias: scalar },
      carried,
    })),
  };
}

type Inputs = {
  readonly imageIds: Tensor;
  readonly textIds: Tensor;
  readonly judges: Readonly<
    Record<
      string,
      {
        readonly features: Readonly<Record<string, Tensor>>;
        readonly logits: { readonly scale: Tensor; readonly bias: Tensor };
        readonly carried: Readonly<Record<string, Tensor>>;
      }
    >
  >;
};

const candidatesOf = ({ imageIds, textIds, judges }: Inputs, judge: string): Rows => ({
  features: judges[judge]!.features,
  imageIds,
  textIds,
  places: iota("i32", [imageIds.shape[0]!]),
});

/**
 * The losses of all candidates once a chunk is chosen. Inputs `imageIds`, `textIds` i32[S], `chosen` i32[c], and of each
 * judge J `judges.J.features.{images,texts}` f32[S,E], `judges.J.logits.{scale,bias}` and `judges.J.carried.*` f32[S]: outputs
 * `next.judges.J.carried.*` in their memory, and `losses.J` f32[S].
 */
export function chunkStep(judges: Judges, sizes: DrawSizes): Graph {
  const { beside, widths } = judges;
  const chosen: TensorType = { dtype: "i32", shape: [sizes.chunk] };
  return trace({ ...judgeTypes(judges, sizes), chosen }, (x) => {
    const found = Object.keys(widths).map((name) => {
      const { carried, logits } = x.judges[name]!;
      const candidates = candidatesOf(x, name);
      const of = (tensor: Tensor) => gather(tensor, x.chosen);
      const chunk: Rows = {
        features: { images: of(candidates.features.images!), texts: of(candidates.features.texts!) },
        imageIds: of(candidates.imageIds),
        textIds: of(candidates.textIds),
        places: x.chosen,
      };
      const next = beside.add(carried, candidates, chunk, logits);
      return { name, next, losses: beside.loss(next, candidates, logits) };
    });
    return {
      next: { judges: Object.fromEntries(found.map(({ name, next }) => [name, { carried: next }])) },
      losses: Object.fromEntries(found.map(({ name, losses }) => [name, losses])),
    };
  });
}

/** The losses of all candidates while nothing is chosen: inputs as `chunkStep`'s that matter, outputs `losses.J` f32[S]. */
export function firstLosses(judges: Judges, sizes: DrawSizes): Graph {
  const { beside, widths } = judges;
  const shape = [sizes.from];
  return trace(judgeTypes(judges, sizes), (x) => ({
    losses: Object.fromEntries(
      Object.keys(widths).map((name) => {
        const nothing = Object.fromEntries(
          Object.entries(beside.carried).map(([key, value]) => [key, constant(value, { shape })]),
        );
        return [name, beside.loss(nothing, candidatesOf(x, name), x.judges[name]!.logits)];
      }),
    ),
  }));
}
