import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { UsageError } from "../src/core/errors.js";
import {
  type Duration,
  formatDuration,
  parseDuration,
  stepsIn,
  ticker,
  wholeSteps,
} from "../src/settings/duration.js";

suite("parseDuration", () => {
  const cases: [unknown, Duration["unit"], number][] = [
    [3, "epochs", 3],
    ["3", "epochs", 3],
    ["500 steps", "steps", 500],
    ["1 step", "steps", 1],
    ["2.5 epochs", "epochs", 2.5],
    ["100k samples", "samples", 100_000],
    ["1.5M samples", "samples", 1_500_000],
    ["12.8Msamples", "samples", 12_800_000],
    ["10%", "percent", 10],
    ["2h30m", "seconds", 9000],
    ["90s", "seconds", 90],
    ["1d 2h", "seconds", 93_600],
    ["10min", "seconds", 600],
    [{ steps: 7 }, "steps", 7],
    [{ seconds: 7, steps: undefined }, "seconds", 7],
    [{ unit: "percent", value: 5 }, "percent", 5],
  ];
  for (const [input, unit, value] of cases) {
    test(`reads ${JSON.stringify(input)} as ${value} ${unit}, and back from its text`, () => {
      const read = parseDuration(input, "epochs", "saveFrequency");
      assert.deepEqual(read, { unit, value });
      assert.deepEqual(parseDuration(formatDuration(read), "steps", "x"), read);
    });
  }

  for (const input of ["", "soon", "5 parsecs", -1, "-3 steps", "101%", "2h30", Number.NaN, null, [], {}]) {
    test(`refuses ${JSON.stringify(input)}, naming the key and how to write it`, () => {
      assert.throws(
        () => parseDuration(input, "epochs", "saveFrequency"),
        (error) => {
          assert(error instanceof UsageError);
          assert.match(error.message, /^saveFrequency: must .*; got .*2h30m/);
          return true;
        },
      );
    });
  }

  test("refuses two units at once", () => {
    assert.throws(
      () => parseDuration({ steps: 1, epochs: 2 }, "steps", "warmup"),
      /warmup: must name exactly one unit/,
    );
  });
});

suite("stepsIn", () => {
  const clock = { batchSize: 64, samplesPerEpoch: 1000, totalSteps: 200 };
  test("converts every unit by the run's clock", () => {
    assert.equal(stepsIn({ unit: "steps", value: 5 }, clock, "k"), 5);
    assert.equal(stepsIn({ unit: "samples", value: 6400 }, clock, "k"), 100);
    assert.equal(stepsIn({ unit: "epochs", value: 2 }, clock, "k"), 31.25);
    assert.equal(stepsIn({ unit: "percent", value: 10 }, clock, "k"), 20);
  });

  test("rounds up, so that all samples are seen, but not by rounding errors", () => {
    assert.equal(wholeSteps({ unit: "epochs", value: 2 }, clock, "k"), 32);
    assert.equal(
      wholeSteps({ unit: "epochs", value: 0.1 * 3 }, { batchSize: 3, samplesPerEpoch: 100 }, "k"),
      10,
    );
  });

  test("says what is missing", () => {
    assert.throws(
      () => stepsIn({ unit: "epochs", value: 2 }, { batchSize: 64 }, "epochs"),
      /Use steps, samples or a time/,
    );
    assert.throws(
      () => stepsIn({ unit: "percent", value: 2 }, { batchSize: 64 }, "warmup"),
      /warmup: the length/,
    );
    assert.throws(() => stepsIn({ unit: "seconds", value: 2 }, clock, "warmup"), /no length in steps/);
  });
});

suite("ticker", () => {
  const due = (
    text: string,
    steps: number,
    clock = { batchSize: 10, samplesPerEpoch: 25, totalSteps: 20 },
  ) => {
    const tick = ticker(parseDuration(text, "epochs", "k"), () => clock, "k");
    return Array.from({ length: steps }, (_, i) => i + 1).filter((step) => tick.due(step, step));
  };
  test("is due every so many steps, fractions of steps included", () => {
    assert.deepEqual(due("5 steps", 20), [5, 10, 15, 20]);
    assert.deepEqual(due("1", 10), [3, 5, 8, 10]);
    assert.deepEqual(due("50%", 20), [10, 20]);
  });

  test("is due by time, counted from the last time", () => assert.deepEqual(due("3s", 10), [3, 6, 9]));

  test("is never due at zero", () => assert.deepEqual(due("0", 50), []));

  test("a share of a run is not due before the run has a length", () => {
    const tick = ticker({ unit: "percent", value: 1 }, () => ({ batchSize: 1 }), "k");
    assert.equal(tick.due(5, 5), false);
  });

  test("in steps, gives a resumed run the same steps", () => {
    const fresh = ticker({ unit: "epochs", value: 1 }, () => ({ batchSize: 10, samplesPerEpoch: 25 }), "k");
    assert.equal(fresh.due(8, 0), true);
  });
});
