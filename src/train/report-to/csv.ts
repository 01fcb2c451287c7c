/** `--report-to csv`: `metrics.csv` and `evaluation.csv`, for spreadsheets. */

import { type CsvValue, csvLine } from "../../core/csv.js";
import type { Line } from "../run/folder.js";
import type { OpenReporter } from "./reporter.js";

/** Columns, as the keys of the lines. */
const METRICS = [
  ...["step", "samplesSeen", "epoch", "seconds", "loss", "learningRate", "logitScale", "gradientNorm"],
  ...["samplesPerSecond", "dataWaitShare", "memoryBytes"],
];
const EVALUATION = [
  ...[
    "step",
    "samplesSeen",
    "dataset",
    "split",
    "task",
    "metric",
    "value",
    "low",
    "high",
    "n",
    "chance",
    "macs",
  ],
];

export const openCsv: OpenReporter = (run) => {
  const table = (name: string, columns: readonly string[], lines: readonly Line[]) => {
    const row = (line: Line): string => csvLine(columns.map((column) => line[column] as CsvValue));
    run.writeFile(name, [csvLine(columns), ...lines.map(row)].join(""));
    return (line: Line): void => run.appendFile(name, row(line));
  };
  return {
    metrics: table("metrics.csv", METRICS, run.readMetrics()),
    evaluation: table("evaluation.csv", EVALUATION, run.readEvaluation()),
  };
};
