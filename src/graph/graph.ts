/** Graphs: named inputs, named outputs and every node between them, in an order that can be executed. */

import { InternalError, UsageError } from "../core/errors.js";
import { formatType, sameType } from "../core/shape.js";
import type { AttrValue } from "./op.js";
import { input as inputOp } from "./ops/source.js";
import type { Node, Tensor } from "./tensor.js";

export interface GraphInput {
  readonly name: string;
  readonly tensor: Tensor;
}

export interface GraphOutput {
  readonly name: string;
  readonly tensor: Tensor;
  /** The input whose memory this output may take; that input is then spent. */
  readonly donates?: string | undefined;
}

export interface Graph {
  readonly inputs: readonly GraphInput[];
  readonly outputs: readonly GraphOutput[];
  /** Every node that the outputs need, and the inputs; producers before consumers. */
  readonly nodes: readonly Node[];
}

/** A graph from its outputs: nodes that no output needs are left out. Inputs stay, used or not. */
export function makeGraph(inputs: readonly GraphInput[], outputs: readonly GraphOutput[]): Graph {
  const seen = new Map<number, Node>();
  for (const { tensor } of inputs) seen.set(tensor.node.id, tensor.node);
  const given = new Set(seen.keys());
  const stack = outputs.map(({ tensor }) => tensor.node);
  for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
    if (seen.has(node.id)) continue;
    if (node.op.name === inputOp.name && !given.has(node.id)) {
      throw new UsageError(
        `graph: every input must be listed; got an input named ${String(node.attrs.name)} that is not. ` +
          "Pass it to the function instead of closing over it.",
      );
    }
    seen.set(node.id, node);
    for (const tensor of node.inputs) stack.push(tensor.node);
  }
  const nodes = [...seen.values()].sort((a, b) => a.id - b.id);
  const graph = { inputs, outputs, nodes };
  verify(graph);
  return graph;
}

/** Throws unless the graph is well formed: order, types by `infer`, names, donations. */
export function verify(graph: Graph): void {
  const ready = new Set<number>();
  for (const node of graph.nodes) {
    for (const tensor of node.inputs) {
      if (!ready.has(tensor.node.id)) {
        throw new InternalError(`verify: ${describe(node)} reads a node that does not come before it`);
      }
    }
    const types = node.op.infer(node.inputs, node.attrs);
    if (types.length !== node.outputs.length || types.some((t, i) => !sameType(t, node.outputs[i]!))) {
      throw new InternalError(
        `verify: ${describe(node)} holds ${node.outputs.map(formatType)} but infers ${types.map(formatType)}`,
      );
    }
    ready.add(node.id);
  }
  const names = new Set<string>();
  for (const { name } of [...graph.inputs, ...graph.outputs]) {
    if (name === "") throw new UsageError("graph: every input and output needs a name; got an empty one.");
    if (names.has(name)) throw new UsageError(`graph: names must differ; got "${name}" twice.`);
    names.add(name);
  }
  const donated = new Set<string>();
  for (const { name, tensor, donates } of graph.outputs) {
    if (!ready.has(tensor.node.id)) throw new InternalError(`verify: output ${name} has no node`);
    if (donates === undefined) continue;
    const source = graph.inputs.find((i) => i.name === donates);
    if (source === undefined || donated.has(donates) || !sameType(source.tensor, tensor)) {
      throw new UsageError(
        `graph: an output can take the memory of one input of its own type; got output ${name}: ` +
          `${formatType(tensor)} from ${donates}${source ? `: ${formatType(source.tensor)}` : ", which is no input"}.`,
      );
    }
    donated.add(donates);
  }
}

const describe = (node: Node): string =>
  `${node.op.name}${node.site === undefined ? "" : ` (written at ${node.site})`}`;

/** Gives `prefix` and a number that counts from zero, without the names that are `taken`. */
export function freshNames(taken: Iterable<string>): (prefix: string) => string {
  const used = new Set(taken);
  let counter = 0;
  return (prefix) => {
    let name: string;
    do name = `${prefix}${counter++}`;
    while (used.has(name));
    return name;
  };
}

/** The graph as text, one node a line, numbered from zero. */
export function print(graph: Graph): string {
  const names = new Map<number, string>();
  for (const { name, tensor } of graph.inputs) names.set(tensor.node.id, `%${name}`);
  const fresh = freshNames(graph.inputs.map((i) => i.name));
  const nameOf = (tensor: Tensor) =>
    `${names.get(tensor.node.id)}${tensor.node.outputs.length > 1 ? `#${tensor.index}` : ""}`;
  const lines = graph.inputs.map(({ name, tensor }) => `  %${name} : ${formatType(tensor)}`);
  for (const node of graph.nodes) {
    if (names.has(node.id)) continue;
    names.set(node.id, `%${fresh("")}`);
    const attrs = Object.entries(node.attrs)
      .filter(([, value]) => value !== undefined)
      .map(([key, value]) => `${key}=${printAttr(value)}`);
    const args = [...node.inputs.map(nameOf), ...attrs].join(", ");
    lines.push(
      `  ${names.get(node.id)} = ${node.op.name}(${args}) : ${node.outputs.map(formatType).join(", ")}`,
    );
  }
  const results = graph.outputs.map(
    ({ name, tensor, donates }) =>
      `${name} = ${nameOf(tensor)}${donates === undefined ? "" : ` (in place of %${donates})`}`,
  );
  return `graph {\n${lines.join("\n")}\n  return ${results.join(", ")}\n}\n`;
}

function printAttr(value: AttrValue): string {
  if (typeof value !== "object") return String(value);
  const items = Array.from(value as ArrayLike<number | bigint>);
  const shown = items.slice(0, 8).map(String).join(",");
  return `[${shown}${items.length > 8 ? `,… ${items.length} in all` : ""}]`;
}
