/** SLIP: CLIP, and two more views of each image told apart from other images' by SimCLR's loss (Mu et al. 2022). */

import { add, concat, mul, relu, reshape, slice } from "../../graph/ops/index.js";
import type { Tensor } from "../../graph/tensor.js";
import { type Clip, unit } from "../../models/clip.js";
import { batchNorm, batchNormSpecs, declare } from "../../nn/batch-norm.js";
import { linear, linearSpecs } from "../../nn/layers.js";
import { prefixed, Scope, type Training, uniformInit } from "../../nn/parameters.js";
import { CLIP_SCALE, plainClip } from "./clip.js";
import { shareOfMean, softmaxPairs, viewPairs } from "./loss.js";
import type { Strategy, StrategyKind, StrategyOptions } from "./strategy.js";

/** Where the head's parameters are, as in SLIP's models.py. */
const HEAD = "image_mlp";
/** Noise of the further views; the image's own has the model's names. */
const VIEWS = ["view1", "view2"] as const;

/** The head: Linear, batch norm, ReLU twice, Linear; W to `hidden`, `hidden`, `out`, with PyTorch's starting values. */
function headSpecs(W: number, hidden: number, out: number) {
  const layer = (from: number, to: number) =>
    linearSpecs(from, to, uniformInit(from ** -0.5), uniformInit(from ** -0.5));
  return declare({
    layer1: layer(W, hidden),
    bn1: batchNormSpecs(hidden),
    layer2: layer(hidden, hidden),
    bn2: batchNormSpecs(hidden),
    layer3: layer(hidden, out),
  });
}

/** Features f32[B,W] to unit vectors f32[B,out]. */
function project(p: Scope, features: Tensor): Tensor {
  const normed = (name: string, x: Tensor) => {
    const [B, C] = x.shape as [number, number];
    return relu(reshape(batchNorm(p.in(name), reshape(x, [B, C, 1, 1])), [B, C]));
  };
  const first = normed("bn1", linear(p.in("layer1"), features));
  const second = normed("bn2", linear(p.in("layer2"), first));
  return unit(linear(p.in("layer3"), second));
}

/** The tower's noise for all views under each other: the image's rows, then those of each further view. */
function stacked(clip: Clip, training: Training): Training {
  const noise = Object.fromEntries(
    Object.keys(clip.noise).map((name) => [
      name,
      concat(
        [name, ...VIEWS.map((view) => `${view}.${name}`)].map((key) => training.noise[key]!),
        0,
      ),
    ]),
  );
  return { ...training, noise };
}

function build(clip: Clip, options: StrategyOptions): Strategy {
  const { labelSmoothing, sslScale, sslTemperature, sslHead } = options;
  const [hidden, out] = sslHead as [number, number];
  const head = headSpecs(clip.imageWidth, hidden, out);
  return {
    ...plainClip(clip, labelSmoothing),
    name: "slip",
    views: VIEWS.length,
    parameters: prefixed(HEAD, head.parameters),
    statistics: prefixed(HEAD, head.statistics),
    noise: Object.assign({ ...clip.noise }, ...VIEWS.map((view) => prefixed(view, clip.noise))),
    encodeImages(v, views, training) {
      // One pass of the trunk for all views; the head sees each view alone, as in SLIP's models.py.
      const features = clip.imageFeatures(v, concat(views, 0), stacked(clip, training)); // [3B,W]
      const B = views[0]!.shape[0]!;
      const rows = (view: number) => slice(features, 0, view * B, (view + 1) * B);
      const variables = { ...v };
      const named = VIEWS.map((view, i) => {
        const projected = project(new Scope(variables, training).in(HEAD), rows(i + 1));
        // The second view's batch moves the running statistics on from where the first's has brought them.
        Object.assign(variables, training.statistics);
        return [view, projected] as const;
      });
      return { images: clip.projectImage(v, rows(0)), ...Object.fromEntries(named) };
    },
    loss(own, all, logits) {
      const pairs = softmaxPairs(own, all, logits, labelSmoothing);
      const views = viewPairs(own, all, VIEWS, sslTemperature);
      return shareOfMean(add(pairs, mul(views, sslScale)), own, all);
    },
    chance: (B) => Math.log(B) + sslScale * Math.log(2 * B - 1),
  };
}

export const slip: StrategyKind = {
  description:
    "clip, and two more views of each image that must find each other among the batch's views. Two to three times the cost.",
  source: "Mu et al. 2022, SLIP: Self-supervision meets Language-Image Pre-training; facebookresearch/SLIP",
  views: ["simclr", "simclr"],
  learnsFrom: "image tower's end",
  options: ["labelSmoothing", "sslScale", "sslTemperature", "sslHead"],
  logits: { scale: CLIP_SCALE },
  build,
};
