/** Whether a classifier is as sure as it is right (Guo et al. 2017, "On Calibration of Modern Neural Networks"). */

import { UsageError } from "../../core/errors.js";

/** Logits [N,C] row-major and the right class of each row. */
export interface Judged {
  readonly logits: Float32Array | Float64Array;
  readonly labels: ArrayLike<number>;
  /** All classes that are right of each row, taken together as one; default its label. */
  readonly answers?: readonly (readonly number[])[];
  readonly classes: number;
}

/** Items whose confidence (the likeliest class's probability) lies in one bin. */
export interface ReliabilityBin {
  /** Bounds of the bin, in 0…1. */
  readonly low: number;
  readonly high: number;
  readonly n: number;
  /** Mean confidence, and share that is right; 0 where the bin is empty. */
  readonly confidence: number;
  readonly accuracy: number;
}

export interface Calibration {
  /** Σ (n_b/N)·|accuracy_b − confidence_b| over 15 bins of equal width. */
  readonly expectedError: number;
  /** The same over 15 bins of equal numbers of items. */
  readonly adaptiveError: number;
  /** Mean −log p of the right class, in nats. */
  readonly negativeLogLikelihood: number;
  /** Mean squared distance of the probabilities from the right class's. */
  readonly brier: number;
  readonly bins: readonly ReliabilityBin[];
}

const BINS = 15;

/** What each item says, [N]: confidence and whether it is right, −log p of the right class, and squared distance. */
export interface Judgement {
  readonly confidence: Float64Array;
  readonly right: Uint8Array;
  readonly likelihood: Float64Array;
  readonly brier: Float64Array;
  /** The expected calibration error of some items, which may be named more than once. */
  expectedErrorOf(items: Uint32Array): number;
}

/** Judges softmax(logits / temperature), item by item. Throws a `UsageError` where there is nothing to judge. */
export function judge(judged: Judged, temperature = 1): Judgement {
  const { classes } = judged;
  const n = requireJudged(judged);
  const confidence = new Float64Array(n);
  const right = new Uint8Array(n);
  const likelihood = new Float64Array(n);
  const brier = new Float64Array(n);
  eachRow(judged, temperature, (i, p, logOfSum, row) => {
    let best = 0;
    for (let c = 1; c < classes; c++) if (p[c]! > p[best]!) best = c;
    confidence[i] = p[best]!;
    const own = answersOf(judged, i);
    right[i] = own.includes(best) ? 1 : 0;
    likelihood[i] = logOfSum - logSum(own, row);
    const found = own.reduce((sum, c) => sum + p[c]!, 0);
    brier[i] = (found - 1) ** 2;
    for (let c = 0; c < classes; c++) if (!own.includes(c)) brier[i]! += p[c]! ** 2;
  });
  const expectedErrorOf = (items: Uint32Array): number => {
    const bins = new Float64Array(BINS);
    for (const item of items) bins[widthBin(confidence[item]!)]! += right[item]! - confidence[item]!;
    return bins.reduce((sum, gap) => sum + Math.abs(gap), 0) / items.length;
  };
  return { confidence, right, likelihood, brier, expectedErrorOf };
}

const answersOf = ({ answers, labels }: Judged, i: number): readonly number[] => answers?.[i] ?? [labels[i]!];

/** log Σ e^row over some classes. */
function logSum(classes: readonly number[], row: Float64Array): number {
  const [first] = classes;
  if (classes.length === 1) return row[first!]!;
  const top = Math.max(...classes.map((c) => row[c]!));
  return top + Math.log(classes.reduce((sum, c) => sum + Math.exp(row[c]! - top), 0));
}

const widthBin = (confidence: number): number => Math.min(BINS - 1, Math.floor(confidence * BINS));

/** Calibration of softmax(logits / temperature). Throws a `UsageError` where there is nothing to judge. */
export function calibration(judged: Judged, temperature = 1): Calibration {
  const { confidence, right, likelihood, brier } = judge(judged, temperature);
  const n = confidence.length;
  const width = binsOf(confidence, right, (_, value) => widthBin(value));
  const order = Uint32Array.from({ length: n }, (_, i) => i).sort((a, b) => confidence[a]! - confidence[b]!);
  const rank = new Uint32Array(n);
  order.forEach((item, at) => {
    rank[item] = at;
  });
  const mass = binsOf(confidence, right, (i) => Math.floor((rank[i]! * BINS) / n));
  return {
    expectedError: gap(width, n),
    adaptiveError: gap(mass, n),
    negativeLogLikelihood: likelihood.reduce((sum, x) => sum + x, 0) / n,
    brier: brier.reduce((sum, x) => sum + x, 0) / n,
    bins: width.map(({ n: count, confidence, right }, b) => ({
      low: b / BINS,
      high: (b + 1) / BINS,
      n: count,
      confidence: count === 0 ? 0 : confidence / count,
      accuracy: count === 0 ? 0 : right / count,
    })),
  };
}

/**
 * The temperature T that makes softmax(logits / T) likeliest: by golden section on log T in ±5, where the loss is convex in
 * 1/T and so has one minimum where rows have one right class. Take it from held-out items. It changes no ranking, hence no accuracy and no recall.
 */
export function fitTemperature(judged: Judged): number {
  const n = requireJudged(judged);
  const loss = (logT: number): number => {
    let sum = 0;
    eachRow(judged, Math.exp(logT), (i, _, logOfSum, row) => {
      sum += logOfSum - logSum(answersOf(judged, i), row);
    });
    return sum / n;
  };
  const golden = (Math.sqrt(5) - 1) / 2;
  let low = -5;
  let high = 5;
  let a = high - golden * (high - low);
  let b = low + golden * (high - low);
  let atA = loss(a);
  let atB = loss(b);
  while (high - low > 1e-4) {
    if (atA <= atB) {
      high = b;
      b = a;
      atB = atA;
      a = high - golden * (high - low);
      atA = loss(a);
    } else {
      low = a;
      a = b;
      atA = atB;
      b = low + golden * (high - low);
      atB = loss(b);
    }
  }
  return Math.exp((low + high) / 2);
}

function requireJudged({ logits, labels, classes }: Judged): number {
  if (labels.length === 0 || logits.length !== labels.length * classes) {
    throw new UsageError(
      `calibration: logits must be [N,C] with a label a row; got ${logits.length} numbers for ${labels.length} labels of ${classes} classes.`,
    );
  }
  return labels.length;
}

/** Calls `visit` with each row's probabilities, the logarithm of their denominator, and the scaled logits. */
function eachRow(
  { logits, labels, classes }: Judged,
  temperature: number,
  visit: (i: number, p: Float64Array, logOfSum: number, row: Float64Array) => void,
): void {
  const row = new Float64Array(classes);
  const p = new Float64Array(classes);
  for (let i = 0; i < labels.length; i++) {
    let top = Number.NEGATIVE_INFINITY;
    for (let c = 0; c < classes; c++) {
      row[c] = logits[i * classes + c]! / temperature;
      if (row[c]! > top) top = row[c]!;
    }
    let sum = 0;
    for (let c = 0; c < classes; c++) {
      p[c] = Math.exp(row[c]! - top);
      sum += p[c]!;
    }
    for (let c = 0; c < classes; c++) p[c]! /= sum;
    visit(i, p, top + Math.log(sum), row);
  }
}

function binsOf(confidence: Float64Array, right: Uint8Array, binOf: (i: number, value: number) => number) {
  const bins = Array.from({ length: BINS }, () => ({ n: 0, confidence: 0, right: 0 }));
  for (let i = 0; i < confidence.length; i++) {
    const bin = bins[binOf(i, confidence[i]!)]!;
    bin.n++;
    bin.confidence += confidence[i]!;
    bin.right += right[i]!;
  }
  return bins;
}

const gap = (bins: readonly { confidence: number; right: number }[], n: number): number =>
  bins.reduce((sum, bin) => sum + Math.abs(bin.right - bin.confidence), 0) / n;
