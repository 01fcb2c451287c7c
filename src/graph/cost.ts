/** What a graph costs, known before it runs. */

import { sizeOf } from "../core/dtype.js";
import { sizeOfShape, type TensorType } from "../core/shape.js";
import type { Graph } from "./graph.js";

export interface GraphCost {
  /** Multiply-adds. One multiply-add is two floating-point operations. */
  readonly macs: number;
  /** Bytes read and written, every operand counted once. */
  readonly bytes: number;
  /** Most bytes alive at once, inputs included, when nodes run in order and views are free. */
  readonly peakBytes: number;
  /** Bytes of the inputs. */
  readonly inputBytes: number;
  readonly nodes: number;
  /** Multiply-adds and bytes by operation, costliest first. */
  readonly byOp: readonly {
    readonly op: string;
    readonly count: number;
    readonly macs: number;
    readonly bytes: number;
  }[];
}

export const byteSize = (type: TensorType): number => sizeOfShape(type.shape) * sizeOf(type.dtype);

/** Multiply-adds, bytes moved and peak live memory of `graph`. */
export function costOf(graph: Graph): GraphCost {
  const byOp = new Map<string, { count: number; macs: number; bytes: number }>();
  const given = new Set(graph.inputs.map((i) => i.tensor.node.id));
  for (const node of graph.nodes) {
    if (given.has(node.id)) continue;
    const { macs, bytes } = node.op.cost(node.inputs, node.outputs, node.attrs);
    const entry = byOp.get(node.op.name) ?? { count: 0, macs: 0, bytes: 0 };
    byOp.set(node.op.name, { count: entry.count + 1, macs: entry.macs + macs, bytes: entry.bytes + bytes });
  }
  const rows = [...byOp]
    .map(([op, entry]) => ({ op, ...entry }))
    .sort((a, b) => b.macs - a.macs || b.bytes - a.bytes);
  const inputBytes = graph.inputs.reduce((n, { tensor }) => n + byteSize(tensor), 0);
  return {
    macs: rows.reduce((n, r) => n + r.macs, 0),
    bytes: rows.reduce((n, r) => n + r.bytes, 0),
    peakBytes: peakLive(graph),
    inputBytes,
    nodes: graph.nodes.length - graph.inputs.length,
    byOp: rows,
  };
}

/** Each buffer lives from its making to its last reading; a view shares its input's buffer; inputs always live. */
function peakLive(graph: Graph): number {
  const owner = new Map<number, number>();
  const ownerOf = (id: number): number => owner.get(id) ?? id;
  const lastUse = new Map<number, number>();
  graph.nodes.forEach((node, at) => {
    if (node.op.traits.includes("view") && node.inputs[0] !== undefined) {
      owner.set(node.id, ownerOf(node.inputs[0].node.id));
    }
    for (const t of node.inputs) lastUse.set(ownerOf(t.node.id), at);
  });
  const inputs = new Set(graph.inputs.map((i) => i.tensor.node.id));
  const donated = new Set(
    graph.outputs.filter((o) => o.donates !== undefined).map((o) => ownerOf(o.tensor.node.id)),
  );
  for (const { tensor } of graph.outputs) lastUse.set(ownerOf(tensor.node.id), graph.nodes.length);
  const dying = new Map<number, number[]>();
  for (const [id, at] of lastUse) dying.set(at, [...(dying.get(at) ?? []), id]);

  const size = new Map<number, number>();
  let live = graph.inputs.reduce((n, { tensor }) => n + byteSize(tensor), 0);
  let peak = live;
  graph.nodes.forEach((node, at) => {
    const owns = !inputs.has(node.id) && !donated.has(node.id) && ownerOf(node.id) === node.id;
    if (owns && !node.op.traits.includes("source")) {
      const bytes = node.outputs.reduce((n, t) => n + byteSize(t), 0);
      size.set(node.id, bytes);
      live += bytes;
      peak = Math.max(peak, live);
    }
    for (const id of dying.get(at) ?? []) live -= size.get(id) ?? 0;
  });
  return peak;
}
