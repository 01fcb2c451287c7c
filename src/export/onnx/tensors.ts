/** Constants of ONNX programs: from numbers and back. */

import { encode, sizeOf } from "../../core/dtype.js";
import { InternalError } from "../../core/errors.js";
import { type Shape, sizeOfShape } from "../../core/shape.js";
import type { OnnxDType, OnnxTensor } from "../../graph/emit/onnx-program.js";

/** A tensor of `values` in row-major order, rounded to `dtype`. */
export function tensorOf(dtype: OnnxDType, shape: Shape, values: ArrayLike<number>): OnnxTensor {
  if (values.length !== sizeOfShape(shape))
    throw new InternalError(`tensorOf: [${shape}] needs ${sizeOfShape(shape)} numbers; got ${values.length}`);
  if (dtype === "i8") return { dtype, shape, bytes: new Uint8Array(Int8Array.from(values).buffer) };
  if (dtype === "f32" && values instanceof Float32Array) return { dtype, shape, bytes: bytesOf(values) };
  const data = encode(dtype, values);
  return { dtype, shape, bytes: new Uint8Array(data.buffer, data.byteOffset, data.length * sizeOf(dtype)) };
}

const bytesOf = (data: Float32Array | Int32Array | BigInt64Array): Uint8Array =>
  new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

/** The numbers of a tensor f32, which may lie in its memory. */
export function floatsOf({ dtype, bytes }: OnnxTensor): Float32Array {
  if (dtype !== "f32") throw new InternalError(`floatsOf: must be f32; got ${dtype}`);
  return bytes.byteOffset % 4 === 0
    ? new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4)
    : new Float32Array(bytes.slice().buffer);
}

/** The numbers of a tensor of whole numbers. */
export function intsOf({ dtype, bytes }: OnnxTensor): number[] {
  const { buffer } = bytes.slice();
  if (dtype === "i64") return Array.from(new BigInt64Array(buffer), Number);
  if (dtype === "i32") return Array.from(new Int32Array(buffer));
  throw new InternalError(`intsOf: must be i64 or i32; got ${dtype}`);
}
