import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { cellsOf, runsOf } from "../src/study/design/cells.js";
import { checkStudy, type StudyInput } from "../src/study/design/study.js";
import { bracketsOf } from "../src/study/halving/brackets.js";
import { costOf, keptOf, rungsOf, standingsOf } from "../src/study/halving/rungs.js";
import { pickedOf, simulateHalving } from "../src/study/halving/simulate.js";

const input: StudyInput = {
  question: { text: "Which rate?", factor: "lr", kind: "best" },
  recipe: { model: "clipwright-nano-32", trainData: ["shapes/"], batchSize: 10 },
  factors: { lr: [1e-4, 1e-3, 1e-2, 1e-1, 1], part: [0.5, 1] },
  regime: { epochs: 9 },
  seeds: 2,
  suite: { sets: { test: { data: "test/" } } },
  score: "test/acc1",
};
const facts = { pairsOf: () => 1000, gmacsOf: () => 0.01 };

const close = (a: number, b: number, within = 1e-12): void =>
  assert.ok(Math.abs(a - b) <= within, `${a} is not within ${within} of ${b}`);

describe("rungs of a halving", () => {
  it("are as many as leave two arms, none before a tenth of the run", () => {
    assert.deepEqual(rungsOf(2, 3), []);
    assert.deepEqual(rungsOf(5, 3), [1 / 3]);
    assert.deepEqual(rungsOf(9, 3), [1 / 9, 1 / 3]);
    // A third rung would be at 1/27.
    assert.deepEqual(rungsOf(100, 3), [1 / 9, 1 / 3]);
    assert.deepEqual(rungsOf(16, 4), [1 / 4]);
    assert.deepEqual(rungsOf(8, 2), [1 / 4, 1 / 2]);
  });

  it("keep a part of the arms, and never fewer than two", () => {
    assert.deepEqual(
      [1, 2, 3, 6, 7, 9].map((arms) => keptOf(arms, 3)),
      [1, 2, 2, 2, 3, 3],
    );
  });

  it("cost what the arms train", () => {
    // Five to a third, two to the end.
    close(costOf(5, 3), (5 / 3 + 2 * (2 / 3)) / 5);
    // Nine to a ninth, three to a third, two to the end.
    close(costOf(9, 3), (1 + 3 * (1 / 3 - 1 / 9) + 2 * (2 / 3)) / 9);
    assert.equal(costOf(2, 3), 1);
  });
});

describe("arms of a halving", () => {
  const arms = (...scores: readonly (readonly (number | undefined)[])[]) =>
    scores.map((own) => ({ scores: own, failed: false }));

  it("all come to a rung before one goes on from it", () => {
    assert.deepEqual(standingsOf(arms([0.3, undefined], [undefined, undefined]), 2, 3), [
      { rung: 0, state: "waits" },
      { rung: 0, state: "goes on" },
    ]);
  });

  it("are stopped where they fall behind", () => {
    const known = arms([0.1], [0.4], [0.2], [0.3], [0]);
    assert.deepEqual(
      standingsOf(known, 1, 3).map(({ state, rung }) => `${state} ${rung}`),
      ["stopped 0", "goes on 1", "stopped 0", "goes on 1", "stopped 0"],
    );
    const later = arms([0.1], [0.4, 0.5], [0.2, undefined], [0.3, undefined]);
    assert.deepEqual(
      standingsOf(later, 2, 2).map(({ state, rung }) => `${state} ${rung}`),
      ["stopped 0", "waits 1", "stopped 0", "goes on 1"],
    );
  });

  it("that fail are waited for no longer", () => {
    const known = [
      { scores: [0.1], failed: false },
      { scores: [undefined], failed: true },
      { scores: [0.2], failed: false },
    ];
    assert.deepEqual(
      standingsOf(known, 1, 3).map(({ state }) => state),
      ["goes on", "stopped", "goes on"],
    );
  });
});

describe("a study that asks which is best", () => {
  it("compares arms that are alike in all else, at the same steps", async () => {
    const study = await checkStudy(input);
    const brackets = bracketsOf(study, runsOf(study, cellsOf(study, facts)));
    assert.deepEqual(
      brackets.map(({ others, steps, arms }) => [others.part, steps, arms.map(({ runs }) => runs.length)]),
      [
        ["50 %", [150], [2, 2, 2, 2, 2]],
        ["100 %", [300], [2, 2, 2, 2, 2]],
      ],
    );
  });

  const refused = (change: Partial<StudyInput>, message: RegExp) =>
    assert.rejects(checkStudy({ ...input, ...change }), message);

  it("refuses to compare sizes, parts and schedules on the way", async () => {
    const models = { model: ["clipwright-nano-32", "clipwright-micro-32"] };
    const asks = (factor: string) => ({ question: { ...input.question, factor } });
    const { model: _, ...recipe } = input.recipe;
    await refused(
      { ...asks("model"), factors: models, recipe },
      /question\.kind: levels that differ in model cannot be told from the beginning/,
    );
    await refused(asks("part"), /levels that differ in part cannot/);
    await refused({ ...asks("warmup"), factors: { warmup: [0.1, 0.2] } }, /levels that differ in warmup/);
    await refused({ regime: { time: "1h" } }, /the regime must not be a time/);
    await refused({ question: { ...input.question, reduction: 1 } }, /question\.reduction: must be a whole/);
    await refused(
      { question: { ...input.question, kind: "compare", reduction: 3 } },
      /only stopped where question\.kind is "best"/,
    );
  });
});

describe("a simulated halving", () => {
  /** Nine arms, the fifth the best at every rung. */
  const means = Array.from({ length: 9 }, (_, at) =>
    [0.1, 0.3, 0.6].map((x) => x * (1 - 0.02 * (at - 4) ** 2)),
  );

  it("picks the best where there is no noise", () => {
    const { picksBest, picksWinner, regret, saved } = simulateHalving({ means, deviations: [0, 0, 0] });
    assert.deepEqual([picksBest, picksWinner, regret], [1, 1, 0]);
    close(saved, 1 - costOf(9, 3));
  });

  it("guesses where there is nothing else", () => {
    const alike = Array.from({ length: 9 }, () => [0, 0, 0]);
    const { picksBest, picksWinner } = simulateHalving({ means: alike, deviations: [1, 1, 1] });
    // One in nine; and the winner where it is among the two that come through rungs that say nothing of it.
    close(picksBest, 1 / 9, 0.025);
    close(picksWinner, 2 / 9, 0.03);
  });

  it("picks as often as one can work out", () => {
    // Three arms, the first better by δ at the rung, in the noise of one run: it is among the two that go on unless both others beat it.
    const three = [
      [1, 1],
      [0, 0],
      [0, 0],
    ] as const;
    const { picksBest } = simulateHalving({ means: three, deviations: [1, 1e-9] }, { trials: 20_000 });
    // P(z₁ + 1 < min(z₂, z₃)) by quadrature: 0.1132.
    close(1 - picksBest, 0.1132, 0.007);
  });

  it("is surer with seeds, and the same again", () => {
    const noisy = { means, deviations: [0.01, 0.01, 0.01] };
    const [one, four] = [simulateHalving(noisy), simulateHalving({ ...noisy, seeds: 4 })];
    assert.ok(four.picksBest > one.picksBest + 0.1, `${four.picksBest} against ${one.picksBest}`);
    assert.deepEqual(simulateHalving(noisy), one);
  });

  it("loses an arm whose curve is late", () => {
    // Behind at the rung, ahead at the end: as a high rate is before it comes down.
    assert.equal(
      pickedOf(
        [
          [0.3, 0.5],
          [0.2, 0.5],
          [0.1, 0.9],
        ],
        3,
      ),
      0,
    );
  });
});
