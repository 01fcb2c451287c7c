/**
 * Where the time of a train step goes: kernel by kernel, as the engine itself tells.
 *
 *     npx tsc -p . && node dist/bench/profile.js --model ViT-B-32 --batch 16 --context 77 [--precision f32] [--top 25]
 *
 * Sums by the kind of node and kernel, then the slowest kernels one by one, in milliseconds: means
 * of the steps after the first. OpenVINO only.
 */

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { KernelTime } from "../src/engines/openvino/library.js";
import { openEngine } from "../src/engines/registry.js";
import { costOf } from "../src/graph/cost.js";
import { readModel } from "../src/models/presets/read-model.js";
import { prepareStep } from "../src/train/measure/bench.js";
import type { Precision } from "../src/train/recipe/machine-fields.js";
import { StepRunner } from "../src/train/step/runner.js";

const { values } = parseArgs({
  options: {
    model: { type: "string", default: "ViT-S-32" },
    batch: { type: "string", default: "32" },
    context: { type: "string" },
    precision: { type: "string", default: "bf16-results" },
    steps: { type: "string", default: "3" },
    threads: { type: "string", default: "2" },
    top: { type: "string", default: "25" },
  },
});

const folder = mkdtempSync(join(tmpdir(), "clipwright-profile-"));
const { config } = readModel(values.model);
const engine = await openEngine("openvino", {
  threads: Number(values.threads),
  profile: join(folder, "step"),
});
const prepared = await prepareStep(engine, {
  config: {
    ...config,
    text_cfg: { ...config.text_cfg, ...(values.context && { context_length: Number(values.context) }) },
  },
  batchSize: Number(values.batch),
  precision: values.precision as Precision,
});
const { runner } = prepared;
const macs = runner instanceof StepRunner ? costOf(runner.graph).macs : 0;
const seconds: number[] = [];
for (let i = 1; i <= Number(values.steps); i++) {
  const start = performance.now();
  await prepared.take(i);
  seconds.push((performance.now() - start) / 1000);
}
prepared[Symbol.dispose]();
await engine[Symbol.asyncDispose]();
const kernels = JSON.parse(readFileSync(join(folder, "step_train step.json"), "utf8")) as KernelTime[];
rmSync(folder, { recursive: true });

const ms = (microseconds: number): string => (microseconds / 1000).toFixed(1).padStart(9);
const total = kernels.reduce((n, k) => n + k.microseconds, 0);
const least = Math.min(...seconds);
process.stdout.write(
  `${values.model}, batch ${values.batch}, ${values.precision}: steps of ${seconds.map((s) => s.toFixed(2)).join(", ")} s, ` +
    `${(Number(values.batch) / least).toFixed(2)} images/s, ${((2 * macs) / least / 1e9).toFixed(0)} GFLOP/s, ` +
    `peak ${(process.resourceUsage().maxRSS / 2 ** 20).toFixed(2)} GiB, compiled in ${prepared.compileSeconds.toFixed(0)} s\n` +
    `kernels of a step: ${ms(total).trim()} ms\n\n`,
);
const kinds = new Map<string, { count: number; microseconds: number }>();
for (const { type, kernel, microseconds } of kernels) {
  const kind = `${type} ${kernel}`;
  const { count, microseconds: sum } = kinds.get(kind) ?? { count: 0, microseconds: 0 };
  kinds.set(kind, { count: count + 1, microseconds: sum + microseconds });
}
const byTime = <T extends { microseconds: number }>(a: T, b: T): number => b.microseconds - a.microseconds;
const sums = [...kinds].map(([kind, sum]) => ({ kind, ...sum })).sort(byTime);
for (const { kind, count, microseconds } of sums.filter((s) => s.microseconds > total / 500))
  process.stdout.write(`${ms(microseconds)}  ${String(count).padStart(4)} × ${kind}\n`);
process.stdout.write("\n");
for (const k of [...kernels].sort(byTime).slice(0, Number(values.top)))
  process.stdout.write(`${ms(k.microseconds)}  ${k.type} ${k.kernel}  ${k.name.slice(0, 100)}\n`);
