/** Shapes: lists of sizes, outermost first; row-major in memory. */

import type { DType } from "./dtype.js";
import { UsageError } from "./errors.js";

export type Shape = readonly number[];

/** The type of a tensor value: what the compiler knows of it. */
export interface TensorType {
  readonly dtype: DType;
  readonly shape: Shape;
}

/** Number of elements. */
export const sizeOfShape = (shape: Shape): number => shape.reduce((n, d) => n * d, 1);

/** Row-major strides, in elements. */
export function strides(shape: Shape): number[] {
  const out = new Array<number>(shape.length);
  let step = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    out[i] = step;
    step *= shape[i]!;
  }
  return out;
}

export const sameShape = (a: Shape, b: Shape): boolean =>
  a.length === b.length && a.every((d, i) => d === b[i]);

export const sameType = (a: TensorType, b: TensorType): boolean =>
  a.dtype === b.dtype && sameShape(a.shape, b.shape);

/** `f32[2,77,512]`; a scalar is `f32[]`. */
export const formatType = (type: TensorType): string => `${type.dtype}[${type.shape.join(",")}]`;

/** The shape that numpy's broadcasting gives, or a `UsageError` naming both. */
export function broadcastShapes(what: string, ...shapes: Shape[]): number[] {
  const rank = Math.max(0, ...shapes.map((s) => s.length));
  const out = new Array<number>(rank).fill(1);
  for (const shape of shapes) {
    const lead = rank - shape.length;
    shape.forEach((d, i) => {
      const have = out[lead + i]!;
      if (have !== d && have !== 1 && d !== 1) {
        throw new UsageError(
          `${what}: shapes must broadcast; got ${shapes.map((s) => `[${s.join(",")}]`).join(" and ")}. ` +
            "Sizes, aligned at the right, must be equal or 1.",
        );
      }
      if (have === 1) out[lead + i] = d;
    });
  }
  return out;
}

/** `axes` counted from the front, none of them twice. */
export function distinctAxes(what: string, axes: readonly number[], rank: number): number[] {
  const found = axes.map((axis) => normalizeAxis(what, axis, rank));
  if (new Set(found).size !== found.length) {
    throw new UsageError(`${what}: axes must differ; got axes=[${axes.join(",")}] of ${rank}.`);
  }
  return found;
}

/** `axis` counted from the front; negative axes count from the back. */
export function normalizeAxis(what: string, axis: number, rank: number): number {
  const at = axis < 0 ? axis + rank : axis;
  if (!Number.isInteger(at) || at < 0 || at >= rank) {
    throw new UsageError(`${what}: axis must lie in [${-rank}, ${rank}); got axis=${axis}.`);
  }
  return at;
}
