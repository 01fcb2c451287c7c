import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { suite, test } from "node:test";
import { fileURLToPath } from "node:url";
import { type LineChart, lineChart } from "../src/report/charts/chart.js";
import { linearScale, logScale, shortNumber } from "../src/report/charts/scale.js";
import { type Point, smooth, thinEvenly, thinToExtremes } from "../src/report/charts/series.js";

/** Figures are reviewed as diffs: `UPDATE_FIGURES=1 node dist/test/run.js report.chart` writes them anew. */
function assertFigure(name: string, markup: string): void {
  const file = fileURLToPath(new URL(`../../test/fixtures/report/${name}.html`, import.meta.url));
  if (process.env.UPDATE_FIGURES === "1") {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, `${markup}\n`);
  }
  assert.equal(`${markup}\n`, readFileSync(file, "utf8"), `${name}: look at the diff, then UPDATE_FIGURES=1`);
}

const base: LineChart = {
  title: "Loss",
  sentence: "Falls.",
  xLabel: "steps",
  lines: [{ name: "loss", points: [] }],
};

suite("lineChart", () => {
  test("counts along its axis in whole numbers, however few", () => {
    const points = [0, 1, 2].map((x): Point => [x, 1 - x / 4]);
    const { text } = lineChart({ ...base, lines: [{ name: "loss", points }] });
    const ticks = [...text.matchAll(/text-anchor="middle">([\d.]+)</g)].map(([, label]) => label);
    assert.deepEqual(ticks, ["0", "1", "2"]);
  });

  test("draws a smoothed line over a faint one, with a reference line and a legend", () => {
    const points = [5.5, 4.9, 5.2, 4.1, 3.9, 3.6].map((y, i): Point => [i * 100, y]);
    const figure = lineChart({
      ...base,
      lines: [
        { name: "as logged", points, faint: true },
        { name: "smoothed", points: smooth(points, 2) },
      ],
      references: [
        { value: Math.log(256), label: "guessing, 5.55", always: true },
        { value: 0, label: "out of reach" },
      ],
    }).text;
    assertFigure("line", figure);
    assert.ok(!figure.includes("out of reach"));
  });

  test("draws a logarithmic axis and leaves out what has no place on it", () => {
    const points: Point[] = [
      [0, 120],
      [1, 0],
      [2, 9],
      [3, Number.NaN],
      [4, 0.8],
    ];
    const figure = lineChart({ ...base, log: true, lines: [{ name: "norm", points }] }).text;
    assertFigure("log", figure);
    assert.ok(!figure.includes("NaN") && !figure.includes("Infinity"));
  });

  test("draws scores in percent with their intervals as a band", () => {
    assertFigure(
      "band",
      lineChart({
        ...base,
        unit: " %",
        fromZero: true,
        lines: [
          {
            name: "top-1",
            dots: true,
            points: [
              [1, 10],
              [2, 20],
            ],
            band: [
              [1, 8, 12],
              [2, 17, 23],
            ],
          },
        ],
      }).text,
    );
  });

  test("draws a constant and a single point without dividing by zero", () => {
    for (const points of [
      [
        [1, 3],
        [2, 3],
      ],
      [[0, 0]],
      [],
    ] as Point[][]) {
      for (const log of [false, true]) {
        const figure = lineChart({ ...base, log, lines: [{ name: "constant", points }] }).text;
        assert.doesNotMatch(figure, /NaN|Infinity/);
      }
    }
  });
});

suite("scales", () => {
  test("put round ticks at 1, 2 or 5 times a power of ten", () => {
    const labels = (low: number, high: number): string[] =>
      linearScale([low, high], [0, 100]).ticks.map(({ label }) => label);
    assert.deepEqual(labels(0.6, 5.8), ["1", "2", "3", "4", "5"]);
    assert.deepEqual(labels(0, 614400), ["0", "100k", "200k", "300k", "400k", "500k", "600k"]);
    assert.deepEqual(labels(0, 0.001), ["0", "2e-4", "4e-4", "6e-4", "8e-4", "1e-3"]);
    assert.deepEqual(labels(-1, 1), ["-1.0", "-0.5", "0", "0.5", "1.0"]);
    assert.deepEqual(
      logScale([0.8, 120], [100, 0]).ticks.map(({ label }) => label),
      ["1", "10", "100"],
    );
    assert.deepEqual(
      logScale([1, 30], [100, 0]).ticks.map(({ label }) => label),
      ["1", "2", "5", "10", "20"],
    );
  });

  test("send the ends of the domain to the ends of the range", () => {
    for (const scale of [linearScale([2, 50], [10, 90]), logScale([2, 50], [10, 90])]) {
      assert.equal(scale.at(2), 10);
      assert.ok(Math.abs(scale.at(50) - 90) < 1e-9);
    }
  });

  test("shorten numbers", () => {
    assert.deepEqual(
      [1234567, 2500, 999, 0.0456, 0.00002, -3e9, 0].map((x) => shortNumber(x)),
      ["1.23M", "2.5k", "999", "0.0456", "2e-5", "-3G", "0"],
    );
  });
});

suite("series", () => {
  const noisy = Array.from({ length: 5000 }, (_, i): Point => [i, i === 1234 ? 99 : Math.sin(i)]);

  test("smooth keeps a constant and starts at the first point", () => {
    const flat = Array.from({ length: 9 }, (_, i): Point => [i, 4]);
    for (const [, y] of smooth(flat, 3)) assert.ok(Math.abs(y - 4) < 1e-12);
    assert.equal(smooth(noisy, 50)[0]![1], 0);
    // After `halfLife` points the start weighs as much as all that came since.
    const step = smooth(
      [
        ...Array.from({ length: 400 }, (_, i): Point => [i, 0]),
        ...Array.from({ length: 10 }, (_, i): Point => [400 + i, 1]),
      ],
      10,
    );
    assert.ok(Math.abs(step.at(-1)![1] - 0.5) < 1e-9);
  });

  test("thinToExtremes keeps the peaks and the order", () => {
    const thin = thinToExtremes(noisy, 200);
    assert.ok(thin.length <= 200);
    assert.ok(thin.some(([x, y]) => x === 1234 && y === 99));
    assert.ok(thin.every(([x], i) => i === 0 || x > thin[i - 1]![0]));
  });

  test("thinEvenly keeps the first and the last", () => {
    const thin = thinEvenly(noisy, 100);
    assert.equal(thin.length, 100);
    assert.deepEqual([thin[0]![0], thin.at(-1)![0]], [0, 4999]);
  });
});
