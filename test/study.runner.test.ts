import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { namesIn } from "../src/core/disk.js";
import { UsageError } from "../src/core/errors.js";
import type { Engine } from "../src/engines/engine.js";
import type { PlannedRun } from "../src/study/design/cells.js";
import { runAll, stateOf } from "../src/study/run/runner.js";

const run: PlannedRun = {
  cell: {
    ...{ id: "a", levels: { lr: "wild" }, regimes: ["one pass"], part: undefined },
    ...{
      pairs: 10,
      samples: 10,
      gmacs: 1,
      recipe: { trainData: ["shapes/"], samples: 10, model: "clipwright-pico-32" },
    },
  },
  seed: 0,
  name: "a-0",
};

describe("runAll", () => {
  const runs = mkdtempSync(join(tmpdir(), "clipwright-runner-"));
  after(() => rmSync(runs, { recursive: true }));

  it("passes over a run that fails before it has a folder, and tries it in one more sitting", async () => {
    let tried = 0;
    const sit = () =>
      runAll([run], {
        runs,
        engine: {} as Engine,
        train: ({ name, logs }) => {
          tried++;
          assert.deepEqual(namesIn(join(logs, name!)), []);
          throw new UsageError("loss: must be finite; got loss=NaN.");
        },
        ...{ sets: [], gmacsOf: () => 1, selectionOf: async () => undefined, predict: () => 1 },
        madeFrom: () => ({
          data: { samples: 10, captions: "", sizes: "", content: "", times: "" },
          files: {},
          suite: {},
        }),
      });
    for (const tries of [1, 2, 2]) {
      const { done, failed } = await sit();
      const message = "loss: must be finite; got loss=NaN.";
      assert.deepEqual([done, failed.map((one) => one.message), tried], [0, [message], tries]);
      assert.deepEqual(stateOf(join(runs, run.name)), { kind: "failed", tries, message });
    }
  });
});
