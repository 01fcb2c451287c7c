import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { keyFromSeed, Random } from "../src/core/random.js";
import type { Findings, FoundCell, FoundPanel, Levels } from "../src/study/answer/findings.js";
import { choicesOf } from "../src/study/together/decisions.js";
import { frontierPoints, luckOf } from "../src/study/together/frontier.js";
import { gapOf, levelWords, sharedScores } from "../src/study/together/shared.js";

interface CellInput {
  readonly levels: Levels;
  readonly gmacs: number;
  /** Value and half of its interval. */
  readonly score: readonly [number, number];
  readonly regimes?: readonly string[];
  readonly metric?: string;
}

const cellOf = ({ levels, gmacs, score, regimes = ["one pass"], metric = "acc1" }: CellInput): FoundCell => {
  const [value, half] = score;
  const found = { dataset: "pictures", task: "zeroshot_classification", metric };
  const interval = { value, low: value - half, high: value + half, n: 400 };
  return {
    ...{ levels, regimes, seeds: [0], pairs: 1000, samples: 1000, gmacs, seconds: 1 },
    scores: [{ ...found, ...interval, ...(metric === "acc1" && { chance: 0.01 }) }],
  };
};

/** A study made by hand; the factor that is asked about is the first of its cells. */
function study(name: string, inputs: readonly CellInput[], more: Partial<Findings> = {}): Findings {
  const factors = Object.keys(inputs[0]!.levels).map((factor) => ({
    name: factor,
    levels: [...new Set(inputs.map(({ levels }) => levels[factor]!))].map((level) => ({
      name: level,
      settings: [],
    })),
  }));
  return {
    ...{ format: 1, name, factors, seeds: [0], panels: [], curves: [], crossings: [] },
    ...{ repetitions: [], left: [] },
    question: { text: `Which ${factors[0]!.name}?`, factor: factors[0]!.name },
    score: { set: "pictures", metric: inputs[0]!.metric ?? "acc1" },
    regimes: [{ name: "one pass", length: { epochs: 1 } }],
    sets: [{ name: "pictures", role: "reference" }],
    cells: inputs.map(cellOf),
    ...more,
  };
}

const told = (of: readonly { readonly combination: { readonly cell: FoundCell } }[]) =>
  of.map(({ combination }) => levelWords(combination.cell.levels));

suite("the frontier of several studies", () => {
  test("is the brute-force one, whichever way is better", () => {
    const random = new Random(keyFromSeed(5));
    for (let round = 0; round < 60; round++) {
      const metric = round % 2 === 0 ? "acc1" : "image_retrieval_median_rank";
      const better = metric === "acc1" ? 1 : -1;
      const inputs = Array.from(
        { length: 24 },
        (_, at): CellInput => ({
          ...{ levels: { at: `${at}` }, metric },
          // Few values, so that costs and scores are often equal.
          gmacs: 1 + Math.floor(8 * random.uniform()),
          score: [0.1 + Math.floor(12 * random.uniform()) / 20, 0.02],
        }),
      );
      const [shared] = sharedScores([study("first", inputs.slice(0, 12)), study("second", inputs.slice(12))]);
      const all = shared!.combinations;
      const beats = (a: (typeof all)[number], b: (typeof all)[number]): boolean => {
        const gain = better * (a.score.value - b.score.value);
        const saved = b.cell.gmacs - a.cell.gmacs;
        return gain >= 0 && saved >= 0 && (gain > 0 || saved > 0);
      };
      const places = (some: readonly (typeof all)[number][]) =>
        [...new Set(some.map(({ cell, score }) => `${cell.gmacs} ${score.value}`))].sort();
      const brute = all.filter((one) => !all.some((other) => beats(other, one)));
      const points = frontierPoints(shared!).map(({ combination }) => combination);
      assert.deepEqual(places(points), places(brute), `round ${round}`);
      assert.equal(points.length, places(brute).length, "of equals one stands for all");
      assert.deepEqual(
        points.map(({ cell }) => cell.gmacs),
        points.map(({ cell }) => cell.gmacs).toSorted((a, b) => a - b),
      );
    }
  });

  test("has steps beyond noise, and says what is none and what is as good", () => {
    const [shared] = sharedScores([
      study("a", [
        { levels: { size: "S" }, gmacs: 1, score: [0.02, 0.009] },
        { levels: { size: "M" }, gmacs: 2, score: [0.2, 0.02] },
        { levels: { size: "L" }, gmacs: 4, score: [0.225, 0.02] },
        { levels: { size: "XL" }, gmacs: 8, score: [0.26, 0.02] },
      ]),
      study("b", [
        { levels: { part: "1 %" }, gmacs: 2, score: [0.19, 0.02] },
        { levels: { part: "2 %" }, gmacs: 8, score: [0.1, 0.02] },
      ]),
    ]);
    const points = frontierPoints(shared!);
    assert.deepEqual(
      points.map(({ combination, isStep, guessing, before, rivals }) => [
        combination.cell.levels.size,
        isStep,
        guessing,
        before?.combination.cell.levels.size,
        rivals.map(({ cell }) => levelWords(cell.levels)),
      ]),
      [
        // 1.1 % to 2.9 % are above guessing's 1 %; for six looks the interval is wider.
        ["S", false, true, undefined, []],
        ["M", true, false, undefined, ["part 1 %"]],
        ["L", false, false, "M", ["size M", "part 1 %"]],
        // It overlaps with L, which is no step, and not with M.
        ["XL", true, false, "M", ["size L"]],
      ],
    );
    const { value, low, high } = points[3]!.before!.gap;
    const half = Math.hypot(0.02, 0.02);
    assert.deepEqual(
      [value, low, high].map((x) => x.toFixed(6)),
      [0.06, 0.06 - half, 0.06 + half].map((x) => x.toFixed(6)),
    );
  });

  test("has the better one of two at a like cost, and no chain of such", () => {
    const [shared] = sharedScores([
      study(
        "a",
        [90, 93, 97, 100].map((gmacs, at) => ({
          ...{ levels: { at: `${gmacs}` }, gmacs, score: [0.2 + at / 10, 0.02] as const },
        })),
      ),
    ]);
    assert.deepEqual(told(frontierPoints(shared!)), ["at 93", "at 100"]);
  });

  test("tells how lucky the best of many alike is", () => {
    const alike = Array.from(
      { length: 5 },
      (_, at): CellInput => ({
        ...{ levels: { at: `${at}` }, gmacs: at + 1, score: [0.3 + at / 1000, 0.0196] },
      }),
    );
    const [shared] = sharedScores([
      study("a", [...alike, { levels: { at: "far" }, gmacs: 9, score: [0.1, 0.0196] }]),
    ]);
    const { best, rivals, excess } = luckOf(shared!);
    assert.deepEqual([best.cell.levels.at, rivals.length], ["4", 4]);
    // The expected largest of five normal numbers is 1.163 standard errors, here of 0.01.
    assert(Math.abs(excess - 0.01163) < 0.0003, `${excess}`);
    const [alone] = sharedScores([study("a", alike.slice(0, 1))]);
    assert.deepEqual([luckOf(alone!).rivals.length, luckOf(alone!).excess], [0, 0]);
  });
});

suite("scores that studies share", () => {
  const one: CellInput = { levels: { size: "S" }, gmacs: 1, score: [0.2, 0.02] };

  test("are of one set, metric and number of items", () => {
    const other = study("b", [{ ...one, levels: { part: "1 %" } }]);
    const fewer = {
      ...study("c", [one]),
      cells: other.cells.map((cell) => ({
        ...cell,
        scores: cell.scores.map((score) => ({ ...score, n: 100 })),
      })),
    };
    const ranks = study("d", [{ ...one, metric: "image_retrieval_median_rank" }]);
    const shared = sharedScores([study("a", [{ ...one, gmacs: 3 }]), other, fewer, ranks]);
    assert.deepEqual(
      shared.map(({ metric, items, studies }) => [metric.name, items, studies.map(({ name }) => name)]),
      [
        ["acc1", 400, ["a", "b"]],
        ["acc1", 100, ["c"]],
        ["image_retrieval_median_rank", 400, ["d"]],
      ],
    );
  });

  test("count the same runs once, and say who else has them", () => {
    const [shared] = sharedScores([study("a", [one]), study("b", [{ ...one, levels: { part: "1 %" } }])]);
    assert.deepEqual(
      shared!.combinations.map(({ study: name, also }) => [name, also]),
      [["a", ["b"]]],
    );
    assert.deepEqual(
      shared!.studies.map(({ name }) => name),
      ["a", "b"],
    );
    // Two levels of one study are two combinations, however alike.
    const [twice] = sharedScores([study("a", [one, { ...one, levels: { size: "M" } }])]);
    assert.equal(twice!.combinations.length, 2);
  });

  test("are refused of no study, and of two of one name", () => {
    assert.throws(() => sharedScores([]), /studies: at least one is needed; got none/);
    assert.throws(
      () => sharedScores([study("a", [one]), study("a", [one])]),
      /each must have its own name; got "a" twice\. Rename one of them/,
    );
  });
});

const panel = (
  rows: readonly CellInput[],
  verdicts: readonly (readonly [string, string, "first" | "second" | "cannot be told apart"])[],
): FoundPanel => ({
  ...{ regime: "one pass", others: {} },
  rows: rows.map((input) => ({ level: input.levels.size!, seeds: 1, score: cellOf(input).scores[0]! })),
  pairs: verdicts.map(([first, second, verdict]) => {
    const [a, b] = [first, second].map((name) => rows.find(({ levels }) => levels.size === name)!.score[0]);
    const value = a! - b!;
    const words = `${first} and ${second}: ${verdict}`;
    return { first, second, value, low: value - 0.01, high: value + 0.01, adjusted: 0.5, verdict, words };
  }),
});

suite("which level to take", () => {
  const rows: readonly CellInput[] = [
    { levels: { size: "S" }, gmacs: 1, score: [0.3, 0.02] },
    { levels: { size: "M" }, gmacs: 2, score: [0.33, 0.02] },
    { levels: { size: "L" }, gmacs: 4, score: [0.34, 0.05] },
    { levels: { size: "XL" }, gmacs: 8, score: [0.2, 0.02] },
  ];

  test("is the cheapest that cannot be told from the best, nor is worse than another such", () => {
    const found = choicesOf(
      study("a", rows, {
        panels: [
          panel(rows, [
            ["S", "M", "second"],
            ["S", "L", "cannot be told apart"],
            ["M", "L", "cannot be told apart"],
            ["XL", "L", "second"],
            ["XL", "S", "second"],
            ["XL", "M", "second"],
          ]),
        ],
      }),
    );
    assert.deepEqual(
      found.map(({ kind, of, take, alike, levels, gmacs, lead }) => ({
        ...{ kind, of, take, alike, levels, gmacs },
        lead: lead && [lead.level, lead.over, lead.words],
      })),
      [
        {
          ...{ kind: "asked", of: "size", take: "M", alike: ["L"], levels: 4, gmacs: [1, 8] },
          lead: ["L", "XL", "XL and L: second"],
        },
      ],
    );
    // The better one less the worse one, whichever the pair names first.
    assert.deepEqual(
      Object.values(found[0]!.lead!.gap).map((x) => x.toFixed(2)),
      ["0.14", "0.13", "0.15"],
    );
  });

  test("is left open where no level can be told", () => {
    const two = rows.slice(0, 2);
    const [choice] = choicesOf(
      study("a", two, { panels: [panel(two, [["S", "M", "cannot be told apart"]])] }),
    );
    assert.deepEqual([choice!.take, choice!.alike, choice!.levels, choice!.lead], ["S", ["M"], 2, undefined]);
  });

  test("is told of passes, and of parts and passes for the same multiply-adds, by intervals", () => {
    const passes = [1, 2, 4];
    const score: Readonly<Record<string, readonly [number, number]>> = {
      "1 % 1": [0.1, 0.01],
      "1 % 2": [0.2, 0.01],
      "1 % 4": [0.205, 0.01],
      "2 % 1": [0.15, 0.01],
      "2 % 2": [0.3, 0.01],
      "2 % 4": [0.4, 0.01],
    };
    const inputs = [1, 2].flatMap((part) =>
      passes.map(
        (count): CellInput => ({
          levels: { part: `${part} %` },
          gmacs: 10 * part * count,
          score: score[`${part} % ${count}`]!,
          regimes: [`${count} passes`],
        }),
      ),
    );
    const found = choicesOf(
      study("a", inputs, {
        regimes: passes.map((epochs) => ({ name: `${epochs} passes`, length: { epochs } })),
      }),
    );
    assert.deepEqual(
      found.map(({ of, others, gmacs, take, alike, lead }) => [
        of,
        levelWords(others),
        gmacs,
        take,
        alike,
        lead?.over,
      ]),
      [
        ["passes", "part 1 %", [10, 40], "2 passes", ["4 passes"], "1 passes"],
        ["passes", "part 2 %", [20, 80], "4 passes", [], "2 passes"],
        ["part and passes", "", [20, 20], "part 1 %, 2 passes", [], "part 2 %, 1 passes"],
        ["part and passes", "", [40, 40], "part 2 %, 2 passes", [], "part 1 %, 4 passes"],
      ],
    );
    assert(found.every(({ lead }) => lead?.words === undefined));
  });

  test("asks of other factors only where they cost alike", () => {
    const inputs = ["S", "M"].flatMap((size) =>
      [1, 2].flatMap((part): CellInput[] => [
        {
          ...{ levels: { size, part: `${part} %` }, gmacs: 10 * part, score: [0.1 * part, 0.01] },
          regimes: ["one pass"],
        },
        {
          ...{ levels: { size, part: `${part} %` }, gmacs: 40, score: [0.2 + 0.1 * part, 0.01] },
          regimes: ["equal samples"],
        },
      ]),
    );
    const found = choicesOf(
      study("a", inputs, {
        regimes: [
          { name: "one pass", length: { epochs: 1 } },
          { name: "equal samples", length: { samples: 4000 } },
        ],
      }),
    );
    assert.deepEqual(
      found.map(({ kind, of, regimes, others, take }) => [kind, of, regimes, levelWords(others), take]),
      ["S", "M"].map((size) => ["other", "part", ["equal samples"], `size ${size}`, "2 %"]),
    );
  });

  test("differences out of two intervals turn round where lower is better", () => {
    const metric = { ...sharedScores([study("a", rows)])[0]!.metric, better: "lower" as const };
    const gap = gapOf(metric, { value: 2, low: 1, high: 4 }, { value: 5, low: 4.5, high: 7 });
    assert.deepEqual([gap.value, gap.low, gap.high], [3, 3 - Math.hypot(2, 0.5), 3 + Math.hypot(1, 2)]);
  });
});
