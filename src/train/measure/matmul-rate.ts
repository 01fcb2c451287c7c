/** What a device can do at best: its rate on large matrix products, of the size and layout that it is fastest on. */

import { keyFromSeed, Random } from "../../core/random.js";
import type { Engine } from "../../engines/engine.js";
import { matmul, sum } from "../../graph/ops/index.js";
import { mixedPrecision } from "../../graph/precision.js";
import { trace } from "../../graph/trace.js";
import type { Precision } from "../recipe/machine-fields.js";

/** Products y ← y B, or y Bᵀ, one after the other, each as large as the last. */
export interface ProductKind {
  /** Rows and columns of all matrices. */
  readonly side: number;
  /** Products in one run of the program. */
  readonly length: number;
  readonly transposed: boolean;
}

/** Programs of which the larger take some 17 GFLOP on a CPU, and keep a device of a thousand teraflops busy. */
const lengths: Readonly<Record<"cpu" | "other", Readonly<Record<number, number>>>> = {
  cpu: { 512: 32, 1024: 8, 2048: 1 },
  other: { 2048: 512, 4096: 128, 8192: 16 },
};
/** Runs by which kinds are compared, after one that is not timed. */
const TRIALS = 3;

export const productKinds = (platform: string): ProductKind[] =>
  Object.entries(lengths[platform === "cpu" ? "cpu" : "other"]).flatMap(([side, length]) =>
    [false, true].map((transposed) => ({ side: Number(side), length, transposed })),
  );

export const describeProducts = ({ side, transposed }: ProductKind): string =>
  `${side}²${transposed ? ", one transposed" : ""}`;

/** The kind that was fastest, by engine and precision: the same in every measurement of one run. */
const fastest = new WeakMap<Engine, Map<Precision, ProductKind>>();

/** The device's fastest products, to be timed between the steps. */
export class MatmulRate implements Disposable {
  private best = Number.POSITIVE_INFINITY;
  private constructor(
    readonly kind: ProductKind,
    private readonly seconds: () => Promise<number>,
    private readonly free: () => void,
  ) {}

  /** The fastest of `productKinds`; the others are freed. */
  static async create(engine: Engine, precision: Precision): Promise<MatmulRate> {
    const known = fastest.get(engine)?.get(precision);
    const kinds = known === undefined ? productKinds(engine.capabilities.device.platform) : [known];
    let found: MatmulRate | undefined;
    for (const kind of kinds) {
      const next = await MatmulRate.of(engine, precision, kind);
      for (let i = 0; i < TRIALS; i++) await next.measure();
      const slower = found !== undefined && found.gflops >= next.gflops ? next : found;
      slower?.[Symbol.dispose]();
      if (slower !== next) found = next;
    }
    const memory = fastest.get(engine) ?? new Map<Precision, ProductKind>();
    fastest.set(engine, memory.set(precision, found!.kind));
    return found!;
  }

  private static async of(engine: Engine, precision: Precision, kind: ProductKind): Promise<MatmulRate> {
    const { side, length, transposed } = kind;
    const type = { dtype: "f32", shape: [side, side] } as const;
    const chain = trace({ a: type, b: type }, ({ a, b }) => {
      let y = a;
      for (let i = 0; i < length; i++) y = matmul(y, b, { transB: transposed });
      return { y: sum(y) };
    });
    const graph = precision === "f32" ? chain : mixedPrecision(chain, { results: "bf16" });
    const executable = await engine.compile(graph, { name: "matrix products" });
    const random = new Random(keyFromSeed(1));
    const data = Float32Array.from({ length: side ** 2 }, () => random.normal());
    const a = engine.upload(type, data);
    // Of this scale, a product has its left factor's size.
    const b = engine.upload(
      type,
      data.map((x) => x / Math.sqrt(side)),
    );
    const seconds = async () => {
      const start = performance.now();
      const { y } = await executable.run({ a, b });
      await engine.download(y!);
      y![Symbol.dispose]();
      return (performance.now() - start) / 1000 / length;
    };
    await seconds();
    return new MatmulRate(kind, seconds, () => {
      a[Symbol.dispose]();
      b[Symbol.dispose]();
      executable[Symbol.dispose]();
    });
  }

  /** Runs the products once more. */
  async measure(): Promise<void> {
    this.best = Math.min(this.best, await this.seconds());
  }

  /** The best so far, 2 side³ operations a product. */
  get gflops(): number {
    return (2 * this.kind.side ** 3) / this.best / 1e9;
  }

  [Symbol.dispose](): void {
    this.free();
  }
}
