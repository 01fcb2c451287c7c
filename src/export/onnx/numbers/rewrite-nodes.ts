/** Rewriting of ONNX programs node by node, for passes that put other nodes and constants in their place. */

import type { OnnxAttribute } from "../../../graph/emit/context.js";
import type { OnnxDType, OnnxNode, OnnxProgram, OnnxTensor } from "../../../graph/emit/onnx-program.js";
import { tensorOf } from "../tensors.js";

/** What a pass writes with; names are made here. */
export interface NodeWriter {
  /** Adds a node and gives the name of its output `index`; `outputs` names them where they have names already. */
  node(
    type: string,
    inputs: readonly string[],
    attributes?: { readonly [name: string]: OnnxAttribute },
    options?: { readonly outputs?: readonly string[]; readonly domain?: OnnxNode["domain"] },
  ): string;
  /** Adds a node of several outputs and gives their names. */
  split(type: string, inputs: readonly string[], count: number): string[];
  constant(dtype: OnnxDType, shape: readonly number[], values: ArrayLike<number>): string;
  /** The constant that `name` is, if it is one. */
  known(name: string): OnnxTensor | undefined;
  /** What `make` gave for this key before, or gives now: for what several nodes read. */
  once<T>(key: string, make: () => T): T;
}

/** A node written otherwise, with outputs of the same names, or undefined to keep it. */
export type NodeRule = (node: OnnxNode, write: NodeWriter) => true | undefined;

/** Applies `rule` to every node in order. Constants that nothing reads any more are left out. */
export function rewriteNodes(program: OnnxProgram, rule: NodeRule, prefix: string): OnnxProgram {
  const nodes: OnnxNode[] = [];
  const constants = new Map(program.constants);
  const made = new Map<string, unknown>();
  let count = 0;
  const fresh = () => `${prefix}.${count++}`;
  const write: NodeWriter = {
    node(type, inputs, attributes = {}, { outputs = [fresh()], domain } = {}) {
      nodes.push({ type, inputs, outputs, attributes, domain });
      return outputs[0]!;
    },
    split(type, inputs, outputs) {
      const names = Array.from({ length: outputs }, fresh);
      nodes.push({ type, inputs, outputs: names, attributes: {} });
      return names;
    },
    constant(dtype, shape, values) {
      const name = fresh();
      constants.set(name, tensorOf(dtype, shape, values));
      return name;
    },
    known: (name) => constants.get(name),
    once<T>(key: string, make: () => T): T {
      if (!made.has(key)) made.set(key, make());
      return made.get(key) as T;
    },
  };
  for (const node of program.nodes) if (rule(node, write) === undefined) nodes.push(node);
  const read = new Set([
    ...nodes.flatMap(({ inputs }) => inputs),
    ...program.outputs.map(({ name }) => name),
  ]);
  return { ...program, nodes, constants: new Map([...constants].filter(([name]) => read.has(name))) };
}
