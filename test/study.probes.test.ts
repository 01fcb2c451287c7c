import assert from "node:assert/strict";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { openEngine } from "../src/engines/registry.js";
import { checkStudy, type StudyInput } from "../src/study/design/study.js";
import { openStudy } from "../src/study/study.js";
import { pngOf, put, scratchFolder } from "./data.helpers.js";

test("a study goes on past a shape of which no step can be trained", async () => {
  const folder = scratchFolder();
  for (const [at, label] of ["red fox", "blue boat"].entries())
    for (let i = 0; i < 6; i++) put(folder, `data/${label}/${i}.png`, await pngOf(10 * at + i, 16, 16));
  const model = {
    embed_dim: 16,
    vision_cfg: { image_size: 16, patch_size: 8, width: 16, head_width: 16, layers: 1 },
    text_cfg: { context_length: 12, width: 32, heads: 2, layers: 1 },
  };
  const input: StudyInput = {
    question: { text: "Which batch?", factor: "batchSize" },
    recipe: {
      trainData: [join(folder, "data")],
      model,
      vocabSize: 300,
      threads: 1,
      workers: 1,
      engine: "onnxruntime",
    },
    // More than the data hold.
    factors: { batchSize: [5, 500] },
    regime: { samples: 18 },
    seeds: 1,
    suite: { sets: { test: { data: join(folder, "data"), tasks: ["zeroshot_classification"] } } },
    score: "test/acc1",
  };
  await using engine = await openEngine("onnxruntime", {});
  const open = async () => openStudy(await checkStudy(input), { folder: join(folder, "study"), engine });
  const opened = await open();
  const runs = opened.runs;
  const { cells, left, unmeasured } = opened.outlook();
  assert.deepEqual(
    cells.map(({ seconds, samples }) => [seconds !== undefined, samples]),
    [
      [true, 20],
      [false, 500],
    ],
  );
  assert.deepEqual([left.runs, left.unknown], [2, 1]);
  assert.deepEqual(
    unmeasured.map(({ name }) => name),
    [runs[1]!.name],
  );
  assert.match(
    unmeasured[0]!.why,
    /batchSize: must not exceed the training set; got batchSize=500, 12 samples/,
  );
  const { done, failed } = await opened.run({ budgetSeconds: 1000 });
  assert.equal(done, 1);
  assert.match(failed[0]!.message, /batchSize: must not exceed/);
  const [header, row, ...more] = readFileSync(join(folder, "study", "study.csv"), "utf8")
    .trim()
    .split("\r\n");
  assert.equal(row!.split(",")[header!.split(",").indexOf("samples")], "20");
  assert.deepEqual(more, []);

  // Tried once more, then left alone; what was measured of the done run may be gone.
  rmSync(join(folder, "study", "probes.json"));
  const again = await open();
  const onFailed = () => void tries++;
  let tries = 0;
  await again.run({ onFailed });
  const { findings } = await again.run({ onFailed });
  assert.equal(tries, 1);
  assert.notEqual(findings, undefined);
});
