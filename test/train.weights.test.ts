/** Weights of pairs in the loss: what they mean, in every strategy, in one pass and in two. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { before, describe, it } from "node:test";
import { UsageError } from "../src/core/errors.js";
import { keyFromSeed, Random } from "../src/core/random.js";
import type { TensorType } from "../src/core/shape.js";
import { TableWriter } from "../src/curate/tables/writer.js";
import type { Dataset } from "../src/data/index.js";
import { pairColumns, type TableColumn } from "../src/data/selections/form.js";
import { OnnxRuntime } from "../src/engines/onnxruntime.js";
import { gradients } from "../src/graph/grad.js";
import { interpret } from "../src/graph/interpret.js";
import { constant, sum } from "../src/graph/ops/index.js";
import { trace } from "../src/graph/trace.js";
import { makeClip } from "../src/models/clip.js";
import type { ClipConfig } from "../src/models/config/config.js";
import { drawNoise } from "../src/nn/noise.js";
import { sampleWeights } from "../src/train/batches/sample-weights.js";
import { checkRecipe, type RecipeInput } from "../src/train/recipe/recipe.js";
import { makeOptimizer } from "../src/train/step/optimizer.js";
import type { StepOptions } from "../src/train/step/options.js";
import { type HostBatch, StepRunner } from "../src/train/step/runner.js";
import { initialState } from "../src/train/step/state.js";
import { TwoPassRunner } from "../src/train/step/two-pass-runner.js";
import { makeStrategy, type StrategyName, strategyNames } from "../src/train/strategies/index.js";
import { acrossReplicas, rowsAt, SAMPLE_WEIGHT } from "../src/train/strategies/loss.js";
import type { Strategy } from "../src/train/strategies/strategy.js";
import { weighted } from "../src/train/strategies/weighted.js";
import { train } from "../src/train/train.js";
import { pngOf, put, scratchFolder } from "./data.helpers.js";
import { assertClose } from "./support/close.js";

const config: ClipConfig = {
  embed_dim: 8,
  vision_cfg: { image_size: 16, patch_size: 4, width: 16, layers: 2, head_width: 8 },
  text_cfg: { context_length: 6, vocab_size: 20, width: 16, heads: 2, layers: 1 },
};
const clip = makeClip(config);
const unused = { width: 1, rows: () => new Float32Array() };
const plain = (name: StrategyName) => makeStrategy(name, clip, { sslHead: [12, 6] });

describe("the loss of weighted pairs", () => {
  const B = 5;
  const E = 4;
  const names = ["images", "texts", "view1", "view2"] as const;
  const random = new Random(keyFromSeed(3));
  const vectors = Object.fromEntries(
    names.map((name) => {
      const rows = Array.from({ length: B }, () => {
        const row = Array.from({ length: E }, () => random.normal());
        return row.map((x) => x / Math.hypot(...row));
      });
      return [`features.${name}`, rows.flat()];
    }),
  );
  const ids = Array.from({ length: B }, (_, i) => i);
  const feeds = { ...vectors, imageIds: ids, textIds: ids, scale: [6], bias: [-2] };

  /** The loss and its gradients: of all rows by `weights`, or of the rows `only`, as their share of the whole. */
  function lossOf(strategy: Strategy, { weights, only }: { weights?: number[]; only?: number[] }) {
    const f32 = (...shape: number[]): TensorType => ({ dtype: "f32", shape });
    const i32: TensorType = { dtype: "i32", shape: [B] };
    const features = Object.fromEntries(names.map((name) => [name, f32(B, E)]));
    const types = { features, imageIds: i32, textIds: i32, scale: f32(), bias: f32() };
    const graph = trace(types, (x) => {
      const own = weights === undefined ? {} : { [SAMPLE_WEIGHT]: constant(weights, { shape: [B, 1] }) };
      const { all } = acrossReplicas({ ...x, features: { ...x.features, ...own } }, 1);
      const rows =
        only === undefined ? all : rowsAt(all, constant(only, { dtype: "i32", shape: [only.length] }));
      const loss = strategy.loss(rows, all, x);
      const wrt = [...Object.values(x.features), x.scale, x.bias];
      return { loss, d: Object.fromEntries(gradients(loss, wrt).map((g, i) => [`${i}`, sum(g)])) };
    });
    return Object.entries(interpret(graph, feeds)).map(([, { data }]) => Number(data[0]));
  }

  for (const name of strategyNames) {
    it(`${name}: a weight of 2 counts the pair's terms twice, one of 0 never, in value and slopes`, () => {
      const strategy = plain(name);
      const found = lossOf(strategy, { weights: [2, 1, 0, 1, 0.5] });
      const shares = [[0], [1], [3]].map((only) => lossOf(strategy, { only }));
      const half = lossOf(strategy, { only: [4] });
      const expected = found.map(
        (_, i) => 2 * shares[0]![i]! + shares[1]![i]! + shares[2]![i]! + 0.5 * half[i]!,
      );
      assertClose(found, expected, 1e-12, name);
      assert.deepEqual(lossOf(strategy, { weights: [1, 1, 1, 1, 1] }), lossOf(strategy, {}));
    });
  }
});

describe("steps with weights", () => {
  const B = 12;
  const optionsOf = (name: StrategyName): StepOptions & { strategy: Strategy } => ({
    clip,
    strategy: weighted(plain(name), unused),
    optimizer: makeOptimizer("adamw", { beta1: 0.9, beta2: 0.98, epsilon: 1e-3, weightDecay: 0.2 }),
    batchSize: B,
    contextLength: 6,
    normalization: undefined,
  });
  const batchOf = (strategy: Strategy, from: number, rows: number, weights: Float32Array): HostBatch => {
    const random = new Random(keyFromSeed(4));
    const cut = <T extends Float32Array | Int32Array>(x: T): T =>
      x.slice((from * x.length) / B, ((from + rows) * x.length) / B) as T;
    const images = () => cut(Float32Array.from({ length: B * 3 * 16 * 16 }, () => random.normal()));
    const ids = cut(Int32Array.from({ length: B }, (_, i) => i));
    return {
      ...{ images: images(), views: Array.from({ length: strategy.views }, images) },
      tokens: cut(Int32Array.from({ length: B * 6 }, () => random.integer(20))),
      ...{ imageIds: ids, textIds: ids, noise: drawNoise(strategy.noise, keyFromSeed(5), rows, from) },
      extra: { [SAMPLE_WEIGHT]: cut(weights) },
    };
  };
  const scalars = makeOptimizer("adamw", {
    beta1: 0.9,
    beta2: 0.98,
    epsilon: 1e-3,
    weightDecay: 0.2,
  }).scalars(1, 1e-2);
  const uneven = Float32Array.from({ length: B }, (_, i) => (i % 3) / 2 + 0.5);

  for (const name of ["clip", "siglip", "flip"] as const) {
    it(`${name}: weights of 1 take the step without any, to the bit, and two passes that of the whole`, async () => {
      await using engine = new OnnxRuntime({ threads: 1 });
      const options = optionsOf(name);
      const initial = () => initialState(options, keyFromSeed(1));
      const after = async (run: StepRunner | TwoPassRunner) =>
        [...(await run.state.snapshot())].map(
          ([path, { data }]) => [path, [...(data as Float32Array)]] as const,
        );
      using bare = await StepRunner.create(engine, { ...options, strategy: plain(name) }, initial());
      const expected = await bare.step(batchOf(options.strategy, 0, B, uneven), scalars);
      using ones = await StepRunner.create(engine, options, initial());
      const found = await ones.step(batchOf(options.strategy, 0, B, new Float32Array(B).fill(1)), scalars);
      assert.deepEqual(found, expected);
      assert.deepEqual(await after(ones), await after(bare));

      using whole = await StepRunner.create(engine, options, initial());
      const step = await whole.step(batchOf(options.strategy, 0, B, uneven), scalars);
      assert.notEqual(step.loss, expected.loss);
      using parts = await TwoPassRunner.create(
        engine,
        { ...options, microBatch: 4, blockLogits: 40 },
        initial(),
      );
      const twice = await parts.step(
        { part: async (index) => batchOf(options.strategy, index * 4, 4, uneven) },
        scalars,
      );
      assertClose([twice.loss, twice.gradientNorm], [step.loss, step.gradientNorm], 2e-5, "metrics");
      const [a, b] = [await after(parts), await after(whole)];
      a.forEach(([path, data], i) => {
        assertClose(data, b[i]![1], 2e-5, path);
      });
    });
  }
});

describe("the weights of a training set", () => {
  const samples = [
    { key: "a", captions: ["x", "y"], weights: [1, 3] },
    { key: "b", captions: ["z"] },
    { key: "c", captions: [] },
    { key: "d", captions: ["v"], weights: [0] },
  ];
  const of = (chosen: readonly object[]) =>
    ({ name: "set", length: chosen.length, sample: (i: number) => chosen[i] }) as unknown as Dataset;

  it("have mean 1 over the images that have captions", () => {
    const random = sampleWeights(of(samples), "random")!;
    assert.deepEqual([...random.rows([0, 0, 1, 3], ["x", "y", "z", "v"])], [1, 3, 1, 0]);
    const first = sampleWeights(of(samples), "first")!;
    assertClose([...first.rows([0, 1, 3], ["x", "z", "v"])], [1.5, 1.5, 0], 1e-7, "first captions");
  });

  it("are none where all weigh the same, and refused where nothing weighs", () => {
    assert.equal(
      sampleWeights(
        of([
          { captions: ["x"], weights: [2] },
          { captions: ["y"], weights: [2] },
        ]),
        "random",
      ),
      undefined,
    );
    assert.equal(sampleWeights(of([{ captions: ["x"] }]), "random"), undefined);
    assert.throws(
      () => sampleWeights(of([{ captions: ["x"], weights: [0] }]), "random"),
      (error) =>
        error instanceof UsageError &&
        /^sampleWeight: some pair must have a weight above 0/.test(error.message),
    );
  });
});

describe("train with --sample-weight", () => {
  const folder = scratchFolder();
  const logs = join(folder, "runs");
  const recipeFor = (name: string, more: RecipeInput = {}) =>
    checkRecipe({
      model: config,
      ...{ trainData: join(folder, "pairs"), logs, name, workers: 1, steps: 3, vocabSize: 280, threads: 1 },
      ...{ batchSize: 8, saveFrequency: 0, logEveryNSteps: 1, seed: 5, eps: 1e-3 },
      ...more,
    });
  const lossesOf = async (name: string, more: RecipeInput) => {
    await train(recipeFor(name, more));
    const lines = readFileSync(join(logs, name, "metrics.jsonl"), "utf8")
      .trim()
      .split("\n");
    return lines.map((line) => JSON.parse(line).loss).filter((loss) => loss !== undefined);
  };
  const select = join(folder, "scores.parquet");

  before(async () => {
    const rows = Array.from({ length: 16 }, (_, i) => i);
    for (const i of rows) {
      put(folder, `pairs/${i}.png`, await pngOf(i, 20, 18));
      put(folder, `pairs/${i}.txt`, `picture number ${i}`);
    }
    const columns: TableColumn[] = [...pairColumns];
    for (const name of ["even", "uneven"]) columns.push({ name, kind: "number", about: "A weight." });
    const writer = new TableWriter(select, {
      ...{ format: 1, kind: "scores", clipwright: "0.1.0", made: "2026-01-02T03:04:05.000Z", columns },
      sources: [{ name: "pairs", source: "pairs", samples: 16 }],
    });
    const none = rows.map(() => null);
    writer.append({
      ...{ source: rows.map(() => "pairs"), key: rows.map(String), caption_index: rows.map(() => 0) },
      ...{ uid: none, caption: rows.map((i) => `picture number ${i}`), label: none },
      ...{ even: rows.map(() => 3), uneven: rows.map((i) => i % 4) },
    });
    writer.finish();
  });

  it("takes a column of a table; one weight for all is the run without", async () => {
    const bare = await lossesOf("bare", {});
    assert.deepEqual(await lossesOf("even", { select, sampleWeight: "even" }), bare);
    const uneven = await lossesOf("uneven", { select, sampleWeight: "uneven" });
    assert.notDeepEqual(uneven, bare);
    assert.deepEqual(
      (await lossesOf("parts", { select, sampleWeight: "uneven", microBatch: 4 })).map((x) => x.toFixed(3)),
      uneven.map((x) => x.toFixed(3)),
    );
    await lossesOf("picked", { select, sampleWeight: "uneven", pick: "hard", pickFilterRatio: 0.5 });
  });

  it("refuses a column without a table, and one that it lacks", async () => {
    const refused = (error: unknown, message: RegExp) =>
      error instanceof UsageError && message.test(error.message);
    assert.throws(
      () => recipeFor("x", { sampleWeight: "even" }),
      (error) =>
        refused(error, /^sampleWeight: names a column of a table; got sampleWeight=even without select\./),
    );
    await assert.rejects(train(recipeFor("x", { select, sampleWeight: "odd" })), (error) =>
      refused(error, /must have the column "odd"/),
    );
  });
});
