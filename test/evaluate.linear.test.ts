import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, describe, test } from "node:test";
import { UsageError } from "../src/core/errors.js";
import { keyFromSeed } from "../src/core/random.js";
import { OnnxRuntime } from "../src/engines/onnxruntime.js";
import { nearestRows, normalise } from "../src/evaluate/features/features.js";
import { solve } from "../src/evaluate/linear/cholesky.js";
import { type LinearClassifier, predict } from "../src/evaluate/linear/classifier.js";
import { minimizeLbfgs } from "../src/evaluate/linear/lbfgs.js";
import { fitLogistic, rowsAt, splitByClass } from "../src/evaluate/linear/logistic.js";
import { neighbourVotes } from "../src/evaluate/linear/neighbours.js";
import { fitRidge } from "../src/evaluate/linear/ridge.js";
import { fitSgdProbe } from "../src/evaluate/linear/sgd-probe.js";
import { SoftmaxRegression } from "../src/evaluate/linear/softmax-regression.js";
import { fixture } from "./support/fixture.js";

/** From scikit-learn and NumPy: fixtures/evaluate/probes.py. */
const wanted = JSON.parse(readFileSync(fixture("evaluate/probes.json"), "utf8"));
const { classes, width, labels, testLabels } = wanted as Record<"classes" | "width", number> &
  Record<"labels" | "testLabels", number[]>;
const features = { data: Float32Array.from(wanted.features), rows: labels.length, width };
const testFeatures = { data: Float32Array.from(wanted.testFeatures), rows: testLabels.length, width };

const engine = new OnnxRuntime();
after(() => engine[Symbol.asyncDispose]());

function close(got: ArrayLike<number>, want: ArrayLike<number>, within: number): void {
  assert.equal(got.length, want.length);
  for (let i = 0; i < want.length; i++) {
    assert.ok(
      Math.abs(got[i]! - want[i]!) <= within,
      `${i}: ${got[i]} is not within ${within} of ${want[i]}`,
    );
  }
}

/** x·W + b, row by row. */
function scores(
  { weight, bias, classes: C }: LinearClassifier,
  { data, rows, width: D }: typeof features,
): number[] {
  const out: number[] = [];
  for (let i = 0; i < rows; i++) {
    for (let c = 0; c < C; c++) {
      let sum = bias[c]!;
      for (let d = 0; d < D; d++) sum += data[i * D + d]! * weight[d * C + c]!;
      out.push(sum);
    }
  }
  return out;
}

const rightOf = (guesses: ArrayLike<number>): number =>
  testLabels.filter((label, i) => guesses[i] === label).length / testLabels.length;

describe("minimizeLbfgs", () => {
  test("finds the minimum of Rosenbrock's valley", async () => {
    const found = await minimizeLbfgs(
      ([x, y]) => ({
        value: (1 - x!) ** 2 + 100 * (y! - x! * x!) ** 2,
        gradient: Float64Array.of(-2 * (1 - x!) - 400 * x! * (y! - x! * x!), 200 * (y! - x! * x!)),
      }),
      Float64Array.of(-1.2, 1),
      { gradientTolerance: 1e-9 },
    );
    close(found.at, [1, 1], 1e-8);
    assert.ok(found.converged && found.iterations < 60, `${found.iterations} iterations`);
  });

  test("stops when its iterations are used up, at the lowest point so far", async () => {
    let lowest = Number.POSITIVE_INFINITY;
    const found = await minimizeLbfgs(
      ([x]) => {
        const value = x! ** 4;
        lowest = Math.min(lowest, value);
        return { value, gradient: Float64Array.of(4 * x! ** 3) };
      },
      Float64Array.of(3),
      { maxIterations: 3, gradientTolerance: 0 },
    );
    assert.equal(found.converged, false);
    assert.equal(found.value, lowest);
  });
});

test("solve inverts a positive definite system and refuses another", () => {
  const matrix = Float64Array.of(4, 1, 1, 3);
  close(solve(matrix, 2, Float64Array.of(1, 2)), [1 / 11, 7 / 11], 1e-12);
  assert.throws(() => solve(Float64Array.of(1, 2, 2, 1), 2, Float64Array.of(1, 1)), UsageError);
});

describe("softmax regression", () => {
  test("begins at the logarithm of the number of classes", async () => {
    using problem = await SoftmaxRegression.over(engine, features, labels, classes);
    const { loss } = await problem.fit(1, undefined, { maxIterations: 0 });
    close([loss], [Math.log(classes)], 1e-6);
  });

  for (const { C, weight, bias, predictions } of wanted.logistic) {
    test(`has scikit-learn's weights at C = ${C}`, async () => {
      using problem = await SoftmaxRegression.over(engine, features, labels, classes);
      const { classifier } = await problem.fit(1 / (C * labels.length), undefined, { valueTolerance: 1e-10 });
      const shift = classifier.bias.reduce((x, y) => x + y, 0) / classes;
      // In float32 the sums' rounding moves where the loss is flat.
      const within = 5e-3 * Math.max(...weight.map(Math.abs));
      close(classifier.weight, weight, within);
      close(
        classifier.bias.map((b) => b - shift),
        bias,
        within,
      );
      assert.deepEqual([...(await predict(engine, classifier, testFeatures))], predictions);
    });
  }
});

describe("fitLogistic", () => {
  test("chooses the penalty on rows that it is not fitted to, then fits all", async () => {
    const fits: (number | undefined)[] = [];
    const probe = await fitLogistic(engine, features, labels, classes, {
      penalties: [1e-4, 1, 1e4],
      onFit: (_, accuracy) => fits.push(accuracy),
    });
    assert.equal(probe.penalty, 1);
    assert.equal(probe.atEnd, false);
    assert.equal(fits.at(-1), undefined);
    const exact = await SoftmaxRegression.over(engine, features, labels, classes);
    const { classifier } = await exact.fit(1 / labels.length);
    exact[Symbol.dispose]();
    close(probe.classifier.weight, classifier.weight, 2e-2);
  });

  test("refuses labels that are out of range or missing", async () => {
    await assert.rejects(fitLogistic(engine, features, labels.slice(1), classes), UsageError);
    await assert.rejects(
      fitLogistic(engine, features, labels, classes - 1),
      /labels must be 0 … 3; got 4 at row 4/,
    );
  });
});

test("splitByClass holds out a share of each class and leaves one of each to fit", () => {
  const { fitted, held } = splitByClass([0, 0, 0, 0, 1, 1, 2], 3, 0.5, keyFromSeed(1));
  assert.deepEqual([...fitted, ...held].sort(), [0, 1, 2, 3, 4, 5, 6]);
  assert.deepEqual([...held].map((i) => [0, 0, 0, 0, 1, 1, 2][i]).sort(), [0, 0, 1]);
});

describe("fitRidge", () => {
  test("equals big_vision's formulas with more rows than features, and with fewer", () => {
    close(scores(fitRidge(features, labels, classes), testFeatures), wanted.ridge.all, 1e-4);
    const rows: number[] = wanted.ridge.rows;
    const few = rowsAt(features, rows);
    const fewLabels = rows.map((i) => labels[i]!);
    close(scores(fitRidge(few, fewLabels, classes), testFeatures), wanted.ridge.few, 1e-4);
  });

  test("without a penalty it is least squares", () => {
    // One feature, two classes, targets ±1: the line through the class means' targets.
    const x = { data: Float32Array.of(0, 1, 2, 3), rows: 4, width: 1 };
    const { weight, bias } = fitRidge(x, [0, 0, 1, 1], 2, { penalty: 1e-9 });
    // Least squares of (−1, −1, 1, 1) on (0, 1, 2, 3): slope 0.8, intercept −1.2.
    close([weight[1]!, bias[1]!], [0.8, -1.2], 1e-4);
  });
});

describe("fitSgdProbe", () => {
  test("sweeps the learning rate on held-out rows and comes near the best linear classifier", async () => {
    let last = 0;
    const probe = await fitSgdProbe(engine, features, labels, classes, {
      rates: [1e-4, 1e-2, 1e-1],
      epochs: 60,
      batch: 50,
      onStep: (done) => {
        assert.ok(done > last);
        last = done;
      },
    });
    assert.equal(last, 1);
    assert.ok(probe.rate > 1e-4, `rate ${probe.rate}`);
    assert.equal(probe.tried.length, 3);
    const best = rightOf(wanted.logistic[1].predictions);
    const got = rightOf(await predict(engine, probe.classifier, testFeatures));
    assert.ok(got >= best - 0.06, `${got} against ${best}`);
  });

  test("a layer's way does not depend on the others that it is trained beside", async () => {
    const options = { epochs: 3, batch: 50, heldOut: 0.1 };
    const alone = await fitSgdProbe(engine, features, labels, classes, { ...options, rates: [1e-2] });
    const beside = await fitSgdProbe(engine, features, labels, classes, { ...options, rates: [1e-2, 1e-9] });
    assert.equal(beside.rate, 1e-2);
    close(beside.classifier.weight, alone.classifier.weight, 1e-6);
  });
});

test("neighbourVotes equals NumPy's votes, and refuses fewer neighbours than were searched", () => {
  const a = normalise(features.data, width, "training features");
  const b = normalise(testFeatures.data, width, "test features");
  const nearest = nearestRows(b, a, 20);
  for (const k of [1, 10, 20]) {
    assert.deepEqual([...neighbourVotes(nearest, labels, classes, k)], wanted.knn[k], `k = ${k}`);
  }
  assert.throws(() => neighbourVotes(nearest, labels, classes, 21), UsageError);
});
