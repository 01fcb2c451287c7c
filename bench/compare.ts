/**
 * Whether `clipwright compare` is right about recipes that are alike: runs of one recipe that differ in the seed alone are
 * split into halves in every way, and each split is compared as if it were two recipes. Of 100 such comparisons about five may
 * be called different at p < 0.05 before correction; the splits share runs, so the share scatters more than that of 126 coins.
 *
 *     npx tsc -p . && node dist/bench/compare.js runs/s-1 … runs/s-10 --data SOURCE [--classnames FILE]
 */

import { parseArgs } from "node:util";
import { ProgressLine } from "../src/cli/progress-line.js";
import { type ScoringOptions, scoreModel } from "../src/cli/scoring.js";
import { OnnxRuntime } from "../src/engines/onnxruntime.js";
import { compareRuns, type ScoredRun } from "../src/evaluate/compare.js";
import { findMetric } from "../src/evaluate/tasks/index.js";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { data: { type: "string" }, classnames: { type: "string" } },
});
const terminal = { out: () => {}, err: () => {}, interactive: false, columns: 80, color: false };
const engine = new OnnxRuntime();
const runs: ScoredRun[] = [];
for (const path of positionals) {
  const options = {
    ...{ task: ["auto"], keepFeatures: true, ema: true, strict: false },
    ...(values.data !== undefined && { data: [values.data] }),
    ...(values.classnames !== undefined && { classnames: values.classnames }),
  } as unknown as ScoringOptions;
  const { scored } = await scoreModel(engine, path, options, new ProgressLine(terminal));
  for (const { dataset, task, scores } of scored) runs.push({ run: path, recipe: "", dataset, task, scores });
}
await engine[Symbol.asyncDispose]();

/** Every choice of half of the runs that holds the first, as a mask. */
const n = positionals.length;
const halves = Array.from({ length: 2 ** (n - 1) }, (_, i) => 2 * i + 1).filter(
  (mask) => positionals.filter((_, i) => (mask >> i) & 1).length === Math.floor(n / 2),
);
const called = new Map<string, number>();
for (const mask of halves) {
  const labelled = runs.map((run) => ({
    ...run,
    recipe: (mask >> positionals.indexOf(run.run)) & 1 ? "a" : "b",
  }));
  for (const { metric, pairs } of compareRuns(labelled, findMetric)) {
    called.set(metric.words, (called.get(metric.words) ?? 0) + (pairs[0]!.p < 0.05 ? 1 : 0));
  }
}
let all = 0;
for (const [words, count] of called) {
  all += count / halves.length / called.size;
  console.error(
    `${words.padEnd(28)} ${((100 * count) / halves.length).toFixed(1)} % of ${halves.length} splits called different`,
  );
}
console.error(`${"all".padEnd(28)} ${(100 * all).toFixed(1)} %`);
