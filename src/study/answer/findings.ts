/**
 * What a study came to, whole, in `findings.json` of its folder: cells with all their scores, what they say to the question, what they took,
 * and what is missing. The study's page is made of it alone, wherever the runs are.
 */

import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { UsageError } from "../../core/errors.js";
import { readJsonObject, writeFileAtomic } from "../../core/files.js";
import { verdictWords } from "../../evaluate/compare.js";
import type { Interval } from "../../evaluate/statistics/bootstrap.js";
import type { SetRole } from "../../evaluate/suites/score.js";
import { shiftScores } from "../../evaluate/suites/shifts.js";
import { findMetric } from "../../evaluate/tasks/index.js";
import type { TaskScore } from "../../evaluate/tasks/task.js";
import type { Cell } from "../design/cells.js";
import type { PartInput, RegimeInput, Study } from "../design/study.js";
import { type FitOptions, holdOutLargest, type LawFit, type Parameter, predict } from "../laws/fit.js";
import type { LawPoint } from "../laws/law.js";
import { type Spent, spentBy } from "../run/costs.js";
import { type Answer, type Curve, type CurveCrossing, type DoneRun, meanScore } from "./answer.js";
import { RESAMPLES, type Repetition } from "./repetition.js";
import type { CurvePoint } from "./telling.js";

/** Level by factor. */
export type Levels = Readonly<Record<string, string>>;

export interface FoundScore extends Interval {
  /** A set of the suite, or `mean of 3 shifts`. */
  readonly dataset: string;
  readonly task: string;
  readonly metric: string;
  /** What guessing gives, where there is such a thing. */
  readonly chance?: number | undefined;
}

/** Runs that differ in their seed alone. */
export interface FoundCell {
  readonly levels: Levels;
  readonly regimes: readonly string[];
  readonly seeds: readonly number[];
  /** Pairs of its part of the data. */
  readonly pairs: number;
  /** Means over seeds: samples seen, multiply-adds (10⁹), seconds of training. */
  readonly samples: number;
  readonly gmacs: number;
  readonly seconds: number;
  /** What its runs took beside what was predicted for them when they began; undefined where none tells. */
  readonly spent?: Spent | undefined;
  /** Means over seeds; intervals over seeds and test items, over items alone where there is one seed. */
  readonly scores: readonly FoundScore[];
}

/** One panel of levels: everything else alike. */
export interface FoundPanel {
  readonly regime: string;
  readonly others: Levels;
  readonly rows: readonly { readonly level: string; readonly seeds: number; readonly score: Interval }[];
  readonly pairs: readonly {
    readonly first: string;
    readonly second: string;
    /** First less second, in the score's unit. */
    readonly value: number;
    readonly low: number;
    readonly high: number;
    /** p, corrected (Holm) over all panels. */
    readonly adjusted: number;
    readonly verdict: "first" | "second" | "cannot be told apart";
    /** The same as a sentence. */
    readonly words: string;
  }[];
}

/** A law through runs, or why there is none. */
export interface FoundLaw {
  readonly level: string;
  readonly refused?: string | undefined;
  readonly formula?: string | undefined;
  readonly parameters?: readonly Parameter[] | undefined;
  readonly r2?: number | undefined;
  readonly warnings?: readonly string[] | undefined;
  /** What the other runs foretell of the one that spent most. */
  readonly heldOut?:
    | {
        readonly x: number;
        readonly y: number;
        readonly predicted: number;
        readonly low: number;
        readonly high: number;
      }
    | undefined;
}

/** A curve with its band of 95 %, at even ratios of x. */
export type FoundBand = readonly {
  readonly x: number;
  readonly value: number;
  readonly low: number;
  readonly high: number;
}[];

export interface FoundCurve extends FoundLaw {
  readonly regime: string;
  readonly points: readonly CurvePoint[];
  readonly drawn?: FoundBand | undefined;
}

/** What samples are worth that are seen again. */
export interface FoundRepetition extends FoundLaw {
  /** Error over samples of a set of `unique` pairs, for each set that is seen more than once. */
  readonly drawn?: readonly { readonly unique: number; readonly curve: FoundBand }[] | undefined;
}

export interface Findings {
  readonly format: 1;
  readonly name: string;
  readonly question: {
    readonly text: string;
    readonly factor: string;
    readonly over?: Study["question"]["over"] | undefined;
  };
  /** Sources that the runs were trained on, where no level says otherwise; files of earlier versions do not tell. */
  readonly trainData?: readonly string[] | undefined;
  readonly score: Study["score"];
  readonly factors: readonly {
    readonly name: string;
    readonly levels: readonly {
      readonly name: string;
      /** Settings of the recipe that it changes. */
      readonly settings: readonly string[];
      readonly part?: PartInput | undefined;
    }[];
  }[];
  readonly regimes: Study["regimes"];
  readonly seeds: readonly number[];
  readonly sets: readonly { readonly name: string; readonly role: SetRole }[];
  readonly cells: readonly FoundCell[];
  readonly panels: readonly FoundPanel[];
  readonly curves: readonly FoundCurve[];
  readonly crossings: readonly CurveCrossing[];
  /** None where the study's question is not over samples, or no set is seen more than once. */
  readonly repetitions: readonly FoundRepetition[];
  /** Runs that are not done, with the reason where one failed. */
  readonly left: readonly {
    readonly levels: Levels;
    readonly regimes: readonly string[];
    readonly seed: number;
    readonly failed?: string | undefined;
  }[];
  /** What the done runs took beside what was predicted, where they were measured. */
  readonly spent?: Spent | undefined;
}

export interface FindingsInput {
  readonly study: Study;
  readonly answer: Answer;
  readonly done: readonly DoneRun[];
  readonly left: readonly { readonly cell: Cell; readonly seed: number; readonly failed?: string }[];
}

const FILE = "findings.json";
/** Places at which a curve is drawn; at fewer, where there is one for each set. */
const PLACES = 48;
const PLACES_OF_REPEATED = 20;

export function findingsOf({ study, answer, done, left }: FindingsInput): Findings {
  const { name, question, recipe, score, regimes, seeds, suite } = study;
  const { text, factor, over } = question;
  const byCell = new Map<Cell, DoneRun[]>();
  for (const run of done) byCell.set(run.cell, [...(byCell.get(run.cell) ?? []), run]);
  const spent = spentBy(done.map(({ result }) => result));
  return {
    format: 1,
    name,
    question: { text, factor, ...(over !== undefined && { over }) },
    ...(recipe.trainData !== undefined && { trainData: [recipe.trainData].flat() }),
    score,
    factors: study.factors.map((one) => ({
      name: one.name,
      levels: one.levels.map((level) => ({
        name: level.name,
        settings: Object.keys(level.recipe),
        ...(level.part !== undefined && { part: level.part }),
      })),
    })),
    regimes,
    seeds,
    sets: suite.sets.map((set) => ({ name: set.name, role: set.role })),
    cells: [...byCell].map(([cell, own]) => cellOf(study, cell, own)),
    panels: answer.panels.map(({ regime, others, rows, pairs }) => ({
      regime,
      others,
      rows: rows.map((row) => ({ level: row.level, seeds: row.seeds.length, score: row.score })),
      pairs: pairs.map((pair) => {
        const { first, second, value, low, high, adjusted, verdict } = pair;
        const words = verdictWords(pair, answer.metric);
        return { first, second, value, low, high, adjusted, verdict, words };
      }),
    })),
    curves: answer.curves.map(curveOf),
    crossings: answer.crossings,
    repetitions: answer.repetitions.map(repetitionOf),
    left: left.map(({ cell, seed, failed }) => ({
      levels: cell.levels,
      regimes: cell.regimes,
      seed,
      ...(failed !== undefined && { failed }),
    })),
    ...(spent && { spent }),
  };
}

function cellOf(study: Study, cell: Cell, own: readonly DoneRun[]): FoundCell {
  const mean = (value: (run: DoneRun) => number): number =>
    own.reduce((sum, run) => sum + value(run), 0) / own.length;
  const roles = new Map(study.suite.sets.map(({ name, role }) => [name, role]));
  const all = own.map(({ result }) => {
    const scored = result.scored.map((one) => {
      const role = roles.get(one.dataset);
      return { ...one, records: [], notes: [], details: undefined, ...(role && { role }) };
    });
    const shifts = shiftScores(scored).map(({ dataset, task, mean: score }) => ({
      dataset,
      task,
      scores: [score],
    }));
    return [...scored, ...shifts].flatMap(({ dataset, task, scores }) =>
      scores.map((score) => ({ dataset, task, score })),
    );
  });
  const scores = all[0]!.flatMap(({ dataset, task, score: first }): FoundScore[] => {
    const metric = findMetric(first.metric);
    const same = all.flatMap((run): TaskScore[] =>
      run
        .filter((one) => one.dataset === dataset && one.task === task && one.score.metric === first.metric)
        .map(({ score }) => score),
    );
    if (metric === undefined || same.length < own.length) return [];
    const found = { dataset, task, metric: first.metric, ...meanScore(metric, same) };
    return [{ ...found, ...(first.chance !== undefined && { chance: first.chance }) }];
  });
  const spent = spentBy(own.map(({ result }) => result));
  return {
    levels: cell.levels,
    regimes: cell.regimes,
    seeds: own.map(({ seed }) => seed),
    pairs: cell.pairs,
    samples: mean(({ result }) => result.samples),
    gmacs: mean(({ result }) => result.gmacs),
    seconds: mean(({ result }) => result.seconds),
    ...(spent && { spent }),
    scores,
  };
}

function curveOf({ regime, level, points, fit }: Curve): FoundCurve {
  if ("refused" in fit) return { regime, level, points, refused: fit.refused };
  const xs = fit.points.map(({ x }) => x);
  const drawn = bandOf(fit, [Math.min(...xs), Math.max(...xs)], PLACES);
  return { regime, points, ...lawOf(level, fit), drawn };
}

function repetitionOf({ level, fit }: Repetition): FoundRepetition {
  if ("refused" in fit) return { level, refused: fit.refused };
  const sets = [...new Set(fit.points.map(({ unique }) => unique!))].sort((a, b) => a - b);
  const drawn = sets.flatMap((unique) => {
    const most = Math.max(...fit.points.filter((one) => one.unique === unique).map(({ x }) => x));
    return most > unique
      ? [{ unique, curve: bandOf(fit, [unique, most], PLACES_OF_REPEATED, { unique }) }]
      : [];
  });
  return { ...lawOf(level, fit, { resamples: RESAMPLES }), drawn };
}

function bandOf(
  fit: LawFit,
  [least, most]: readonly [number, number],
  places: number,
  rest: Partial<LawPoint> = {},
): FoundBand {
  return Array.from({ length: places }, (_, i) => {
    const x = least * (most / least) ** (i / (places - 1));
    const { value, low, high } = predict(fit, { ...rest, x });
    return { x, value, low, high };
  });
}

function lawOf(level: string, fit: LawFit, options: FitOptions = {}): FoundLaw {
  const { law, points, parameters, r2, warnings } = fit;
  return { level, formula: law.formula, parameters, r2, warnings, ...tryHeldOut(law, points, options) };
}

function tryHeldOut(...[law, points, options]: Parameters<typeof holdOutLargest>): Pick<FoundLaw, "heldOut"> {
  try {
    const { point, predicted, low, high } = holdOutLargest(law, points, options);
    return { heldOut: { x: point.x, y: point.y, predicted, low, high } };
  } catch (error) {
    // Without its largest runs the curve has too few.
    if (error instanceof UsageError) return {};
    throw error;
  }
}

/** Writes `findings.json` into the study's folder. */
export function writeFindings(folder: string, findings: Findings): void {
  writeFileAtomic(join(folder, FILE), `${JSON.stringify(findings, undefined, 1)}\n`);
}

const levels = z.record(z.string(), z.string());
const names = z.array(z.string());
const interval = { value: z.number(), low: z.number(), high: z.number() };
const score = z.object({ ...interval, n: z.number() });
const share = z.number();
const part = z.union([
  z.object({ random: share }),
  z.object({ top: share, scores: z.string(), by: z.string() }),
]);
const length = z.union([
  z.object({ epochs: z.number() }),
  z.object({ samples: z.number() }),
  z.object({ gmacs: z.number() }),
  z.object({ time: z.string() }),
]) satisfies z.ZodType<RegimeInput>;
const point = z.object({
  x: z.number(),
  y: z.number(),
  unique: z.number().optional(),
  guessing: z.boolean().optional(),
});
const band = z.array(z.object({ x: z.number(), ...interval }));
const law = {
  level: z.string(),
  refused: z.string().optional(),
  formula: z.string().optional(),
  parameters: z.array(z.object({ name: z.string(), ...interval, unknown: z.string().optional() })).optional(),
  r2: z.number().optional(),
  warnings: names.optional(),
  heldOut: z
    .object({ x: z.number(), y: z.number(), predicted: z.number(), low: z.number(), high: z.number() })
    .optional(),
};
const spent = z.object({
  runs: z.number(),
  predictedSeconds: z.number(),
  seconds: z.number(),
  load: z.number(),
}) satisfies z.ZodType<Spent>;
const schema = z.object({
  format: z.literal(1),
  name: z.string(),
  question: z.object({
    text: z.string(),
    factor: z.string(),
    over: z.enum(["samples", "gmacs", "seconds"]).optional(),
  }),
  trainData: names.optional(),
  score: z.object({ set: z.string(), metric: z.string() }),
  factors: z.array(
    z.object({
      name: z.string(),
      levels: z.array(z.object({ name: z.string(), settings: names, part: part.optional() })),
    }),
  ),
  regimes: z.array(z.object({ name: z.string(), length })),
  seeds: z.array(z.number()),
  sets: z.array(z.object({ name: z.string(), role: z.enum(["test", "reference", "shift", "train"]) })),
  cells: z
    .array(
      z.object({
        levels,
        regimes: names,
        seeds: z.array(z.number()),
        pairs: z.number(),
        samples: z.number(),
        gmacs: z.number(),
        seconds: z.number(),
        spent: spent.optional(),
        scores: z.array(
          z.object({
            dataset: z.string(),
            task: z.string(),
            metric: z.string(),
            ...score.shape,
            chance: z.number().optional(),
          }),
        ),
      }),
    )
    .min(1),
  panels: z.array(
    z.object({
      regime: z.string(),
      others: levels,
      rows: z.array(z.object({ level: z.string(), seeds: z.number(), score })),
      pairs: z.array(
        z.object({
          first: z.string(),
          second: z.string(),
          ...interval,
          adjusted: z.number(),
          verdict: z.enum(["first", "second", "cannot be told apart"]),
          words: z.string(),
        }),
      ),
    }),
  ),
  curves: z.array(z.object({ ...law, regime: z.string(), points: z.array(point), drawn: band.optional() })),
  crossings: z.array(
    z.object({
      regime: z.string(),
      first: z.string(),
      second: z.string(),
      found: z.union([
        z.object({
          x: z.number(),
          low: z.number(),
          high: z.number(),
          overtakes: z.enum(["first", "second"]),
          share: z.number(),
        }),
        z.object({ unknown: z.string() }),
      ]),
    }),
  ),
  repetitions: z
    .array(z.object({ ...law, drawn: z.array(z.object({ unique: z.number(), curve: band })).optional() }))
    .default([]),
  left: z.array(z.object({ levels, regimes: names, seed: z.number(), failed: z.string().optional() })),
  spent: spent.optional(),
});

/** What the study in `folder` came to. Throws `UsageError` where it has no `findings.json` or the file is damaged. */
export function readFindings(folder: string): Findings {
  const file = join(folder, FILE);
  const { success, data, error } = schema.safeParse(readJsonObject(file));
  if (success) return data as Findings;
  const { path, message } = error.issues[0]!;
  throw new UsageError(
    `${file}: ${path.join(".")}: must be what a study wrote; ${message.toLowerCase()}. Give clipwright study the study's file again: it writes it anew.`,
    { file, key: path.join(".") },
  );
}

/** The studies in `folder`, by name: what each of its folders with a `findings.json` came to, called as that folder is. Throws `UsageError`. */
export function readStudies(folder: string): readonly Findings[] {
  const names = studiesIn(folder);
  if (names.length === 0)
    throw new UsageError(
      `${folder}: no folder in it has a ${FILE}. Name the folder that holds the studies' folders, or run a study.`,
      { file: folder },
    );
  return names.map((name) => ({ ...readFindings(join(folder, name)), name }));
}

/** The folders of `folder` that hold a study's findings, by name. */
export const studiesIn = (folder: string): readonly string[] =>
  statSync(folder, { throwIfNoEntry: false })?.isDirectory() === true
    ? readdirSync(folder)
        .filter((name) => existsSync(join(folder, name, FILE)))
        .sort()
    : [];
