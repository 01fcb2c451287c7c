/** Picking batches while training: the draw against NumPy, and runs that pick. */

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { before, describe, it } from "node:test";
import { UsageError } from "../src/core/errors.js";
import { interpret } from "../src/graph/interpret.js";
import { makeClip } from "../src/models/clip.js";
import type { ClipConfig } from "../src/models/config/config.js";
import { forecast } from "../src/train/forecast/forecast.js";
import { openBatches } from "../src/train/open/batches.js";
import type { OpenFolder } from "../src/train/open/folder.js";
import type { Inputs } from "../src/train/open/inputs.js";
import { chunkSize, drawJointly, drawKey } from "../src/train/pick/draw.js";
import { chunkStep, firstLosses } from "../src/train/pick/programs.js";
import { type PickMethod, pickOf, pickWeights } from "../src/train/recipe/pick-fields.js";
import { checkRecipe, type RecipeInput } from "../src/train/recipe/recipe.js";
import { phasesOf } from "../src/train/schedule/phases.js";
import { makeStrategy, strategyNames } from "../src/train/strategies/index.js";
import { train } from "../src/train/train.js";
import { pngOf, put, scratchFolder } from "./data.helpers.js";
import { assertClose } from "./support/close.js";
import { fixture } from "./support/fixture.js";

const config: ClipConfig = {
  embed_dim: 8,
  vision_cfg: { image_size: 16, patch_size: 4, width: 16, layers: 2, head_width: 8 },
  text_cfg: { context_length: 6, vocab_size: 20, width: 16, heads: 2, layers: 1 },
};
const clip = makeClip(config);

interface Model {
  readonly images: readonly number[];
  readonly texts: readonly number[];
  readonly scale: number;
  readonly bias: number;
}
interface Oracle {
  readonly from: number;
  readonly size: number;
  readonly chunks: number;
  readonly learner: Model;
  readonly reference: Model;
  readonly imageIds: readonly number[];
  readonly textIds: readonly number[];
  readonly uniform: readonly number[];
  readonly drawn: Readonly<
    Record<string, Record<PickMethod, { readonly scores: number[][]; readonly chosen: number[] }>>
  >;
}

describe("a batch drawn jointly", () => {
  const oracle: Oracle = JSON.parse(readFileSync(fixture("picking.json"), "utf8"));
  const { from, size, chunks } = oracle;
  for (const name of ["clip", "siglip"] as const) {
    for (const [method, expected] of Object.entries(oracle.drawn[name]!)) {
      it(`${name}, ${method}: NumPy's scores in each chunk, and its pairs`, async () => {
        const { beside } = makeStrategy(name, clip);
        const weights = pickWeights[method as PickMethod];
        const models = Object.fromEntries(
          (["learner", "reference"] as const)
            .filter((who) => weights[who] !== 0)
            .map((who) => [who, oracle[who]]),
        );
        const widths = Object.fromEntries(
          Object.entries(models).map(([who, { images }]) => [who, images.length / from]),
        );
        const judges = { beside, widths };
        const sizes = { from, chunk: chunkSize(size, chunks) };
        const fixed: Record<string, readonly number[]> = {
          imageIds: oracle.imageIds,
          textIds: oracle.textIds,
        };
        let carried: Record<string, ArrayLike<number>> = {};
        for (const [who, { images, texts, scale, bias }] of Object.entries(models)) {
          Object.assign(fixed, {
            [`judges.${who}.features.images`]: images,
            [`judges.${who}.features.texts`]: texts,
            [`judges.${who}.logits.scale`]: [scale],
            [`judges.${who}.logits.bias`]: [bias],
          });
          for (const [key, value] of Object.entries(beside.carried))
            carried[`judges.${who}.carried.${key}`] = new Float64Array(from).fill(value);
        }
        const first = firstLosses(judges, sizes);
        const next = chunkStep(judges, sizes);
        let uniforms = 0;
        let chunk = 0;
        const chosen = await drawJointly({
          from,
          size,
          chunks,
          random: { uniform: () => oracle.uniform[uniforms++]! },
          async score(added) {
            const program = added.length === 0 ? first : next;
            const all: Record<string, ArrayLike<number>> = { ...fixed, ...carried, chosen: added };
            const inputs = Object.fromEntries(
              program.inputs.map((input) => [input.name, [...Array.from(all[input.name]!)]]),
            );
            const outputs = interpret(program, inputs);
            if (added.length > 0)
              carried = Object.fromEntries(
                Object.keys(carried).map((key) => [key, outputs[`next.${key}`]!.data as Float64Array]),
              );
            const scores = Float64Array.from({ length: from }, (_, i) =>
              Object.keys(models).reduce(
                (sum, who) =>
                  sum + weights[who as keyof typeof weights] * Number(outputs[`losses.${who}`]!.data[i]),
                0,
              ),
            );
            assertClose(scores, expected.scores[chunk++]!, 1e-9, `scores of chunk ${chunk}`);
            return scores;
          },
        });
        assert.deepEqual([...chosen], expected.chosen);
      });
    }
  }

  it("draws by the logits without replacement: a pair with twice the weight comes first twice as often", async () => {
    const logits = [Math.log(2), 0, 0, 0];
    const counts = [0, 0, 0, 0];
    for (let step = 0; step < 4000; step++) {
      const chosen = await drawJointly({
        ...{ from: 4, size: 3, chunks: 1, random: drawKey(1, step) },
        score: async () => logits,
      });
      assert.equal(new Set(chosen).size, 3);
      counts[chosen[0]!]!++;
    }
    // 4000 draws of probability 2/5 and 1/5: three deviations are 93 and 76.
    assert(Math.abs(counts[0]! - 1600) < 93, String(counts));
    for (const count of counts.slice(1)) assert(Math.abs(count - 800) < 76, String(counts));
  });

  it("is the same for the same seed and step, and another for another", async () => {
    const draw = (seed: number, step: number) =>
      drawJointly({
        from: 50,
        size: 20,
        chunks: 4,
        random: drawKey(seed, step),
        score: async () => new Float64Array(50),
      });
    assert.deepEqual(await draw(3, 7), await draw(3, 7));
    assert.notDeepEqual(await draw(3, 7), await draw(3, 8));
    assert.notDeepEqual(await draw(3, 7), await draw(4, 7));
  });
});

describe("the size of a super-batch", () => {
  const of = (more: Parameters<typeof pickOf>[0]) => pickOf({ pick: "hard", ...more });
  it("is a batch over what is kept, in whole parts", () => {
    assert.deepEqual(of({ batchSize: 256 }), { method: "hard", superBatch: 1280, chunks: 16 });
    assert.deepEqual(of({ batchSize: 8, pickFilterRatio: 0.5, pickChunks: 2 }), {
      method: "hard",
      superBatch: 16,
      chunks: 2,
    });
    assert.equal(of({ batchSize: 256, pickFilterRatio: 0.7 })!.superBatch, 853);
    assert.equal(of({ batchSize: 256, pickFilterRatio: 0.7, microBatch: 64 })!.superBatch, 832);
    assert.equal(of({ batchSize: 64, pickFilterRatio: 0.01, microBatch: 64 })!.superBatch, 64);
    assert.equal(of({ batchSize: 4 })!.chunks, 4);
    assert.equal(pickOf({ batchSize: 4 }), undefined);
  });
});

describe("train with --pick", () => {
  const folder = scratchFolder();
  const logs = join(folder, "runs");
  const recipeFor = (name: string, more: RecipeInput = {}) =>
    checkRecipe({
      model: config,
      ...{ trainData: join(folder, "pairs"), logs, name, workers: 1, steps: 4, vocabSize: 280, threads: 1 },
      ...{ batchSize: 8, saveFrequency: 0, logEveryNSteps: 1, seed: 5, eps: 1e-3 },
      ...more,
    });
  const reference = join(logs, "reference");
  const picks: RecipeInput = {
    pick: "learnability",
    pickReference: reference,
    pickFilterRatio: 0.75,
    pickChunks: 4,
  };
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
  const refuses = (more: RecipeInput, message: RegExp) =>
    assert.throws(
      () => recipeFor("x", more),
      (error) => error instanceof UsageError && message.test(error.message),
    );

  before(async () => {
    for (let i = 0; i < 36; i++) {
      put(folder, `pairs/${i}.png`, await pngOf(i, 20, 18));
      put(folder, `pairs/${i}.txt`, `picture number ${i}\nkind ${i % 3}`);
    }
    put(folder, "pairs/3.png", "no picture");
    await train(recipeFor("reference", { seed: 9, steps: 30 }));
    await train(recipeFor("picked", picks));
  });

  it("takes other batches than a run that takes what comes, and other ones for other methods", async () => {
    await train(recipeFor("plain"));
    await train(recipeFor("hard", { pick: "hard", pickFilterRatio: 0.75, pickChunks: 4 }));
    await train(recipeFor("easy", { ...picks, pick: "easy" }));
    const all = ["plain", "picked", "hard", "easy"].map((name) => lossesOf(name).join());
    assert.equal(new Set(all).size, 4, all.join("; "));
  });

  it("ends as one that was not stopped, to the bit", async () => {
    const stop = new AbortController();
    await train(recipeFor("stopped", picks), {
      onStep: ({ step }) => step === 2 && stop.abort(),
      signal: stop.signal,
    });
    await train(recipeFor("stopped", picks));
    assert.equal(weightsOf("stopped"), weightsOf("picked"));
    assert.deepEqual(lossesOf("stopped"), lossesOf("picked"));
  });

  it("picks the same in two passes over parts", async () => {
    const more = { ...picks, flip: 0.5, cropScale: [0.5, 1], captionDropout: 0.3 };
    await train(recipeFor("whole", more));
    await train(recipeFor("parts", { ...more, microBatch: 4 }));
    assertClose(lossesOf("parts"), lossesOf("whole"), 1e-4, "losses");
    await train(recipeFor("one-part", { ...more, microBatch: 8 }));
    assertClose(lossesOf("one-part"), lossesOf("whole"), 1e-4, "losses");
  });

  for (const strategy of strategyNames) {
    it(`works with ${strategy}`, async () => {
      const more: RecipeInput = {
        ...picks,
        strategy,
        steps: 2,
        ...(strategy === "slip" ? { sslHead: [12, 6] } : {}),
      };
      if (strategy === "siglip") {
        await assert.rejects(
          train(recipeFor("no-bias", more)),
          (error) =>
            error instanceof UsageError &&
            /^pickReference: .* without logit_bias.*--strategy siglip/.test(error.message),
        );
        await train(recipeFor("siglip-reference", { strategy, steps: 2 }));
        Object.assign(more, { pickReference: join(logs, "siglip-reference") });
      }
      const { step } = await train(recipeFor(`with-${strategy}`, more));
      assert.equal(step, 2);
    });
  }

  it("works with batch norms, a teacher, and images that grow", async () => {
    const resnet: ClipConfig = {
      ...config,
      vision_cfg: {
        image_size: 32,
        timm_model_name: "resnet18d",
        timm_model_args: { layers: [1, 1, 1, 1], channels: [4, 4, 8, 8], stem_width: 4 },
      },
    };
    await train(recipeFor("resnet", { ...picks, model: resnet, steps: 2 }));
    await train(recipeFor("grows", { ...picks, teacher: reference, imageSizes: "8:0.5", steps: 4 }));
    assert.equal(lossesOf("grows").length, 4);
  });

  it("counts what judging costs, says it, and forecasts it", async () => {
    const recipe = recipeFor("counted", picks);
    const plan = { totalSteps: 4 };
    const [picked, plain] = [recipe, recipeFor("plain")].map((each) =>
      phasesOf(each, clip).forwardMacs(4, plan),
    );
    assert(Math.abs(picked! / plain! - 5) < 1e-9, "a batch, and four to judge");
    assert.equal(phasesOf(recipeFor("easy", { ...picks, pick: "easy" }), clip).forwardMacs(4, plan), plain);
    let description = "";
    await train(recipe, { onStart: (start) => (description = start.description) });
    assert.match(
      description,
      /picked from 32 pairs by learnability in 4 chunks: 5\.00 × .*; picking a batch takes \S+ GMAC forward/,
    );
    assert.equal(JSON.parse(readFileSync(join(logs, "counted", "plan.json"), "utf8")).superBatch, 32);
    const { judging } = await forecast(recipe);
    assert(judging !== undefined && judging > 0.5 && judging < 2, `4 forward passes of about 3: ${judging}`);
  });

  it("refuses what it cannot do", async () => {
    refuses({ pick: "easy" }, /^pickReference: easy needs a model .*Train one first/);
    refuses({ pickChunks: 3 }, /^pickChunks: is of picking pairs; got pickChunks=3 without pick\./);
    refuses(
      { pick: "hard", pickReference: "x" },
      /^pickReference: hard goes by the model's own losses; .* Remove --pick-reference/,
    );
    const folder = { recipe: recipeFor("two", picks), processes: { index: 0, count: 2 } };
    await assert.rejects(
      openBatches(folder as unknown as OpenFolder, {} as Inputs),
      (error) =>
        error instanceof UsageError &&
        /^pick: pairs are picked by one process.* 2 processes/.test(error.message),
    );
    await assert.rejects(
      train(recipeFor("too-many", { ...picks, pickFilterRatio: 0.9 })),
      (error) =>
        error instanceof UsageError &&
        /^pickFilterRatio: .* super-batch of 80 for batchSize=8, 36 samples/.test(error.message),
    );
  });
});
