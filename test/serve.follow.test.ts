import assert from "node:assert/strict";
import { appendFileSync } from "node:fs";
import { join } from "node:path";
import { suite, test } from "node:test";
import { openDataset } from "../src/data/index.js";
import type { Engine } from "../src/engines/engine.js";
import { FollowedRun } from "../src/serve/server/follow.js";
import { pngOf, put, scratchFolder } from "./data.helpers.js";

suite("FollowedRun", () => {
  const folder = scratchFolder();
  const lines = (values: readonly object[]): string =>
    values.map((value) => `${JSON.stringify(value)}\n`).join("");

  test("tells where the run is, its curves, and what it has warned of", async () => {
    for (let i = 0; i < 3; i++) put(folder, `pictures/${i}.png`, await pngOf(i));
    put(folder, "run/config.json", JSON.stringify({ model: "ViT-S-32", batchSize: 8 }));
    put(
      folder,
      "run/plan.json",
      JSON.stringify({ samplesPerEpoch: 80, batchSize: 8, measuredSteps: 0, totalSteps: 400 }),
    );
    const metrics = Array.from({ length: 100 }, (_, i) => ({
      step: i + 1,
      seconds: 2 * (i + 1),
      loss: 5 - i / 50,
      dataWaitShare: i < 90 ? 0 : 0.4,
      samplesPerSecond: 4,
    }));
    put(folder, "run/metrics.jsonl", lines(metrics));
    const score = { dataset: "val", metric: "acc1", samplesSeen: 80 };
    put(
      folder,
      "run/evaluation.jsonl",
      lines([
        { ...score, step: 50, value: 0.2 },
        { ...score, step: 100, value: 0.3 },
      ]),
    );
    put(folder, "run/warnings.jsonl", lines([{ step: 60, text: "waits for data" }]));
    const pictures = await openDataset(join(folder, "pictures"), { captionsOptional: true });
    using run = new FollowedRun(join(folder, "run"), { engine: undefined as unknown as Engine, pictures });
    await run.look(); // there is no checkpoint yet
    assert.equal(run.current(), undefined);
    const { curves, warnings, ...told } = run.training();
    assert.deepEqual(told, {
      state: "stopped",
      step: 100,
      steps: 400,
      seconds: 200,
      secondsLeft: 600,
      dataWait: 0.4,
      samplesPerSecond: 4,
      embedding: false,
    });
    assert.deepEqual(warnings, [{ step: 60, text: "waits for data" }]);
    assert.deepEqual(
      curves.slice(0, 2).map(({ title, unit, points }) => [title, unit, points.length]),
      [
        ["Loss", "", 100],
        ["Top-1", " %", 2],
      ],
    );
    assert.deepEqual(curves[1]!.points, [
      [50, 20],
      [100, 30],
    ]);
    appendFileSync(join(folder, "run/metrics.jsonl"), '{"step":101,"se'); // half a line, as it is being written
    assert.equal(run.training().step, 100);
  });
});
