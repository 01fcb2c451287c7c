/**
 * Random numbers of a training pass: drawn on the host, a row for every sample of the batch, and given to the graph as
 * inputs. A row depends on the run's seed, the step and the sample's place in the whole batch alone, so that it is
 * the same on any engine, for any number of devices, and in a second pass over the same samples.
 */

import type { TypedArray } from "../core/dtype.js";
import { foldIn, type Key, Random } from "../core/random.js";
import { type Shape, sizeOfShape, type TensorType } from "../core/shape.js";

export type NoiseSpec =
  /** f32[B,…shape], uniform in [0, 1). */
  | { readonly kind: "uniform"; readonly shape: Shape }
  /** i32[B,size]: distinct numbers below `of`, ascending. */
  | { readonly kind: "subset"; readonly of: number; readonly size: number };

export type NoiseSpecs = Readonly<Record<string, NoiseSpec>>;

/** Type of `rows` rows. */
export const noiseType = (spec: NoiseSpec, rows: number): TensorType =>
  spec.kind === "uniform"
    ? { dtype: "f32", shape: [rows, ...spec.shape] }
    : { dtype: "i32", shape: [rows, spec.size] };

/** Types of all noise for `rows` rows, for `trace`. */
export const noiseTypes = (specs: NoiseSpecs, rows: number): Record<string, TensorType> =>
  Object.fromEntries(Object.entries(specs).map(([name, spec]) => [name, noiseType(spec, rows)]));

/**
 * Rows `from` up to `from + rows` of a step's noise, by name.
 * @param key of the run and the step.
 */
export function drawNoise(specs: NoiseSpecs, key: Key, rows: number, from = 0): Record<string, TypedArray> {
  return Object.fromEntries(
    Object.entries(specs).map(([name, spec]) => {
      const type = noiseType(spec, rows);
      const width = sizeOfShape(type.shape.slice(1));
      const data = spec.kind === "uniform" ? new Float32Array(rows * width) : new Int32Array(rows * width);
      for (let row = 0; row < rows; row++) {
        const random = new Random(foldIn(key, "noise", name, from + row));
        const drawn =
          spec.kind === "uniform"
            ? Float32Array.from({ length: width }, () => random.uniform())
            : random.permutation(spec.of).slice(0, spec.size).sort();
        data.set(drawn, row * width);
      }
      return [name, data];
    }),
  );
}
