/**
 * How convolutions are written in ONNX: for each of the three products (the convolution and the cotangents
 * of its image and of its kernel) several ways, and a cost rule that takes the cheapest for the shapes at hand.
 *
 * The rule estimates each way's time from shapes and attributes alone: multiply-adds at the rate of the kernel that
 * does them, and elements that are copied at the rate of the copy. An engine's rates are in its dialect
 * (`OnnxDialect.rates`). `bench/convolutions.ts` measures every way beside the rule's choice.
 *
 * "Blocked" is ONNX Runtime's own layout [B,C/n,H,W,n] (NCHWc, domain `com.microsoft.nchwc`), n channels wide as the
 * processor's vectors are; its kernels read windows where they lie instead of copying them into columns, and are the
 * only fast depthwise ones. `OnnxDialect.channelBlock` says n.
 */

import type { DType } from "../../../core/dtype.js";
import type { OnnxContext } from "../../emit/context.js";
import type { OnnxDialect, Rates } from "../../emit/dialect.js";

/** A convolution y = x ∗ w by its sizes: x [B,C,H,W], w [O,C/groups,kernel], y [B,O,h,v]. */
export interface Convolution {
  readonly B: number;
  readonly C: number;
  readonly H: number;
  readonly W: number;
  readonly O: number;
  readonly h: number;
  readonly v: number;
  readonly kernel: readonly number[];
  readonly stride: readonly number[];
  /** Top, left, bottom, right. */
  readonly padding: readonly number[];
  readonly groups: number;
  readonly dtype: DType;
}

/** What the rule knows of an engine. */
export type Costs = Pick<OnnxDialect, "channelBlock" | "rates">;

/** One way to write one of the products. */
export interface Way {
  readonly name: string;
  /** Estimated nanoseconds, or undefined where the way does not apply. */
  estimate(of: Convolution, on: Costs): number | undefined;
  /** Writes it from the names of the operands in the order of the record; gives the result's name. */
  write(b: OnnxContext, operands: readonly [string, string], of: Convolution): string;
}

export const area = ([a, b]: readonly number[]): number => a! * b!;
export const isUnit = (list: readonly number[]): boolean => list.every((n) => n === 1);
export const isZero = (list: readonly number[]): boolean => list.every((n) => n === 0);

export const macs = ({ B, C, O, h, v, kernel, groups }: Convolution): number =>
  B * O * h * v * (C / groups) * area(kernel);
export const imageSize = ({ B, C, H, W }: Convolution): number => B * C * H * W;
export const resultSize = ({ B, O, h, v }: Convolution): number => B * O * h * v;
export const kernelSize = ({ O, C, groups, kernel }: Convolution): number => O * (C / groups) * area(kernel);
export const isDepthwise = ({ C, O, groups }: Convolution): boolean =>
  groups > 1 && C === groups && O === groups;
/** Windows that do not overlap, and with nothing between them, are columns already. */
export const overlaps = ({ kernel, stride }: Convolution): boolean => kernel.some((k, i) => k > stride[i]!);

/** Gemm's rate, and what is left of it where one side is a few numbers wide. */
export const gemmRate = (rates: Rates, rows: number, columns: number): number =>
  rates.gemm * Math.min(1, Math.min(rows, columns) / 32);

/** Conv's rate: Gemm's where no columns have to be made. */
export function plainRate(rates: Rates, of: Convolution): number {
  const { C, O, groups } = of;
  if (groups > 1 && C / groups < 8) return rates.depthwise;
  return (overlaps(of) ? rates.columns : rates.gemm) * Math.min(1, O / groups / 16);
}

// Nodes by short names.
type Ranges = readonly { axis: number; start: number; limit: number; step?: number }[];

export const transpose = (b: OnnxContext, x: string, perm: readonly number[]): string =>
  b.node("Transpose", [x], { perm })[0]!;
export const reshape = (b: OnnxContext, x: string, shape: readonly number[]): string =>
  b.node("Reshape", [x, b.ints(shape)])[0]!;
export const slice = (b: OnnxContext, x: string, ranges: Ranges): string =>
  b.node("Slice", [
    x,
    b.ints(ranges.map((r) => r.start)),
    b.ints(ranges.map((r) => r.limit)),
    b.ints(ranges.map((r) => r.axis)),
    b.ints(ranges.map((r) => r.step ?? 1)),
  ])[0]!;
export const reverse = (b: OnnxContext, x: string, axes: readonly number[]): string =>
  slice(
    b,
    x,
    axes.map((axis) => ({ axis, start: -1, limit: Number.MIN_SAFE_INTEGER, step: -1 })),
  );

export interface Window {
  readonly kernel_shape: readonly number[];
  readonly pads: readonly number[];
  readonly strides?: readonly number[];
  readonly dilations?: readonly number[];
  readonly group: number;
}

const BLOCKED = { domain: "com.microsoft.nchwc" } as const;

/** `toBlocks` takes channels in fours, and fills up the last block with zeros. */
export const REORDERED_BY = 4;

export const toBlocks = (b: OnnxContext, x: string): string => b.node("ReorderInput", [x], {}, BLOCKED)[0]!;

/** Conv on a blocked image with a blocked kernel; gives plain [B,channels,h,v]. */
export function blockedConv(
  b: OnnxContext,
  x: string,
  kernel: string,
  window: Window,
  channels: number,
): string {
  const y = b.node("Conv", [x, kernel], { ...window }, BLOCKED)[0]!;
  return b.node("ReorderOutput", [y], { channels }, BLOCKED)[0]!;
}

/** The way of the least estimated time among those that apply. */
export function cheapest(ways: readonly Way[], of: Convolution, on: Costs): Way {
  const times = ways.map((way) => way.estimate(of, on) ?? Number.POSITIVE_INFINITY);
  return ways[times.indexOf(Math.min(...times))]!;
}
