/** What benches that train several runs and compare their scores share. */

import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { parseEvaluation } from "../src/evaluate/records.js";
import { studentQuantile } from "../src/evaluate/statistics/distributions.js";

const MAIN = fileURLToPath(new URL("../src/cli/main.js", import.meta.url));

/** Runs a command of `clipwright`, and gives what it prints; throws what it complains of. */
export function clipwright(words: readonly string[]): Promise<string> {
  const child = spawn(process.execPath, [MAIN, ...words], { stdio: ["ignore", "pipe", "pipe"] });
  let out = "";
  let err = "";
  child.stdout.on("data", (part) => {
    out += part;
  });
  child.stderr.on("data", (part) => {
    err += part;
  });
  return new Promise((resolve, reject) => {
    child.once("exit", (code) =>
      code === 0 ? resolve(out) : reject(new Error(`clipwright ${words.join(" ")}\n${err.slice(-1500)}`)),
    );
  });
}

/** Metrics of pairs by which runs are compared: the captions' pictures, the pictures' captions. */
export const RETRIEVAL = ["image_retrieval_recall@10", "text_retrieval_recall@10"] as const;

/** Those of a run, in percent. */
export async function retrievalOf(
  run: string,
  data: string,
  words: readonly string[] = [],
): Promise<number[]> {
  const json = await clipwright(["evaluate", run, "--data", data, "--task", "retrieval", "--json", ...words]);
  return RETRIEVAL.map((metric) => 100 * parseEvaluation(json).find((r) => r.metric === metric)!.value);
}

/** A mean, and its standard error by what was averaged. */
export function meanAndError(values: readonly number[]): { readonly mean: number; readonly error: number } {
  const n = values.length;
  const mean = values.reduce((a, b) => a + b, 0) / n;
  const squares = values.reduce((a, x) => a + (x - mean) ** 2, 0);
  return { mean, error: Math.sqrt(squares / (n - 1) / n) };
}

/** The two-sided 97.5 % point of Student's t for the mean of `n` values. */
export const student = (n: number): number => studentQuantile(0.975, n - 1);

/** Mean and half of its 95 % interval by Student's t; the mean alone of one value. */
export function meanOf(scores: readonly number[]): string {
  const { mean, error } = meanAndError(scores);
  if (scores.length === 1) return mean.toFixed(1);
  return `${mean.toFixed(1)} ± ${(student(scores.length) * error).toFixed(1)}`;
}
