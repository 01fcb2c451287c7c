import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { UsageError } from "../src/core/errors.js";
import { keyFromSeed, Random } from "../src/core/random.js";
import { calibration, fitTemperature } from "../src/evaluate/statistics/calibration.js";
import {
  binomialAtMost,
  clopperPearson,
  studentQuantile,
  studentTails,
} from "../src/evaluate/statistics/distributions.js";
import { compareGroups, needed } from "../src/evaluate/statistics/groups.js";
import { holm, mcNemar } from "../src/evaluate/statistics/many.js";
import { baselineLine, effectiveRobustness } from "../src/evaluate/statistics/robustness.js";
import { fixture } from "./support/fixture.js";

const near = (got: number, wanted: number, within: number) =>
  assert.ok(Math.abs(got - wanted) <= within, `${got} is not within ${within} of ${wanted}`);

describe("distributions equal SciPy's (1.17)", () => {
  test("Student's quantiles and tails", () => {
    near(studentQuantile(0.975, 4), 2.7764451051977934, 1e-6);
    near(studentQuantile(0.9, 17.5), 1.331840830072951, 1e-6);
    near(studentQuantile(0.975, Number.POSITIVE_INFINITY), 1.959963984540054, 1e-6);
    near(studentTails(2.5, 4), 0.06676654481198814, 1e-6);
    near(studentTails(-1, 30), 0.3253086154260302, 1e-6);
  });

  test("exact intervals of shares, and the binomial's lower tail", () => {
    const { low, high } = clopperPearson(7, 20);
    near(low, 0.1539092047845412, 1e-6);
    near(high, 0.5921885345328283, 1e-6);
    assert.deepEqual(clopperPearson(0, 20).low, 0);
    near(clopperPearson(0, 20).high, 0.16843347098308548, 1e-6);
    near(binomialAtMost(3, 10, 0.5), 0.171875, 1e-7);
  });
});

describe("mcNemar", () => {
  test("tells by the items on which the models differ", () => {
    // 9 against 1 of 10: 2 · (1 + 10) / 1024
    const first = [...Array(9).fill(1), 0, 1, 1, 0];
    const second = [...Array(9).fill(0), 1, 1, 1, 0];
    const result = mcNemar(first, second);
    assert.deepEqual([result.onlyFirst, result.onlySecond], [9, 1]);
    near(result.p, 22 / 1024, 1e-7);
    assert.equal(mcNemar(first, first).p, 1);
    assert.equal(mcNemar([1, 0], [0, 1]).p, 1);
  });

  test("refuses what is neither right nor wrong, and other items", () => {
    assert.throws(() => mcNemar([0.5], [1]), UsageError);
    assert.throws(() => mcNemar([1], [1, 0]), UsageError);
  });
});

test("holm corrects step by step", () => {
  // Of p = .01 .04 .03 .005 at α = .05 only .005 and .01 are rejected.
  const adjusted = holm([0.01, 0.04, 0.03, 0.005]);
  [0.03, 0.06, 0.06, 0.02].forEach((wanted, i) => {
    near(adjusted[i]!, wanted, 1e-12);
  });
  assert.deepEqual(holm([]), []);
  assert.deepEqual(holm([0.9, 0.8]), [1, 1]);
});

/** Runs of one recipe: its level, its luck, what the items are like, and luck on each item. */
function runsOf(
  random: Random,
  seeds: number,
  level: number,
  items: Float64Array,
  spread: Spread,
): Float64Array[] {
  return Array.from({ length: seeds }, () => {
    const luck = spread.seed * random.normal();
    return items.map((item) => level + luck + item + spread.both * random.normal());
  });
}
interface Spread {
  readonly seed: number;
  readonly item: number;
  readonly both: number;
}

/** How often `check` holds over `draws` comparisons of recipes that differ by `difference`. */
function share(
  draws: number,
  seeds: readonly [number, number],
  n: number,
  spread: Spread,
  difference: number,
  check: (c: ReturnType<typeof compareGroups>) => boolean,
): number {
  let count = 0;
  for (let d = 0; d < draws; d++) {
    const random = new Random(keyFromSeed(1000 + d));
    // What items add differs from recipe to recipe too: half of it is common.
    const common = Float64Array.from({ length: n }, () => spread.item * random.normal());
    const own = () => common.map((x) => x + spread.item * random.normal());
    const a = runsOf(random, seeds[0], 0.5 + difference, own(), spread);
    const b = runsOf(random, seeds[1], 0.5, own(), spread);
    if (check(compareGroups(a, b))) count++;
  }
  return count / draws;
}

describe("compareGroups", () => {
  // 500 draws: the share of intervals that hold the truth is 95 % within three standard errors, 2.9 points.
  for (const [name, seeds, spread] of [
    ["three seeds, seeds matter most", [3, 3], { seed: 0.05, item: 0.2, both: 0.1 }],
    ["three seeds, items matter most", [3, 3], { seed: 0.005, item: 0.4, both: 0.2 }],
    ["ten and two seeds", [10, 2], { seed: 0.03, item: 0.3, both: 0.3 }],
    ["one seed whose luck is nothing", [1, 1], { seed: 0, item: 0.3, both: 0.2 }],
  ] as const) {
    test(`its intervals hold the truth as often as they say: ${name}`, () => {
      const held = share(500, seeds, 200, spread, 0.02, (c) => c.low <= 0.02 && 0.02 <= c.high);
      near(held, 0.95, 0.029);
    });
  }

  test("alike recipes are called different in 5 % of the cases, and a planted difference at the power that was stated", () => {
    const spread = { seed: 0.02, item: 0.2, both: 0.2 };
    near(
      share(500, [3, 3], 200, spread, 0, (c) => c.p < 0.05),
      0.05,
      0.029,
    );
    // What would be found in 80 % of the cases, from the true variances: items 2·0.2²/200 + seeds and both of 3 + 3 runs.
    const error = Math.sqrt((2 * 0.04) / 200 + (2 / 3) * (0.0004 + 0.04 / 200));
    const stated: number[] = [];
    const found = share(500, [3, 3], 200, spread, 2.9 * error, (c) => {
      stated.push(needed(c).detectable);
      return c.p < 0.05;
    });
    near(found, 0.8, 0.06);
    near(stated.reduce((x, y) => x + y) / stated.length / error, 2.9, 0.25);
  });

  test("items of one cluster count once, and weights make the mean that is asked for", () => {
    const a = [1, 1, 0, 0, 1, 1];
    const b = [0, 0, 0, 0, 1, 1];
    const alone = compareGroups([a], [b]);
    const pairs = compareGroups([a], [b], { clusters: [0, 0, 1, 1, 2, 2] });
    near(alone.value, 1 / 3, 1e-12);
    near(pairs.value, 1 / 3, 1e-12);
    assert.deepEqual([alone.n, pairs.n], [6, 3]);
    // Three items 1, 0, 0: variance 1/3, over 3.
    near(pairs.error ** 2, 1 / 9, 1e-12);
    const weighted = compareGroups([[1, 0, 0]], [[0, 0, 0]], { weights: [2, 1, 1] });
    near(weighted.value, 0.5, 1e-12);
  });

  test("identical runs differ by exactly nothing", () => {
    const c = compareGroups([[1, 0, 1]], [[1, 0, 1]]);
    assert.deepEqual([c.value, c.low, c.high, c.p], [0, 0, 0, 1]);
    assert.equal(c.variance.seeds, undefined);
  });

  test("says what it would take", () => {
    const seen = { ...compareGroups([[1, 0]], [[0, 0]]), error: Math.sqrt(1.5e-4), df: 1e9, n: 100 };
    const parts = { runs: [4, 4] as const, variance: { items: 1e-4, seeds: 1e-4 } };
    // (1.960 + 0.842) errors make 80 %; of (0.04 / 2.802)² = 2.038e-4 the other part leaves 1.038e-4.
    const want = needed({ ...seen, ...parts, value: 0.04 });
    near(want.detectable, 2.8016 * Math.sqrt(1.5e-4), 1e-6);
    assert.deepEqual([want.items, want.runs], [97, 4]);
    // Half the difference: neither more items nor more runs alone would do.
    const half = needed({ ...seen, ...parts, value: 0.02 });
    assert.deepEqual([half.items, half.runs], [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY]);
    assert.equal(needed({ ...seen, variance: { items: 1e-4, seeds: undefined } }).runs, undefined);
  });

  test("refuses other items and no runs", () => {
    assert.throws(() => compareGroups([[1, 0]], [[1]]), UsageError);
    assert.throws(() => compareGroups([], [[1]]), UsageError);
    assert.throws(() => compareGroups([[Number.NaN]], [[1]]), UsageError);
  });
});

describe("calibration", () => {
  const { calibration: wanted, classes } = JSON.parse(readFileSync(fixture("evaluate/probes.json"), "utf8"));
  const judged = { logits: Float64Array.from(wanted.logits), labels: wanted.labels, classes };

  test("equals NumPy's formulas", () => {
    const got = calibration(judged);
    for (const name of ["expectedError", "adaptiveError", "negativeLogLikelihood", "brier"] as const) {
      near(got[name], wanted[name], 1e-9);
    }
    assert.equal(
      got.bins.reduce((n, bin) => n + bin.n, 0),
      60,
    );
    for (const { n, low, high, confidence } of got.bins) {
      if (n > 0) assert.ok(low <= confidence && confidence <= high + 1e-12);
    }
  });

  test("finds the likeliest temperature", () => {
    near(fitTemperature(judged) / wanted.temperature, 1, 1e-3);
    const twice = { ...judged, logits: judged.logits.map((x) => 2 * x) };
    near(fitTemperature(twice) / (2 * wanted.temperature), 1, 1e-3);
  });

  test("refuses numbers that do not fit", () => {
    assert.throws(() => calibration({ ...judged, classes: 4 }), UsageError);
    assert.throws(() => fitTemperature({ logits: new Float32Array(), labels: [], classes: 3 }), UsageError);
  });
});

describe("effective robustness", () => {
  const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));
  const onLine = (reference: number) => ({
    reference,
    shifted: sigmoid(-0.5 + 0.8 * Math.log(reference / (1 - reference))),
    n: 1e6,
    shiftedN: 1e6,
  });
  const family = [0.1, 0.2, 0.35, 0.5, 0.7].map(onLine);

  test("finds the family's line, and how far above it a model lies", () => {
    const line = baselineLine(family);
    near(line.slope, 0.8, 1e-9);
    near(line.intercept, -0.5, 1e-9);
    near(line.r2, 1, 1e-9);
    const model = onLine(0.4);
    const got = effectiveRobustness({ ...model, shifted: model.shifted + 0.05 }, line);
    near(got.value, 0.05, 1e-9);
    assert.ok(got.low <= got.value + 1e-9 && got.value - 1e-9 <= got.high);
  });

  test("refuses a family that draws no line", () => {
    assert.throws(() => baselineLine(family.slice(1)), /needs 5 models .* got 4/);
    assert.throws(() => baselineLine([0.5, 0.51, 0.52, 0.53, 0.54].map(onLine)), UsageError);
  });

  test("accuracies of 0 and 1 stay finite", () => {
    const line = baselineLine([...family, { reference: 0, shifted: 0, n: 50, shiftedN: 50 }]);
    assert.ok(Number.isFinite(line.slope));
  });
});
