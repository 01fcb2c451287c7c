import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { keyFromSeed, Random } from "../src/core/random.js";
import { crossingOf, frontier } from "../src/study/laws/crossing.js";
import { fitLaw, holdOutLargest, predict } from "../src/study/laws/fit.js";
import { type LawPoint, laws, powerLaw, repeatedLaw, worthOfRepeated } from "../src/study/laws/law.js";
import { nonnegativeLeastSquares } from "../src/study/laws/nonnegative.js";

interface Case {
  readonly law: string;
  readonly points: readonly LawPoint[];
  readonly exponents: readonly number[];
  readonly coefficients: readonly number[];
  readonly loss: number;
}

const cases = JSON.parse(
  readFileSync(fileURLToPath(new URL("../../test/fixtures/study/laws.json", import.meta.url)), "utf8"),
) as readonly Case[];

const close = (got: number, want: number, relative: number, what: string): void =>
  assert.ok(Math.abs(got - want) <= relative * Math.max(Math.abs(want), 1e-9), `${what}: ${got} for ${want}`);

/** Deviates of the normal distribution (Box and Muller 1958). */
function normals(seed: number): () => number {
  const random = new Random(keyFromSeed(seed));
  return () => Math.sqrt(-2 * Math.log(1 - random.uniform())) * Math.cos(2 * Math.PI * random.uniform());
}

const ladder = (count: number, from = 1e4, to = 1e7): number[] =>
  Array.from({ length: count }, (_, i) => from * (to / from) ** (i / (count - 1)));

describe("non-negative least squares", () => {
  it("holds at 0 what would be negative", () => {
    const ones = Float64Array.of(1, 1, 1, 1);
    const { coefficients, loss } = nonnegativeLeastSquares(
      [ones, Float64Array.of(0, 1, 2, 3)],
      Float64Array.of(3, 2, 1, 0),
      ones,
    );
    // A falling line may not fall: the mean is left.
    assert.deepEqual([...coefficients], [1.5, 0]);
    assert.equal(loss, 5);
  });

  it("takes columns that differ by many powers of ten", () => {
    const y = Float64Array.of(1 + 2, 1 + 4, 1 + 6);
    const { coefficients } = nonnegativeLeastSquares(
      [Float64Array.of(1e-9, 1e-9, 1e-9), Float64Array.of(1e12, 2e12, 3e12)],
      y,
      Float64Array.of(1, 1, 1),
    );
    close(coefficients[0]!, 1e9, 1e-9, "first");
    close(coefficients[1]!, 2e-12, 1e-9, "second");
  });
});

describe("laws", () => {
  for (const [at, { law: name, points, exponents, coefficients, loss }] of cases.entries()) {
    it(`fits as SciPy does: ${name}, case ${at}`, () => {
      const law = laws.find((one) => one.name === name)!;
      const fit = fitLaw(law, points, { resamples: 2 });
      const total = points.reduce((sum, { sigma = 1 }) => sum + 1 / sigma ** 2, 0);
      // No worse than the oracle's optimum, within the last grid's step.
      assert.ok(
        fit.meanSquare * total <= loss * (1 + 1e-4) + 1e-12,
        `loss ${fit.meanSquare * total} for ${loss}`,
      );
      for (const [i, want] of exponents.entries()) close(fit.exponents[i]!, want, 0.005, `exponent ${i}`);
      for (const [i, want] of coefficients.entries())
        close(fit.coefficients[i]!, want, 0.02, `coefficient ${i}`);
    });
  }

  it("counts a repeated sample for less", () => {
    assert.equal(worthOfRepeated(50, 100, 5), 50);
    assert.equal(worthOfRepeated(100, 100, 5), 100);
    close(worthOfRepeated(600, 100, 5), 100 + 100 * 5 * (1 - Math.exp(-1)), 1e-12, "after five repetitions");
    assert.ok(worthOfRepeated(1e9, 100, 5) <= 600);
    close(worthOfRepeated(1000, 100, 1e9), 1000, 1e-6, "without decay");
  });

  it("gives the same fit and bands for the same key", () => {
    const points = cases[1]!.points;
    const [a, b] = [1, 1].map((seed) => fitLaw(powerLaw, points, { resamples: 50, key: keyFromSeed(seed) }));
    assert.deepEqual(a, b);
  });

  it("covers what came next about as often as it says", () => {
    const noise = normals(5);
    let inside = 0;
    const draws = 100;
    for (let d = 0; d < draws; d++) {
      const points = ladder(12).map((x) => ({ x, y: 0.3 + 12 * x ** -0.35 + 0.01 * noise() }));
      const fit = fitLaw(powerLaw, points, { resamples: 60, key: keyFromSeed(d) });
      const { low, high } = predict(fit, { x: 3e6 });
      const truth = 0.3 + 12 * 3e6 ** -0.35;
      if (low <= truth && truth <= high) inside++;
    }
    assert.ok(inside >= 0.88 * draws && inside < draws, `${inside} of ${draws}`);
  });

  it("says what the runs do not tell", () => {
    const noise = normals(9);
    // A flat curve: any exponent fits when its coefficient may be 0.
    const flat = ladder(8).map((x) => ({ x, y: 0.5 + 0.01 * noise() }));
    const fit = fitLaw(powerLaw, flat, { resamples: 100 });
    assert.match(fit.parameters[0]!.unknown ?? "", /any value|one side/);
    assert.match(fit.parameters[1]!.unknown ?? "", /hangs on β/);
    const clear = fitLaw(
      powerLaw,
      ladder(10).map((x) => ({ x, y: 0.3 + 12 * x ** -0.35 + 0.001 * noise() })),
      { resamples: 100 },
    );
    assert.deepEqual(
      clear.parameters.map(({ unknown }) => unknown),
      [undefined, undefined, undefined],
    );
    assert.deepEqual(clear.warnings, []);
  });

  it("warns of a narrow range and of a far extrapolation", () => {
    const points = ladder(6, 1e4, 1e5).map((x) => ({ x, y: 0.3 + 12 * x ** -0.35 }));
    const fit = fitLaw(powerLaw, points, { resamples: 20 });
    assert.match(fit.warnings[0]!, /x spans 1\.0 powers of ten/);
    assert.equal(predict(fit, { x: 9e5 }).warning, undefined);
    assert.match(predict(fit, { x: 2e6 }).warning!, /20 times as much/);
  });

  it("refuses too few runs, and what is no number", () => {
    const points = ladder(4).map((x) => ({ x, y: x ** -0.1 }));
    assert.throws(
      () => fitLaw(powerLaw, points),
      /needs at least 5 runs at more than 3 different places.*got 4 runs/,
    );
    assert.throws(
      () => fitLaw(powerLaw, [...points, { x: 0, y: 1 }]),
      /x of every run must be a positive number; got x=0 of run 5/,
    );
    assert.throws(
      () =>
        fitLaw(
          repeatedLaw,
          ladder(9).map((x) => ({ x, y: 1 })),
        ),
      /unique of every run/,
    );
    const alike = Array.from({ length: 9 }, () => ({ x: 100, y: 0.5 }));
    assert.throws(() => fitLaw(powerLaw, alike), /got 9 runs at 1/);
  });

  it("foretells the largest run from the others", () => {
    const noise = normals(3);
    const points = ladder(10).map((x) => ({ x, y: 0.3 + 12 * x ** -0.35 + 0.002 * noise() }));
    const { point, predicted, low, high } = holdOutLargest(powerLaw, points, { resamples: 200 });
    assert.equal(point.x, 1e7);
    assert.ok(low < predicted && predicted < high);
    assert.ok(Math.abs(predicted - point.y) < 0.01);
  });
});

describe("crossings and the frontier", () => {
  const curve = (e: number, b: number, beta: number, seed: number, sd = 0.002) => {
    const noise = normals(seed);
    return fitLaw(
      powerLaw,
      ladder(10).map((x) => ({ x, y: e + b * x ** -beta + sd * noise() })),
      { resamples: 200 },
    );
  };

  it("finds where one overtakes the other, with an interval", () => {
    // 0.4 + 6·x^-0.3 and 0.3 + 20·x^-0.35 are equal near x = 1.3e5.
    const crossing = crossingOf(curve(0.4, 6, 0.3, 1), curve(0.3, 20, 0.35, 2));
    assert.ok("x" in crossing);
    assert.equal(crossing.overtakes, "second");
    const gap = (x: number) => 0.4 + 6 * x ** -0.3 - (0.3 + 20 * x ** -0.35);
    assert.ok(gap(crossing.low) < 0 && gap(crossing.high) > 0, `${crossing.low} … ${crossing.high}`);
    assert.ok(crossing.low < crossing.x && crossing.x < crossing.high);
  });

  it("says when they do not cross, and when it cannot be told", () => {
    const apart = crossingOf(curve(0.4, 6, 0.3, 1), curve(0.2, 6, 0.3, 2));
    assert.ok("unknown" in apart && /do not cross/.test(apart.unknown));
    const alike = crossingOf(curve(0.4, 6, 0.3, 1, 0.02), curve(0.4, 6, 0.3, 2, 0.02));
    assert.ok("unknown" in alike);
  });

  it("keeps the runs that nothing beats for their cost", () => {
    const runs = [
      { name: "a", cost: 1, score: 0.2 },
      { name: "b", cost: 2, score: 0.1 },
      { name: "c", cost: 2, score: 0.4 },
      { name: "d", cost: 3, score: 0.4 },
      { name: "e", cost: 9, score: 0.5 },
    ];
    assert.deepEqual(
      frontier(runs).map(({ name }) => name),
      ["a", "c", "e"],
    );
  });
});
