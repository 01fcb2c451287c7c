/**
 * Programs of any batch size. A graph has numbers for its sizes, so a program is lowered at two batches, and what differs
 * between the two is what the batch decides: sizes that are reshaped or repeated to, and counts over the batch. These are
 * worked out from the input's size where the program runs; everything else must be equal.
 */

import { isDeepStrictEqual } from "node:util";
import { InternalError } from "../../core/errors.js";
import { sizeOfShape } from "../../core/shape.js";
import {
  type OnnxNode,
  type OnnxProgram,
  type OnnxTensor,
  type OnnxValue,
  onnxDataType,
} from "../../graph/emit/onnx-program.js";
import { intsOf, tensorOf } from "./tensors.js";

/** Two batches that no other size is a multiple of: primes beyond every width, and beyond what is folded or written out. */
const BATCHES = [10_007, 10_009] as const;

/** The program that `lower` gives for any batch; the batch is called `name` in the shapes of inputs and outputs. */
export function freeBatch(lower: (batch: number) => OnnxProgram, name: string): OnnxProgram {
  const [small, large] = BATCHES.map(lower) as [OnnxProgram, OnnxProgram];
  if (!isDeepStrictEqual(small.nodes, large.nodes))
    throw new InternalError("freeBatch: the program's nodes depend on the batch");
  const free = (value: OnnxValue): OnnxValue => ({
    ...value,
    shape: value.shape.map((d) => (d === BATCHES[0] ? name : d)),
  });
  const inputs = small.inputs.map(free);
  const constants = new Map<string, OnnxTensor>();
  const worked: OnnxNode[] = [];
  const batch = batchOf(inputs, name);
  for (const [key, tensor] of small.constants) {
    const other = large.constants.get(key);
    if (other === undefined)
      throw new InternalError(`freeBatch: constant ${key} is there for one batch alone`);
    if (isDeepStrictEqual(tensor, other)) {
      constants.set(key, tensor);
      continue;
    }
    const uses = small.nodes.filter((node) => node.inputs.includes(key));
    worked.push(...workedOut(key, multiplesOf(key, tensor, other), tensor, uses, constants));
  }
  const nodes = worked.length === 0 ? small.nodes : [batch, ...worked, ...small.nodes];
  return { inputs, outputs: small.outputs.map(free), nodes, constants };
}

const BATCH = "batch.size";

/** The batch as i64[1]. */
function batchOf(inputs: readonly OnnxValue[], name: string): OnnxNode {
  for (const { name: from, shape } of inputs) {
    const axis = shape.indexOf(name);
    if (axis >= 0)
      return { type: "Shape", inputs: [from], outputs: [BATCH], attributes: { start: axis, end: axis + 1 } };
  }
  throw new InternalError("freeBatch: no input has the batch in its shape");
}

/** How often the batch is in each of a constant's numbers, 0 where it is not; "count" for 0, 1, 2, … up to the batch. */
function multiplesOf(key: string, small: OnnxTensor, large: OnnxTensor): readonly number[] | "count" {
  const [a, b] = [intsOf(small), intsOf(large)];
  const counts = (list: readonly number[]) => list.every((value, i) => value === i);
  if (a.length === BATCHES[0] && b.length === BATCHES[1] && counts(a) && counts(b)) return "count";
  const multiples = a.map((value, i) => (b[i]! - value) / (BATCHES[1] - BATCHES[0]));
  const fits = (k: number, i: number) => Number.isInteger(k) && (k === 0 || a[i] === k * BATCHES[0]);
  if (a.length !== b.length || !multiples.every(fits))
    throw new InternalError(`freeBatch: constant ${key} is no multiple of the batch`);
  return multiples;
}

/** Nodes that give the constant `key` by the batch; where -1 says enough, it stays a constant. */
function workedOut(
  key: string,
  multiples: readonly number[] | "count",
  tensor: OnnxTensor,
  uses: readonly OnnxNode[],
  constants: Map<string, OnnxTensor>,
): OnnxNode[] {
  const { dtype, shape } = tensor;
  const node = (type: string, inputs: readonly string[], output: string, attributes = {}): OnnxNode => ({
    type,
    inputs,
    outputs: [output],
    attributes,
  });
  const constant = (suffix: string, values: readonly number[], of = shape): string => {
    constants.set(`${key}.${suffix}`, tensorOf("i64", of, values));
    return `${key}.${suffix}`;
  };
  const cast = (from: string): OnnxNode => node("Cast", [from], key, { to: onnxDataType[dtype] });
  if (multiples === "count") {
    const end = node("Squeeze", [BATCH], `${key}.end`);
    const range = node(
      "Range",
      [constant("first", [0], []), `${key}.end`, constant("step", [1], [])],
      `${key}.all`,
    );
    return [end, range, cast(`${key}.all`)];
  }
  const values = intsOf(tensor);
  const isSize = uses.every(({ type, inputs }) => type === "Reshape" && inputs[1] === key);
  if (isSize && multiples.filter((k) => k > 0).length === 1 && !values.includes(0)) {
    constants.set(
      key,
      tensorOf(
        "i64",
        shape,
        values.map((value, i) => (multiples[i] === 0 ? value : -1)),
      ),
    );
    return [];
  }
  const fixed = values.map((value, i) => (multiples[i] === 0 ? value : 0));
  const product = node("Mul", [BATCH, constant("multiples", multiples)], `${key}.product`);
  const sum = node("Add", [`${key}.product`, constant("fixed", fixed)], `${key}.sum`);
  if (sizeOfShape(shape) === 1 && shape.length === 0)
    return [product, sum, node("Squeeze", [`${key}.sum`], `${key}.one`), cast(`${key}.one`)];
  return [product, sum, cast(`${key}.sum`)];
}
