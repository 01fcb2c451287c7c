/**
 * The train step in two passes over parts of the batch, for batches of any size (Gao et al. 2021, "Scaling Deep
 * Contrastive Learning Batch Size under Memory Limited Setup"). The first pass keeps only what the loss compares, a row a
 * sample; the loss gives the cotangents of these rows; the second pass computes each part again, and its gradient from
 * them. The sum of the parts' gradients is that of the whole batch, as long as a part draws the same in both passes. Rows
 * of different parts meet in the loss alone: a batch norm sees the rows of its part.
 *
 * Five programs: both towers forward, both backward, and the loss, each of memory that does not grow with the batch but
 * for the rows; and the update.
 */

import type { TensorType } from "../../core/shape.js";
import { cotangents, gradients } from "../../graph/grad.js";
import type { Graph } from "../../graph/graph.js";
import { add, allReduceSum, iota } from "../../graph/ops/index.js";
import type { Tensor } from "../../graph/tensor.js";
import { trace } from "../../graph/trace.js";
import { towerOf } from "../../models/clip.js";
import { type ParameterSpecs, parameterTypes, type Training } from "../../nn/parameters.js";
import { BLOCK_LOGITS, rowsAt, type WholeBatch } from "../strategies/loss.js";
import {
  batchTypes,
  extraTypes,
  inPrecision,
  learning,
  logitsOf,
  readImages,
  type StepOptions,
  scalarTypes,
  stateTypes,
  strategyOf,
  variablesOf,
} from "./options.js";
import { globalNorm, update } from "./update.js";

export interface TwoPassOptions extends StepOptions {
  /** Images in a part; divides the batch, and the devices divide it. */
  readonly microBatch: number;
  /** Texts in a part. Default: `microBatch`. */
  readonly textMicroBatch?: number | undefined;
  /** Most logits of a block of the loss's rows, all rows for columns. Default `BLOCK_LOGITS`. */
  readonly blockLogits?: number | undefined;
}

type Part = "image" | "text" | "logits";
type Tensors = Record<string, Tensor>;
type Types = Record<string, TensorType>;

/** Parameters, locked ones too, by the program that takes them. A strategy's own belong to the images. */
export function parametersOf(options: StepOptions, part: Part): ParameterSpecs {
  const own = strategyOf(options).parameters;
  const of = (name: string): Part => (own[name] === undefined ? towerOf(name) : "image");
  return Object.fromEntries(
    Object.entries(variablesOf(options).parameters).filter(([name]) => of(name) === part),
  );
}

/** Types of the gradients that a program gives. */
const gradientTypes = (options: StepOptions, part: Part) =>
  parameterTypes(learning(parametersOf(options, part), options));

/** Whether anything of a part is trained: what is not has no second pass. */
export const learns = (options: StepOptions, part: Part): boolean =>
  Object.keys(gradientTypes(options, part)).length > 0;

/** What a part of the images is encoded from, on one replica. */
function imageTypes(options: TwoPassOptions) {
  const { images, views, noise } = batchTypes({ ...options, batchSize: options.microBatch });
  return {
    params: parameterTypes(parametersOf(options, "image")),
    statistics: parameterTypes(variablesOf(options).statistics),
    batch: { images, views, noise },
  };
}

function textTypes(options: TwoPassOptions) {
  const { textMicroBatch = options.microBatch } = options;
  const { tokens } = batchTypes({ ...options, batchSize: textMicroBatch });
  return { params: parameterTypes(parametersOf(options, "text")), batch: { tokens } };
}

interface Encoded {
  readonly features: Tensors;
  readonly statistics: Tensors;
}

type ImageInputs = {
  readonly params: Tensors;
  readonly statistics: Tensors;
  readonly batch: { readonly images: Tensor; readonly views: readonly Tensor[]; readonly noise: Tensors };
};
type TextInputs = { readonly params: Tensors; readonly batch: { readonly tokens: Tensor } };

const trainingOf = ({ replicas = 1, frozen }: StepOptions, noise: Tensors): Training => ({
  noise,
  replicas,
  statistics: {},
  frozen: frozen?.covers,
});

function encodeImages(options: TwoPassOptions, { params, statistics, batch }: ImageInputs): Encoded {
  const training = trainingOf(options, batch.noise);
  const views = [batch.images, ...batch.views].map((view) => readImages(view, options));
  const features = strategyOf(options).encodeImages({ ...params, ...statistics }, views, training);
  return { features, statistics: training.statistics };
}

function encodeTexts(options: TwoPassOptions, { params, batch }: TextInputs): Encoded {
  const training = trainingOf(options, {});
  return { features: strategyOf(options).encodeTexts(params, batch.tokens, training), statistics: {} };
}

/** Inputs `params`, `statistics`, `batch.images`, `batch.views`, `batch.noise`: outputs `features.NAME` f32[m,…]. */
export const imagesForward = (options: TwoPassOptions): Graph =>
  inPrecision(
    trace(imageTypes(options), (x) => ({ features: encodeImages(options, x).features })),
    options,
  );

/** Inputs `params`, `batch.tokens`: outputs `features.NAME` f32[m,…]. */
export const textsForward = (options: TwoPassOptions): Graph =>
  inPrecision(
    trace(textTypes(options), (x) => ({ features: encodeTexts(options, x).features })),
    options,
  );

/** Types of `graph`'s outputs `features.NAME`, by NAME. */
export const featureTypes = (graph: Graph): Types =>
  Object.fromEntries(
    graph.outputs.map(({ name, tensor: { dtype, shape } }) => [
      name.slice("features.".length),
      { dtype, shape },
    ]),
  );

/** `sums`, those of what is trained, each with the gradient added that the cotangents `d` of `features` give. */
function accumulate(features: Tensors, d: Tensors, params: Tensors, sums: Tensors): Tensors {
  const seeds = Object.entries(features).map(([name, feature]) => [feature, d[name]!] as const);
  const names = Object.keys(sums);
  const found = cotangents(
    new Map(seeds),
    names.map((name) => params[name]!),
  );
  return Object.fromEntries(names.map((name, i) => [name, add(sums[name]!, found[i]!)]));
}

/**
 * Inputs of the forward program, `d.NAME` (cotangents of its outputs) and `gradients.NAME`; outputs `next.gradients.NAME`
 * and `next.statistics.NAME`, in their memory.
 */
export function imagesBackward(options: TwoPassOptions, features: Types): Graph {
  const types = imageTypes(options);
  return inPrecision(
    trace({ ...types, d: features, gradients: gradientTypes(options, "image") }, (x) => {
      const encoded = encodeImages(options, x);
      const sums = accumulate(encoded.features, x.d, x.params, x.gradients);
      return { next: { gradients: sums, statistics: encoded.statistics } };
    }),
    options,
  );
}

/** As `imagesBackward`, for texts. */
export function textsBackward(options: TwoPassOptions, features: Types): Graph {
  const types = textTypes(options);
  return inPrecision(
    trace({ ...types, d: features, gradients: gradientTypes(options, "text") }, (x) => {
      const encoded = encodeTexts(options, x);
      return { next: { gradients: accumulate(encoded.features, x.d, x.params, x.gradients) } };
    }),
    options,
  );
}

/** Rows of a block of the loss: the most that divide the batch and keep within `blockLogits`; at least one. */
export function blockRows({
  batchSize,
  blockLogits = BLOCK_LOGITS,
}: Pick<TwoPassOptions, "batchSize" | "blockLogits">): number {
  let rows = Math.min(batchSize, Math.max(1, Math.floor(blockLogits / batchSize)));
  while (batchSize % rows !== 0) rows--;
  return rows;
}

/**
 * The loss of a block of rows against the whole batch. Inputs `features.NAME` and `extra.NAME` f32[B,…], `imageIds`, `textIds` i32[B],
 * `rows` i32[b] (those of the block), the parameters `params.logit_*`, and sums to which it adds: `d.NAME` f32[B,…], the
 * cotangents of the features, `gradients.logit_*`, and `loss`. Outputs `next.*` in their memory.
 */
export function lossBlock(options: TwoPassOptions, features: Types): Graph {
  const { clip, batchSize: B } = options;
  const strategy = strategyOf(options);
  const params = parameterTypes(parametersOf(options, "logits"));
  const ids: TensorType = { dtype: "i32", shape: [B] };
  const types = {
    params,
    features,
    extra: extraTypes(strategy, B),
    imageIds: ids,
    textIds: ids,
    rows: { dtype: "i32", shape: [blockRows(options)] } as TensorType,
    d: features,
    gradients: params,
    loss: { dtype: "f32", shape: [] } as TensorType,
  };
  const graph = trace(types, (x) => {
    const joint: Tensors = x.features;
    const places = iota("i32", [B]);
    const all: WholeBatch = { ...x, features: { ...joint, ...x.extra }, places, count: B };
    const loss = strategy.loss(rowsAt(all, x.rows), all, logitsOf(clip, x.params));
    const wrt: Tensors = { ...joint, ...x.params };
    const found = gradients(loss, Object.values(wrt));
    const sumOf = (group: Tensors, offset: number) =>
      Object.fromEntries(Object.keys(group).map((name, i) => [name, add(group[name]!, found[offset + i]!)]));
    return {
      next: {
        d: sumOf(x.d, 0),
        gradients: sumOf(x.gradients, Object.keys(joint).length),
        loss: add(x.loss, loss),
      },
    };
  });
  return inPrecision(graph, options);
}

/**
 * Inputs `params`, `slots`, `ema`, `scalars` and `gradients` of the whole batch: outputs `next.*` in the state's memory,
 * and `metrics.gradientNorm`, `metrics.logitScale` (before the step).
 */
export function updateStep(options: TwoPassOptions): Graph {
  const { clip, replicas = 1 } = options;
  const { statistics: _, params: all, ...state } = stateTypes(options);
  const params = learning(all, options);
  const logits = parametersOf(options, "logits");
  return trace({ ...state, params, scalars: scalarTypes(options), gradients: params }, (x) => {
    const sums: Tensors = x.gradients;
    // Every device has the loss of all rows, and the gradients of its own.
    const found = Object.entries(sums).map(([name, g]) =>
      logits[name] === undefined ? allReduceSum(g, replicas) : g,
    );
    const gradientNorm = globalNorm(found);
    return {
      next: update(options, x, found, gradientNorm),
      metrics: { gradientNorm, logitScale: clip.logitScale(x.params) },
    };
  });
}
