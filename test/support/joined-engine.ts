/**
 * An engine for tests that joins processes: what each uploads for its own devices goes to all through the run's store,
 * and each computes all replicas by the references. Slow, exact, and only as large as a test can be.
 */

import koffi from "koffi";
import { allocate, type TypedArray } from "../../src/core/dtype.js";
import { UsageError } from "../../src/core/errors.js";
import { sameType, sizeOfShape, type TensorType } from "../../src/core/shape.js";
import { requireCapabilities } from "../../src/engines/capabilities.js";
import type { Capabilities, DeviceBuffer, Engine, Executable } from "../../src/engines/engine.js";
import { processGroup } from "../../src/engines/processes.js";
import type { openEngine } from "../../src/engines/registry.js";
import { type Link, linkTo } from "../../src/engines/xla/store-wire.js";
import type { Graph } from "../../src/graph/graph.js";
import { interpretReplicas } from "../../src/graph/interpret.js";

const PATIENCE_MS = 60_000;

class JoinedBuffer implements DeviceBuffer {
  spent = false;
  constructor(
    readonly type: TensorType,
    /** The numbers of every replica, once they are known here. */
    readonly replicas: Promise<readonly TypedArray[]>,
  ) {}
  [Symbol.dispose](): void {
    this.spent = true;
  }
}

export class JoinedEngine implements Engine {
  readonly name = "joined";
  readonly capabilities: Capabilities;
  private uploads = 0;

  constructor(
    devices: number,
    private readonly place: { readonly index: number; readonly count: number },
    private readonly link: Link | undefined,
  ) {
    this.capabilities = {
      dtypes: ["f32", "i32", "u8", "bool", "i64"],
      computeDtypes: ["f32"],
      bf16Results: [],
      preferredPrecision: "f32",
      donation: true,
      devices,
      replicas: devices * place.count,
      device: { platform: "cpu" },
    };
  }

  async compile(graph: Graph): Promise<Executable> {
    requireCapabilities(this.name, this.capabilities, graph);
    const meet = graph.nodes.some(({ op }) => op.traits.includes("collective"));
    const count = this.capabilities.replicas;
    const run = async (inputs: Readonly<Record<string, DeviceBuffer>>) => {
      const rows: Record<string, ArrayLike<number>>[] = Array.from({ length: meet ? count : 1 }, () => ({}));
      for (const { name, tensor } of graph.inputs) {
        const buffer = inputs[name];
        if (!(buffer instanceof JoinedBuffer) || buffer.spent || !sameType(buffer.type, tensor)) {
          throw new UsageError(`joined: input ${name} must be a buffer of its type`);
        }
        const all = await buffer.replicas;
        for (const [r, row] of rows.entries()) row[name] = all[r] as Float32Array;
      }
      const results = interpretReplicas(graph, rows);
      const outputs: Record<string, DeviceBuffer> = {};
      for (const { name, tensor, donates } of graph.outputs) {
        const parts = results.map((own) => {
          const out = allocate(tensor.dtype, sizeOfShape(tensor.shape));
          out.set([...own[name]!.data] as never);
          return out;
        });
        const all = meet ? parts : Array.from({ length: count }, () => parts[0]!);
        outputs[name] = new JoinedBuffer(tensor, Promise.resolve(all));
        if (donates !== undefined) inputs[donates]![Symbol.dispose]();
      }
      return outputs;
    };
    return { graph, run, plannedMemory: () => undefined, [Symbol.dispose]() {} };
  }

  upload(type: TensorType, data: TypedArray, { each = false }: { each?: boolean } = {}): DeviceBuffer {
    const size = sizeOfShape(type.shape);
    const { devices, replicas } = this.capabilities;
    if (data.length !== size * (each ? devices : 1)) {
      throw new UsageError(`joined: needs ${size} numbers on each of ${devices}; got ${data.length}`);
    }
    const own = allocate(type.dtype, data.length);
    own.set(data as never);
    if (!each) return new JoinedBuffer(type, Promise.resolve(Array.from({ length: replicas }, () => own)));
    const all = this.exchange(type, own, this.uploads++);
    all.catch(() => {});
    return new JoinedBuffer(type, all);
  }

  private async exchange(type: TensorType, own: TypedArray, n: number): Promise<readonly TypedArray[]> {
    const size = sizeOfShape(type.shape);
    const cut = (data: TypedArray) =>
      Array.from({ length: data.length / size }, (_, d) => data.subarray(d * size, (d + 1) * size));
    const { index, count } = this.place;
    if (this.link === undefined) return cut(own);
    const key = (k: number) => `joined/${n}/${k}`;
    await this.link.ask("put", key(index), new Uint8Array(own.buffer), 0);
    const parts: TypedArray[] = [];
    for (let k = 0; k < count; k++) {
      const { value } = await this.link.ask("get", key(k), new Uint8Array(), PATIENCE_MS);
      const data = allocate(type.dtype, own.length);
      new Uint8Array(data.buffer).set(value!);
      parts.push(...cut(data));
    }
    return parts;
  }

  async download(buffer: DeviceBuffer, { each = false }: { each?: boolean } = {}): Promise<TypedArray> {
    const all = await (buffer as JoinedBuffer).replicas;
    const { devices } = this.capabilities;
    const own = all.slice(this.place.index * devices, (this.place.index + 1) * devices);
    if (!each || devices === 1) return own[0]!;
    const out = allocate(buffer.type.dtype, own[0]!.length * devices);
    for (const [d, part] of own.entries()) out.set(part as never, d * part.length);
    return out;
  }

  peakMemory(): undefined {}
  stats = () => ({ buffers: 0, bytes: 0 });

  async [Symbol.asyncDispose](): Promise<void> {
    this.link?.close();
  }
}

/**
 * Stands for `openEngine` in a process of a test. With CLIPWRIGHT_TEST_BLOCKED=1 a thread of Node's pool hangs in
 * native code from then on, as one that waits for a device does when a process of the group is gone.
 */
export const openJoined: typeof openEngine = async (_name, { devices = 1 } = {}) => {
  const group = processGroup();
  if (process.env.CLIPWRIGHT_TEST_BLOCKED === "1") {
    koffi
      .load("libc.so.6")
      .func("int pause()")
      .async(() => {});
  }
  const link = group && (await linkTo({ ...group, timeoutMs: PATIENCE_MS }));
  return new JoinedEngine(devices, group ?? { index: 0, count: 1 }, link);
};
