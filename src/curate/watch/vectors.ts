/** Vectors of many numbers: their main directions, and whether two samples of them are of one distribution. */

import { foldIn, type Key, Random } from "../../core/random.js";
import { type Rows, solve } from "../../evaluate/linear/cholesky.js";
import { type Auc, aucOf } from "./distributions.js";

/** Directions in which vectors vary most. */
export interface Basis {
  /** f32[width] */
  readonly mean: Float32Array;
  /** f32[count,width], orthonormal, the most variance first. */
  readonly directions: Float32Array;
  readonly count: number;
}

/** Rounds of orthogonal iteration: the spaces of embeddings are found to some digits in ten. */
const ROUNDS = 12;

/**
 * The `count` main directions of rows, by orthogonal iteration of their covariance. Fewer where rows or width are fewer.
 */
export function mainDirections({ data, rows, width }: Rows, count: number, key: Key): Basis {
  const k = Math.min(count, width, Math.max(1, rows - 1));
  const mean = new Float64Array(width);
  for (let i = 0; i < rows * width; i++) mean[i % width]! += data[i]! / rows;
  const centred = Float64Array.from(data.subarray(0, rows * width), (x, i) => x - mean[i % width]!);
  const random = new Random(foldIn(key, "directions"));
  let directions = Float64Array.from({ length: k * width }, () => random.normal());
  orthonormalize(directions, k, width);
  for (let round = 0; round < ROUNDS; round++) {
    const next = new Float64Array(k * width);
    for (let r = 0; r < rows; r++) {
      const row = centred.subarray(r * width, (r + 1) * width);
      for (let d = 0; d < k; d++) {
        const at = d * width;
        let dot = 0;
        for (let e = 0; e < width; e++) dot += row[e]! * directions[at + e]!;
        for (let e = 0; e < width; e++) next[at + e]! += dot * row[e]!;
      }
    }
    orthonormalize(next, k, width);
    directions = next;
  }
  return { mean: Float32Array.from(mean), directions: Float32Array.from(directions), count: k };
}

/** Gram and Schmidt, twice over for what rounding leaves. */
function orthonormalize(rows: Float64Array, k: number, width: number): void {
  const dotOf = (a: number, b: number): number => {
    let dot = 0;
    for (let e = 0; e < width; e++) dot += rows[a * width + e]! * rows[b * width + e]!;
    return dot;
  };
  for (let d = 0; d < k; d++) {
    for (let pass = 0; pass < 2; pass++) {
      for (let other = 0; other < d; other++) {
        const dot = dotOf(d, other);
        for (let e = 0; e < width; e++) rows[d * width + e]! -= dot * rows[other * width + e]!;
      }
    }
    const length = Math.sqrt(dotOf(d, d));
    // A direction in which nothing varies is none.
    const scale = length < 1e-12 ? 0 : 1 / length;
    for (let e = 0; e < width; e++) rows[d * width + e]! *= scale;
  }
}

/** Rows f32[n,count] along the basis. */
export function along({ mean, directions, count }: Basis, { data, rows, width }: Rows): Rows {
  const out = new Float32Array(rows * count);
  for (let r = 0; r < rows; r++) {
    for (let d = 0; d < count; d++) {
      let dot = 0;
      for (let e = 0; e < width; e++) dot += (data[r * width + e]! - mean[e]!) * directions[d * width + e]!;
      out[r * count + d] = dot;
    }
  }
  return { data: out, rows, width: count };
}

export interface Mmd {
  /** Unbiased estimate of the squared maximum mean discrepancy; about 0, and below, where nothing differs. */
  readonly mmd2: number;
  /** Share of the permutations that give as much, the observed one among them. */
  readonly p: number;
}

/**
 * Gretton et al. 2012: the unbiased MMD² of two samples under e^(−γ d²), γ = 1 / median(d)², and its place among permutations of
 * who is of which sample. Holds a matrix f32[(n + m)²].
 */
export function mmd(reference: Rows, current: Rows, permutations: number, key: Key): Mmd {
  const [n, m, width] = [reference.rows, current.rows, reference.width];
  const N = n + m;
  const all = new Float32Array(N * width);
  all.set(reference.data.subarray(0, n * width));
  all.set(current.data.subarray(0, m * width), n * width);
  const kernel = new Float32Array(N * N);
  const distances = new Float32Array((N * (N - 1)) / 2);
  let at = 0;
  for (let i = 0; i < N; i++) {
    for (let j = 0; j < i; j++) {
      let square = 0;
      for (let e = 0; e < width; e++) square += (all[i * width + e]! - all[j * width + e]!) ** 2;
      distances[at++] = square;
      kernel[i * N + j] = square;
    }
  }
  const middle = distances.sort()[distances.length >> 1]! || 1;
  const rowSums = new Float64Array(N);
  for (let i = 0; i < N; i++) {
    for (let j = 0; j < i; j++) {
      const value = Math.exp(-kernel[i * N + j]! / middle);
      kernel[i * N + j] = value;
      kernel[j * N + i] = value;
      rowSums[i]! += value;
      rowSums[j]! += value;
    }
  }
  const total = rowSums.reduce((a, b) => a + b, 0);
  /** By the sum inside the current sample, and of its rows with all. */
  const of = (members: Uint32Array): number => {
    let [inside, touching] = [0, 0];
    for (let a = 0; a < m; a++) {
      const i = members[a]!;
      touching += rowSums[i]!;
      for (let b = 0; b < a; b++) inside += 2 * kernel[i * N + members[b]!]!;
    }
    const between = touching - inside;
    const others = total - inside - 2 * between;
    return inside / (m * (m - 1)) + others / (n * (n - 1)) - (2 * between) / (n * m);
  };
  const observed = of(Uint32Array.from({ length: m }, (_, i) => n + i));
  const random = new Random(foldIn(key, "permutations"));
  let asLarge = 1;
  for (let r = 0; r < permutations; r++) if (of(random.permutation(N).subarray(0, m)) >= observed) asLarge++;
  return { mmd2: observed, p: asLarge / (permutations + 1) };
}

/**
 * How well a linear classifier tells the samples apart on rows that it was not fitted to: logistic regression, as many rows of
 * each sample, standardized, C = 1 in scikit-learn's terms, fitted to one half. The other half is told by one classifier that is
 * fixed for it, so that the p of its AUC holds; cross-validation would use more rows, and give too many alarms.
 */
export function domainAuc(reference: Rows, current: Rows, key: Key): Auc {
  const random = new Random(foldIn(key, "halves"));
  const each = Math.min(reference.rows, current.rows);
  const rows = [reference, current].flatMap((of, label) =>
    [...random.permutation(of.rows).slice(0, each)].map((row, place) => ({
      x: of.data.subarray(row * of.width, (row + 1) * of.width),
      isCurrent: label === 1,
      isFitted: place % 2 === 0,
    })),
  );
  const fitted = rows.filter(({ isFitted }) => isFitted);
  const held = rows.filter(({ isFitted }) => !isFitted);
  const logitOf = logistic(
    fitted.map(({ x }) => x),
    fitted.map(({ isCurrent }) => isCurrent),
  );
  return aucOf(
    held.map(({ x }) => logitOf(x)),
    held.map(({ isCurrent }) => isCurrent),
  );
}

const NEWTON_STEPS = 25;

/**
 * Logistic regression by Newton's method: ½‖w‖² + Σ log-loss over standardized columns, the bias free of penalty. Gives the
 * score of a row: its logit.
 */
export function logistic(
  rows: readonly Float32Array[],
  labels: readonly boolean[],
): (row: Float32Array) => number {
  const width = rows[0]!.length;
  const mean = (of: (row: Float32Array) => number) =>
    rows.reduce((sum, row) => sum + of(row), 0) / rows.length;
  const means = Array.from({ length: width }, (_, e) => mean((row) => row[e]!));
  const scales = means.map((middle, e) => {
    const variance = mean((row) => (row[e]! - middle) ** 2);
    return variance > 0 ? 1 / Math.sqrt(variance) : 0;
  });
  const k = width + 1;
  const prepared = (row: Float32Array): Float64Array =>
    Float64Array.from({ length: k }, (_, e) => (e < width ? (row[e]! - means[e]!) * scales[e]! : 1));
  const xs = rows.map(prepared);
  const w = new Float64Array(k);
  for (let step = 0; step < NEWTON_STEPS; step++) {
    const gradient = Float64Array.from(w, (value, e) => (e < width ? value : 0));
    const hessian = new Float64Array(k * k);
    for (let e = 0; e < k; e++) hessian[e * k + e] = e < width ? 1 : 1e-9;
    xs.forEach((x, i) => {
      const p = 1 / (1 + Math.exp(-product(x, w)));
      for (let e = 0; e < k; e++) {
        gradient[e]! += (p - (labels[i] ? 1 : 0)) * x[e]!;
        const scaled = p * (1 - p) * x[e]!;
        for (let f = 0; f <= e; f++) hessian[e * k + f]! += scaled * x[f]!;
      }
    });
    for (let e = 0; e < k; e++) for (let f = 0; f < e; f++) hessian[f * k + e] = hessian[e * k + f]!;
    const change = solve(hessian, k, gradient);
    for (let e = 0; e < k; e++) w[e]! -= change[e]!;
    if (Math.hypot(...change) < 1e-9) break;
  }
  return (row) => product(prepared(row), w);
}

function product(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let e = 0; e < a.length; e++) sum += a[e]! * b[e]!;
  return sum;
}
