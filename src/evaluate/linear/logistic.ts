/** The linear probe of reference: logistic regression whose penalty is chosen on rows that it is not fitted to. */

import { UsageError } from "../../core/errors.js";
import { foldIn, type Key, keyFromSeed, Random } from "../../core/random.js";
import type { Engine } from "../../engines/engine.js";
import type { Rows } from "./cholesky.js";
import { type LinearClassifier, predict } from "./classifier.js";
import { SoftmaxRegression } from "./softmax-regression.js";

export interface LogisticOptions {
  /**
   * The penalties to try, as scikit-learn's C (each row's loss counts C against ½‖W‖²), from strong to weak. Default: two a
   * decade from 10⁻¹ to 10⁴, for features of unit length. Trying ends once two in a row are no better than the best.
   */
  readonly penalties?: readonly number[];
  /** Share of each class's rows that chooses the penalty. Default 0.1; classes of one row stay in the fit. */
  readonly heldOut?: number;
  /** Seed of the split. Default `keyFromSeed(0)`. */
  readonly key?: Key;
  /** Called after each fit with its C and accuracy on the held-out rows, and at last without accuracy. */
  readonly onFit?: (c: number, accuracy: number | undefined) => void;
}

export interface LogisticProbe {
  readonly classifier: LinearClassifier;
  /** The chosen C, and what each that was tried had right of the held-out rows (0…1). */
  readonly penalty: number;
  readonly tried: readonly { readonly penalty: number; readonly accuracy: number }[];
  /** The chosen C lies at an end of the list, so that the best may lie beyond it. */
  readonly atEnd: boolean;
}

const HALF_DECADES = Array.from({ length: 11 }, (_, i) => 10 ** (i / 2 - 1));

/**
 * Fits softmax regression of `labels` (0 … classes−1) on `features`, whose penalty is chosen on a held-out share, and then all
 * rows with that C. Of equally good penalties the strongest is taken. Throws a `UsageError` where a label is out of range.
 */
export async function fitLogistic(
  engine: Engine,
  features: Rows,
  labels: ArrayLike<number>,
  classes: number,
  { penalties = HALF_DECADES, heldOut = 0.1, key = keyFromSeed(0), onFit }: LogisticOptions = {},
): Promise<LogisticProbe> {
  requireLabels(features, labels, classes);
  const { fitted, held } = splitByClass(labels, classes, heldOut, key);
  const tried: { penalty: number; accuracy: number }[] = [];
  let best = { penalty: penalties[0]!, accuracy: -1, at: undefined as Float64Array | undefined };
  if (penalties.length > 1 && held.length > 0) {
    using part = await SoftmaxRegression.over(
      engine,
      rowsAt(features, fitted),
      pick(labels, fitted),
      classes,
    );
    const heldRows = rowsAt(features, held);
    const heldLabels = pick(labels, held);
    let at: Float64Array | undefined;
    let worse = 0;
    for (const penalty of penalties) {
      const fit = await part.fit(1 / (penalty * fitted.length), at, { valueTolerance: 1e-3 });
      at = fit.at;
      const guesses = await predict(engine, fit.classifier, heldRows);
      let right = 0;
      for (let i = 0; i < guesses.length; i++) if (guesses[i] === heldLabels[i]) right++;
      const accuracy = right / guesses.length;
      tried.push({ penalty, accuracy });
      onFit?.(penalty, accuracy);
      if (accuracy > best.accuracy) {
        best = { penalty, accuracy, at };
        worse = 0;
      } else if (++worse === 2) break;
    }
  }
  using all = await SoftmaxRegression.over(engine, features, labels, classes);
  const { classifier } = await all.fit(1 / (best.penalty * features.rows), best.at);
  onFit?.(best.penalty, undefined);
  const atEnd = tried.length > 1 && (best.penalty === penalties[0] || best.penalty === penalties.at(-1));
  return { classifier, penalty: best.penalty, tried, atEnd };
}

/** Throws a `UsageError` unless there is one label in 0 … classes−1 for each row. */
export function requireLabels({ rows }: Rows, labels: ArrayLike<number>, classes: number): void {
  if (labels.length !== rows || rows === 0) {
    throw new UsageError(`probe: every row must have a label; got ${labels.length} labels for ${rows} rows.`);
  }
  for (let i = 0; i < rows; i++) {
    if (!Number.isInteger(labels[i]!) || labels[i]! < 0 || labels[i]! >= classes) {
      throw new UsageError(`probe: labels must be 0 … ${classes - 1}; got ${labels[i]} at row ${i}.`);
    }
  }
}

/** Row numbers to fit and to hold out: of each class a share, drawn anew, so that one stays to be fitted. */
export function splitByClass(
  labels: ArrayLike<number>,
  classes: number,
  share: number,
  key: Key,
): { fitted: Uint32Array; held: Uint32Array } {
  const random = new Random(foldIn(key, "held out"));
  const byClass = Array.from({ length: classes }, (): number[] => []);
  for (let i = 0; i < labels.length; i++) byClass[labels[i]!]!.push(i);
  const isHeld = new Uint8Array(labels.length);
  for (const rows of byClass) {
    if (rows.length < 2) continue;
    const count = Math.min(rows.length - 1, Math.max(1, Math.round(share * rows.length)));
    for (const at of random.permutation(rows.length).subarray(0, count)) isHeld[rows[at]!] = 1;
  }
  const rows = Uint32Array.from({ length: labels.length }, (_, i) => i);
  return { fitted: rows.filter((i) => isHeld[i] === 0), held: rows.filter((i) => isHeld[i] === 1) };
}

/** The rows of these numbers, copied. */
export function rowsAt({ data, width }: Rows, numbers: ArrayLike<number>): Rows {
  const out = new Float32Array(numbers.length * width);
  for (let i = 0; i < numbers.length; i++) {
    out.set(data.subarray(numbers[i]! * width, (numbers[i]! + 1) * width), i * width);
  }
  return { data: out, rows: numbers.length, width };
}

export const pick = (labels: ArrayLike<number>, numbers: ArrayLike<number>): Int32Array =>
  Int32Array.from({ length: numbers.length }, (_, i) => labels[numbers[i]!]!);
