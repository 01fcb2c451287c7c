import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, describe, test } from "node:test";
import { UsageError } from "../src/core/errors.js";
import { samplesOf } from "../src/data/columns/samples.js";
import { type Dataset, makeDataset } from "../src/data/dataset.js";
import { OnnxRuntime } from "../src/engines/onnxruntime.js";
import { type Features, normalise } from "../src/evaluate/features/features.js";
import { type FeatureSource, rowsInMemory } from "../src/evaluate/features/source.js";
import { calibration, fitTemperature } from "../src/evaluate/statistics/calibration.js";
import { calibrationTask } from "../src/evaluate/tasks/calibration.js";
import { fewShotLogisticTask, fewShotTask } from "../src/evaluate/tasks/few-shot.js";
import { linearProbeTask, logisticProbeTask } from "../src/evaluate/tasks/linear-probe.js";
import { neighboursTask } from "../src/evaluate/tasks/neighbours.js";
import type { Task, TaskContext, TaskOutcome } from "../src/evaluate/tasks/task.js";
import { fixture } from "./support/fixture.js";

/** From scikit-learn and NumPy: fixtures/evaluate/probes.py. */
const wanted = JSON.parse(readFileSync(fixture("evaluate/probes.json"), "utf8"));
const { classes, width, labels, testLabels } = wanted as Record<"classes" | "width", number> &
  Record<"labels" | "testLabels", number[]>;
const NAMES = ["ant", "bee", "cat", "dog", "eel"];

const engine = new OnnxRuntime();
after(() => engine[Symbol.asyncDispose]());

function datasetOf(name: string, of: readonly string[]): Dataset {
  const samples = of.map((label, i) => ({
    key: `${name}/${i}`,
    captions: [],
    label,
    container: 0,
    offset: i,
    size: -1,
  }));
  const columns = samplesOf(samples);
  return makeDataset(name, [{ kind: "files", paths: columns.keys }], columns, {
    ...{
      source: name,
      kind: "class folder",
      files: of.length,
      imagesFrom: "",
      captionsFrom: "",
      notes: [],
      problems: [],
    },
  });
}

/** Features of sets and texts that are known beforehand. */
function sourceOf(sets: ReadonlyMap<Dataset, Features>, prompts?: Features, scale = 10): FeatureSource {
  return {
    engine,
    scale: async () => scale,
    images: async (dataset) => {
      const features = sets.get(dataset)!;
      return {
        features: rowsInMemory(features),
        indices: Uint32Array.from({ length: features.rows }, (_, i) => i),
        skipped: [],
      };
    },
    texts: async () => ({ features: prompts!, cut: [] }),
  };
}

const train = datasetOf(
  "train",
  labels.map((label) => NAMES[label]!),
);
const scored = datasetOf(
  "scored",
  testLabels.map((label) => NAMES[label]!),
);
const features = new Map([
  [train, normalise(Float32Array.from(wanted.features), width, "train")],
  [scored, normalise(Float32Array.from(wanted.testFeatures), width, "scored")],
]);
const context: TaskContext = { features: sourceOf(features), data: { dataset: scored, train } };

const scoreOf = ({ scores }: TaskOutcome, metric: string): number =>
  scores.find((score) => score.metric === metric)!.score.value;
const shareRight = (guesses: readonly number[]): number =>
  testLabels.filter((label, i) => guesses[i] === label).length / testLabels.length;

/** Every score lies in its interval, is the mean of its items, and has a metric that the task tells of. */
function sound(task: Task, outcome: TaskOutcome): void {
  assert.ok(outcome.scores.length > 0);
  for (const { metric, score, items } of outcome.scores) {
    assert.ok(
      task.metrics.some(({ name }) => name === metric),
      metric,
    );
    assert.ok(score.low <= score.value && score.value <= score.high, `${metric}: ${JSON.stringify(score)}`);
    if (items === undefined) continue;
    const mean = items.values.reduce((x, y) => x + y, 0) / items.values.length;
    assert.ok(Math.abs(mean - score.value) < 1e-6, metric);
    assert.equal(items.samples.length, items.values.length);
  }
}

for (const task of [linearProbeTask, logisticProbeTask]) {
  test(`${task.name} comes as near as scikit-learn's logistic regression does`, async () => {
    const outcome = await task.run(context);
    sound(task, outcome);
    const acc1 = scoreOf(outcome, task.metrics[0]!.name);
    const best = Math.max(
      ...wanted.logistic.map((fit: { predictions: number[] }) => shareRight(fit.predictions)),
    );
    assert.ok(acc1 >= best - 0.05, `${acc1} against ${best}`);
    assert.equal(scoreOf(outcome, task.metrics[1]!.name), 1); // five guesses among five classes
    assert.ok(Math.abs(outcome.scores[0]!.chance! - 1 / classes) < 0.02);
  });
}

test("nearest_neighbours equals NumPy's votes", async () => {
  const outcome = await neighboursTask.run(context);
  sound(neighboursTask, outcome);
  for (const k of [10, 20]) assert.equal(scoreOf(outcome, `knn_acc1@${k}`), shareRight(wanted.knn[k]));
});

for (const task of [fewShotTask, fewShotLogisticTask]) {
  test(`${task.name} scores every number of shots that most classes have`, async () => {
    const outcome = await task.run(context);
    sound(task, outcome);
    assert.deepEqual(
      outcome.scores.map(({ metric }) => metric),
      task.metrics.map(({ name }) => name),
    );
    assert.ok(scoreOf(outcome, task.metrics.at(-1)!.name) > scoreOf(outcome, task.metrics[0]!.name));
    const few = datasetOf("few", ["ant", "ant", "bee", "bee", "cat", "cat", "dog", "dog", "eel", "eel"]);
    const rows = labels
      .flatMap((_, i) => (i < 2 * classes ? [i] : []))
      .sort((a, b) => labels[a]! - labels[b]!);
    const data = Float32Array.from(
      rows.flatMap((row) => wanted.features.slice(row * width, (row + 1) * width)),
    );
    const sets = new Map([...features, [few, normalise(data, width, "few")]]);
    const small = await task.run({ features: sourceOf(sets), data: { dataset: scored, train: few } });
    assert.deepEqual(
      small.scores.map(({ metric }) => metric),
      task.metrics.slice(0, 2).map(({ name }) => name),
    );
    assert.match(small.notes.join(), /4, 5, 8, 10, 16, 25 shots are left out: most classes have fewer/);
  });
}

describe("probes refuse", () => {
  test("data without a training part", async () => {
    await assert.rejects(
      linearProbeTask.run({ ...context, data: { dataset: scored } }),
      (error) =>
        error instanceof UsageError &&
        /evaluate scored: linear_probe needs labelled images/.test(error.message),
    );
  });

  test("another data set's classes", async () => {
    const strange = datasetOf("strange", Array(testLabels.length).fill("fox"));
    const sets = new Map([...features, [strange, features.get(scored)!]]);
    await assert.rejects(
      neighboursTask.run({ features: sourceOf(sets), data: { dataset: strange, train } }),
      /can only know the classes of train; got none of them, e.g. "fox" but "ant"/,
    );
  });
});

test("pictures of a class that the training part lacks are wrong, and told", async () => {
  const own = testLabels.map((label) => NAMES[label]!);
  const some = datasetOf("some", ["fox", ...own.slice(1)]);
  const sets = new Map([...features, [some, features.get(scored)!]]);
  for (const task of [neighboursTask, logisticProbeTask]) {
    const all = await task.run(context);
    const got = await task.run({ features: sourceOf(sets), data: { dataset: some, train } });
    const metric = got.scores[0]!.metric;
    const rightBefore = all.scores[0]!.items!.values[0]!;
    assert.ok(
      Math.abs(scoreOf(got, metric) - (scoreOf(all, metric) - rightBefore / testLabels.length)) < 1e-9,
    );
    assert.match(got.notes.join(), /1 pictures are of 1 classes that train lacks/);
  }
});

test("calibration judges the softmax of scaled cosines, and fits each half's temperature on the other", async () => {
  // Prompts are the mean training image of each class.
  const sums = new Float32Array(classes * width);
  labels.forEach((label, i) => {
    for (let d = 0; d < width; d++) sums[label * width + d]! += wanted.features[i * width + d];
  });
  const prompts = normalise(sums, width, "prompts");
  const images = features.get(scored)!;
  const scale = 40;
  const logits = new Float64Array(images.rows * classes);
  for (let i = 0; i < images.rows; i++) {
    for (let c = 0; c < classes; c++) {
      for (let d = 0; d < width; d++) {
        logits[i * classes + c]! += scale * images.data[i * width + d]! * prompts.data[c * width + d]!;
      }
    }
  }
  const judged = { logits, labels: testLabels, classes };
  const { expectedError, negativeLogLikelihood, brier } = calibration(judged);
  const outcome = await calibrationTask.run({
    features: sourceOf(features, prompts, scale),
    data: { dataset: scored, templates: "plain" },
  });
  sound(calibrationTask, {
    ...outcome,
    scores: outcome.scores.filter(({ metric }) => !metric.startsWith("ece")),
  });
  for (const [metric, value] of [
    ["ece", expectedError],
    ["nll", negativeLogLikelihood],
    ["brier", brier],
  ] as const) {
    assert.ok(Math.abs(scoreOf(outcome, metric) - value) < 1e-4, metric);
  }
  const best = scale / fitTemperature(judged);
  assert.ok(Math.abs(outcome.details.bestScale / best - 1) < 1e-2);
  assert.ok(scoreOf(outcome, "nll_fitted") < scoreOf(outcome, "nll") + 0.05);
  assert.match(outcome.notes.join(), /the model has learned 40.0/);
});

describe("sets whose classes are known", () => {
  // Class 4 is masked; the first picture's label is wrong, but another of its answers is right; the second has none.
  const known = NAMES.slice(0, 4);
  const own = testLabels.map((label) => (label === 4 ? 0 : label));
  const answers = own.map((label, i) => (i === 0 ? [(label + 1) % 4, label] : i === 1 ? [] : [label]));
  const part = datasetOf(
    "part",
    answers.map((right, i) => NAMES[right[0] ?? own[i]!]!),
  );
  const knownClasses = { names: known.map((name) => [name]), labels: known, answers, notes: [] };
  const sets = new Map([...features, [part, features.get(scored)!]]);

  test("probes count any right answer, leave out pictures without one, and cannot guess masked classes", async () => {
    const data = { dataset: part, train, classes: knownClasses };
    for (const task of [neighboursTask, logisticProbeTask, fewShotTask, linearProbeTask]) {
      const outcome = await task.run({ features: sourceOf(sets), data });
      sound(task, outcome);
      const [{ items, score }] = outcome.scores as [(typeof outcome.scores)[number]];
      assert.equal(score.n, own.length - 1, task.name);
      assert.ok(!items!.samples.includes(1));
    }
    // Among four classes pictures of the fifth must go to one of them: as NumPy's votes without it.
    const { scores } = await neighboursTask.run({ features: sourceOf(sets), data });
    const votes = (i: number): number => {
      const [test, rows] = [features.get(scored)!, features.get(train)!];
      const cosines = labels.map((_, r) => {
        let sum = 0;
        for (let d = 0; d < width; d++) sum += test.data[i * width + d]! * rows.data[r * width + d]!;
        return sum;
      });
      const order = [...labels.keys()].sort((a, b) => cosines[b]! - cosines[a]!).slice(0, 10);
      const of = new Float64Array(4);
      for (const r of order) if (labels[r]! < 4) of[labels[r]!]! += Math.exp(cosines[r]! / 0.07);
      return of.indexOf(Math.max(...of));
    };
    const wantedRight = answers.flatMap((right, i) => (i === 1 ? [] : [right.includes(votes(i)) ? 1 : 0]));
    assert.deepEqual([...scores[0]!.items!.values], wantedRight);
  });

  test("calibration takes several right answers as one class", async () => {
    const logits = Float64Array.from([2, 1, 0, -1, 0, 0, 3, 1]);
    const judged = { logits, labels: [0, 2], classes: 4 };
    const two = calibration({ ...judged, answers: [[0, 1], [2]] });
    // Merged by hand: e² + e¹ stand for one logit.
    const merged = calibration({
      logits: Float64Array.from([Math.log(Math.E ** 2 + Math.E), 0, -1]),
      labels: [0],
      classes: 3,
    });
    const single = calibration({ logits: logits.slice(4), labels: [2], classes: 4 });
    const near = (a: number, b: number) => assert.ok(Math.abs(a - b) < 1e-12, `${a} is not ${b}`);
    near(two.negativeLogLikelihood, (merged.negativeLogLikelihood + single.negativeLogLikelihood) / 2);
    near(two.brier, (merged.brier + single.brier) / 2);
    const prompts = normalise(
      Float32Array.from({ length: 4 * width }, (_, i) => Math.sin(i)),
      width,
      "p",
    );
    const outcome = await calibrationTask.run({
      features: sourceOf(sets, prompts),
      data: { dataset: part, classes: knownClasses, templates: "plain" },
    });
    assert.equal(scoreOf(outcome, "nll") > 0, true);
    assert.equal(outcome.scores[0]!.score.n, own.length - 1);
  });
});
