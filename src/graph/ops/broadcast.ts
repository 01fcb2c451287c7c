/** Numpy's broadcasting, as references walk it. */

import { type Shape, sameShape, sizeOfShape, strides } from "../../core/shape.js";
import type { Ref } from "../op.js";

/** For every element of `to`, where it lies in a tensor of shape `from` that broadcasts to it. */
export function broadcastIndex(from: Shape, to: Shape): (flat: number) => number {
  if (sameShape(from, to)) return (i) => i;
  const own = strides(from);
  const steps = strides(to);
  const lead = to.length - from.length;
  return (flat) => {
    let at = 0;
    for (let axis = 0; axis < to.length; axis++) {
      const d = from[axis - lead];
      if (d !== undefined && d !== 1) at += (Math.floor(flat / steps[axis]!) % to[axis]!) * own[axis - lead]!;
    }
    return at;
  };
}

/** `of` element by element, broadcast to `shape`. */
export function broadcastApply(
  a: Ref,
  b: Ref,
  shape: Shape,
  of: (x: number, y: number) => number,
): Float64Array {
  const left = broadcastIndex(a.shape, shape);
  const right = broadcastIndex(b.shape, shape);
  return Float64Array.from({ length: sizeOfShape(shape) }, (_, i) => of(a.data[left(i)]!, b.data[right(i)]!));
}
