import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { keyFromSeed, Random } from "../src/core/random.js";
import type { PastRun } from "../src/study/past/past-run.js";
import { paperRuns } from "../src/study/predict/paper-runs.js";
import { type Asked, makePredictor, noises } from "../src/study/predict/predict.js";
import { fitPaper, ownBeliefs, priorBeliefs } from "../src/study/predict/prior.js";
import {
  componentsOf,
  fitHypotheses,
  type Observation,
  quantileOf,
  shareBelow,
} from "../src/study/predict/regression.js";
import { logOdds, scoreAt, termNames, termsOf } from "../src/study/predict/terms.js";

suite("regression over hypotheses", () => {
  const line = (noise: number, n = 40): Observation[] => {
    const random = new Random(keyFromSeed(3));
    return Array.from({ length: n }, (_, i) => {
      const x = i / 10;
      return { row: [1, x], y: 2 - 0.5 * x + noise * random.normal(), variance: 0 };
    });
  };

  test("finds the coefficients, and which noise there is", () => {
    const beliefs = [
      { mean: 0, sd: 10 },
      { mean: 0, sd: 10 },
    ];
    const hypotheses = [0.05, 0.2, 0.8].map((noise) => ({ what: noise, weight: 1, noise }));
    const fitted = fitHypotheses(beliefs, hypotheses, () => line(0.2));
    const likeliest = fitted.reduce((a, b) => (b.weight > a.weight ? b : a));
    assert.equal(likeliest.what, 0.2);
    assert(likeliest.weight > 0.99);
    assert(Math.abs(likeliest.mean[0]! - 2) < 0.15 && Math.abs(likeliest.mean[1]! + 0.5) < 0.06);
  });

  test("is the normal equations by hand for one coefficient: precision 1/4 + 3, mean 6.5 / 3.25", () => {
    const observations = [1, 2, 3].map((y) => ({ row: [1], y, variance: 0 }));
    const [one] = fitHypotheses([{ mean: 2, sd: 2 }], [{ what: 0, weight: 1, noise: 1 }], () => observations);
    assert(Math.abs(one!.mean[0]! - 2) < 1e-12);
    assert(Math.abs(one!.covariance[0]! - 1 / 3.25) < 1e-12);
    const [component] = componentsOf([one!], () => [2]);
    assert(Math.abs(component!.mean - 4) < 1e-12 && Math.abs(component!.variance - 4 / 3.25) < 1e-12);
  });

  test("counts an observation by its own variance", () => {
    const observations = [
      { row: [1], y: 0, variance: 0 },
      { row: [1], y: 10, variance: 99 },
    ];
    const [one] = fitHypotheses(
      [{ mean: 0, sd: 1e3 }],
      [{ what: 0, weight: 1, noise: 1 }],
      () => observations,
    );
    assert(Math.abs(one!.mean[0]! - 0.1 / 1.01) < 1e-5);
  });

  test("quantiles of a mixture are where its share lies", () => {
    const mixture = [
      { weight: 0.3, mean: -1, variance: 0.5 },
      { weight: 0.7, mean: 2, variance: 1 },
    ];
    for (const q of [0.1, 0.5, 0.9]) assert(Math.abs(shareBelow(mixture, quantileOf(mixture, q)) - q) < 1e-9);
  });
});

suite("the paper's runs as a prior", () => {
  test("follow the terms within 0.11 in log odds, a repeated sample worth 1/e after 8 passes", () => {
    const { halfLife, coefficients, residual, runs } = fitPaper();
    assert.equal(halfLife, 8);
    assert.equal(runs, paperRuns.filter(({ error }) => error <= 95).length);
    assert(residual < 0.115, String(residual));
    assert(coefficients.scarce > 1.4 && coefficients.scarce < 1.7);
    assert(coefficients.plenty > 0.3 && coefficients.plenty < 0.5);
    assert(coefficients.small < -0.3 && coefficients.large < -0.3, "a model may be too large and too small");
  });

  test("have the paper's orders: the largest ViT needs the most samples, augmentation many passes", () => {
    const { coefficients, halfLife } = fitPaper();
    const at = (gmacsPerPair: number, samples: number, strategy = "clip", unique = samples): number => {
      const run = { gmacsPerPair, samples, unique, strategy, family: "vit", chance: 1e-3 };
      const terms = termsOf(run, halfLife, 2e8);
      return termNames.reduce((sum, name) => sum + coefficients[name] * terms[name], 0);
    };
    const [small, large] = [6.06, 63.07];
    assert(at(small, 2.5e7) > at(large, 2.5e7));
    assert(at(large, 3.4e9) > at(small, 3.4e9));
    const gain = (passes: number): number =>
      at(5.76, passes * 2.5e7, "clip-aug", 2.5e7) - at(5.76, passes * 2.5e7, "clip", 2.5e7);
    assert(gain(30) > gain(1) + 0.1);
  });
});

const asked: Asked = { dataset: "photos", metric: "acc1", n: 2000, chance: 0.01 };

type Facts = Pick<PastRun, "unique" | "samples" | "gmacsPerPair" | "strategy" | "family">;

function runWith(facts: Facts, value: number, dataset = asked.dataset): PastRun {
  const { n, chance, metric } = asked;
  const half = 1.96 * Math.sqrt((value * (1 - value)) / n);
  return {
    ...facts,
    run: "",
    gmacs: facts.samples * facts.gmacsPerPair,
    seconds: 1,
    model: "",
    batchSize: 64,
    lr: 1e-3,
    seed: 0,
    scores: [{ dataset, metric, value, low: value - half, high: value + half, n, chance }],
  };
}

/** A share of n items that are right with this chance, by the normal approximation. */
const drawn = (random: Random, share: number): number =>
  Math.min(0.999, Math.max(0, share + random.normal() * Math.sqrt((share * (1 - share)) / asked.n)));

suite("predicted scores", () => {
  const facts: Facts = {
    unique: 50_000,
    samples: 100_000,
    gmacsPerPair: 0.3,
    strategy: "clip",
    family: "vit",
  };

  test("are the same for the same runs, and grow with samples", () => {
    const past = [runWith(facts, 0.2)];
    const [a, b] = [makePredictor(asked, past), makePredictor(asked, past)];
    assert.deepEqual(a.predict(facts), b.predict(facts));
    const values = [1e4, 1e5, 1e6].map((samples) => a.predict({ ...facts, samples }).value);
    assert(values[0]! < values[1]! && values[1]! < values[2]!);
  });

  test("have a wide interval without a run, and a narrow one after some", () => {
    const width = (past: readonly PastRun[]): number => {
      const { low, high } = makePredictor(asked, past).predict(facts);
      return logOdds(high, asked.chance) - logOdds(low, asked.chance);
    };
    const none = width([]);
    const three = width([0.19, 0.2, 0.21].map((value) => runWith(facts, value)));
    assert(none > 2, String(none));
    assert(three < none / 2, `${three} of ${none}`);
  });

  test("learn from other sets less than from their own", () => {
    const here = makePredictor(asked, [runWith(facts, 0.8), runWith(facts, 0.8)]);
    const there = makePredictor(asked, [runWith(facts, 0.8, "else"), runWith(facts, 0.8, "else")]);
    const none = makePredictor(asked, []).predict(facts).value;
    assert.deepEqual([here.evidence.here, there.evidence.here, there.evidence.all], [2, 0, 2]);
    assert(here.predict(facts).value > there.predict(facts).value && there.predict(facts).value > none);
  });

  test("leave out what guesses and what starts from weights", () => {
    const { evidence } = makePredictor(asked, [
      runWith(facts, 0.011),
      { ...runWith(facts, 0.4), pretrained: "ViT-B-32/openai" },
    ]);
    assert.deepEqual([evidence.here, evidence.all, evidence.guessing], [0, 0, 1]);
  });

  test("a strategy that was better is better", () => {
    const past = [0.2, 0.21, 0.19].flatMap((value) => [
      runWith(facts, value),
      runWith({ ...facts, strategy: "flip" }, value + 0.1),
    ]);
    assert(makePredictor(asked, past).better({ ...facts, strategy: "flip" }, facts) > 0.9);
  });
});

suite("coverage of the 80 % intervals in simulated worlds", () => {
  /** Shares of outcomes inside, over `worlds` of a kind: some runs are known, others are predicted. */
  function coverage(worlds: number, makeWorld: (random: Random) => (run: Facts) => number): number {
    let [inside, all] = [0, 0];
    for (let world = 0; world < worlds; world++) {
      const random = new Random(keyFromSeed(world));
      const scoreOf = makeWorld(random);
      const anyRun = (budget: number): Facts => {
        const unique = 3000 * 30 ** random.uniform();
        const gmacsPerPair = 0.2 * 5 ** random.uniform();
        return { unique, gmacsPerPair, samples: budget / gmacsPerPair, strategy: "clip", family: "vit" };
      };
      const known = Array.from({ length: random.integer(12) }, () => anyRun(1e4 * 4 ** random.uniform()));
      const predictor = makePredictor(
        asked,
        known.map((run) => runWith(run, drawn(random, scoreOf(run)))),
      );
      for (let i = 0; i < 3; i++) {
        const run = anyRun(1e5);
        const { low, high } = predictor.predict(run);
        const came = drawn(random, scoreOf(run));
        all++;
        if (low <= came && came <= high) inside++;
      }
    }
    return inside / all;
  }

  test("70 to 90 % where worlds are as the prior has them", () => {
    const share = coverage(120, (random) => {
      const beliefs = priorBeliefs().map(({ mean, sd }) => mean + sd * random.normal());
      const [level, slope] = ownBeliefs.map(({ sd }) => sd * random.normal());
      const halfLife = [4, 8, 8, 16][random.integer(4)]!;
      const noise = noises.flatMap((one) => Array<number>(one.weight).fill(one.noise))[random.integer(12)]!;
      return (run) => {
        const terms = termsOf({ ...run, chance: asked.chance }, halfLife);
        const own = level! + slope! * terms.scarce;
        const odds = termNames.reduce((sum, name, at) => sum + beliefs[at]! * terms[name], own);
        return scoreAt(odds + noise * random.normal(), asked.chance);
      };
    });
    assert(share >= 0.7 && share <= 0.9, String(share));
  });

  test("70 to 90 % where errors follow a power law of samples and repeats with a floor, which the terms do not know", () => {
    const share = coverage(120, (random) => {
      const floor = 0.1 + 0.4 * random.uniform();
      const exponent = 0.25 + 0.3 * random.uniform();
      const half = 4 + 12 * random.uniform();
      const scale = 2e3 * 5 ** random.uniform();
      const size = 0.1 * random.uniform();
      return ({ unique, samples, gmacsPerPair }) => {
        const extra = Math.max(0, samples / unique - 1);
        const worth = Math.min(samples, unique) * (1 + half * (1 - Math.exp(-extra / half)));
        const error = floor + (1 - floor) * (1 + (worth * gmacsPerPair ** size) / scale) ** -exponent;
        const share = 1 - error + asked.chance * error;
        return scoreAt(logOdds(share, asked.chance) + 0.12 * random.normal(), asked.chance);
      };
    });
    assert(share >= 0.7 && share <= 0.9, String(share));
  });
});
