/** The public API as a user of the package sees it. The import by the package's own name resolves through `exports`. */

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import {
  type Clip,
  type ClipConfig,
  defineRecipe,
  type Engine,
  type EvaluationRecord,
  evaluationTable,
  findPreset,
  freshFeatures,
  graph,
  type Inspection,
  inspectDataset,
  loadModel,
  makeClip,
  OnnxRuntime,
  openDataset,
  parseClipConfig,
  presets,
  type RecipeInput,
  retrievalTask,
  runTask,
  type StepReport,
  train,
  UsageError,
  zeroshotTask,
} from "clipwright";
import { picture, put } from "./data.helpers.js";

const folder = mkdtempSync(join(tmpdir(), "clipwright-api-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const colours = ["red", "green", "blue", "yellow"] as const;

/** Sixteen pictures with captions in `pairs`, and the same in a folder per class in `classes`. */
async function writePictures(): Promise<void> {
  for (let i = 0; i < 16; i++) {
    const colour = colours[i % 4]!;
    const png = await picture(i, 32, 32).tint(colour).png().toBuffer();
    put(folder, `pairs/${i}.png`, png);
    put(folder, `pairs/${i}.txt`, `a ${colour} picture, number ${i}`);
    put(folder, `classes/${colour}/${i}.png`, png);
  }
}

const tiny: ClipConfig = parseClipConfig(
  {
    embed_dim: 16,
    vision_cfg: { image_size: 16, patch_size: 8, width: 32, layers: 1, head_width: 16 },
    text_cfg: { context_length: 12, vocab_size: 300, width: 32, heads: 2, layers: 1 },
  },
  "tiny",
);

describe('import … from "clipwright"', () => {
  it("inspects, trains, evaluates and embeds", async () => {
    await writePictures();
    const trainData = join(folder, "pairs");
    const dataset = await openDataset(trainData);
    const inspection: Inspection = await inspectDataset(dataset, { workers: 1 });
    assert.equal(inspection.usable, 16);

    const recipe: RecipeInput = defineRecipe({
      model: tiny,
      trainData,
      steps: 3,
      batchSize: 8,
      warmup: 1,
      vocabSize: 300,
      logs: join(folder, "runs"),
      name: "api",
      threads: 1,
      workers: 1,
    });
    const reports: StepReport[] = [];
    const result = await train(recipe, { onStep: (report) => reports.push(report) });
    assert.equal(result.finished, true);
    assert.deepEqual(
      reports.map((r) => r.samplesSeen),
      [8, 16, 24],
    );

    await using engine: Engine = new OnnxRuntime({ threads: 1 });
    const model = await loadModel(engine, { path: result.folder, workers: 1 });
    using encoder = model.encoder;
    const features = freshFeatures(encoder);
    const scores: readonly EvaluationRecord[] = (
      await runTask(retrievalTask, { features, data: { dataset } })
    ).records;
    assert.ok(scores.every((s) => s.low <= s.value && s.value <= s.high && s.n <= 16));
    const classes = await openDataset(join(folder, "classes"));
    const named = await runTask(zeroshotTask, { features, data: { dataset: classes } });
    assert.deepEqual(named.details.classes.names, [...colours].sort());
    assert.match(evaluationTable(named.records), /top-1/);
    const vectors = await encoder.embedTexts(["a red picture", "a blue picture"]);
    const length = Math.hypot(...vectors.subarray(0, 16));
    assert.ok(Math.abs(length - 1) < 1e-5, `a vector has length 1; got ${length}`);
  });

  it("refuses a wrong recipe in one line", async () => {
    await assert.rejects(
      train({ model: "ViT-B-32", trainData: "nowhere", steps: 1, batchSize: 1 }),
      (error: Error) =>
        error instanceof UsageError && /^batchSize: must be an integer from 2/.test(error.message),
    );
  });

  it("checks the types of a recipe", () => {
    // @ts-expect-error: a batch size is a number
    assert.equal(defineRecipe({ batchSize: "64" }).batchSize, "64");
    // @ts-expect-error: no such setting
    assert.ok(defineRecipe({ batchsize: 64 }));
  });

  it("lists presets and builds them", () => {
    assert.ok(presets.length > 30);
    const clip: Clip = makeClip(findPreset("clipwright-nano-32").config);
    assert.equal(clip.config.embed_dim, 128);
  });

  it("traces, differentiates and runs programs of one's own", () => {
    const program = graph.trace({ x: { dtype: "f32" as const, shape: [3] } }, ({ x }) => {
      const y = graph.sum(graph.mul(x, graph.square(x)));
      return { y, dx: graph.gradients(y, [x])[0]! };
    });
    const { y, dx } = graph.interpret(program, { x: [1, 2, -3] });
    assert.deepEqual([...y!.data, ...dx!.data], [1 + 8 - 27, 3, 12, 27]);
    assert.match(graph.print(program), /sum\(/);
  });
});
