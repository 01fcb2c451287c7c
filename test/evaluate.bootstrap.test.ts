import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { foldIn, keyFromSeed, Random } from "../src/core/random.js";
import {
  classMeanInterval,
  type Interval,
  meanInterval,
  medianInterval,
  pairedDifference,
  ratioInterval,
} from "../src/evaluate/statistics/bootstrap.js";

const key = keyFromSeed(2024);

/** How often `draw`'s interval holds `truth`, of `runs` simulated data sets. */
function coverage(runs: number, truth: number, draw: (random: Random, run: number) => Interval): number {
  let held = 0;
  for (let run = 0; run < runs; run++) {
    const { low, high } = draw(new Random(foldIn(key, run)), run);
    if (low <= truth && truth <= high) held++;
  }
  return held / runs;
}

// 600 runs: a true coverage of 0.95 lies within ±0.027 three times out of a thousand; a little below 0.95 is
// what percentile intervals of a few hundred items give.
const near95 = (share: number): void => assert.ok(share > 0.915 && share < 0.98, `coverage ${share}`);

suite("meanInterval", () => {
  test("holds the true accuracy 95 % of the time", () => {
    near95(
      coverage(600, 0.3, (random, run) =>
        meanInterval(
          Array.from({ length: 300 }, () => (random.uniform() < 0.3 ? 1 : 0)),
          { key: foldIn(key, "draws", run) },
        ),
      ),
    );
  });

  test("with clusters holds the truth where items of one cluster go together, and without does not", () => {
    // Each image is easy (80 %) or hard (20 %), half and half, for all of its five captions.
    const draw = (random: Random): { values: number[]; clusters: Uint32Array } => {
      const easy = Array.from({ length: 120 }, () => (random.uniform() < 0.5 ? 0.9 : 0.1));
      return {
        values: easy.flatMap((p) => Array.from({ length: 5 }, () => (random.uniform() < p ? 1 : 0))),
        clusters: Uint32Array.from({ length: 600 }, (_, i) => Math.floor(i / 5)),
      };
    };
    near95(
      coverage(600, 0.5, (random) => {
        const { values, clusters } = draw(random);
        return meanInterval(values, { clusters, resamples: 400 });
      }),
    );
    const naive = coverage(200, 0.5, (random) => meanInterval(draw(random).values, { resamples: 200 }));
    assert.ok(naive < 0.8, `coverage without clusters ${naive}`);
  });

  test("agrees with the normal approximation where that is good", () => {
    const values = Array.from({ length: 20000 }, (_, i) => (i % 4 === 0 ? 1 : 0));
    const { value, low, high, n } = meanInterval(values);
    const half = 1.96 * Math.sqrt((0.25 * 0.75) / 20000);
    assert.equal(value, 0.25);
    assert.equal(n, 20000);
    assert.ok(Math.abs(low - (0.25 - half)) < 0.1 * half && Math.abs(high - (0.25 + half)) < 0.1 * half);
  });

  test("weighs clusters by their items", () => {
    const { value, n } = meanInterval([1, 1, 1, 0], { clusters: new Uint32Array([9, 9, 9, 4]) });
    assert.equal(value, 0.75);
    assert.equal(n, 4);
  });

  test("does not claim certainty when nothing or everything is right", () => {
    // Clopper and Pearson for 0 of 40: 1 - 0.025^(1/40) = 0.0881.
    const none = meanInterval(new Uint8Array(40));
    assert.deepEqual([none.low, none.high.toFixed(4)], [0, "0.0881"]);
    const all = meanInterval(new Uint8Array(40).fill(1));
    assert.deepEqual([all.low.toFixed(4), all.high], ["0.9119", 1]);
  });

  test("is the same for the same key and another for another", () => {
    const values = Array.from({ length: 500 }, (_, i) => (i * i) % 17);
    assert.deepEqual(meanInterval(values, { key }), meanInterval(values, { key }));
    assert.notDeepEqual(meanInterval(values, { key }), meanInterval(values, { key: keyFromSeed(3) }));
  });

  test("takes less than three CPU seconds for 50,000 items", () => {
    const values = new Uint8Array(50000).map((_, i) => i & 1);
    const start = process.cpuUsage().user;
    meanInterval(values);
    const seconds = (process.cpuUsage().user - start) / 1e6;
    assert.ok(seconds < 3, `${seconds} s`); // about 0.3 s on an idle core
  });

  test("refuses no items, too few resamples and a level outside 0…1", () => {
    assert.throws(() => meanInterval([]), /n=0/);
    assert.throws(() => meanInterval([1, 0], { resamples: 10 }), /resamples=10/);
    assert.throws(() => meanInterval([1, 0], { level: 95 }), /level=95/);
  });
});

suite("medianInterval", () => {
  test("takes the lower middle value and an interval around it", () => {
    const random = new Random(key);
    const values = Uint32Array.from({ length: 401 }, () => 1 + random.integer(100));
    const { value, low, high } = medianInterval(values);
    assert.equal(value, [...values].sort((a, b) => a - b)[200]);
    assert.ok(low < value && value < high && high - low < 30);
    assert.equal(medianInterval([4, 1, 3, 2]).value, 2);
  });

  test("holds the true median 95 % of the time", () => {
    near95(
      coverage(600, 0, (random) =>
        medianInterval(
          Array.from({ length: 201 }, () => random.normal()),
          { resamples: 300 },
        ),
      ),
    );
  });
});

suite("classMeanInterval", () => {
  test("weighs classes alike, whatever their size", () => {
    const { value } = classMeanInterval([1, 0, 0, 0, 1, 1], new Uint32Array([0, 0, 0, 0, 1, 1]));
    assert.equal(value, (0.25 + 1) / 2);
  });

  test("holds the truth 95 % of the time for small classes and for classes of one image", () => {
    const sizes = [...Array(40).fill(1), ...Array(20).fill(3), ...Array(5).fill(40)] as number[];
    const classes = Uint32Array.from(sizes.flatMap((size, c) => Array(size).fill(c) as number[]));
    const recall = (c: number): number => 0.2 + 0.6 * ((c % 10) / 9);
    const truth = sizes.reduce((sum, _, c) => sum + recall(c), 0) / sizes.length;
    const share = coverage(600, truth, (random) =>
      classMeanInterval(
        Array.from(classes, (c) => (random.uniform() < recall(c) ? 1 : 0)),
        classes,
        { resamples: 400 },
      ),
    );
    // Pooling the single-image classes adds the variance between them, so a little above 0.95 is expected.
    assert.ok(share > 0.92 && share < 0.995, `coverage ${share}`);
  });
});

suite("pairedDifference", () => {
  const twoRuns = (random: Random, gain: number): [number[], number[]] => {
    const difficulty = Array.from({ length: 250 }, () => random.uniform());
    const run = (extra: number): number[] => difficulty.map((p) => (random.uniform() < p + extra ? 1 : 0));
    return [run(gain), run(0)];
  };

  test("raises a false alarm 5 % of the time between two runs that are alike, and its interval holds 0 otherwise", () => {
    let alarms = 0;
    const held = coverage(600, 0, (random) => {
      const comparison = pairedDifference(...twoRuns(random, 0));
      if (comparison.distinguishable) alarms++;
      return comparison;
    });
    near95(held);
    assert.ok(alarms / 600 < 0.08 && alarms / 600 > 0.02, `false alarms ${alarms / 600}`);
  });

  test("sees a real gain", () => {
    let seen = 0;
    for (let run = 0; run < 50; run++) {
      if (pairedDifference(...twoRuns(new Random(foldIn(key, run)), 0.15)).distinguishable) seen++;
    }
    assert.ok(seen >= 40, `${seen} of 50`);
  });

  test("gives p = 1 for two equal runs and the least p for runs that differ everywhere", () => {
    assert.equal(pairedDifference([1, 0, 1], [1, 0, 1]).p, 1);
    const all = pairedDifference(new Uint8Array(40).fill(1), new Uint8Array(40));
    assert.equal(all.p, 1 / 1001);
    assert.equal(all.value, 1);
  });

  test("refuses runs on different items", () => {
    assert.throws(() => pairedDifference([1], [1, 0]), /got 1 and 2/);
  });
});

suite("ratioInterval", () => {
  test("holds the true share that is kept 95 % of the time, paired", () => {
    // Of 60 % that were right, 70 % still are; of the others, 5 %.
    near95(
      coverage(600, (0.6 * 0.7 + 0.4 * 0.05) / 0.6, (random, run) => {
        const clean = Array.from({ length: 300 }, () => (random.uniform() < 0.6 ? 1 : 0));
        const harmed = clean.map((right) => (random.uniform() < (right === 1 ? 0.7 : 0.05) ? 1 : 0));
        return ratioInterval(harmed, clean, { key: foldIn(key, "draws", run) })!;
      }),
    );
  });

  test("is nothing over nothing, and certain where all is kept", () => {
    assert.equal(ratioInterval([0, 1], [0, 0]), undefined);
    assert.deepEqual(ratioInterval([0, 1, 1], [0, 1, 1]), { value: 1, low: 1, high: 1, n: 3 });
  });
});
