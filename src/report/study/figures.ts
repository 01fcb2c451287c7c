/** The figures of a study's page: its own cells in the forms of the paper's figures, and the paper's curves in the same form. */

import type { Findings, FoundBand, FoundCell } from "../../study/answer/findings.js";
import { frontier } from "../../study/laws/crossing.js";
import { paperCurves } from "../../study/paper/curves.js";
import type { PaperCurve, PaperExperiment, PaperMetric, PaperRegime } from "../../study/paper/paper.js";
import { shortNumber } from "../charts/scale.js";
import type { Drawing, DrawnLine, DrawnPoint } from "./draw.js";
import { errorIn, type Measure } from "./measures.js";
import { type Along, levelsOf, type View } from "./views.js";

const tenth = (value: number): string => value.toFixed(1);
export const slug = (text: string): string =>
  text
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-|-$/g, "");

/** A number of a measure: shares with a tenth of a percent, others with three digits. */
const told = ({ bounds }: Measure, value: number): string =>
  bounds === undefined ? String(Number(value.toPrecision(3))) : tenth(value);

const seedsOf = ({ seeds }: FoundCell): string => (seeds.length === 1 ? "1 seed" : `${seeds.length} seeds`);

/** What the paper calls otherwise than a recipe does. */
const CALLED: Readonly<Record<string, string>> = { "clip + augmentation": "clip-aug" };

/** Styles by name, a study's own levels first: what is called alike looks alike. */
export class Styles {
  private readonly known = new Map<string, number>();

  constructor(names: readonly string[] = []) {
    for (const name of names) this.of(name);
  }

  of(name: string): number {
    const key = keyOf(name);
    if (!this.known.has(key)) this.known.set(key, 1 + Math.max(-1, ...this.known.values()));
    return this.known.get(key)!;
  }

  /**
   * Of a chart of other lines: the styles of the levels that are called alike, or are the only ones of their family (`ViT` and
   * `ViT-B/32`); new ones from the first on where none is.
   */
  for(names: readonly string[]): Styles {
    const keys = names.map(keyOf);
    const ofFamily = (all: readonly string[], key: string) =>
      all.filter((one) => familyOf(one) === familyOf(key));
    const alike = keys.map((key) => {
      if (this.known.has(key)) return key;
      const [own, ...more] = ofFamily([...this.known.keys()], key);
      return more.length === 0 && ofFamily(keys, key).length === 1 ? own : undefined;
    });
    const looks = new Styles();
    if (alike.every((one) => one === undefined)) return looks;
    for (const [key, style] of this.known) looks.known.set(key, style);
    for (const [at, own] of alike.entries())
      if (own !== undefined) looks.known.set(keys[at]!, this.known.get(own)!);
    return looks;
  }
}

const keyOf = (name: string): string => CALLED[name.toLowerCase()] ?? name.toLowerCase();
const familyOf = (key: string): string => key.split(/[-/ ]/)[0]!;

/** Crossings that are drawn. */
const MOST_PLACES = 2;

/** A measure's errors in one view. `curves`: laws through the runs, where they are over the same axis. */
export function courseOf(
  findings: Findings,
  measure: Measure,
  { title, along, lines, regimes }: View,
  styles: Styles,
): Drawing | undefined {
  const { question, curves, crossings } = findings;
  const isAsked =
    along.key === question.over &&
    regimes.length === 1 &&
    measure.dataset === findings.score.set &&
    measure.metric === findings.score.metric;
  const fits = isAsked ? curves.filter(({ regime }) => regime === regimes[0]) : [];
  const looks = styles.for(lines.map(({ name }) => name));
  const drawn = lines.flatMap(({ name, cells }): DrawnLine[] => {
    const points = cells.flatMap((cell) => pointOf(cell, measure, along, name));
    if (points.length === 0) return [];
    const fit = fits.find(({ level, drawn: line }) => level === name && line !== undefined);
    const curve = fit && scaledCurve(measure, fit.drawn!);
    return [{ name, style: looks.of(name), points, joined: curve === undefined, curve }];
  });
  if (drawn.length === 0) return undefined;
  const crossed = isAsked
    ? crossings.flatMap(({ regime, found }) => (regime === regimes[0] && "x" in found ? [found] : []))
    : [];
  // The intervals of many cover each other; under "Curves" each is told.
  const places = crossed.length > MOST_PLACES ? [] : crossed;
  const repeated = lines.some(({ cells }) => cells.some(({ seeds }) => seeds.length > 1));
  const curved = drawn.some(({ curve }) => curve !== undefined);
  return {
    id: slug(`own ${measure.id} ${title || along.key}`),
    title: `Here: ${title === "" ? `by ${along.label}` : title}`,
    sentence: `${curved ? "Lines are laws fitted to all runs, with their 95 % bands; " : ""}${curved ? "whiskers" : "Whiskers"} are 95 % intervals over ${repeated ? "seeds and test items" : "test items alone: one seed each"}.${
      places.length > 0 ? " Dashed: where one level overtakes another, its interval in grey." : ""
    }`,
    x: { label: along.label, scale: along.scale, ticks: along.ticks },
    y: { label: measure.label, scale: "linear", bounds: measure.bounds },
    lines: drawn,
    places,
    table: tableOf(measure, along, lines),
  };
}

/** The numbers of a chart of cells. */
export function tableOf(measure: Measure, along: Along, lines: View["lines"]): Drawing["table"] {
  return {
    columns: ["", along.label, measure.label, "95 % interval", "seeds"],
    rows: lines.flatMap(({ name, cells }) =>
      cells.flatMap((cell) => {
        const error = errorIn(cell, measure);
        return error === undefined
          ? []
          : [
              [
                name,
                shortNumber(along.of(cell)),
                told(measure, error.value),
                `${told(measure, error.low)} – ${told(measure, error.high)}`,
                String(cell.seeds.length),
              ],
            ];
      }),
    ),
  };
}

/** A cell as a point of the line called `name`; none where it was not scored so. */
export function pointOf(cell: FoundCell, measure: Measure, along: Along, name: string): DrawnPoint[] {
  const error = errorIn(cell, measure);
  if (error === undefined) return [];
  const x = along.of(cell);
  const { value, low, high } = error;
  const words = `${name}, ${shortNumber(x)} ${along.label}: ${told(measure, value)} (${told(measure, low)} – ${told(measure, high)}), ${seedsOf(cell)}`;
  return [{ x, y: value, low, high, words }];
}

/** A law's curve in the unit of the chart. Laws of shares are laws of 1 − share, or of the share where lower is better. */
export function scaledCurve({ bounds }: Measure, drawn: FoundBand): FoundBand {
  const factor = bounds === undefined ? 1 : 100;
  return drawn.map(({ x, value, low, high }) => ({
    x,
    value: factor * value,
    low: factor * low,
    high: factor * high,
  }));
}

const OVER: Readonly<
  Record<PaperCurve["over"], { readonly label: string; readonly scale: "log" | "linear" }>
> = {
  pairs: { label: "different pairs", scale: "log" },
  epochs: { label: "passes over the set", scale: "log" },
  share: { label: "best pairs kept, %", scale: "linear" },
};

const REGIMES: Readonly<Record<PaperRegime, string>> = {
  "one pass": "one pass over each set",
  "equal samples": "3.4G samples, whatever the set",
  passes: "several passes",
};

/** The paper's curves by the same measure in the same regime. */
export function paperCourse(
  experiment: PaperExperiment,
  regime: PaperRegime,
  metric: PaperMetric,
  styles: Styles,
): Drawing | undefined {
  const curves = paperCurves.filter(
    (curve) => curve.experiment === experiment && curve.regime === regime && curve.metric === metric,
  );
  const first = curves[0];
  if (first === undefined) return undefined;
  const { label, scale } = OVER[first.over];
  const looks = styles.for(curves.map(({ level }) => level));
  const placeOf = (x: number): number => (first.over === "share" ? 100 * x : x);
  return {
    id: slug(`paper ${regime} ${metric}`),
    title: `In the paper: ${REGIMES[regime]}`,
    sentence: `${figureWords(first.figure)} of the paper, ${metric}, read off to ±0.3 points (±0.7 where a marker is hidden).`,
    x: { label, scale },
    y: { label: "error, %", scale: "linear", bounds: [0, 100] },
    lines: curves.map(({ level, points }) => ({
      name: level,
      style: looks.of(level),
      joined: true,
      points: points.map(({ x, y, readOff }) => ({
        x: placeOf(x),
        y,
        low: y - readOff,
        high: y + readOff,
        words: `${level}, ${shortNumber(placeOf(x))} ${label}: ${tenth(y)} ± ${readOff}`,
      })),
    })),
    table: {
      columns: ["", label, "error, %", "read off to ±"],
      rows: curves.flatMap(({ level, points }) =>
        points.map(({ x, y, readOff }) => [level, shortNumber(placeOf(x)), tenth(y), String(readOff)]),
      ),
    },
  };
}

const figureWords = (figure: string): string => `Figure${/[,t]/.test(figure) ? "s" : ""} ${figure}`;

/** Another measure against the study's own: each cell a point. */
export function againstOf(
  findings: Findings,
  first: Measure,
  other: Measure,
  styles: Styles,
): Drawing | undefined {
  const { factor } = findings.question;
  const lines = levelsOf(findings, factor).flatMap((name): DrawnLine[] => {
    const points = findings.cells
      .filter(({ levels }) => levels[factor] === name)
      .flatMap((cell) => pairOf(cell, first, other, name));
    return points.length === 0 ? [] : [{ name, style: styles.of(name), points }];
  });
  if (lines.length === 0) return undefined;
  return {
    id: slug(`against ${other.id}`),
    title: other.title,
    sentence:
      "Every combination of the study is a point; lower and further left is better. Whiskers are 95 % intervals.",
    x: { label: first.label, scale: "linear", bounds: first.bounds },
    y: { label: other.label, scale: "linear", bounds: other.bounds },
    lines,
    table: {
      columns: ["", first.label, other.label],
      rows: lines.flatMap(({ name, points }) =>
        points.map(({ x, y }) => [name, told(first, x), told(other, y)]),
      ),
    },
  };
}

function pairOf(cell: FoundCell, first: Measure, other: Measure, name: string): DrawnPoint[] {
  const [x, y] = [errorIn(cell, first), errorIn(cell, other)];
  if (x === undefined || y === undefined) return [];
  const place = Object.values(cell.levels).join(", ");
  const words = `${place}: ${told(first, x.value)} and ${told(other, y.value)}`;
  return [{ x: x.value, y: y.value, low: y.low, high: y.high, words: words === "" ? name : words }];
}

/** The paper's errors by another metric against its zero-shot errors. */
export function paperAgainst(
  experiment: PaperExperiment,
  metric: PaperMetric,
  styles: Styles,
): Drawing | undefined {
  const of = (one: PaperMetric) =>
    paperCurves.filter((curve) => curve.experiment === experiment && curve.metric === one);
  const lines = new Map<string, DrawnPoint[]>();
  for (const curve of of(metric)) {
    const zero = of("zero-shot").find(
      ({ regime, level }) => regime === curve.regime && level === curve.level,
    );
    for (const { x, y } of curve.points) {
      const at = zero?.points.find((point) => point.x === x);
      if (at === undefined) continue;
      const points = lines.get(curve.level) ?? [];
      points.push({ x: at.y, y, words: `${curve.level}, ${curve.regime}: ${tenth(at.y)} and ${tenth(y)}` });
      lines.set(curve.level, points);
    }
  }
  if (lines.size === 0 || metric === "zero-shot") return undefined;
  const looks = styles.for([...lines.keys()]);
  const figures = [...new Set([...of("zero-shot"), ...of(metric)].map(({ figure }) => figure))].join(", ");
  return {
    id: slug(`paper against ${metric}`),
    title: `In the paper: ${metric}`,
    sentence: `Figures ${figures} of the paper laid over each other; errors on ImageNet and its variants, or 100 less R@1 on COCO.`,
    x: { label: "zero-shot error, %", scale: "linear", bounds: [0, 100] },
    y: { label: `${metric}, error, %`, scale: "linear", bounds: [0, 100] },
    lines: [...lines].map(([name, points]) => ({ name, style: looks.of(name), points })),
    table: {
      columns: ["", "zero-shot error, %", `${metric}, error, %`],
      rows: [...lines].flatMap(([name, points]) => points.map(({ x, y }) => [name, tenth(x), tenth(y)])),
    },
  };
}

/** Levels of the factor that is asked about, in the study's order, as far as there are cells of them. */
const presentLevels = (
  { factors, question: { factor } }: Findings,
  of: readonly { readonly cell: FoundCell }[],
): readonly string[] =>
  levelsOf({ factors }, factor).filter((name) => of.some(({ cell }) => cell.levels[factor] === name));

/** Error over compute, with the line of those that no other beats for as little. */
export function frontierOf(findings: Findings, measure: Measure, styles: Styles): Drawing | undefined {
  const { factor } = findings.question;
  const scored = findings.cells.flatMap((cell) => {
    const error = errorIn(cell, measure);
    return error === undefined ? [] : [{ cell, error, cost: cell.gmacs, score: -error.value }];
  });
  const costs = scored.map(({ cost }) => cost);
  // Where all cost alike, the levels are compared already.
  if (scored.length < 2 || Math.max(...costs) < 1.05 * Math.min(...costs)) return undefined;
  const best = frontier(scored);
  const names = presentLevels(findings, scored);
  return {
    id: "frontier",
    title: "Here: every combination",
    sentence: `The line joins the ${best.length} of ${scored.length} that no other beats for as few multiply-adds. It runs through means: where whiskers overlap, a neighbour may be as good.`,
    x: { label: "GMACs of training", scale: "log" },
    y: { label: measure.label, scale: "linear", bounds: measure.bounds },
    lines: names.map((name) => ({
      name,
      style: styles.of(name),
      points: scored
        .filter(({ cell }) => cell.levels[factor] === name)
        .map(({ cell, error }) => ({
          x: cell.gmacs,
          y: error.value,
          low: error.low,
          high: error.high,
          words: `${combination(cell)}: ${told(measure, error.value)}, ${shortNumber(cell.gmacs)} GMACs`,
        })),
    })),
    guides: [
      {
        name: "frontier",
        kind: "strong",
        points: best.map(({ cost, error }) => [cost, error.value] as const),
      },
    ],
    table: {
      columns: ["No other is as good for as little", "GMACs", measure.label, "95 % interval", "training"],
      rows: best.map(({ cell, error }) => [
        combination(cell),
        shortNumber(cell.gmacs),
        told(measure, error.value),
        `${told(measure, error.low)} – ${told(measure, error.high)}`,
        clock(cell.seconds),
      ]),
    },
  };
}

/** The paper's errors over compute, where it has them for runs of different lengths. */
export function paperFrontier(experiment: PaperExperiment, styles: Styles): Drawing | undefined {
  const curves = paperCurves.filter(
    (curve) =>
      curve.experiment === experiment &&
      curve.regime === "one pass" &&
      curve.metric === "zero-shot" &&
      curve.gmacs !== undefined,
  );
  const spent = curves.flatMap(({ level, gmacs, points }) =>
    points.map(({ x, y }) => ({ level, pairs: x, y, cost: x * gmacs!, score: -y })),
  );
  if (spent.length === 0) return undefined;
  const best = frontier(spent);
  const looks = styles.for(curves.map(({ level }) => level));
  return {
    id: "paper-frontier",
    title: "In the paper: one pass over each set",
    sentence: `${figureWords(curves[0]!.figure)} of the paper: zero-shot error over multiply-adds a sample times samples. The line joins what nothing beats for as little.`,
    x: { label: "GMACs of training", scale: "log" },
    y: { label: "error, %", scale: "linear", bounds: [0, 100] },
    lines: curves.map(({ level: name }) => ({
      name,
      style: looks.of(name),
      points: spent
        .filter(({ level }) => level === name)
        .map(({ cost, y, pairs }) => ({
          x: cost,
          y,
          words: `${name}, ${shortNumber(pairs)} pairs: ${tenth(y)}`,
        })),
    })),
    guides: [{ name: "frontier", kind: "strong", points: best.map(({ cost, y }) => [cost, y] as const) }],
    table: {
      columns: ["No other is as good for as little", "pairs", "GMACs", "error, %"],
      rows: best.map(({ level, pairs, cost, y }) => [level, shortNumber(pairs), shortNumber(cost), tenth(y)]),
    },
  };
}

/** Ratios within which a forecast is held to be right. */
const NEAR = 1.25;

/** Seconds that a run takes, of cells whose runs tell what was predicted for them: means over those. */
export interface Forecast {
  readonly cell: FoundCell;
  readonly foretold: number;
  readonly real: number;
}

export const forecastsOf = ({ cells }: Findings): readonly Forecast[] =>
  cells.flatMap((cell) => {
    if (cell.spent === undefined) return [];
    const { runs, predictedSeconds, seconds } = cell.spent;
    return [{ cell, foretold: predictedSeconds / runs, real: seconds / runs }];
  });

/** Seconds of runs, beginning and scoring included: foretold and real. */
export function costsOf(findings: Findings, styles: Styles): Drawing | undefined {
  const { factor } = findings.question;
  const known = forecastsOf(findings);
  if (known.length === 0) return undefined;
  const all = known.flatMap(({ real, foretold }) => [real, foretold]);
  const ends = [Math.min(...all) / 1.1, Math.max(...all) * 1.1] as const;
  const diagonal = (ratio: number) => ends.map((x) => [x, ratio * x] as const);
  const near = known.filter(({ real, foretold }) => Math.max(real / foretold, foretold / real) <= NEAR);
  const names = presentLevels(findings, known);
  return {
    id: "costs",
    title: "Seconds of a run: foretold and real",
    sentence: `${near.length} of ${known.length} forecasts are within a quarter (the outer dashed lines); above the middle line a run took longer than was foretold.`,
    x: { label: "foretold, s", scale: "log" },
    y: { label: "real, s", scale: "log" },
    lines: names.map((name) => ({
      name,
      style: styles.of(name),
      points: known
        .filter(({ cell }) => cell.levels[factor] === name)
        .map(({ cell, foretold, real }) => ({
          x: foretold,
          y: real,
          words: `${combination(cell)}: ${clock(foretold)} foretold, ${clock(real)} real`,
        })),
    })),
    guides: [1 / NEAR, 1, NEAR].map((ratio) => ({
      ...{ name: `${ratio}`, kind: "dashed" as const },
      points: diagonal(ratio),
    })),
    table: {
      columns: ["", "foretold", "real", "real / foretold"],
      rows: known.map(({ cell, foretold, real }) => [
        combination(cell),
        clock(foretold),
        clock(real),
        (real / foretold).toFixed(2),
      ]),
    },
  };
}

/** A cell in words. */
export const combination = ({ levels, regimes }: Pick<FoundCell, "levels" | "regimes">): string =>
  `${Object.values(levels).join(", ")}; ${regimes.join(" and ")}`;

/** `42 s`, `12 min`, `3.4 h`. */
export function clock(seconds: number): string {
  if (seconds < 100) return `${Number(seconds.toPrecision(2))} s`;
  return seconds < 6000
    ? `${Number((seconds / 60).toPrecision(2))} min`
    : `${Number((seconds / 3600).toPrecision(2))} h`;
}
