/**
 * The linear probe of "Scaling (Down) CLIP" (Li, Xie, Cubuk 2024, §3.2): a layer that starts at zero on frozen features, its
 * learning rate swept anew for each model. What the paper leaves open is as in CLIP_benchmark: AdamW without decay, ten epochs,
 * a cosine to zero. The rate is chosen on held-out rows, never on the test set. All rates are tried in one pass: their layers
 * lie side by side, so that a step is one product.
 */

import { foldIn, type Key, keyFromSeed, Random } from "../../core/random.js";
import type { DeviceBuffer, Engine } from "../../engines/engine.js";
import { gradients } from "../../graph/grad.js";
import {
  add,
  broadcastTo,
  cast,
  div,
  equal,
  iota,
  matmul,
  mul,
  reshape,
  softmaxCrossEntropy,
  sqrt,
  square,
  sub,
  sum,
} from "../../graph/ops/index.js";
import { trace } from "../../graph/trace.js";
import type { Rows } from "./cholesky.js";
import { type LinearClassifier, predict } from "./classifier.js";
import { pick, requireLabels, rowsAt, splitByClass } from "./logistic.js";

export interface SgdProbeOptions {
  /** Peak learning rates that are tried. Default 10⁻³ to 1 in half decades. */
  readonly rates?: readonly number[];
  /** Default 10, and more where these are fewer than 500 steps. */
  readonly epochs?: number;
  /** Rows a step; all of them where there are fewer. Default 1,024. */
  readonly batch?: number;
  /** Share of each class's rows that chooses the rate. Default 0.1. */
  readonly heldOut?: number;
  /** Seed of the split and of the order of rows. Default `keyFromSeed(0)`. */
  readonly key?: Key;
  /** Called after each step with the share of the whole that is done (0…1). */
  readonly onStep?: (done: number) => void;
}

export interface SgdProbe {
  readonly classifier: LinearClassifier;
  /** The chosen rate, and what each had right of the held-out rows (0…1). */
  readonly rate: number;
  readonly tried: readonly { readonly rate: number; readonly accuracy: number }[];
  /** The chosen rate lies at an end of the list, so that the best may lie beyond it. */
  readonly atEnd: boolean;
}

/** Small sets take more than ten epochs: fewer steps would leave a layer that starts at zero near zero. */
const FEWEST_STEPS = 500;
const BETA1 = 0.9;
const BETA2 = 0.999;
const EPSILON = 1e-8;

/** Fits the probe of `labels` (0 … classes−1) on `features` [N,D] with each rate, then with the best one on all rows. */
export async function fitSgdProbe(
  engine: Engine,
  features: Rows,
  labels: ArrayLike<number>,
  classes: number,
  options: SgdProbeOptions = {},
): Promise<SgdProbe> {
  const {
    rates = [1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1],
    heldOut = 0.1,
    key = keyFromSeed(0),
    onStep,
  } = options;
  requireLabels(features, labels, classes);
  const { fitted, held } = splitByClass(labels, classes, heldOut, key);
  const tried: { rate: number; accuracy: number }[] = [];
  let rate = rates[0]!;
  if (rates.length > 1 && held.length > 0) {
    const heads = await descend(engine, rowsAt(features, fitted), pick(labels, fitted), classes, rates, {
      ...options,
      onStep: (done) => onStep?.(done / 2),
    });
    const heldRows = rowsAt(features, held);
    let best = -1;
    for (const [k, head] of heads.entries()) {
      const guesses = await predict(engine, head, heldRows);
      const accuracy =
        guesses.reduce((n, guess, i) => n + (guess === labels[held[i]!] ? 1 : 0), 0) / held.length;
      tried.push({ rate: rates[k]!, accuracy });
      if (accuracy > best) {
        best = accuracy;
        rate = rates[k]!;
      }
    }
  }
  const [classifier] = await descend(engine, features, labels, classes, [rate], {
    ...options,
    onStep: (done) => onStep?.(tried.length > 0 ? (1 + done) / 2 : done),
  });
  return {
    classifier: classifier!,
    rate,
    tried,
    atEnd: tried.length > 1 && (rate === rates[0] || rate === rates.at(-1)),
  };
}

/** One classifier for each of the `K` rates, from zeros, by AdamW on the mean loss of each batch. */
async function descend(
  engine: Engine,
  features: Rows,
  labels: ArrayLike<number>,
  C: number,
  rates: readonly number[],
  { epochs, batch = 1024, key = keyFromSeed(0), onStep }: SgdProbeOptions,
): Promise<LinearClassifier[]> {
  const { rows: N, width: D } = features;
  const K = rates.length;
  const B = Math.min(batch, N);
  const f32 = (...shape: number[]) => ({ dtype: "f32" as const, shape });
  const layers = { w: f32(D, K * C), b: f32(1, K * C) };
  const types = {
    x: f32(B, D),
    labels: { dtype: "i32" as const, shape: [B] },
    // Of this step: each column's rate over the first moment's bias correction, and the second's correction.
    rates: f32(1, K * C),
    correction: f32(),
    layers,
    first: layers,
    second: layers,
  };
  const graph = trace(types, ({ x, labels, rates, correction, layers, first, second }) => {
    const logits = reshape(add(matmul(x, layers.w), layers.b), [B * K, C]);
    const right = cast(equal(reshape(labels, [B, 1, 1]), reshape(iota("i32", [C]), [1, 1, C])), "f32");
    const targets = reshape(broadcastTo(right, [B, K, C]), [B * K, C]);
    // Sums over heads: each layer's gradient is that of its own mean loss.
    const loss = mul(sum(softmaxCrossEntropy(logits, targets)), 1 / B);
    const keys = ["w", "b"] as const;
    const slopes = gradients(
      loss,
      keys.map((k) => layers[k]),
    );
    const updated = keys.map((name, i) => {
      const g = slopes[i]!;
      const m = add(mul(first[name], BETA1), mul(g, 1 - BETA1));
      const v = add(mul(second[name], BETA2), mul(square(g), 1 - BETA2));
      const step = div(mul(m, rates), add(sqrt(mul(v, correction)), EPSILON));
      return { name, m, v, next: sub(layers[name], step) };
    });
    const tree = (of: "m" | "v" | "next") => Object.fromEntries(updated.map((u) => [u.name, u[of]]));
    return { next: { layers: tree("next"), first: tree("m"), second: tree("v") } };
  });
  using program = await engine.compile(graph, { name: "linear probe" });
  let state: Record<string, DeviceBuffer> = {};
  for (const part of ["layers", "first", "second"]) {
    for (const [name, type] of Object.entries(layers)) {
      state[`${part}.${name}`] = engine.upload(type, new Float32Array(type.shape.reduce((x, y) => x * y)));
    }
  }
  const perEpoch = Math.floor(N / B);
  const steps = (epochs ?? Math.max(10, Math.ceil(FEWEST_STEPS / perEpoch))) * perEpoch;
  let order: Uint32Array = new Uint32Array();
  try {
    for (let step = 0; step < steps; step++) {
      const at = step % perEpoch;
      if (at === 0) order = new Random(foldIn(key, "order", step / perEpoch)).permutation(N);
      const chosen = order.subarray(at * B, (at + 1) * B);
      const cosine = 0.5 * (1 + Math.cos((Math.PI * step) / steps));
      const scales = new Float32Array(K * C);
      rates.forEach((rate, k) => {
        scales.fill((rate * cosine) / (1 - BETA1 ** (step + 1)), k * C, (k + 1) * C);
      });
      using x = engine.upload(types.x, rowsAt(features, chosen).data, { adopt: true });
      using y = engine.upload(types.labels, pick(labels, chosen), { adopt: true });
      using r = engine.upload(types.rates, scales, { adopt: true });
      using c = engine.upload(types.correction, Float32Array.of(1 / (1 - BETA2 ** (step + 1))), {
        adopt: true,
      });
      const out = await program.run({ ...state, x, labels: y, rates: r, correction: c });
      for (const buffer of Object.values(state)) buffer[Symbol.dispose]();
      state = Object.fromEntries(Object.entries(out).map(([name, b]) => [name.slice("next.".length), b]));
      onStep?.((step + 1) / steps);
    }
    const w = (await engine.download(state["layers.w"]!)) as Float32Array;
    const b = (await engine.download(state["layers.b"]!)) as Float32Array;
    return rates.map((_, k) => {
      const weight = new Float32Array(D * C);
      for (let d = 0; d < D; d++) weight.set(w.subarray(d * K * C + k * C, d * K * C + (k + 1) * C), d * C);
      return { weight, bias: b.slice(k * C, (k + 1) * C), width: D, classes: C };
    });
  } finally {
    for (const buffer of Object.values(state)) buffer[Symbol.dispose]();
  }
}
