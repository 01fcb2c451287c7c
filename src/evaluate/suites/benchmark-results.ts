/** Scores in the form of CLIP_benchmark's results, for notebooks and tables that were written for it: cli.py, eval and build. */

import type { EvaluationRecord } from "../records.js";

/** What one JSON file of CLIP_benchmark holds. */
export interface BenchmarkResult {
  readonly dataset: string;
  readonly model: string;
  readonly pretrained: string;
  readonly task: string;
  /** By name of metric; shares in 0…1. */
  readonly metrics: Readonly<Record<string, number>>;
  readonly language: "en";
}

/** The scores of one model, a result for each data set and task. `model` and `pretrained` name it in tables. */
export function benchmarkResults(
  records: readonly EvaluationRecord[],
  { model, pretrained }: Pick<BenchmarkResult, "model" | "pretrained">,
): BenchmarkResult[] {
  const found = new Map<string, { dataset: string; task: string; metrics: Record<string, number> }>();
  for (const { dataset, task, metric, value } of records) {
    const key = JSON.stringify([dataset, task]);
    const one = found.get(key) ?? { dataset, task, metrics: {} };
    one.metrics[metric] = value;
    found.set(key, one);
  }
  return Array.from(found.values(), ({ dataset, task, metrics }) => ({
    ...{ dataset, model, pretrained, task, metrics },
    language: "en" as const,
  }));
}

/** The results as `clip_benchmark build` joins them, its columns sorted; a metric that a row lacks is empty. */
export function benchmarkCsv(results: readonly BenchmarkResult[]): string {
  const metrics = [...new Set(results.flatMap((result) => Object.keys(result.metrics)))].sort();
  const fields = ["dataset", "language", "model", "model_fullname", "pretrained", "task"] as const;
  const rows = results.map((result) => {
    const named = { ...result, model_fullname: `${result.model} ${result.pretrained}` };
    return [
      ...fields.map((field) => named[field]),
      ...metrics.map((name) => `${result.metrics[name] ?? ""}`),
    ];
  });
  return [[...fields, ...metrics], ...rows].map((row) => `${row.map(quoted).join(",")}\n`).join("");
}

const quoted = (cell: string): string => (/[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell);
