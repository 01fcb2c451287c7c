/**
 * Scores as lines of `evaluation.jsonl` and as a table for the terminal. Tasks and metrics bear CLIP_benchmark's names, so
 * that notebooks written for it read them.
 */

import { InternalError, UsageError } from "../core/errors.js";
import type { Interval } from "./statistics/bootstrap.js";
import type { RetrievalResult } from "./tasks/retrieval.js";
import type { ZeroshotResult } from "./tasks/zeroshot.js";

/** When and on what a score was taken; left out of the line where not given. */
export interface EvaluationContext {
  /** Optimizer steps done. */
  readonly step?: number;
  readonly samplesSeen?: number;
  /** Part of the data set, e.g. `val`. */
  readonly split?: string;
}

/** One line of `evaluation.jsonl`. Shares are in 0…1; ranks count from 1; losses are in nats. */
export interface EvaluationRecord extends Interval, EvaluationContext {
  readonly dataset: string;
  readonly task: string;
  readonly metric: string;
}

/** `acc1`, `acc5` and `mean_per_class_recall` of task `zeroshot_classification`. */
export function zeroshotRecords(
  dataset: string,
  result: ZeroshotResult,
  context: EvaluationContext = {},
): EvaluationRecord[] {
  const task = "zeroshot_classification";
  return [
    record(dataset, task, "acc1", result.top1, context),
    record(dataset, task, "acc5", result.top5, context),
    record(dataset, task, "mean_per_class_recall", result.meanPerClassRecall, context),
  ];
}

/**
 * `image_retrieval_recall@k` (a text finds its image), `text_retrieval_recall@k` (an image finds a text) and the median ranks
 * of task `zeroshot_retrieval`.
 */
export function retrievalRecords(
  dataset: string,
  result: RetrievalResult,
  context: EvaluationContext = {},
): EvaluationRecord[] {
  const task = "zeroshot_retrieval";
  return (
    [
      ["image_retrieval", result.textToImage],
      ["text_retrieval", result.imageToText],
    ] as const
  ).flatMap(([name, { recall, medianRank }]) => [
    ...recall.map(({ k, score }) => record(dataset, task, `${name}_recall@${k}`, score, context)),
    record(dataset, task, `${name}_median_rank`, medianRank, context),
  ]);
}

/** `val_loss` of task `contrastive`: the training loss on held-out pairs. */
export const lossRecord = (
  dataset: string,
  loss: Interval,
  context: EvaluationContext = {},
): EvaluationRecord => record(dataset, "contrastive", "val_loss", loss, context);

function record(
  dataset: string,
  task: string,
  metric: string,
  { value, low, high, n }: Interval,
  { step, samplesSeen, split }: EvaluationContext,
): EvaluationRecord {
  return {
    dataset,
    task,
    metric,
    value,
    low,
    high,
    n,
    ...(step !== undefined && { step }),
    ...(samplesSeen !== undefined && { samplesSeen }),
    ...(split !== undefined && { split }),
  };
}

/** One line of `evaluation.jsonl`, with its newline: dataset, task, metric, value, low, high, n, then the context. */
export function evaluationLine(score: EvaluationRecord): string {
  for (const number of [score.value, score.low, score.high, score.n]) {
    if (!Number.isFinite(number)) {
      throw new InternalError(`evaluation.jsonl: ${score.dataset} ${score.metric} is not finite`);
    }
  }
  return `${JSON.stringify(record(score.dataset, score.task, score.metric, score, score))}\n`;
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

const METRIC_WORDS: Readonly<Record<string, string>> = {
  acc1: "top-1",
  acc5: "top-5",
  mean_per_class_recall: "mean per-class recall",
  image_retrieval_median_rank: "text → image median rank",
  text_retrieval_median_rank: "image → text median rank",
  val_loss: "held-out loss",
};

/** A metric's name for people: `acc1` is `top-1`, `image_retrieval_recall@5` is `text → image R@5`. */
export function metricWords(metric: string): string {
  const recall = /^(image|text)_retrieval_recall@(\d+)$/.exec(metric);
  if (recall !== null) return `${recall[1] === "image" ? "text → image" : "image → text"} R@${recall[2]}`;
  return METRIC_WORDS[metric] ?? metric.replaceAll("_", " ");
}

/** Whether a metric is a share in 0…1, to be shown in percent, rather than a rank or a loss. */
export const isShare = (metric: string): boolean => !/(?:rank|loss)$/.test(metric);

/** A score for people: `25.3 %`, with its interval `23.1 – 27.4`; ranks and losses as plain numbers. */
export function scoreWords(score: EvaluationRecord): { value: string; interval: string } {
  const words = (x: number): string =>
    isShare(score.metric)
      ? (100 * x).toFixed(1)
      : score.metric.endsWith("rank")
        ? `${Math.round(x * 10) / 10}`
        : x.toFixed(3);
  return {
    value: isShare(score.metric) ? `${words(score.value)} %` : words(score.value),
    interval: `${words(score.low)} – ${words(score.high)}`,
  };
}

/** The scores as a table of plain text, one a line, with 95 % intervals and n; a data set's name stands once. */
export function evaluationTable(records: readonly EvaluationRecord[]): string {
  const rows = [["data set", "metric", "score", "95 % interval", "n"]];
  let previous = "";
  for (const score of records) {
    const dataset = score.split === undefined ? score.dataset : `${score.dataset} (${score.split})`;
    const { value, interval } = scoreWords(score);
    rows.push([
      dataset === previous ? "" : dataset,
      metricWords(score.metric),
      value,
      interval,
      score.n.toLocaleString("en-US"),
    ]);
    previous = dataset;
  }
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const format = (row: readonly string[]): string =>
    row
      .map((cell, column) => (column < 2 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)))
      .join("  ")
      .trimEnd();
  const rule = widths.map((width) => "─".repeat(width)).join("  ");
  return `${[format(rows[0]!), rule, ...rows.slice(1).map(format)].join("\n")}\n`;
}
