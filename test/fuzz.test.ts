/** Damaged files of every kind that is read: 200 of each; `npm run fuzz` runs as many as are wanted. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { fuzz } from "./fuzz/runner.js";
import { caseOf } from "./fuzz/target.js";
import { targets } from "./fuzz/targets/index.js";

describe("a damaged file is read right or refused in one line:", () => {
  for (const target of targets) {
    test(`200 of ${target.name}`, async () => {
      const { read, refused, failures } = await fuzz(target.name, { cases: 200 });
      assert.deepEqual(failures, []);
      assert.equal(read + refused, 200);
    });
  }
});

test("a run of a billion values in a Parquet page of four is refused", async () => {
  const { refused, failures } = await fuzz("parquet", { seed: 5, from: 1835, cases: 1836 });
  assert.deepEqual(failures, []);
  assert.equal(refused, 1);
});

test("the cases of a target are its own, and the same every time", async () => {
  const [target] = targets;
  const seeds = await target!.seeds();
  const inputs = [0, 1, 0].map((number) => caseOf(target!, seeds, 7, number));
  assert.deepEqual(inputs[0], inputs[2]);
  assert.notDeepEqual(inputs[0], inputs[1]);
});
