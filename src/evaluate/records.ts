/**
 * Scores as lines of `evaluation.jsonl` and as a table for the terminal. Tasks and metrics bear CLIP_benchmark's names, so
 * that notebooks written for it read them.
 */

import { InternalError, oneLine, UsageError } from "../core/errors.js";
import type { CorruptionName } from "../data/pixels/corrupt/corruption.js";
import type { Interval } from "./statistics/bootstrap.js";
import { type Verdict, verdictOf } from "./statistics/verdict.js";
import { findMetric } from "./tasks/index.js";

/** When and on what a score was taken; left out of the line where not given. */
export interface EvaluationContext {
  /** Optimizer steps done. */
  readonly step?: number;
  readonly samplesSeen?: number;
  /** Multiply-adds of the forward passes of training so far, all views and heads. */
  readonly macs?: number;
  /** Part of the data set, e.g. `val`. */
  readonly split?: string;
  /** How many of the data set's images stand in the training data too; left out where nobody has looked. */
  readonly seen?: number;
}

/** What a score on corrupted pictures says besides. */
export interface CorruptedScore {
  /** The data set as it is. */
  readonly of: string;
  /** `all`: the mean over all kinds and strengths. */
  readonly kind: CorruptionName | "all";
  /** 1 … 5; left out of means over strengths. */
  readonly strength?: number;
  readonly seed: number;
  /** Share of the clean score, its interval paired by sample; left out where the clean score is 0. */
  readonly kept?: Omit<Interval, "n">;
}

/** One line of `evaluation.jsonl`. Shares are in 0…1; ranks count from 1; losses are in nats. */
export interface EvaluationRecord extends Interval, EvaluationContext {
  readonly dataset: string;
  readonly task: string;
  readonly metric: string;
  /** What guessing gives, in the metric's unit: see each task. */
  readonly chance?: number;
  readonly corruption?: CorruptedScore;
}

/** `val_loss` of task `contrastive`: the training loss on held-out pairs. */
export const lossRecord = (
  dataset: string,
  loss: Interval,
  context: EvaluationContext = {},
): EvaluationRecord => recordOf({ dataset, task: "contrastive", metric: "val_loss", ...loss, ...context });

/** The fields of a record, in the order of the line, without those that are not given. */
export function recordOf(fields: EvaluationRecord): EvaluationRecord {
  const { dataset, task, metric, value, low, high, n, chance, seen, step, samplesSeen, macs, split } = fields;
  const { corruption } = fields;
  return {
    ...{ dataset, task, metric, value, low, high, n },
    ...(chance !== undefined && { chance }),
    ...(seen !== undefined && { seen }),
    ...(step !== undefined && { step }),
    ...(samplesSeen !== undefined && { samplesSeen }),
    ...(macs !== undefined && { macs }),
    ...(split !== undefined && { split }),
    ...(corruption !== undefined && { corruption }),
  };
}

/** One line of `evaluation.jsonl`, with its newline: dataset, task, metric, value, low, high, n, chance, then the context. */
export function evaluationLine(score: EvaluationRecord): string {
  for (const number of [score.value, score.low, score.high, score.n]) {
    if (!Number.isFinite(number)) {
      throw new InternalError(`evaluation.jsonl: ${score.dataset} ${score.metric} is not finite`);
    }
  }
  return `${JSON.stringify(recordOf(score))}\n`;
}

/** Writes all `records` with one call of `append`, so that a crash leaves whole lines or none. */
export async function appendEvaluation(
  records: readonly EvaluationRecord[],
  append: (text: string) => void | Promise<void>,
): Promise<void> {
  await append(records.map(evaluationLine).join(""));
}

/**
 * Reads `evaluation.jsonl`. A last line without its newline was cut off by a crash and is left out; any other bad line is
 * a `UsageError` that names it.
 */
export function parseEvaluation(text: string, file = "evaluation.jsonl"): EvaluationRecord[] {
  return text
    .split("\n")
    .slice(0, -1)
    .flatMap((line, index) => {
      if (line.trim() === "") return [];
      const value = parseLine(line);
      if (value === undefined) {
        throw new UsageError(
          `${file}:${index + 1}: a line must be {"dataset","task","metric","value","low","high","n"}; got ${line.slice(0, 60)}. Delete this line.`,
        );
      }
      return [value];
    });
}

function parseLine(line: string): EvaluationRecord | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null) return undefined;
  const fields = value as Record<string, unknown>;
  const complete =
    ["dataset", "task", "metric"].every((key) => typeof fields[key] === "string") &&
    ["value", "low", "high", "n"].every((key) => typeof fields[key] === "number");
  return complete ? (value as EvaluationRecord) : undefined;
}

/** What is made of a metric over a suite's shifts, by the ending of its name: see `suites/shifts.ts`. */
const DERIVED: Readonly<Record<string, string>> = { _drop: "lost", _above_line: "above the line" };

/** A metric's name for people: `acc1` is `top-1`, `image_retrieval_recall@5` is `text → image R@5`. */
export function metricWords(metric: string): string {
  if (metric === "val_loss") return "held-out loss";
  for (const [ending, words] of Object.entries(DERIVED))
    if (metric.endsWith(ending)) return `${metricWords(metric.slice(0, -ending.length))}, ${words}`;
  return findMetric(metric)?.words ?? metric.replaceAll("_", " ");
}

/** Whether a metric is a share in 0…1, to be shown in percent, rather than a rank, a loss or another number. */
export const isShare = (metric: string): boolean =>
  findMetric(metric)?.kind === "share" ||
  (findMetric(metric) === undefined && !/(?:rank|loss)$/.test(metric));

/** The verdict on a score against guessing, where its chance is known. */
export const verdictOn = (score: EvaluationRecord): Verdict | undefined =>
  verdictOf(score, findMetric(score.metric)?.better ?? "higher");

/** A number of a metric for people: `25.3`, in percent, for a share; ranks and losses as they are. */
function numberWords(metric: string, x: number): string {
  if (isShare(metric)) return (100 * x).toFixed(1);
  return metric.endsWith("rank") ? `${Math.round(x * 10) / 10}` : x.toFixed(3);
}

/** A score for people: `25.3 %`, its interval `23.1 – 27.4`, and `chance 0.06 %` where it is known. */
export function scoreWords(score: EvaluationRecord): {
  value: string;
  interval: string;
  chance: string | undefined;
} {
  const { metric, value, low, high, chance } = score;
  const unit = isShare(metric) ? " %" : "";
  // Chance among many classes is small: two digits that count.
  const small = isShare(metric) && chance !== undefined && chance > 0 && chance < 0.0095;
  const byChance =
    chance === undefined ? undefined : small ? (100 * chance).toPrecision(1) : numberWords(metric, chance);
  return {
    value: `${numberWords(metric, value)}${unit}`,
    interval: `${numberWords(metric, low)} – ${numberWords(metric, high)}`,
    chance: byChance === undefined ? undefined : `${byChance}${unit}`,
  };
}

/** What stands before a chance that a score is not better than. */
const MARKS = { better: "", guessing: "≈ ", worse: "> " } as const;

/** Scores on pictures as they are; those of corrupted ones have tables of their own (`corruptionTables`). */
export const cleanScores = (records: readonly EvaluationRecord[]): EvaluationRecord[] =>
  records.filter(({ corruption }) => corruption === undefined);

/**
 * The scores as a table of plain text, one a line under the name of their data, with 95 % intervals, what guessing gives,
 * and n. Below it stands what the marks mean, and which data the model has been trained on.
 */
export function evaluationTable(all: readonly EvaluationRecord[]): string {
  const records = cleanScores(all);
  const header = ["", "score", "95 % interval", "chance", "n"];
  const rows = records.map((score) => {
    const { value, interval, chance } = scoreWords(score);
    const marked = chance === undefined ? "" : `${MARKS[verdictOn(score)!]}${chance}`;
    return [`  ${metricWords(score.metric)}`, value, interval, marked, score.n.toLocaleString("en-US")];
  });
  const columns = [...header.keys()].filter(
    (c) => header[c] !== "chance" || rows.some((row) => row[c] !== ""),
  );
  const widths = columns.map((c) => Math.max(...[header, ...rows].map((row) => row[c]!.length)));
  const format = (row: readonly string[]): string =>
    columns
      .map((c, at) => (c === 0 ? row[c]!.padEnd(widths[at]!) : row[c]!.padStart(widths[at]!)))
      .join("  ")
      .trimEnd();
  const lines = [format(header)];
  let previous: string | undefined;
  for (const [i, { dataset, split }] of records.entries()) {
    const name = split === undefined ? dataset : `${dataset} (${split})`;
    if (name !== previous) lines.push(oneLine(name));
    previous = name;
    lines.push(format(rows[i]!));
  }
  return `${[...lines, ...remarks(records)].join("\n")}\n`;
}

/** Scores of several models side by side: a line a data set and metric, a column a model, intervals beside the scores. */
export function modelsTable(
  models: readonly { readonly name: string; readonly records: readonly EvaluationRecord[] }[],
): string {
  const keyOf = ({ dataset, split, metric }: EvaluationRecord) => JSON.stringify([dataset, split, metric]);
  const rows = new Map(
    models.flatMap(({ records }) => cleanScores(records).map((score) => [keyOf(score), score] as const)),
  );
  const body = Array.from(rows, ([key, { dataset, metric }]) => [
    `${oneLine(dataset)}  ${metricWords(metric)}`,
    ...models.map(({ records }) => {
      const score = records.find((one) => keyOf(one) === key);
      if (score === undefined) return "–";
      const { value, interval } = scoreWords(score);
      return `${value} (${interval})`;
    }),
  ]);
  const table = [["", ...models.map(({ name }) => oneLine(name))], ...body];
  const widths = table[0]!.map((_, c) => Math.max(...table.map((row) => row[c]!.length)));
  const lines = table.map((row) =>
    row
      .map((cell, c) => (c === 0 ? cell.padEnd(widths[c]!) : cell.padStart(widths[c]!)))
      .join("  ")
      .trimEnd(),
  );
  return `${[...lines, ...new Set(models.flatMap(({ records }) => seenRemarks(records)))].join("\n")}\n`;
}

/** What must be known to read scores in a table: what its marks mean, and which data were trained on. */
function remarks(records: readonly EvaluationRecord[]): string[] {
  const verdicts = new Set(records.map(verdictOn));
  return [
    ...(verdicts.has("guessing") ? ["≈ not distinguishable from guessing: the interval holds chance."] : []),
    ...(verdicts.has("worse") ? ["> worse than guessing."] : []),
    ...seenRemarks(records),
  ];
}

/** One line for each data set of which pictures were trained on. */
export function seenRemarks(records: readonly EvaluationRecord[]): string[] {
  const seen = new Map(records.filter((r) => (r.seen ?? 0) > 0).map((r) => [r.dataset, r.seen!]));
  return Array.from(
    seen,
    ([dataset, count]) =>
      `${dataset}: ${count.toLocaleString("en-US")} of its pictures ${count === 1 ? "was" : "were"} trained on; new ones may score lower.`,
  );
}
