/** A model that is trained on, and what it forgets meanwhile: told, kept out of the best, and the end of the run. */

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { before, suite, test } from "node:test";
import sharp from "sharp";
import { UsageError } from "../src/core/errors.js";
import type { EvaluationRecord } from "../src/evaluate/records.js";
import { chooseCheckpoint } from "../src/storage/choose.js";
import type { TrainHooks } from "../src/train/hooks.js";
import { resolveRecipe } from "../src/train/recipe/file.js";
import { checkRecipe, type RecipeInput } from "../src/train/recipe/recipe.js";
import { readLines } from "../src/train/run/folder.js";
import { listRuns } from "../src/train/run/list.js";
import { train } from "../src/train/train.js";
import { Reference } from "../src/train/watch/reference.js";
import { scoreOf } from "../src/train/watch/scoring.js";
import { put, scratchFolder } from "./data.helpers.js";

const folder = scratchFolder();
const runOf = (name: string) => join(folder, "runs", name);
const colours = { red: [220, 30, 30], green: [30, 200, 40], blue: [20, 60, 220] } as const;
const names = Object.keys(colours) as (keyof typeof colours)[];

const shared: RecipeInput = {
  ...{ logs: join(folder, "runs"), workers: 1, threads: 1, batchSize: 8, logEveryNSteps: 1 },
  ...{ warmup: 0, schedule: "constant", saveFrequency: 0, seed: 2 },
};

const tuned = (name: string, pairs: string, more: RecipeInput = {}) =>
  resolveRecipe("finetune", {
    ...shared,
    ...{ name, trainData: join(folder, pairs), pretrained: runOf("start"), epochs: undefined, steps: 12 },
    ...{ valSplit: 0, valData: join(folder, pairs), valFrequency: "3 steps", keepBest: "val_loss" },
    ...{ lr: 1e-5, emaDecay: 0, precision: "f32", referenceData: join(folder, "colours") },
    ...more,
  });

async function trained(recipe: Awaited<ReturnType<typeof tuned>>, hooks: TrainHooks = {}) {
  const said: string[] = [];
  const result = await train(recipe, {
    ...hooks,
    onMessage: (text, kind) => kind === "warning" && said.push(text),
  });
  const scores = readLines(join(runOf(recipe.name), "evaluation.jsonl")) as unknown as EvaluationRecord[];
  const reference = scores.filter(({ split, metric }) => split === "reference" && metric === "acc1");
  return { result, said, reference };
}

/** What a run has come to: the files of its last checkpoint, byte for byte, and its lines. */
function outcomeOf(name: string) {
  const path = join(runOf(name), "checkpoints");
  const last = join(path, readdirSync(path).sort().at(-1)!);
  const tensors = readdirSync(last).filter((file) => file.endsWith(".safetensors"));
  return {
    tensors: tensors.map((file) => readFileSync(join(last, file)).toString("base64")),
    scores: readFileSync(join(runOf(name), "evaluation.jsonl"), "utf8"),
    losses: readLines(join(runOf(name), "metrics.jsonl")).map(({ step, loss }) => ({ step, loss })),
  };
}

before(async () => {
  for (const [at, name] of names.entries()) {
    for (let i = 0; i < 6; i++) {
      const [r, g, b] = colours[name].map((x) => Math.min(255, x + 4 * i));
      const background = { r: r!, g: g!, b: b! };
      const png = await sharp({ create: { width: 16, height: 16, channels: 3, background } })
        .png()
        .toBuffer();
      put(folder, `colours/${name}/${i}.png`, png);
      // In `swapped` each colour bears another's name.
      for (const [pairs, own] of [
        ["right", at],
        ["swapped", (at + 1) % 3],
      ] as const) {
        put(folder, `${pairs}/${name}${i}.png`, png);
        put(folder, `${pairs}/${name}${i}.txt`, `a photo of a ${names[own]}.`);
      }
    }
  }
  await train(
    checkRecipe({
      ...shared,
      model: {
        embed_dim: 8,
        vision_cfg: { image_size: 16, patch_size: 8, width: 16, head_width: 8, layers: 1 },
        text_cfg: { context_length: 10, width: 16, heads: 2, layers: 1 },
      },
      ...{ name: "start", trainData: join(folder, "right"), vocabSize: 290, steps: 60, lr: 5e-3 },
    }),
  );
});

suite("what a model forgets that is trained on", { timeout: 600_000 }, () => {
  test("it is scored before the first step and with every evaluation; nothing is said where it stays", async () => {
    const { result, said, reference } = await trained(await tuned("stays", "right"));
    assert.deepEqual(
      reference.map(({ step, value }) => [step, value]),
      [0, 3, 6, 9, 12].map((step) => [step, 1]),
    );
    assert.deepEqual([result.finished, result.step, said], [true, 12, []]);
  });

  test("more than the limit is told once in words, and no such weights are the best", async () => {
    const recipe = await tuned("told", "swapped", { lr: 5e-3, referenceStop: false, referenceMaxLoss: 10 });
    const { result, said, reference } = await trained(recipe);
    assert.equal(result.step, 12);
    assert.equal(said.length, 1);
    assert.match(
      said[0]!,
      /^Forgets: top-1 on .* has fallen by \d+\.\d points, from 100\.0 to \d+\.\d % at step \d+; 10 may be lost\. Lower --lr/,
    );
    assert.ok(reference.at(-1)!.value < 0.9);
    // The held-out loss on the new names has fallen all along.
    const best = chooseCheckpoint(join(runOf("told"), "checkpoints"), undefined, () => {})!;
    const within = reference.filter(({ value }) => value >= 0.9).map(({ step }) => step);
    assert.ok(best.score === undefined || within.includes(best.step));
  });

  test("the run ends there, done, with the best checkpoint before; it goes on from there where asked", async () => {
    const more: RecipeInput = { lr: 5e-3, steps: 9 };
    const { result, said, reference } = await trained(await tuned("ended", "swapped", more));
    assert.ok(result.finished && result.step < 9, `${result.step}`);
    assert.match(said[0]!, /The run ends here\./);
    assert.ok(reference.slice(0, -1).every(({ value }) => value >= 0.95) && reference.at(-1)!.value < 0.95);
    const best = chooseCheckpoint(join(runOf("ended"), "checkpoints"), undefined, () => {})!;
    // Where the first score is one too many, there is nothing to go back to.
    assert.equal(
      said.some((line) => line.startsWith("No weights from before")),
      best.score === undefined,
    );
    assert.ok(best.score === undefined ? result.step === 3 : best.step < result.step);
    const plateau = { ...more, resume: "plateau", referenceStop: false } as const;
    assert.equal((await trained(await tuned("ended", "swapped", plateau))).result.step, 9);
  });

  test("stopped and continued it is the same run, to the bit", async () => {
    const more: RecipeInput = { lr: 5e-4, steps: 6, referenceMaxLoss: 50 };
    await trained(await tuned("whole", "swapped", more));
    const stop = new AbortController();
    await trained(await tuned("halves", "swapped", more), {
      onStep: ({ step }) => step === 4 && stop.abort(),
      signal: stop.signal,
    });
    await trained(await tuned("halves", "swapped", more));
    assert.deepEqual(outcomeOf("halves"), outcomeOf("whole"));
  });

  test("of pairs the recall@1 of both directions counts", () => {
    const reference = new Reference({ referenceMaxLoss: 4, referenceStop: false });
    const at = (step: number, image: number, text: number) =>
      (["image", "text"] as const).map((side) => ({
        ...{
          dataset: "old",
          task: "zeroshot_retrieval",
          metric: `${side}_retrieval_recall@1`,
          low: 0,
          high: 1,
        },
        ...{ n: 100, split: "reference", step, value: side === "image" ? image : text },
      }));
    assert.deepEqual(reference.take(at(0, 0.5, 0.7)), { within: true, warning: undefined });
    assert.equal(reference.take(at(1, 0.5, 0.63))!.within, true);
    const { within, warning } = reference.take(at(2, 0.4, 0.7))!;
    assert.equal(within, false);
    assert.match(
      warning!,
      /recall@1 on old has fallen by 5\.0 points, from 60\.0 to 55\.0 % at step 2; 4 may/,
    );
    assert.deepEqual(reference.memory, { first: 0.6, said: true });
    assert.deepEqual(reference.take(at(3, 0.4, 0.7)), { within: false, warning: undefined });
    assert.equal(reference.take([]), undefined);
  });

  test("its score is neither the best's nor the run's own", () => {
    const scores = [undefined, "reference"].map((split) => ({
      ...{ dataset: "set", task: "zeroshot_classification", metric: "acc1", low: 0, high: 1, n: 9, step: 1 },
      ...{ samplesSeen: 8, value: split === undefined ? 0.25 : 0.75, ...(split && { split }) },
    }));
    const recipe = { ...{ model: "clipwright-nano-32", trainData: "x", steps: 1, zeroshotData: "set" } };
    const best = (keepBest: string) =>
      scoreOf(checkRecipe({ ...recipe, keepBest }), scores.toReversed())?.value;
    assert.deepEqual([best("acc1"), best("reference/acc1")], [0.25, 0.75]);
    put(folder, "listed/a/config.json", JSON.stringify({ keepBest: "acc1" }));
    put(folder, "listed/a/plan.json", JSON.stringify({ totalSteps: 1, batchSize: 8, measuredSteps: 0 }));
    put(folder, "listed/a/evaluation.jsonl", scores.map((score) => `${JSON.stringify(score)}\n`).join(""));
    assert.equal(listRuns(join(folder, "listed"))[0]!.score!.value, 0.25);
  });

  test("refuses what cannot be", () => {
    const refused = (more: RecipeInput, pattern: RegExp) =>
      assert.throws(
        () => checkRecipe({ model: "clipwright-nano-32", trainData: "x", steps: 1, ...more }),
        (error) => error instanceof UsageError && pattern.test(error.message),
      );
    refused({ referenceData: "y", valFrequency: 0 }, /^valFrequency: a reference set is scored as often/);
    refused({ referenceClassnames: "y" }, /^referenceData: class names need images/);
    refused({ referenceMaxLoss: 0 }, /referenceMaxLoss/);
  });
});
