/** Nearness of numbers, and what each dtype allows. */

import assert from "node:assert/strict";
import type { DType } from "../../src/core/dtype.js";

/**
 * Allowed error, relative to max(1, |expected|). f32 has 24 bits (6e-8); sums of a few hundred products in
 * another order and vendors' exp and erf leave errors of a few units: 2e-5 holds for every case and would not
 * let a wrong formula through. bf16 has 8 bits. Integers are exact.
 */
export function tolerance(dtype: DType): number {
  switch (dtype) {
    case "f32":
      return 2e-5;
    case "bf16":
      return 2e-2;
    case "f16":
      return 2e-3;
    default:
      return 0;
  }
}

/** Asserts |got − expected| ≤ limit · max(1, |expected|) everywhere; equal infinities and NaNs agree. */
export function assertClose(
  got: ArrayLike<number>,
  expected: ArrayLike<number>,
  limit: number,
  what: string,
): void {
  assert.equal(got.length, expected.length, `${what}: lengths differ`);
  for (let i = 0; i < got.length; i++) {
    const a = got[i]!;
    const b = expected[i]!;
    if (Object.is(a, b) || a === b) continue;
    const error = Math.abs(a - b) / Math.max(1, Math.abs(b));
    assert.ok(error <= limit, `${what}: at ${i} got ${a}, expected ${b} (error ${error}, allowed ${limit})`);
  }
}
