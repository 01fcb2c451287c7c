/** Programs that are stored as ONNX, run by ONNX Runtime as any other program would run them. */

import type { TypedArray } from "../core/dtype.js";
import { InternalError } from "../core/errors.js";
import { onnxRuntime } from "./onnxruntime-package.js";

export interface NamedArray {
  readonly shape: readonly number[];
  readonly data: TypedArray;
}

export interface OnnxFile extends Disposable {
  /** Outputs by name. Only those in `wanted` are given; default all. */
  run(
    inputs: Readonly<Record<string, NamedArray>>,
    wanted?: readonly string[],
  ): Promise<Record<string, NamedArray>>;
}

/** Opens the bytes of a model on the CPU, optimised by ONNX Runtime. */
export async function openOnnxFile(model: Uint8Array, what: string, threads?: number): Promise<OnnxFile> {
  const ort = onnxRuntime();
  const session = await ort.InferenceSession.create(model, {
    executionProviders: ["cpu"],
    graphOptimizationLevel: "all",
    logSeverityLevel: 3,
    extra: { session: { intra_op: { allow_spinning: "0" } } },
    ...(threads === undefined ? {} : { intraOpNumThreads: threads }),
  }).catch((error: Error) => {
    throw new InternalError(`onnxruntime: refused ${what}: ${error.message}`);
  });
  return {
    async run(inputs, wanted = session.outputNames) {
      const feeds = Object.fromEntries(
        Object.entries(inputs).map(([name, { shape, data }]) => [
          name,
          new ort.Tensor(elementTypeOf(data), data as Float32Array, shape as number[]),
        ]),
      );
      const outputs = await session.run(feeds, wanted);
      return Object.fromEntries(
        wanted.map((name) => {
          const { dims, data } = outputs[name]!;
          return [name, { shape: dims, data: data as TypedArray }];
        }),
      );
    },
    [Symbol.dispose]: () => void session.release(),
  };
}

function elementTypeOf(data: TypedArray): "float32" | "int64" | "int32" | "uint8" {
  if (data instanceof Float32Array) return "float32";
  if (data instanceof BigInt64Array) return "int64";
  if (data instanceof Int32Array) return "int32";
  if (data instanceof Uint8Array) return "uint8";
  throw new InternalError(`onnxruntime: takes no ${data.constructor.name}`);
}
