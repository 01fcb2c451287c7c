/** What each preset is: sizes and costs, worked out from its graph. */

import { costOf } from "../../graph/cost.js";
import { trace } from "../../graph/trace.js";
import { countParameters, type ParameterSpecs, parameterTypes } from "../../nn/parameters.js";
import { makeClip, towerOf } from "../clip.js";
import type { ClipConfig } from "../config/config.js";
import type { Preset } from "./preset.js";

export interface ModelSummary {
  readonly name: string;
  readonly family: string;
  readonly about: string;
  readonly imageSize: number;
  readonly contextLength: number;
  readonly embedDim: number;
  /** Parameters of the image tower, projection included. */
  readonly imageParams: number;
  /** Parameters of the text tower, projection included. */
  readonly textParams: number;
  /** All parameters, with the logit scale and, if there is one, its bias. */
  readonly totalParams: number;
  /** Multiply-adds of one forward pass, in units of 10⁹. */
  readonly imageGmacs: number;
  readonly textGmacs: number;
  /** Weights, gradients and AdamW's two moments in f32; activations come on top, by batch. */
  readonly trainStateBytes: number;
  /** What each pair of a batch keeps for the backward pass, about. */
  readonly activationBytesPerPair: number;
}

const BYTES_PER_PARAMETER = 4 * 4;

/** Sizes and costs of a preset. */
export function summarize({ name, family, about, config }: Preset): ModelSummary {
  const clip = makeClip(config);
  const { image_size: S } = clip.config.vision_cfg;
  const T = clip.config.text_cfg.context_length;
  const visual = Object.entries(clip.parameters).filter(([n]) => towerOf(n) === "image");
  const logits = Object.fromEntries(
    Object.entries(clip.parameters).filter(([n]) => towerOf(n) === "logits"),
  ) as ParameterSpecs;
  const imageParams = countParameters(Object.fromEntries(visual) as ParameterSpecs);
  const totalParams = countParameters(clip.parameters);
  const costs = towerCosts(config);
  return {
    name,
    family,
    about,
    imageSize: S,
    contextLength: T,
    embedDim: clip.config.embed_dim,
    imageParams,
    textParams: totalParams - imageParams - countParameters(logits),
    totalParams,
    imageGmacs: costs.image.macs / 1e9,
    textGmacs: costs.text.macs / 1e9,
    trainStateBytes: totalParams * BYTES_PER_PARAMETER,
    activationBytesPerPair: costs.image.outputBytes + costs.text.outputBytes,
  };
}

/** Multiply-adds of each tower on one input, and bytes of all that it computes on the way. */
export function towerCosts(config: ClipConfig) {
  const clip = makeClip(config);
  const S = clip.config.vision_cfg.image_size;
  const T = clip.config.text_cfg.context_length;
  const params = parameterTypes(clip.variables);
  const image = trace({ params, images: { dtype: "f32" as const, shape: [1, 3, S, S] } }, (x) => ({
    y: clip.encodeImage(x.params, x.images),
  }));
  const text = trace({ params, tokens: { dtype: "i32" as const, shape: [1, T] } }, (x) => ({
    y: clip.encodeText(x.params, x.tokens),
  }));
  const of = (graph: typeof image) => {
    const { macs } = costOf(graph);
    // What is made from weights alone is there once, whatever the batch.
    const data = graph.inputs.filter(({ name }) => !name.startsWith("params.")).map((i) => i.tensor.node.id);
    const perSample = new Set(data);
    for (const node of graph.nodes)
      if (node.inputs.some((t) => perSample.has(t.node.id))) perSample.add(node.id);
    const outputBytes = graph.nodes
      .filter((n) => perSample.has(n.id) && !data.includes(n.id) && !n.op.traits.includes("view"))
      .reduce(
        (n, node) => n + node.outputs.reduce((m, t) => m + 4 * t.shape.reduce((a, d) => a * d, 1), 0),
        0,
      );
    return { macs, outputBytes };
  };
  return { image: of(image), text: of(text) };
}
