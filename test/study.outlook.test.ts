import assert from "node:assert/strict";
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite, test } from "node:test";
import { alignWithin } from "../src/cli/columns.js";
import { outlookText, powerLines } from "../src/cli/study-outlook.js";
import { keyFromSeed, Random } from "../src/core/random.js";
import { ResidentPeak } from "../src/core/resident.js";
import { compareGroups, detectable } from "../src/evaluate/statistics/groups.js";
import { findMetric } from "../src/evaluate/tasks/index.js";
import type { TaskScore } from "../src/evaluate/tasks/task.js";
import { comparedPairs, type PowerInput, powerOf, seedVariance } from "../src/study/answer/power.js";
import { cellsOf, runsOf } from "../src/study/design/cells.js";
import { checkStudy, type StudyInput } from "../src/study/design/study.js";
import { finalistsOf } from "../src/study/halving/rungs.js";
import { predictedSpace, probeAll } from "../src/study/run/costs.js";
import { predictedDisk, predictedMemory, predictedPacked } from "../src/study/run/footprint.js";
import {
  cellsAhead,
  type Machine,
  type Outlook,
  type Prediction,
  sumsOf,
  warningsOf,
} from "../src/study/run/outlook.js";
import type { StepReport, TrainHooks, TrainResult } from "../src/train/hooks.js";
import { checkRecipe, type Recipe, type RecipeInput } from "../src/train/recipe/recipe.js";
import { formatBytes } from "../src/train/watch/progress.js";
import { scratchFolder } from "./data.helpers.js";

const input: StudyInput = {
  question: { text: "Which encoder?", factor: "model" },
  recipe: { trainData: ["shapes/"], batchSize: 100 },
  factors: { model: ["clipwright-nano-32", "clipwright-micro-32"], part: [0.1, 1] },
  regime: { "one pass": { epochs: 1 } },
  seeds: 2,
  suite: { sets: { test: { data: "test/" } } },
  score: "test/acc1",
};
const footprint = {
  memoryBytes: 500e6,
  imageBytes: 3200,
  checkpointBytes: 20e6,
  lineBytes: 300,
  restBytes: 1e6,
};
const probe = { startSeconds: 1, stepSeconds: 0.1, dataSeconds: 0, scoringSeconds: 2 };

async function planned() {
  const study = await checkStudy(input);
  const cells = cellsOf(study, {
    pairsOf: () => 10_000,
    gmacsOf: () => 0.02,
  });
  return { study, cells, runs: runsOf(study, cells) };
}

suite("memory and disk of a run", () => {
  const recipe = (own: RecipeInput = {}) =>
    checkRecipe({ trainData: ["shapes/"], model: "clipwright-nano-32", batchSize: 100, steps: 1, ...own });
  const length = { pairs: 10_000, steps: 100, seconds: 1500 };

  test("are what a probe held, and images up to their limit", () => {
    assert.equal(predictedMemory(recipe(), length, footprint), 500e6 + 10_000 * 3200);
    assert.equal(predictedMemory(recipe({ imageMemory: 10 }), length, footprint), 500e6 + 10 * 2 ** 20);
    assert.equal(predictedMemory(recipe({ imageMemory: 0 }), length, footprint), 500e6);
    const packed = recipe({ imageDisk: 1000, keepSize: 40 });
    assert.equal(predictedPacked(packed, length, footprint), 10_000 * (3200 + 64));
    assert.equal(predictedPacked(recipe(), length, footprint), 0);
  });

  test("count the checkpoints that are kept, and lines of metrics", () => {
    const rest = 10 * 300 + 1e6;
    // Saved after 600 and 1200 s and at the end; the last two stay.
    assert.equal(predictedDisk(recipe(), length, footprint), 2 * 20e6 + rest);
    assert.equal(predictedDisk(recipe({ keepLast: 5 }), length, footprint), 3 * 20e6 + rest);
    assert.equal(predictedDisk(recipe({ saveFrequency: 0 }), length, footprint), 20e6 + rest);
    const often = recipe({ saveFrequency: "50 steps", keepLast: 1 });
    assert.equal(predictedDisk(often, length, footprint), 20e6 + rest);
    const best = recipe({ valSplit: 0.1, keepLast: 1, saveFrequency: "50 steps" });
    assert.equal(predictedDisk(best, length, footprint), 2 * 20e6 + rest);
  });

  test("the peak of main memory is seen while it is held", () => {
    using peak = new ResidentPeak();
    const before = peak.bytes;
    let held: Uint8Array | undefined = new Uint8Array(200e6).fill(1);
    assert(peak.bytes >= before + 100e6, `${before} ${peak.bytes} ${held.length}`);
    held = undefined;
    assert(peak.bytes >= before + 100e6);
  });

  test("are summed over what is left: the largest of memory, all of disk", async () => {
    const { runs } = await planned();
    const spaceOf = (pairs: number) => ({
      ...{ memoryBytes: 500e6 + pairs, diskBytes: 20e6, packedBytes: pairs * 100, packedAs: "40" },
      packedLimit: 1e9,
    });
    const predictions = runs.map(
      (run, at): Prediction => ({
        run,
        seconds: 10,
        state: at === 0 ? "done" : at === 1 ? "failed" : "open",
        space: spaceOf(run.cell.pairs),
        thereBytes: at === 2 ? 5e6 : 0,
      }),
    );
    const sums = sumsOf(predictions);
    assert.deepEqual([sums.runs, sums.seconds], [7, 70]);
    assert.equal(sums.memoryBytes, 500e6 + 10_000);
    assert.equal(sums.diskBytes, 7 * 20e6 - 5e6);
    // The images of the small part lie there since the first run, and are part of the whole.
    assert.equal(sums.packedBytes, (10_000 - 1000) * 100);
    assert.deepEqual(cellsAhead(predictions)[0]!.seeds, { 0: "done", 1: "open" });
    const partly = predictions.map((one, at) =>
      at === 3 ? { ...one, seconds: undefined, space: undefined } : one,
    );
    assert.deepEqual(sumsOf(partly), { ...sums, unknown: 1, seconds: 60, diskBytes: 6 * 20e6 - 5e6 });
    const none = sumsOf(predictions.map((one) => ({ ...one, seconds: undefined, space: undefined })));
    assert.deepEqual([none.runs, none.unknown, none.memoryBytes], [7, 7, undefined]);
    const old = predictions.map((one, at) => (at === 3 ? { ...one, space: undefined } : one));
    assert.deepEqual(sumsOf(old), {
      ...sums,
      memoryBytes: undefined,
      diskBytes: undefined,
      packedBytes: undefined,
    });
  });

  test("that do not fit are told", () => {
    const machine: Machine = { memoryBytes: 8e9, freeBytes: () => 1e9, diskOf: () => 1 };
    const sums = { runs: 1, unknown: 0, seconds: 1, memoryBytes: 9e9, diskBytes: 0.6e9, packedBytes: 0.6e9 };
    const at = { folder: "studies/x", cache: "/cache" };
    const [memory, disk, ...more] = warningsOf(sums, at, formatBytes, machine);
    assert.match(memory!, /needs 9\.0 GB of memory, and this machine has 8\.0 GB\./);
    assert.match(disk!, /^studies\/x: the runs need 1\.2 GB of disk, and 1\.0 GB are free\./);
    assert.deepEqual(more, []);
    const apart = { ...machine, diskOf: (path: string) => path.length };
    assert.deepEqual(warningsOf({ ...sums, memoryBytes: 1 }, at, formatBytes, apart), []);
  });

  test("of probes from before they were measured are not known; a damaged file is named", async () => {
    const { cells, runs } = await planned();
    assert.equal(predictedSpace(cells[0]!, probe), undefined);
    assert.equal(predictedSpace(cells[0]!, { ...probe, footprint })!.memoryBytes, 500e6 + 1000 * 3200);
    const folder = scratchFolder();
    const doing = { train: () => assert.fail("measured"), score: async () => [] };
    writeFileSync(join(folder, "probes.json"), '{"a": {"startSeconds": 1}}');
    await assert.rejects(probeAll(folder, runs, doing), /probes\.json: a\.stepSeconds .*Remove it/);
  });

  test("are not known of a shape whose few steps fail, and the others are measured", async () => {
    const { runs } = await planned();
    const folder = scratchFolder();
    const seen: string[] = [];
    const doing = {
      async prepare({ model }: Recipe) {
        seen.push(`${model}`);
        if (model === "clipwright-micro-32") throw new RangeError("Array buffer allocation failed");
      },
      async train(_: Recipe, { onStep, signal }: TrainHooks = {}) {
        for (let step = 1; step <= 30 && !signal?.aborted; step++)
          onStep?.({ step, stepSeconds: 0.1, dataSeconds: 0.01 } as StepReport);
        return { folder, samplesSeen: 3000 } as TrainResult;
      },
      score: async () => [],
    };
    const { measured, failed } = await probeAll(folder, runs, doing);
    assert.deepEqual([...failed.values()], ["RangeError: Array buffer allocation failed"]);
    assert.deepEqual(
      [...measured.values()].map(({ stepSeconds }) => stepSeconds.toFixed(3)),
      ["0.090"],
    );
    assert.deepEqual(readdirSync(folder), ["probes.json"]);
    // What failed is measured again, what was measured is not.
    await probeAll(folder, runs, doing);
    assert.deepEqual(seen, ["clipwright-nano-32", "clipwright-micro-32", "clipwright-micro-32"]);
  });
});

suite("what a study can tell apart", () => {
  const acc1 = findMetric("acc1")!;
  const scoreOf = (values: Float64Array, weights?: Float64Array): TaskScore => ({
    metric: "acc1",
    score: { value: values.reduce((a, b) => a + b, 0) / values.length, low: 0, high: 1, n: values.length },
    items: { values, samples: Uint32Array.from(values, (_, i) => i), ...(weights && { weights }) },
  });

  test("the smallest difference is found four times in five", () => {
    const [items, seeds, n] = [400, 3, 0.01];
    // A run's score is its items' mean; items differ between recipes by a deviation of 0.3, seeds by 0.01.
    const noise = { items: (2 * 0.3 ** 2) / items, seeds: n ** 2, n: items };
    for (const tests of [1, 10]) {
      const level = 1 - 0.05 / tests;
      const difference = detectable(noise, seeds, { level });
      const random = new Random(keyFromSeed(tests));
      let found = 0;
      for (let trial = 0; trial < 400; trial++) {
        const [a, b] = [difference, 0].map((mean) => {
          const own = Float64Array.from({ length: items }, () => mean + 0.3 * random.normal());
          return Array.from({ length: seeds }, () => {
            const shift = n * random.normal();
            return own.map((x) => x + shift);
          });
        });
        if (compareGroups(a!, b!, { level }).p < 1 - level) found++;
      }
      assert(found > 0.74 * 400 && found < 0.88 * 400, `${found} of 400`);
    }
  });

  const power = (own: Partial<PowerInput>) =>
    powerOf({
      ...{ metric: acc1, pairs: [["a", "b"]] as const, comparisons: 1, done: [] },
      ...{ earlier: () => [], samples: 400, seeds: 2, ...own },
    });

  test("before a run is done: by the items at worst", () => {
    const found = power({});
    assert.deepEqual(found.seedNoise, { from: "unknown" });
    assert.deepEqual([found.items, found.itemsFrom], [400, "at worst"]);
    // (1.966 + 0.842) · √(½ / 400)
    assert(Math.abs(found.byItemsAlone! - 0.0993) < 1e-3, `${found.byItemsAlone}`);
    assert(power({ comparisons: 20 }).byItemsAlone! > found.byItemsAlone!);
    assert.equal(power({ metric: findMetric("image_retrieval_median_rank")! }).byItemsAlone, undefined);
    assert.deepEqual(power({ metric: findMetric("nll")! }).smallest, []);
  });

  test("with runs: by their paired differences, and the noise between their seeds", () => {
    const random = new Random(keyFromSeed(5));
    const easy = Float64Array.from({ length: 400 }, () => (random.uniform() < 0.6 ? 1 : 0));
    const flipped = (share: number) => easy.map((x) => (random.uniform() < share ? 1 - x : x));
    const [a, b] = [scoreOf(easy), scoreOf(flipped(0.1))];
    const one = power({ done: [{ group: "a", score: a }] });
    assert.equal(one.itemsFrom, "one run");
    const two = power({
      done: [
        { group: "a", score: a },
        { group: "b", score: b },
      ],
    });
    assert.equal(two.itemsFrom, "differences");
    assert.deepEqual(two.seedNoise, { from: "unknown" });
    assert(two.byItemsAlone! < 0.6 * one.byItemsAlone!, "pairing tells more");
    const four = power({
      done: ["a", "a", "b", "b"].map((group) => ({ group, score: scoreOf(flipped(0.15)) })),
    });
    assert.deepEqual(four.seedNoise, { from: "this study", runs: 4 });
    const [now, twice] = four.smallest;
    assert.deepEqual([now!.seeds, twice!.seeds], [2, 4]);
    assert(now!.difference > twice!.difference && twice!.difference > four.byItemsAlone!);
    const earlier = () => [0.5, 0.52, 0.54].map((value) => ({ group: "x/1", value }));
    const known = power({ earlier });
    assert.deepEqual(known.seedNoise, { from: "earlier studies", runs: 3 });
    assert(Math.abs(known.seedDeviation! - 0.02) < 1e-12);
    assert.deepEqual(power({ earlier, seeds: 1 }).seedNoise, { from: "unknown" });
  });

  test("pools the variance of seeds over combinations with two or more", () => {
    const scores = [
      ...[1, 3].map((value) => ({ group: "a", value })),
      ...[5, 5, 8].map((value) => ({ group: "b", value })),
      { group: "c", value: 100 },
    ];
    assert.deepEqual(seedVariance(scores), { variance: (2 + 6) / 3, runs: 5 });
    assert.equal(seedVariance(scores.slice(4)), undefined);
  });

  test("counts the comparisons that an answer corrects for", async () => {
    const { study, cells } = await planned();
    const { pairs, comparisons } = comparedPairs(cells, study);
    assert.equal(comparisons, 2);
    assert.equal(pairs.length, 2);
    assert.deepEqual([finalistsOf(2, 3), finalistsOf(4, 3), finalistsOf(12, 3)], [2, 2, 2]);
  });

  test("is told in words, within 100 columns", async () => {
    const { cells } = await planned();
    const outlook: Outlook = {
      ...{
        name: "x",
        runs: 8,
        warnings: ["full"],
        stale: [{ name: "r", why: "select: a file of other content" }],
      },
      cells: cells.map(({ recipe: _, part: _2, ...cell }) => ({
        ...{ ...cell, seconds: 100, memoryBytes: 812e6, diskBytes: undefined },
        regimes: ["as many samples as the whole has", "one pass over each of the parts of the data"],
        seeds: { 0: "done", 1: "open" },
      })),
      unmeasured: [],
      left: { runs: 4, unknown: 0, seconds: 400, memoryBytes: 812e6, diskBytes: 50e6, packedBytes: 0 },
      power: power({ earlier: () => [0.5, 0.52].map((value) => ({ group: "x", value })) }),
    };
    const text = outlookText(outlook, { score: "test/acc1", metric: acc1, probes: "probes.json" });
    assert(
      text.split("\n").every((line) => line.startsWith("!") || line.length <= 100),
      text,
    );
    assert.match(text, /clipwright-nano-32 .* 1m 40s {2}812 MB {5}– {3}1\/2/);
    assert.match(text, /4 of 8 runs to do: about 6m 40s; up to 812 MB of memory, 50 MB of disk\./);
    assert.match(text, /samples {2}10⁹ MACs/);
    const partly = {
      ...outlook,
      cells: outlook.cells.map((cell, at) => (at === 0 ? { ...cell, seconds: undefined } : cell)),
      left: { ...outlook.left, unknown: 2 },
      unmeasured: [1, 2].map((at) => ({ name: `${at}`, why: "xla: out of memory" })),
    };
    const partial = outlookText(partly, { score: "test/acc1", metric: acc1, probes: "probes.json" });
    assert.match(partial, /4 of 8 runs to do, 2 not known, the others: about 6m 40s; up to 812 MB/);
    assert.match(partial, /! 2 runs were not measured, since a few steps failed: xla: out of memory/);
    assert.match(partial, /MACs .*\n(?:.*\n)*?.* {2}– {2}812 MB/);
    assert.match(text, /! 1 done run is left out, .*\(select: a file of other content\)\. .*--again/);
    assert.match(text, /! full/);
    assert.match(
      text,
      /differences from \d+\.\d points on with 2 seeds of each, from \d+\.\d points on with 4;/,
    );
    assert.match(text, /Noise between seeds: 1\.4 points \(2 runs of earlier studies in the same folder\)\./);
    const unknown = powerLines(power({}), "test/acc1", acc1).join("\n");
    assert.match(
      unknown,
      /differences from 9\.9 points on at worst, by its 400 test items alone;\n.*not known before two seeds/,
    );
    assert.match(powerLines(power({ seeds: 1 }), "test/acc1", acc1).join("\n"), /it speaks of these runs/);
  });

  test("texts of a table that is too wide are broken at blanks", () => {
    const rows = [
      ["model", "regime", "n"],
      ["small", "one pass and equal samples", "12"],
    ];
    assert.equal(
      alignWithin(rows, 2, 100),
      "model  regime                       n\nsmall  one pass and equal samples  12\n",
    );
    assert.equal(
      alignWithin(rows, 2, 24),
      "model  regime          n\nsmall  one pass and   12\n       equal samples\n",
    );
  });
});
