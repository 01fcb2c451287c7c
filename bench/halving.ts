/**
 * How often halving picks the winner among runs that were all trained to the end, beside what its simulation says of them:
 *
 *     node dist/bench/halving.js RUNS… [--factor lr] [--metric image_retrieval_recall@10,text_retrieval_recall@10] [--reduction 3]
 *
 * RUNS: folders with runs that were evaluated on their way, e.g. those of `bench/tuning.ts`. Runs that are alike but for the factor
 * and the seed are one search; each seed that all its arms have is a replay of it. The noise is that between seeds, pooled over
 * the arms of a folder that have several; a score is the mean of the metrics.
 */

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { rungsOf } from "../src/study/halving/rungs.js";
import { pickedOf, simulateHalving } from "../src/study/halving/simulate.js";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    factor: { type: "string", default: "lr" },
    metric: { type: "string", default: "image_retrieval_recall@10,text_retrieval_recall@10" },
    reduction: { type: "string", default: "3" },
  },
});
const { factor } = values;
const metrics = values.metric.split(",");
const reduction = Number(values.reduction);

interface Line {
  readonly split?: string;
  readonly metric: string;
  readonly value: number;
  readonly step: number;
}

/** Scores at each evaluation of a finished run, by step. */
type RunCurve = ReadonlyMap<number, number>;

interface Search {
  readonly words: string;
  /** By level, then by seed. */
  readonly arms: Map<string, Map<number, RunCurve>>;
}

const linesOf = (path: string): Line[] =>
  readFileSync(path, "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Line);

/** The searches among the runs of a folder. */
function searchesIn(folder: string): readonly Search[] {
  const searches = new Map<string, Search>();
  for (const name of readdirSync(folder)) {
    const run = join(folder, name);
    if (!existsSync(join(run, "result.json"))) continue;
    const config = JSON.parse(readFileSync(join(run, "config.json"), "utf8"));
    const { [factor]: level, seed, name: _1, logs: _2, ...rest } = config;
    const key = JSON.stringify(rest);
    const { batchSize, samples, model, warmup } = rest;
    const words = `width ${model.embed_dim}, batch ${batchSize}, ${samples}, warm-up ${warmup}`;
    const search = searches.get(key) ?? { words, arms: new Map() };
    searches.set(key, search);
    const curve = new Map<number, number>();
    for (const { split, metric, value, step } of linesOf(join(run, "evaluation.jsonl")))
      if (split === "val" && metrics.includes(metric))
        curve.set(step, (curve.get(step) ?? 0) + value / metrics.length);
    const seeds = search.arms.get(String(level)) ?? new Map<number, RunCurve>();
    search.arms.set(String(level), seeds.set(seed, curve));
  }
  return [...searches.values()];
}

/** A run's scores at the evaluations nearest to the rungs, and at the end. */
function atRungs(curve: RunCurve, rungs: readonly number[]): readonly number[] {
  const steps = [...curve.keys()].sort((a, b) => a - b);
  const total = steps.at(-1)!;
  const nearest = (step: number): number =>
    steps.reduce((best, one) => (Math.abs(one - step) < Math.abs(best - step) ? one : best));
  return [...rungs, 1].map((share) => curve.get(nearest(share * total))!);
}

const mean = (values: readonly number[]): number => values.reduce((sum, x) => sum + x, 0) / values.length;

/** Deviation between seeds at each rung and at the end, and the correlation of the last two, pooled over arms with several seeds. */
function noiseOf(searches: readonly Search[], rungs: readonly number[]) {
  const off = searches.flatMap(({ arms }) =>
    [...arms.values()]
      .filter((seeds) => seeds.size > 1)
      .flatMap((seeds) => {
        const own = [...seeds.values()].map((curve) => atRungs(curve, rungs));
        const grow = Math.sqrt(own.length / (own.length - 1));
        return own.map((run) => run.map((x, at) => (x - mean(own.map((other) => other[at]!))) * grow));
      }),
  );
  if (off.length === 0) return undefined;
  const deviations = [...rungs, 1].map((_, at) => Math.sqrt(mean(off.map((run) => run[at]! ** 2))));
  const [a, b] = [deviations.at(-2) ?? 0, deviations.at(-1)!];
  const product = mean(off.map((run) => (run.at(-2) ?? 0) * run.at(-1)!));
  return { deviations, correlation: a * b === 0 ? 0 : Math.min(1, Math.max(-1, product / (a * b))) };
}

/** Of fewer arms none is stopped. */
const LEAST_ARMS = 3;

let [replays, hits, expected, savings] = [0, 0, 0, 0];
const percent = (x: number): string => `${(100 * x).toFixed(1)} %`;
for (const folder of positionals) {
  const searches = searchesIn(folder);
  for (const { words, arms } of searches.filter((search) => search.arms.size >= LEAST_ARMS)) {
    const levels = [...arms.keys()].sort((a, b) => Number(a) - Number(b));
    const rungs = rungsOf(levels.length, reduction);
    const noise = noiseOf(searches, rungs);
    if (noise === undefined) {
      process.stdout.write(`${folder}: no arm has two seeds, so the noise is not known.\n`);
      break;
    }
    const known = levels.map((level) =>
      [...arms.get(level)!].map(([seed, curve]) => [seed, atRungs(curve, rungs)] as const),
    );
    const means = known.map((own) => own[0]![1].map((_, at) => mean(own.map(([, run]) => run[at]!))));
    const { picksWinner, saved } = simulateHalving({ means, ...noise }, { reduction });
    for (const [seed] of known[0]!) {
      const scores = known.map((own) => own.find(([other]) => other === seed)?.[1]);
      if (scores.some((run) => run === undefined)) continue;
      const ends = scores.map((run) => run!.at(-1)!);
      const winner = ends.indexOf(Math.max(...ends));
      const picked = pickedOf(scores as readonly (readonly number[])[], reduction);
      replays++;
      expected += picksWinner;
      savings += saved;
      if (picked === winner) hits++;
      process.stdout.write(
        `${words}, seed ${seed}: won by ${levels[winner]} (${percent(ends[winner]!)}), picked ${levels[picked]} (${percent(ends[picked]!)}); simulated: picked in ${percent(picksWinner)}; saved ${percent(saved)}\n`,
      );
    }
  }
}
process.stdout.write(
  `${hits} of ${replays} searches end with the winner; the simulation says ${expected.toFixed(1)}. ${percent(savings / Math.max(1, replays))} of the training is saved.\n`,
);
