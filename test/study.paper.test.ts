import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { paperCurves } from "../src/study/paper/curves.js";
import { paperFacts } from "../src/study/paper/facts.js";
import { curvesOf, type PaperCurve } from "../src/study/paper/paper.js";

const M = 1e6;

/** Errors of a curve by its places. */
function errors(
  experiment: PaperCurve["experiment"],
  regime: PaperCurve["regime"],
  metric: PaperCurve["metric"],
  level: string,
): Map<number, number> {
  const found = paperCurves.filter(
    (one) =>
      one.experiment === experiment && one.regime === regime && one.metric === metric && one.level === level,
  );
  assert.equal(found.length, 1, `${experiment}, ${regime}, ${metric}, ${level}: ${found.length} curves`);
  return new Map(found[0]!.points.map(({ x, y }) => [x, y]));
}

const levels = (experiment: PaperCurve["experiment"], metric: PaperCurve["metric"] = "zero-shot") => [
  ...new Set(
    paperCurves
      .filter((one) => one.experiment === experiment && one.metric === metric)
      .map(({ level }) => level),
  ),
];

/** The level with the least error at a place. */
const bestAt = (
  x: number,
  experiment: PaperCurve["experiment"],
  regime: PaperCurve["regime"],
  metric: PaperCurve["metric"] = "zero-shot",
): string =>
  levels(experiment, metric).reduce((a, b) =>
    errors(experiment, regime, metric, b).get(x)! < errors(experiment, regime, metric, a).get(x)! ? b : a,
  );

suite("the paper's curves", () => {
  test("are percent at ascending places, each level once a figure", () => {
    for (const { points, level, figure } of paperCurves) {
      assert(points.length >= 4, figure);
      for (const [at, { x, y, readOff }] of points.entries()) {
        assert(x > 0 && y > 0 && y < 100, `${figure}, ${level}`);
        assert(readOff === 0.3 || readOff === 0.7);
        if (at > 0) assert(x > points[at - 1]!.x, `${figure}, ${level}`);
      }
    }
    const keys = paperCurves.map(({ experiment, regime, metric, level }) =>
      [experiment, regime, metric, level].join(),
    );
    assert.equal(new Set(keys).size, keys.length);
    assert.equal(paperCurves.length, 30 + 10 + 15 + 30 + 10 + 4 + 24);
  });

  test("hold what was read off", () => {
    assert.equal(errors("data quantity", "passes", "zero-shot", "25M pairs").get(16), 69.9);
    assert.equal(
      errors("data quality", "one pass", "zero-shot", "best by image–text similarity").get(0.6),
      37.3,
    );
    assert.equal(errors("ViT sizes", "one pass", "zero-shot", "ViT-L/16").get(3400 * M), 28.6);
    assert.equal(errors("ViT sizes", "one pass", "image → text", "ViT-Ti/16").get(25 * M), 97.7); // R@1 2.3 %
    assert.equal(errors("ViT sizes", "equal samples", "linear probe", "ViT-S/16").get(10 * M), 49.8);
    assert.equal(errors("encoders", "one pass", "linear probe", "ResNet-50").get(50 * M), 54.4);
    assert.equal(errors("augmentation", "passes", "zero-shot", "Stacked RandAugment").get(25 * M), 59.2);
    assert.equal(errors("strategies", "equal samples", "text → image", "SLIP").get(3400 * M), 68.2);
    const hidden = paperCurves.find(
      ({ experiment, metric, level }) => [experiment, metric, level].join() === "strategies,zero-shot,SLIP",
    )!.points[1]!;
    assert.deepEqual(hidden, { x: 25 * M, y: 59.3, readOff: 0.7 });
  });

  test("show what the text says of them", () => {
    // More passes: nothing from 16 to 32 at 25M pairs, a point at 400M; and more pairs are better at each number of passes.
    const quantity = (level: string) => errors("data quantity", "passes", "zero-shot", level);
    const gain = (level: string) => quantity(level).get(16)! - quantity(level).get(32)!;
    assert(gain("25M pairs") < 0.3 && gain("400M pairs") >= 1);
    for (const passes of [2, 4, 8, 16, 32]) {
      const row = levels("data quantity").map((level) => quantity(level).get(passes)!);
      assert.deepEqual(
        row,
        [...row].sort((a, b) => b - a),
      );
    }
    // Selection: 40 % beat all in one pass; at equal samples 40 % for zero-shot, 20 % for few-shot, 80 % for retrieval.
    const quality = (regime: PaperCurve["regime"], metric: PaperCurve["metric"]) =>
      errors("data quality", regime, metric, "best by image–text similarity");
    assert(quality("one pass", "zero-shot").get(0.4)! < quality("one pass", "zero-shot").get(1)!);
    for (const [metric, best] of [
      ["zero-shot", 0.4],
      ["5-shot", 0.2],
      ["10-shot", 0.2],
      ["image → text", 0.8],
      ["text → image", 0.8],
    ] as const) {
      const [at] = [...quality("equal samples", metric)].reduce((a, b) => (b[1] < a[1] ? b : a));
      assert.equal(at, best, metric);
    }
    // One pass over all: the larger the better; ViT-L/16 is behind ViT-B/16 below 200M.
    assert.equal(bestAt(3400 * M, "ViT sizes", "one pass"), "ViT-L/16");
    for (const x of [25, 50, 100].map((n) => n * M))
      assert(
        errors("ViT sizes", "one pass", "zero-shot", "ViT-L/16").get(x)! >
          errors("ViT sizes", "one pass", "zero-shot", "ViT-B/16").get(x)!,
      );
    // Equal samples: no gain beyond 400M pairs.
    for (const level of levels("ViT sizes")) {
      const iso = errors("ViT sizes", "equal samples", "zero-shot", level);
      assert(iso.get(10 * M)! - iso.get(400 * M)! > 30, level);
      assert(iso.get(400 * M)! - iso.get(3400 * M)! < 2.5, level);
    }
    assert.equal(bestAt(100 * M, "encoders", "equal samples"), "ViT-B/32");
    assert.equal(bestAt(3400 * M, "encoders", "equal samples"), "ViT-B/32");
    // Augmentation is worth about twice the data.
    const augmented = errors("augmentation", "passes", "zero-shot", "Stacked RandAugment").get(25 * M)!;
    assert(
      Math.abs(augmented - errors("augmentation", "passes", "zero-shot", "no augmentation").get(50 * M)!) < 2,
    );
    for (const metric of ["image → text", "text → image"] as const)
      assert.equal(bestAt(3400 * M, "strategies", "equal samples", metric), "SLIP");
    assert.equal(bestAt(50 * M, "strategies", "equal samples", "shifts"), "CLIP + augmentation");
  });

  test("come with facts for every experiment, of the text and of the figures", () => {
    for (const experiment of new Set(paperCurves.map((curve) => curve.experiment)))
      for (const by of ["text", "figure"])
        assert(
          paperFacts.some((fact) => fact.experiment === experiment && fact.by === by),
          experiment,
        );
  });
});

suite("curvesOf", () => {
  test("reads hidden markers, and refuses a row of another length", () => {
    const head = { experiment: "encoders", figure: "0", regime: "one pass", over: "pairs" } as const;
    assert.deepEqual(curvesOf(head, [1, 2], { "5-shot": { a: "90.5 ~80" } }, { a: 4 }), [
      {
        ...head,
        metric: "5-shot",
        level: "a",
        gmacs: 4,
        points: [
          { x: 1, y: 90.5, readOff: 0.3 },
          { x: 2, y: 80, readOff: 0.7 },
        ],
      },
    ]);
    assert.throws(() => curvesOf(head, [1, 2], { "5-shot": { a: "90.5" } }), /0, a: 2 values; got 1/);
  });
});
