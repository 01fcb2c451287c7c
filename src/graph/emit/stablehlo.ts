/**
 * Writes a graph as StableHLO text (openxla/stablehlo, docs/spec.md), in spellings that StableHLO 1.13 and later
 * parse. Knows no operation by name: every node lowers itself.
 */

import type { DType } from "../../core/dtype.js";
import { InternalError, Unsupported } from "../../core/errors.js";
import { type Shape, sameShape, type TensorType } from "../../core/shape.js";
import type { Graph } from "../graph.js";
import type { Arg, StableHloContext } from "./context.js";

const elementType: Record<DType, string> = {
  f32: "f32",
  bf16: "bf16",
  f16: "f16",
  i32: "i32",
  i64: "i64",
  u8: "ui8",
  bool: "i1",
};

/** `tensor<2x77x512xf32>` */
export const mlirType = ({ dtype, shape }: TensorType): string =>
  `tensor<${[...shape, elementType[dtype]].join("x")}>`;

/** One element as MLIR writes it. */
export function mlirNumber(dtype: DType, value: number): string {
  if (dtype === "bool") return value !== 0 ? "true" : "false";
  if (dtype === "i32" || dtype === "i64" || dtype === "u8") {
    // The infinities stand for the ends of an integer's range: where a greatest or least starts.
    const ends = {
      i32: ["-2147483648", "2147483647"],
      i64: ["-9223372036854775808", "9223372036854775807"],
      u8: ["0", "255"],
    };
    if (!Number.isFinite(value)) return ends[dtype][value < 0 ? 0 : 1]!;
    return String(Math.trunc(value));
  }
  // MLIR reads 2e+0 as the integer 2: a float needs its point.
  if (Number.isFinite(value)) return value.toExponential().replace(/^(-?\d+)e/, "$1.0e");
  const bits = {
    f32: { nan: "0x7FC00000", plus: "0x7F800000", minus: "0xFF800000" },
    bf16: { nan: "0x7FC0", plus: "0x7F80", minus: "0xFF80" },
    f16: { nan: "0x7E00", plus: "0x7C00", minus: "0xFC00" },
  }[dtype];
  return Number.isNaN(value) ? bits.nan : value > 0 ? bits.plus : bits.minus;
}

/**
 * A module whose `main` takes the graph's inputs and returns its outputs, in order. Donated inputs carry
 * `tf.aliasing_output`. Throws `Unsupported`.
 */
export function emitStableHlo(graph: Graph): string {
  const lines: string[] = [];
  const constants = new Map<string, string>();
  let counter = 0;

  const context: StableHloContext = {
    emit(text, results = 1) {
      const name = `%${counter++}`;
      lines.push(`    ${name}${results > 1 ? `:${results}` : ""} = ${text}`);
      return name;
    },
    constant(type, value) {
      const dense =
        typeof value === "number"
          ? mlirNumber(type.dtype, value)
          : nested(type.shape, (i) => mlirNumber(type.dtype, value[i]!));
      const text = `stablehlo.constant dense<${dense}> : ${mlirType(type)}`;
      const known = constants.get(text);
      if (known !== undefined) return known;
      const name = context.emit(text);
      constants.set(text, name);
      return name;
    },
    broadcast(x, shape) {
      if (sameShape(x.shape, shape)) return x.name;
      // Sizes of 1 are dropped first: broadcast_in_dim wants equal sizes or none.
      const lead = shape.length - x.shape.length;
      const kept = x.shape.map((d, i) => ({ d, at: lead + i })).filter(({ d, at }) => d === shape[at]);
      const squeezed: TensorType = { dtype: x.dtype, shape: kept.map(({ d }) => d) };
      const from = sameShape(squeezed.shape, x.shape)
        ? x.name
        : context.emit(`stablehlo.reshape ${x.name} : (${mlirType(x)}) -> ${mlirType(squeezed)}`);
      const to = mlirType({ dtype: x.dtype, shape });
      const dims = kept.map(({ at }) => at).join(", ");
      return context.emit(
        `stablehlo.broadcast_in_dim ${from}, dims = [${dims}] : (${mlirType(squeezed)}) -> ${to}`,
      );
    },
    reduce(x, axes, by, init) {
      const type: TensorType = { dtype: x.dtype, shape: x.shape.filter((_, i) => !axes.includes(i)) };
      const scalar: TensorType = { dtype: x.dtype, shape: [] };
      const zero = context.constant(scalar, init);
      const name = context.emit(
        `stablehlo.reduce(${x.name} init: ${zero}) applies stablehlo.${by} across dimensions = [${axes.join(", ")}]` +
          ` : (${mlirType(x)}, ${mlirType(scalar)}) -> ${mlirType(type)}`,
      );
      return { ...type, name };
    },
    typeOf: mlirType,
    arg: (name, type) => ({ name, dtype: type.dtype, shape: type.shape }),
  };

  const names = new Map<string, string>();
  graph.inputs.forEach((input, i) => {
    names.set(`${input.tensor.node.id}:0`, `%arg${i}`);
  });
  const nameOf = (id: number, index: number): string => {
    const name = names.get(`${id}:${index}`);
    if (name === undefined) throw new InternalError(`stablehlo: node ${id} is used before it is written`);
    return name;
  };

  for (const node of graph.nodes) {
    if (names.has(`${node.id}:0`)) continue;
    const lowering = node.op.stablehlo;
    // Kernels that do not fit were taken apart before.
    const lower = typeof lowering === "object" && "lower" in lowering ? lowering.lower : lowering;
    if (typeof lower !== "function") {
      const why = lower === "decompose" ? "it was not decomposed first" : lower.unsupported;
      throw new Unsupported(`stablehlo: ${node.op.name} cannot be written; ${why}.`, node.op.name, node.site);
    }
    const args: Arg[] = node.inputs.map((t) => ({
      name: nameOf(t.node.id, t.index),
      dtype: t.dtype,
      shape: t.shape,
    }));
    lower(context, args, node.attrs, node.outputs).forEach((name, i) => {
      names.set(`${node.id}:${i}`, name);
    });
  }

  const parameters = graph.inputs.map((input, i) => {
    const output = graph.outputs.findIndex((o) => o.donates === input.name);
    const alias = output < 0 ? "" : ` {tf.aliasing_output = ${output} : i32}`;
    return `%arg${i}: ${mlirType(input.tensor)}${alias}`;
  });
  const results = graph.outputs.map(({ tensor }) => nameOf(tensor.node.id, tensor.index));
  const types = graph.outputs.map(({ tensor }) => mlirType(tensor)).join(", ");
  return [
    "module @clipwright {",
    `  func.func public @main(${parameters.join(", ")}) -> (${types}) {`,
    ...lines,
    `    return ${results.join(", ")} : ${types}`,
    "  }",
    "}",
    "",
  ].join("\n");
}

/** Elements in nested brackets; a scalar has none. */
function nested(shape: Shape, element: (index: number) => string): string {
  const write = (axis: number, offset: number): string => {
    if (axis === shape.length) return element(offset);
    const step = shape.slice(axis + 1).reduce((n, d) => n * d, 1);
    const items = Array.from({ length: shape[axis]! }, (_, i) => write(axis + 1, offset + i * step));
    return `[${items.join(", ")}]`;
  };
  return write(0, 0);
}
