/** The towers of a model as ONNX programs with their weights, for any batch, by the names that transformers gives. */

import { InternalError } from "../../core/errors.js";
import type { TensorType } from "../../core/shape.js";
import { standardDialect } from "../../graph/emit/dialect.js";
import { lowerToOnnx } from "../../graph/emit/onnx.js";
import {
  type OnnxNode,
  type OnnxProgram,
  type OnnxTensor,
  onnxDataType,
} from "../../graph/emit/onnx-program.js";
import { optimize } from "../../graph/passes.js";
import type { Tensor } from "../../graph/tensor.js";
import { trace } from "../../graph/trace.js";
import { makeClip, towerOf, type Variables } from "../../models/clip.js";
import { type ParameterSpecs, parameterTypes } from "../../nn/parameters.js";
import type { Exported } from "../form.js";
import { foldWeights, type Weights } from "./fold-weights.js";
import { freeBatch } from "./free-batch.js";
import { tensorOf } from "./tensors.js";

export interface Towers {
  /** `pixel_values` f32[image_batch,3,S,S], normalized, to `image_embeds` f32[image_batch,E]. */
  readonly vision: OnnxProgram;
  /** `input_ids`, `attention_mask` i64[text_batch,length] to `text_embeds` f32[text_batch,E]. */
  readonly text: OnnxProgram;
}

/** Both towers. What they give has unit length. */
export function towersOf(model: Exported): Towers {
  const clip = makeClip(model.located.config);
  const S = clip.config.vision_cfg.image_size;
  const T = model.tokenizer.contextLength;
  const pixels = (batch: number): TensorType => ({ dtype: "f32", shape: [batch, 3, S, S] });
  const tokens = (batch: number): TensorType => ({ dtype: "i32", shape: [batch, T] });
  const of = (tower: "image" | "text"): ParameterSpecs =>
    Object.fromEntries(Object.entries(clip.variables).filter(([name]) => towerOf(name) === tower));
  return {
    vision: programOf(model, of("image"), ["pixel_values", pixels], "image_batch", (params, images) => ({
      image_embeds: clip.encodeImage(params, images),
    })),
    text: withTokens(
      programOf(model, of("text"), ["tokens", tokens], "text_batch", (params, rows) => ({
        text_embeds: clip.encodeText(params, rows),
      })),
      model,
    ),
  };
}

/** What `encode` computes of one input, with the weights that it reads as constants. */
function programOf(
  { values }: Exported,
  specs: ParameterSpecs,
  [input, typeOf]: readonly [string, (batch: number) => TensorType],
  batchName: string,
  encode: (params: Variables, x: Tensor) => Record<string, Tensor>,
): OnnxProgram {
  const params = parameterTypes(specs);
  const weights: Weights = new Map(Object.keys(specs).map((name) => [`params.${name}`, values[name]!]));
  const program = freeBatch((batch) => {
    const graph = trace({ params, [input]: typeOf(batch) }, (x) =>
      encode(x.params as Variables, x[input] as unknown as Tensor),
    );
    return lowerToOnnx(foldWeights(optimize(graph, "onnx"), weights), standardDialect);
  }, batchName);
  const constants = new Map(program.constants);
  const read = new Set(program.nodes.flatMap((node) => node.inputs));
  for (const { name, shape } of program.inputs) {
    const data = weights.get(name);
    if (data !== undefined && read.has(name)) constants.set(name, tensorOf("f32", shape as number[], data));
  }
  return { ...program, inputs: program.inputs.filter(({ name }) => !weights.has(name)), constants };
}

/**
 * The text tower's program from the rows that a client's tokenizer gives, of any length: what its mask leaves out becomes the
 * padding that the model knows, rows are brought to the context length, and one that fills it ends with the end token, which
 * transformers.js cuts off from long texts.
 */
function withTokens(program: OnnxProgram, { tokenizer }: Exported): OnnxProgram {
  const T = tokenizer.contextLength;
  const nodes: OnnxNode[] = [];
  const constants = new Map<string, OnnxTensor>(program.constants);
  const node = (type: string, inputs: readonly string[], attributes = {}, output = `ids.${nodes.length}`) => {
    nodes.push({ type, inputs, outputs: [output], attributes });
    return output;
  };
  const constant = (dtype: "i32" | "i64" | "bool", shape: readonly number[], values: readonly number[]) => {
    const name = `ids.c${constants.size}`;
    constants.set(name, tensorOf(dtype, shape, values));
    return name;
  };
  const end = endWhereCut(tokenizer);
  const length = node("Shape", ["input_ids"], { start: 1, end: 2 });
  const missing = node("Max", [node("Sub", [constant("i64", [1], [T]), length]), constant("i64", [1], [0])]);
  const widths = node("Concat", [constant("i64", [3], [0, 0, 0]), missing], { axis: 0 });
  const [start, stop, axis] = [0, T, 1].map((value) => constant("i64", [1], [value])) as [
    string,
    string,
    string,
  ];
  const fitted = (name: string): string => {
    const cut = node("Slice", [node("Cast", [name], { to: onnxDataType.i32 }), start, stop, axis]);
    return node("Pad", [cut, widths, constant("i32", [], [0])]);
  };
  const isText = node("Cast", [fitted("attention_mask")], { to: onnxDataType.bool });
  const padded = [isText, fitted("input_ids"), constant("i32", [], [tokenizer.padTokenId])];
  if (end === undefined) node("Where", padded, {}, "tokens");
  else {
    const rows = node("Where", padded);
    const last = constant(
      "bool",
      [1, T],
      Array.from({ length: T }, (_, i) => (i === T - 1 ? 1 : 0)),
    );
    const isEnd = node("And", [isText, last]);
    node("Where", [isEnd, constant("i32", [], [end]), rows], {}, "tokens");
  }
  const [{ shape } = { shape: [] }] = program.inputs;
  const input = (name: string) => ({ name, dtype: "i64" as const, shape: [shape[0]!, "text_length"] });
  return {
    inputs: [input("input_ids"), input("attention_mask")],
    outputs: program.outputs,
    nodes: [...nodes, ...program.nodes],
    constants,
  };
}

/** The token that ends a text that is too long, where the tokenizer ends such with one. */
function endWhereCut(tokenizer: Exported["tokenizer"]): number | undefined {
  const row = tokenizer.encodeBatch([`${"a cat and a dog ".repeat(tokenizer.contextLength)}`]);
  return row[tokenizer.contextLength - 1] === tokenizer.endTokenId ? tokenizer.endTokenId : undefined;
}

/**
 * Both towers in one program, with what a zero-shot pipeline reads: `logits_per_image` [image_batch,text_batch],
 * `logits_per_text`, `text_embeds`, `image_embeds`. `scale` and `bias` are the model's own for its cosines.
 */
export function joined({ vision, text }: Towers, scale: number, bias = 0): OnnxProgram {
  const [left, right] = [prefixed(vision, "vision"), prefixed(text, "text")];
  const constants = new Map([...left.constants, ...right.constants]);
  constants.set("logit_scale", tensorOf("f32", [], [scale]));
  constants.set("logit_bias", tensorOf("f32", [], [bias]));
  const node = (type: string, inputs: readonly string[], output: string, attributes = {}): OnnxNode => ({
    type,
    inputs,
    outputs: [output],
    attributes,
  });
  const tail = [
    node("Gemm", ["image_embeds", "text_embeds"], "cosines", { transB: 1 }),
    node("Mul", ["cosines", "logit_scale"], "scaled"),
    node("Add", ["scaled", "logit_bias"], "logits_per_image"),
    node("Transpose", ["logits_per_image"], "logits_per_text", { perm: [1, 0] }),
  ];
  const [images, texts] = ["image_batch", "text_batch"];
  const logits = (name: string, shape: readonly string[]) => ({ name, dtype: "f32" as const, shape });
  return {
    inputs: [...right.inputs, ...left.inputs],
    outputs: [
      logits("logits_per_image", [images!, texts!]),
      logits("logits_per_text", [texts!, images!]),
      ...right.outputs,
      ...left.outputs,
    ],
    nodes: [...left.nodes, ...right.nodes, ...tail],
    constants,
  };
}

/** The program with `prefix.` before every name that is no input or output. */
function prefixed(program: OnnxProgram, prefix: string): OnnxProgram {
  const own = new Set([...program.inputs, ...program.outputs].map(({ name }) => name));
  const rename = (name: string): string => (name === "" || own.has(name) ? name : `${prefix}.${name}`);
  return {
    inputs: program.inputs,
    outputs: program.outputs,
    nodes: program.nodes.map((node) => ({
      ...node,
      inputs: node.inputs.map(rename),
      outputs: node.outputs.map(rename),
    })),
    constants: new Map([...program.constants].map(([name, tensor]) => [rename(name), tensor])),
  };
}

/** Bytes of a program's constants. */
export const sizeBytes = ({ constants }: OnnxProgram): number =>
  [...constants.values()].reduce((n, { bytes }) => n + bytes.length, 0);

/** The model's factor on cosines, and what it adds. */
export function logitsOf({ values }: Exported): { scale: number; bias: number } {
  const [logarithm] = values.logit_scale ?? [];
  if (logarithm === undefined) throw new InternalError("export: the model has no logit_scale");
  return { scale: Math.exp(logarithm), bias: values.logit_bias?.[0] ?? 0 };
}
