/**
 * Softmax regression of classes on features, on an engine: `N` rows, `D` features, `C` classes.
 *
 *   minimize  (1/N)·Σ CE(x·W + b, label) + (λ/2)·‖W‖²      W [D,C], b [C], from zeros
 *
 * λ = 1/(C'·N) for the C' of scikit-learn and liblinear. The bias is not penalised. The function is convex: L-BFGS reaches
 * its one minimum, whatever the way. Two things make the way short. Features are centred, which the bias undoes, so that W
 * and b are apart. And the first guess of the inverse Hessian is that of the start, where every class is equally likely,
 * (XᵀX/(C·N) + λI)⁻¹ for each class: features of a trained encoder have a few large directions, and plain L-BFGS spends
 * most of its steps on them.
 */

import type { DeviceBuffer, Engine, Executable } from "../../engines/engine.js";
import { gradients } from "../../graph/grad.js";
import {
  add,
  cast,
  equal,
  iota,
  matmul,
  mul,
  reshape,
  softmaxCrossEntropy,
  sum,
} from "../../graph/ops/index.js";
import { trace } from "../../graph/trace.js";
import { inverseOf, type Rows } from "./cholesky.js";
import { BLOCK, blockOf, type LinearClassifier } from "./classifier.js";
import { type Evaluation, type LbfgsOptions, minimizeLbfgs } from "./lbfgs.js";

/** Labelled rows in an engine's memory, and the sums of loss and gradient over them. Hold it with `using`. */
export class SoftmaxRegression implements Disposable {
  private readonly blocks: { x: DeviceBuffer; labels: DeviceBuffer; counts: DeviceBuffer }[] = [];
  private readonly mean: Float64Array;
  private gram: Float64Array | undefined;

  private constructor(
    private readonly engine: Engine,
    private readonly program: Executable,
    private readonly products: Executable,
    readonly rows: number,
    readonly width: number,
    readonly classes: number,
    block: number,
    centred: Rows & { readonly mean: Float64Array },
    labels: ArrayLike<number>,
  ) {
    this.mean = centred.mean;
    for (let start = 0; start < rows; start += block) {
      const count = Math.min(block, rows - start);
      const x = blockOf(centred, start, count, block);
      const y = new Int32Array(block);
      const counts = new Float32Array(block);
      for (let i = 0; i < count; i++) {
        y[i] = labels[start + i]!;
        counts[i] = 1;
      }
      this.blocks.push({
        x: engine.upload({ dtype: "f32", shape: [block, width] }, x, { adopt: true }),
        labels: engine.upload({ dtype: "i32", shape: [block] }, y, { adopt: true }),
        counts: engine.upload({ dtype: "f32", shape: [block] }, counts, { adopt: true }),
      });
    }
  }

  /** `labels` [N] are 0 … classes−1, one for each row of `features`. */
  static async over(
    engine: Engine,
    features: Rows,
    labels: ArrayLike<number>,
    classes: number,
  ): Promise<SoftmaxRegression> {
    const { rows, width } = features;
    const B = Math.min(BLOCK, rows);
    const D = width;
    const C = classes;
    const program = await engine.compile(
      trace(
        {
          x: { dtype: "f32" as const, shape: [B, D] },
          labels: { dtype: "i32" as const, shape: [B] },
          counts: { dtype: "f32" as const, shape: [B] },
          w: { dtype: "f32" as const, shape: [D, C] },
          b: { dtype: "f32" as const, shape: [C] },
        },
        ({ x, labels, counts, w, b }) => {
          const targets = cast(equal(reshape(labels, [B, 1]), reshape(iota("i32", [C]), [1, C])), "f32");
          const losses = softmaxCrossEntropy(add(matmul(x, w), b), targets);
          const loss = sum(mul(losses, counts));
          const [gw, gb] = gradients(loss, [w, b]);
          return { loss, gw: gw!, gb: gb! };
        },
      ),
      { name: "softmax regression" },
    );
    const products = await engine.compile(
      trace({ x: { dtype: "f32" as const, shape: [B, D] } }, ({ x }) => ({
        gram: matmul(x, x, { transA: true }),
      })),
      { name: "gram" },
    );
    return new SoftmaxRegression(engine, program, products, rows, D, C, B, centre(features), labels);
  }

  /** Mean loss and its gradient at `at` = [W, b], flat, without the penalty. */
  private async loss(at: Float64Array): Promise<Evaluation> {
    const { engine, width: D, classes: C } = this;
    using w = engine.upload({ dtype: "f32", shape: [D, C] }, Float32Array.from(at.subarray(0, D * C)), {
      adopt: true,
    });
    using b = engine.upload({ dtype: "f32", shape: [C] }, Float32Array.from(at.subarray(D * C)), {
      adopt: true,
    });
    let value = 0;
    const gradient = new Float64Array(at.length);
    for (const block of this.blocks) {
      const out = await this.program.run({ ...block, w, b });
      using loss = out.loss!;
      using gw = out.gw!;
      using gb = out.gb!;
      value += (await engine.download(loss))[0] as number;
      addTo(gradient, (await engine.download(gw)) as Float32Array, 0);
      addTo(gradient, (await engine.download(gb)) as Float32Array, D * C);
    }
    const scale = 1 / this.rows;
    for (let i = 0; i < gradient.length; i++) gradient[i]! *= scale;
    return { value: value * scale, gradient };
  }

  /** XᵀX/N of the centred rows [D,D]. */
  private async covariance(): Promise<Float64Array> {
    if (this.gram !== undefined) return this.gram;
    const gram = new Float64Array(this.width * this.width);
    for (const { x } of this.blocks) {
      const out = await this.products.run({ x });
      using buffer = out.gram!;
      addTo(gram, (await this.engine.download(buffer)) as Float32Array, 0);
    }
    this.gram = gram.map((v) => v / this.rows);
    return this.gram;
  }

  /**
   * The classifier of least penalised loss for `penalty` λ, starting from `start` (default: zeros), and where it ended, to
   * start the next penalty from. Default tolerances are those of a score that no longer moves; the loss is f32 sums.
   */
  async fit(
    penalty: number,
    start: Float64Array = new Float64Array((this.width + 1) * this.classes),
    options: LbfgsOptions = {},
  ): Promise<{
    classifier: LinearClassifier;
    at: Float64Array;
    loss: number;
    iterations: number;
    evaluations: number;
  }> {
    const { engine, width: D, classes: C } = this;
    const inverse = inverseOf(
      (await this.covariance()).map((v, i) => v / C + (i % (D + 1) === 0 ? penalty : 0)),
      D,
    );
    using guess = engine.upload({ dtype: "f32", shape: [D, D] }, Float32Array.from(inverse), { adopt: true });
    using times = await engine.compile(
      trace(
        { inverse: { dtype: "f32" as const, shape: [D, D] }, v: { dtype: "f32" as const, shape: [D, C] } },
        (x) => ({ product: matmul(x.inverse, x.v) }),
      ),
      { name: "precondition" },
    );
    const precondition = async (vector: Float64Array): Promise<Float64Array> => {
      using v = engine.upload({ dtype: "f32", shape: [D, C] }, Float32Array.from(vector.subarray(0, D * C)), {
        adopt: true,
      });
      const { product } = await times.run({ inverse: guess, v });
      using buffer = product!;
      const out = Float64Array.from(vector, (x) => C * x);
      out.set((await engine.download(buffer)) as Float32Array);
      return out;
    };
    const objective = async (at: Float64Array): Promise<Evaluation> => {
      const { value, gradient } = await this.loss(at);
      let squares = 0;
      for (let i = 0; i < D * C; i++) {
        squares += at[i]! * at[i]!;
        gradient[i]! += penalty * at[i]!;
      }
      return { value: value + (penalty / 2) * squares, gradient };
    };
    const found = await minimizeLbfgs(objective, start, {
      gradientTolerance: 1e-6,
      valueTolerance: 1e-5,
      ...options,
      precondition,
    });
    return {
      classifier: this.classifierAt(found.at),
      at: found.at,
      loss: found.value,
      iterations: found.iterations,
      evaluations: found.evaluations,
    };
  }

  /** The same classifier for rows that are not centred: b − mean·W. */
  private classifierAt(at: Float64Array): LinearClassifier {
    const { width: D, classes: C, mean } = this;
    const bias = at.slice(D * C);
    for (let d = 0; d < D; d++) for (let c = 0; c < C; c++) bias[c]! -= mean[d]! * at[d * C + c]!;
    return {
      weight: Float32Array.from(at.subarray(0, D * C)),
      bias: Float32Array.from(bias),
      width: D,
      classes: C,
    };
  }

  [Symbol.dispose](): void {
    for (const block of this.blocks) for (const buffer of Object.values(block)) buffer[Symbol.dispose]();
    this.program[Symbol.dispose]();
    this.products[Symbol.dispose]();
  }
}

function centre({ data, rows, width }: Rows): Rows & { readonly mean: Float64Array } {
  const mean = new Float64Array(width);
  for (let i = 0; i < rows; i++) for (let d = 0; d < width; d++) mean[d]! += data[i * width + d]! / rows;
  const out = new Float32Array(rows * width);
  for (let i = 0; i < rows; i++) {
    for (let d = 0; d < width; d++) out[i * width + d] = data[i * width + d]! - mean[d]!;
  }
  return { data: out, rows, width, mean };
}

function addTo(to: Float64Array, part: Float32Array, start: number): void {
  for (let i = 0; i < part.length; i++) to[start + i]! += part[i]!;
}
