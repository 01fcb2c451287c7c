/** Learning from a teacher: its loss against loops in float64, two passes, and runs on stored embeddings. */

import assert from "node:assert/strict";
import { cpSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { before, describe, it } from "node:test";
import { UsageError } from "../src/core/errors.js";
import { keyFromSeed, Random } from "../src/core/random.js";
import type { TensorType } from "../src/core/shape.js";
import { openDataset } from "../src/data/index.js";
import { OnnxRuntime } from "../src/engines/onnxruntime.js";
import { loadModel } from "../src/evaluate/model/load-model.js";
import { gradients } from "../src/graph/grad.js";
import { interpret, interpretReplicas } from "../src/graph/interpret.js";
import { allReduceSum } from "../src/graph/ops/index.js";
import type { Tensor } from "../src/graph/tensor.js";
import { trace } from "../src/graph/trace.js";
import { makeClip } from "../src/models/clip.js";
import type { ClipConfig } from "../src/models/config/config.js";
import { drawNoise } from "../src/nn/noise.js";
import { openTeacher } from "../src/train/batches/teacher.js";
import { checkRecipe, type RecipeInput } from "../src/train/recipe/recipe.js";
import { makeOptimizer } from "../src/train/step/optimizer.js";
import type { StepOptions } from "../src/train/step/options.js";
import { type HostBatch, StepRunner } from "../src/train/step/runner.js";
import { initialState } from "../src/train/step/state.js";
import { TwoPassRunner } from "../src/train/step/two-pass-runner.js";
import { distilled } from "../src/train/strategies/distill.js";
import { makeStrategy, type StrategyName } from "../src/train/strategies/index.js";
import { acrossReplicas } from "../src/train/strategies/loss.js";
import type { ExtraRows, Strategy } from "../src/train/strategies/strategy.js";
import { train } from "../src/train/train.js";
import { pngOf, put, scratchFolder } from "./data.helpers.js";
import { assertClose } from "./support/close.js";

const E = 3;
/** Channels of the teacher. */
const W = 5;
const WEIGHT = 0.7;
const SCALE = 20;
const unused: ExtraRows = { width: W, rows: () => new Float32Array() };

const config: ClipConfig = {
  embed_dim: 8,
  vision_cfg: { image_size: 16, patch_size: 4, width: 16, layers: 2, head_width: 8 },
  text_cfg: { context_length: 6, vocab_size: 20, width: 16, heads: 2, layers: 1 },
};
const clip = makeClip(config);
const taught = (name: StrategyName, weight = WEIGHT): Strategy =>
  distilled(makeStrategy(name, clip, { sslHead: [12, 6] }), {
    weight,
    scale: SCALE,
    images: unused,
    texts: unused,
  });

const unitRows = (random: Random, rows: number, width: number): number[] =>
  Array.from({ length: rows }, () => {
    const row = Array.from({ length: width }, () => random.normal());
    const length = Math.hypot(...row);
    return row.map((x) => x / length);
  }).flat();

const widths: Readonly<Record<string, number>> = { images: E, texts: E, teacherImages: W, teacherTexts: W };

/** The loss of `b` rows of each of `replicas`, and its gradients to the student's rows and the scale. */
function lossGraph(strategy: Strategy, b: number, replicas = 1, count?: number) {
  const f32 = (...shape: number[]): TensorType => ({ dtype: "f32", shape });
  const ids: TensorType = { dtype: "i32", shape: [b] };
  const features = Object.fromEntries(Object.entries(widths).map(([name, width]) => [name, f32(b, width)]));
  const types = {
    ...{ features, imageIds: ids, textIds: ids, scale: f32() },
    ...(count === undefined ? {} : { weights: f32(b) }),
  };
  return trace(types, (x) => {
    const rows = { ...x, weights: (x as { weights?: Tensor }).weights };
    const { own, all } = acrossReplicas(rows, replicas, count);
    const share = strategy.loss(own, all, x);
    const [images, texts, scale] = gradients(share, [x.features.images!, x.features.texts!, x.scale]);
    return {
      loss: allReduceSum(share, replicas),
      d: { images: images!, texts: texts!, scale: allReduceSum(scale!, replicas) },
    };
  });
}

type Feeds = Readonly<Record<string, readonly number[]>>;

/** ½ (CE of image affinities + CE of text affinities) times the weight, by the definitions. */
function byLoops(feeds: Feeds, B: number): number {
  const logits = (rows: string, columns: string, i: number, scale: number) => {
    const width = widths[rows]!;
    return Array.from({ length: B }, (_, j) => {
      let dot = 0;
      for (let e = 0; e < width; e++) dot += feeds[rows]![i * width + e]! * feeds[columns]![j * width + e]!;
      return dot * scale;
    });
  };
  const logSoftmax = (x: readonly number[]) => {
    const logSum = Math.log(x.reduce((n, v) => n + Math.exp(v), 0));
    return x.map((v) => v - logSum);
  };
  let total = 0;
  for (let i = 0; i < B; i++) {
    for (const [rows, columns, from, to] of [
      ["images", "texts", "teacherImages", "teacherTexts"],
      ["texts", "images", "teacherTexts", "teacherImages"],
    ] as const) {
      const student = logSoftmax(logits(rows, columns, i, feeds.scale![0]!));
      const teacher = logSoftmax(logits(from, to, i, SCALE)).map(Math.exp);
      total -= teacher.reduce((n, p, j) => n + p * student[j]!, 0) / 2 / B;
    }
  }
  return WEIGHT * total;
}

const named = (feeds: Feeds, ids: readonly number[]) => ({
  ...Object.fromEntries(Object.entries(feeds).map(([f, x]) => [f === "scale" ? f : `features.${f}`, x])),
  imageIds: ids,
  textIds: ids,
});

function feedsOf(B: number): Feeds {
  const random = new Random(keyFromSeed(2));
  const rows = Object.entries(widths).map(([name, width]) => [name, unitRows(random, B, width)]);
  return { ...Object.fromEntries(rows), scale: [7] };
}

describe("the loss of a distilled strategy", () => {
  for (const name of ["clip", "siglip"] as const) {
    it(`${name}: adds the cross-entropy from the teacher's affinities, in value and slopes`, () => {
      const B = 5;
      const feeds = feedsOf(B);
      const ids = Array.from({ length: B }, (_, i) => i);
      const found = interpret(lossGraph(taught(name), B), named(feeds, ids));
      const own = interpret(lossGraph(makeStrategy(name, clip), B), named(feeds, ids));
      assertClose(found.loss!.data, [own.loss!.data[0]! + byLoops(feeds, B)], 1e-12, "loss");
      const h = 1e-6;
      for (const input of ["images", "texts", "scale"]) {
        const slope = (i: number, by: number) =>
          byLoops({ ...feeds, [input]: feeds[input]!.map((x, j) => (i === j ? x + by : x)) }, B);
        const numeric = feeds[input]!.map(
          (_, i) => own[`d.${input}`]!.data[i]! + (slope(i, h) - slope(i, -h)) / (2 * h),
        );
        assertClose(found[`d.${input}`]!.data, numeric, 1e-7, input);
      }
    });
  }

  it("replicas share it, and padding counts for nothing", () => {
    for (const [count, replicas] of [
      [6, 3],
      [5, 3],
    ] as const) {
      const b = Math.ceil(count / replicas);
      const feeds = feedsOf(count);
      const ids = Array.from({ length: count }, (_, i) => i);
      const whole = interpret(lossGraph(taught("clip"), count), named(feeds, ids));
      const part = (x: readonly number[], r: number, fill?: number) => {
        const width = x.length / count;
        const own = x.slice(r * b * width, (r + 1) * b * width);
        // Padding repeats a row.
        const rest = fill === undefined ? own : Array<number>(width).fill(fill);
        return [...own, ...rest].slice(0, b * width);
      };
      const padded = count % replicas === 0 ? undefined : count;
      const parts = Array.from({ length: replicas }, (_, r) => ({
        ...Object.fromEntries(Object.keys(widths).map((f) => [`features.${f}`, part(feeds[f]!, r)])),
        imageIds: part(ids, r, -1),
        textIds: part(ids, r, -1),
        ...(padded === undefined ? {} : { weights: part(Array<number>(count).fill(1), r, 0) }),
        scale: feeds.scale!,
      }));
      const shared = interpretReplicas(lossGraph(taught("clip"), b, replicas, padded), parts);
      assertClose(shared[0]!.loss!.data, whole.loss!.data, 1e-12, "loss");
      assertClose(shared[0]!["d.scale"]!.data, whole["d.scale"]!.data, 1e-12, "d scale");
      for (const f of ["images", "texts"]) {
        const joint = shared.flatMap((own) => [...own[`d.${f}`]!.data]).slice(0, count * E);
        assertClose(joint, whole[`d.${f}`]!.data, 1e-12, f);
      }
    }
  });

  it("one that has learned nothing costs ln B once more, times the weight", () => {
    assert.ok(Math.abs(taught("clip").chance!(8) - (1 + WEIGHT) * Math.log(8)) < 1e-12);
  });
});

describe("steps with a teacher", () => {
  const B = 12;
  const M = 4;
  const optionsOf = (name: StrategyName): StepOptions & { strategy: Strategy } => ({
    clip,
    strategy: taught(name),
    optimizer: makeOptimizer("adamw", { beta1: 0.9, beta2: 0.98, epsilon: 1e-3, weightDecay: 0.2 }),
    batchSize: B,
    contextLength: 6,
    normalization: undefined,
  });
  const batchOf = ({ strategy }: { strategy: Strategy }, from: number, rows: number): HostBatch => {
    const random = new Random(keyFromSeed(4));
    const cut = <T extends Float32Array | Int32Array>(x: T): T =>
      x.slice((from * x.length) / B, ((from + rows) * x.length) / B) as T;
    const images = () => Float32Array.from({ length: B * 3 * 16 * 16 }, () => random.normal());
    const ids = cut(Int32Array.from({ length: B }, (_, i) => i));
    return {
      images: cut(images()),
      tokens: cut(Int32Array.from({ length: B * 6 }, () => random.integer(20))),
      imageIds: ids,
      textIds: ids,
      noise: drawNoise(strategy.noise, keyFromSeed(5), rows, from),
      extra: {
        teacherImages: cut(Float32Array.from(unitRows(random, B, W))),
        teacherTexts: cut(Float32Array.from(unitRows(random, B, W))),
      },
    };
  };
  for (const name of ["clip", "siglip"] as const) {
    it(`${name}: two passes take the step of the whole batch, and the teacher matters`, async () => {
      await using engine = new OnnxRuntime({ threads: 1 });
      const options = optionsOf(name);
      const initial = () => initialState(options, keyFromSeed(1));
      const scalars = options.optimizer.scalars(1, 1e-2);
      using whole = await StepRunner.create(engine, options, initial());
      const expected = await whole.step(batchOf(options, 0, B), scalars);
      using parts = await TwoPassRunner.create(
        engine,
        { ...options, microBatch: M, blockLogits: 40 },
        initial(),
      );
      const found = await parts.step({ part: async (index) => batchOf(options, index * M, M) }, scalars);
      for (const metric of ["loss", "gradientNorm"] as const)
        assertClose([found[metric]], [expected[metric]], 2e-5, metric);
      const states = await Promise.all([whole, parts].map(({ state }) => state.snapshot()));
      for (const [path, { data }] of states[0]!)
        assertClose(states[1]!.get(path)!.data as Float32Array, data as Float32Array, 2e-5, path);
      if (name !== "clip") return;
      const alone = { ...options, strategy: makeStrategy(name, clip) };
      using untaught = await StepRunner.create(engine, alone, initial());
      assert.notEqual((await untaught.step(batchOf(options, 0, B), scalars)).loss, expected.loss);
    });
  }
});

describe("train with --teacher", () => {
  const folder = scratchFolder();
  const logs = join(folder, "runs");
  const recipeFor = (name: string, more: RecipeInput = {}) =>
    checkRecipe({
      model: config,
      ...{ trainData: join(folder, "pairs"), logs, name, workers: 1, steps: 4, vocabSize: 280, threads: 1 },
      ...{ batchSize: 8, saveFrequency: 0, logEveryNSteps: 1, seed: 5, eps: 1e-3 },
      ...more,
    });
  const weightsOf = (name: string): string => {
    const path = join(logs, name, "checkpoints");
    return readFileSync(join(path, readdirSync(path).sort().at(-1)!, "params.safetensors")).toString(
      "base64",
    );
  };
  const lossesOf = (name: string): number[] =>
    readFileSync(join(logs, name, "metrics.jsonl"), "utf8")
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line).loss)
      .filter((loss) => loss !== undefined);
  const stores = () => readdirSync(join(logs, ".teachers")).sort();
  const timesOf = (store: string) => statSync(join(logs, ".teachers", store, "images.npy")).mtimeMs;
  const teacher = join(logs, "teacher");

  before(async () => {
    for (let i = 0; i < 24; i++) {
      put(folder, `pairs/${i}.png`, await pngOf(i, 20, 18));
      put(folder, `pairs/${i}.txt`, `picture number ${i}\nkind ${i % 3}`);
    }
    put(folder, "pairs/3.png", "no picture");
    await train(recipeFor("teacher", { seed: 9 }));
    await train(recipeFor("student", { teacher, captionDropout: 0.3 }));
  });

  it("keeps the teacher's embeddings of every image and caption, as clipwright embed gives them", async () => {
    assert.equal(stores().length, 1);
    const dataset = await openDataset(join(folder, "pairs"));
    using rows = openTeacher(join(logs, ".teachers", stores()[0]!), dataset);
    await using engine = new OnnxRuntime({ threads: 1 });
    const model = await loadModel(engine, { path: teacher });
    const { features, indices } = await model.encoder.embedDataset(dataset);
    const broken = Array.from({ length: dataset.length }, (_, i) => i).filter((i) => !indices.includes(i));
    assert.equal(broken.length, 1);
    assert.deepEqual(rows.images.rows(indices, []), features.data);
    assert.ok(rows.images.rows(broken, []).every((x) => x === 0));
    const captions = ["kind 2", "picture number 7", "kind 2"];
    assert.deepEqual(rows.texts.rows([], captions), await model.encoder.embedTexts(captions));
    model.encoder[Symbol.dispose]();
    for (const buffer of Object.values(model.buffers)) buffer[Symbol.dispose]();
  });

  it("uses them again, and a run that is continued ends as one that was not stopped, to the bit", async () => {
    const [store] = stores();
    const made = timesOf(store!);
    const notes: string[] = [];
    const stop = new AbortController();
    const recipe = recipeFor("student-again", { teacher, captionDropout: 0.3 });
    await train(recipe, {
      onStep: ({ step }) => step === 2 && stop.abort(),
      signal: stop.signal,
      onMessage: (text) => void notes.push(text),
    });
    await train(recipe);
    assert.equal(weightsOf("student-again"), weightsOf("student"));
    assert.deepEqual(stores(), [store]);
    assert.equal(timesOf(store!), made);
    assert.ok(notes.some((note) => note.startsWith("The teacher's embeddings are there")));
  });

  it("in parts the run is that of whole batches", async () => {
    await train(recipeFor("student-parts", { teacher, captionDropout: 0.3, microBatch: 4 }));
    assertClose(lossesOf("student-parts"), lossesOf("student"), 1e-4, "losses");
  });

  it("makes them anew for another teacher and for other data", async () => {
    const before = stores();
    await train(recipeFor("by-student", { teacher: join(logs, "student"), steps: 1 }));
    assert.equal(stores().length, before.length + 1);
    await train(recipeFor("less", { teacher, valSplit: 0.3, steps: 1 }));
    assert.equal(stores().length, before.length + 2);
    assert.ok(stores().every((name) => !name.endsWith(".tmp")));
  });

  it("refuses to go on with another teacher than it began with", async () => {
    const moving = join(folder, "moving");
    const put = (name: string) => {
      const path = join(logs, name, "checkpoints");
      cpSync(join(path, readdirSync(path).sort().at(-1)!), moving, { recursive: true });
      for (const file of ["model.json", "tokenizer.json"]) cpSync(join(logs, name, file), join(moving, file));
    };
    put("teacher");
    const stop = new AbortController();
    await train(recipeFor("moved", { teacher: moving }), {
      onStep: ({ step }) => step === 2 && stop.abort(),
      signal: stop.signal,
    });
    put("student");
    await assert.rejects(
      train(recipeFor("moved", { teacher: moving })),
      (error) =>
        error instanceof UsageError && /^teacher: must be what the run began with/.test(error.message),
    );
  });

  it("refuses settings of no teacher, and says what is missing of one", async () => {
    assert.throws(
      () => recipeFor("x", { distill: 2 }),
      (error) =>
        error instanceof UsageError && /^distill: is of a teacher; got distill=2/.test(error.message),
    );
    const lone = join(logs, "student", "checkpoints");
    const weights = join(lone, readdirSync(lone).at(-1)!, "params.safetensors");
    put(folder, "lone/model.safetensors", readFileSync(weights));
    await assert.rejects(
      train(recipeFor("lone", { teacher: join(folder, "lone") })),
      (error) =>
        error instanceof UsageError && /so the model is unknown\. Give --teacher-model/.test(error.message),
    );
  });
});
