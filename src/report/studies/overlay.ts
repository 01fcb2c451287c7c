/** The paper's figure 1a out of one's own studies: every combination's error over its multiply-adds; and what of the paper's own could be read. */

import { frontier } from "../../study/laws/crossing.js";
import { paperCurves } from "../../study/paper/curves.js";
import type { PaperExperiment } from "../../study/paper/paper.js";
import { B32_GMACS, spentAt } from "../../study/paper/spent.js";
import type { FrontierPoint } from "../../study/together/frontier.js";
import { type Combination, levelWords, type SharedScore } from "../../study/together/shared.js";
import { shortNumber } from "../charts/scale.js";
import type { Drawing, DrawnPoint } from "../study/draw.js";
import { Styles } from "../study/figures.js";
import { errorOf, type Measure } from "../study/measures.js";

/** A unit of multiply-adds that makes numbers of a chart readable. */
export interface ComputeUnit {
  readonly name: string;
  /** 10⁹ multiply-adds in it. */
  readonly gmacs: number;
}

const UNITS: readonly ComputeUnit[] = [
  { name: "10¹²", gmacs: 1e3 },
  { name: "10¹⁵", gmacs: 1e6 },
  { name: "10¹⁸", gmacs: 1e9 },
];

/** 10¹² as studies tell their compute, and more where all took more. */
export const unitFor = (gmacs: readonly number[]): ComputeUnit =>
  UNITS.findLast((unit) => Math.max(...gmacs) >= 3 * unit.gmacs) ?? UNITS[0]!;

/** `0.0909`. */
export const inUnit = (gmacs: number, unit: ComputeUnit): string =>
  String(Number((gmacs / unit.gmacs).toPrecision(3)));

/** A combination in words: levels and regimes. */
export const what = ({ cell }: Combination): string =>
  `${levelWords(cell.levels)}; ${cell.regimes.join(" and ")}`;

const seedWords = (count: number): string => (count === 1 ? "1 seed" : `${count} seeds`);

/** All combinations, a mark a study, with the frontier's line and the intervals of its points. */
export function overlayOf(
  { combinations, studies, metric, set, items }: SharedScore,
  points: readonly FrontierPoint[],
  { label, bounds }: Measure,
  unit: ComputeUnit,
): Drawing {
  const best = new Map(points.map((point) => [point.combination, point]));
  const errorsOf = ({ score }: Combination) => errorOf(metric.name, score);
  const number = (x: number): string => (bounds === undefined ? x.toPrecision(3) : x.toFixed(1));
  const styles = new Styles(studies.map(({ name }) => name));
  const place = ({ cell }: Combination): number => cell.gmacs / unit.gmacs;
  const drawn = (one: Combination): DrawnPoint => {
    const { value, low, high } = errorsOf(one);
    return {
      x: place(one),
      y: value,
      ...(best.has(one) && { low, high }),
      words: `${one.study}, ${what(one)}: ${number(value)} (${number(low)} – ${number(high)}), ${inUnit(one.cell.gmacs, unit)} · ${unit.name} multiply-adds, ${seedWords(one.cell.seeds.length)}`,
    };
  };
  const steps = points.filter(({ isStep }) => isStep).length;
  return {
    id: `overlay ${set} ${metric.name} ${items}`.toLowerCase().replace(/[^a-z0-9]+/g, "-"),
    title: "Here: every combination of every study",
    sentence: `The line joins the ${points.length} of ${combinations.length} that no other beats for as few multiply-adds, with their 95 % intervals; ${steps} of them ${steps === 1 ? "is a step" : "are steps"} beyond noise.`,
    x: { label: `multiply-adds of training, ${unit.name}`, scale: "log" },
    y: { label, scale: "linear", bounds },
    lines: studies.map(({ name }) => ({
      name,
      style: styles.of(name),
      points: combinations.filter(({ study }) => study === name).map(drawn),
    })),
    guides: [
      {
        name: "frontier",
        kind: "strong",
        points: points.map(({ combination }) => [place(combination), errorsOf(combination).value] as const),
      },
    ],
    table: {
      columns: ["", "combination", `multiply-adds, ${unit.name}`, label, "95 % interval", "seeds"],
      rows: combinations.map((one) => {
        const { value, low, high } = errorsOf(one);
        return [
          [one.study, ...one.also].join(" and "),
          what(one),
          inUnit(one.cell.gmacs, unit),
          number(value),
          `${number(low)} – ${number(high)}`,
          String(one.cell.seeds.length),
        ];
      }),
    },
  };
}

/** Every zero-shot error of the paper that could be read off, over its multiply-adds, a mark an experiment. */
export function paperOverlay(): Drawing {
  const runs = paperCurves
    .filter(({ metric }) => metric === "zero-shot")
    .flatMap((curve) =>
      curve.points.map(({ x, y }) => {
        const { samples } = spentAt(curve, x);
        const gmacs = samples * (curve.gmacs ?? B32_GMACS);
        return { experiment: curve.experiment, level: curve.level, samples, gmacs, y };
      }),
    );
  const unit = unitFor(runs.map(({ gmacs }) => gmacs));
  const best = frontier(runs.map((run) => ({ ...run, cost: run.gmacs, score: -run.y })));
  const experiments = [...new Set(runs.map(({ experiment }): PaperExperiment => experiment))];
  const styles = new Styles(experiments);
  return {
    id: "overlay-paper",
    title: "In the paper: what could be read",
    sentence: `Its figure 1a lays all of its runs over each other, and could not be read; these ${runs.length} are of its figures 1b, 2, 5, 8b, 9, 13a and 17: zero-shot errors on ImageNet. The line joins what no other beats for as little.`,
    x: { label: `multiply-adds of training, ${unit.name}`, scale: "log" },
    y: { label: "error, %", scale: "linear", bounds: [0, 100] },
    lines: experiments.map((name) => ({
      name,
      style: styles.of(name),
      points: runs
        .filter(({ experiment }) => experiment === name)
        .map(({ level, samples, gmacs, y }) => ({
          x: gmacs / unit.gmacs,
          y,
          words: `${name}, ${level}, ${shortNumber(samples)} samples: ${y.toFixed(1)}, ${inUnit(gmacs, unit)} · ${unit.name} multiply-adds`,
        })),
    })),
    guides: [
      {
        name: "frontier",
        kind: "strong",
        points: best.map(({ cost, y }) => [cost / unit.gmacs, y] as const),
      },
    ],
    table: {
      columns: ["", "", "samples", `multiply-adds, ${unit.name}`, "error, %"],
      rows: runs.map(({ experiment, level, samples, gmacs, y }) => [
        experiment,
        level,
        shortNumber(samples),
        inUnit(gmacs, unit),
        y.toFixed(1),
      ]),
    },
  };
}
