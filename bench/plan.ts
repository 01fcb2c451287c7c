/**
 * Plans against the default recipe at equal time, and the coverage of their intervals: of each set a plan is made without any evidence but
 * the paper's, its recipe and the default one (what `clipwright train --train-data …` takes by itself, for the same time, on the same
 * engine and precision) are trained in turns with the same seeds and scored alike. Then each run is predicted from those of other recipes.
 *
 *     node dist/bench/plan.js --out planned --time 60s --engine openvino \
 *       --set 'photos;flickr8k_1k-train-000000.tar;flickr8k_1k-test-000000.tar;image_retrieval_recall@10' \
 *       --set 'drawings;icons/train/*.tar;icons/suite.json;concepts/acc1'
 *
 * A set is NAME;TRAINING DATA;SUITE OR HELD-OUT DATA;SCORE. What was trained is kept in `--out`: a finished run is not trained again, and
 * the report alone takes seconds.
 */

import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { UsageError } from "../src/core/errors.js";
import { clopperPearson } from "../src/evaluate/statistics/distributions.js";
import { collectRuns, pastRunIn } from "../src/study/past/collect.js";
import type { PastRun, PastScore } from "../src/study/past/past-run.js";
import { readExpected } from "../src/study/plan/expected.js";
import { makePredictor } from "../src/study/predict/predict.js";
import { clipwright, meanAndError, student } from "./runs.js";

const { values } = parseArgs({
  options: {
    set: { type: "string", multiple: true, default: [] },
    out: { type: "string" },
    time: { type: "string", default: "60s" },
    seeds: { type: "string", default: "3" },
    engine: { type: "string", default: "auto" },
    /** Folders of other runs, each of which is predicted from those of other recipes beside it. */
    results: { type: "string", multiple: true, default: [] },
  },
});
const out = values.out ?? "planned";
/** Scores that are predicted of other runs. */
const KINDS: readonly string[] = ["acc1", "image_retrieval_recall@1"];
const seeds = Array.from({ length: Number(values.seeds) }, (_, seed) => seed);
const print = (line: string): void => void process.stdout.write(`${line}\n`);
const percent = (share: number): string => (100 * share).toFixed(1);

interface TestSet {
  readonly name: string;
  readonly train: string;
  /** Where scores are from: a suite, or held-out pairs that the run scores itself. */
  readonly judge: readonly string[];
  readonly suite: string | undefined;
  readonly score: string;
}

const sets = values.set.map((words): TestSet => {
  const [name, train, judge, score] = words.split(";") as [string, string, string, string];
  const suite = judge.endsWith(".json") ? judge : undefined;
  return { name, train, suite, judge: suite === undefined ? ["--val-data", judge] : [], score };
});

const scoreOf = ({ score }: TestSet, { scores }: PastRun): PastScore | undefined => {
  const [metric, dataset] = score.split("/").reverse();
  return scores.find((one) => one.metric === metric && (dataset === undefined || one.dataset === dataset));
};

/** The run in a folder; undefined where it is not finished. */
async function finished(folder: string): Promise<PastRun | undefined> {
  try {
    return await pastRunIn(folder);
  } catch (error) {
    if (error instanceof UsageError) return undefined;
    throw error;
  }
}

/** Trains what is not trained yet, and scores it. */
async function trained(set: TestSet, arm: string, seed: number, words: readonly string[]): Promise<void> {
  const logs = join(out, set.name);
  const name = `${arm}-${seed}`;
  const folder = join(logs, name);
  if ((await finished(folder)) === undefined)
    await clipwright([
      ...["train", ...words, "--logs", logs, "--name", name, "--seed", String(seed)],
      ...["--engine", values.engine!, "--precision", "auto", "--time", values.time!],
    ]);
  if (set.suite !== undefined && scoreOf(set, await pastRunIn(folder)) === undefined)
    await clipwright(["evaluate", folder, "--suite", set.suite, "--json"]);
}

/** `4.5 (4.2, 4.8): clipwright-nano-32, clip, batch 64, 210 to 214 steps`. */
function armWords(runs: readonly PastRun[], scores: readonly number[]): string {
  const { model, strategy, batchSize } = runs[0]!;
  const steps = runs.map((run) => Math.round(run.samples / run.batchSize)).sort((x, y) => x - y);
  const each = scores.length > 1 ? ` (${scores.map((score) => score.toFixed(1)).join(", ")})` : "";
  const range = [...new Set([steps[0]!, steps.at(-1)!])].join(" to ");
  return `**${(scores.reduce((x, y) => x + y, 0) / scores.length).toFixed(1)}**${each}: ${model}, ${strategy}, batch ${batchSize}, ${range} steps`;
}

mkdirSync(out, { recursive: true });
writeFileSync(join(out, "none.jsonl"), "");
let [inside, all] = [0, 0];
const everything: { readonly set: TestSet; readonly runs: readonly PastRun[] }[] = [];
const head = ["set", "score", "guessing, %", "default", "plan", "difference", "expected, 80 %", "inside"];
const row = (cells: readonly string[]): void => print(`| ${cells.join(" | ")} |`);
if (sets.length > 0) row(head);
if (sets.length > 0) row(head.map(() => "---"));
for (const set of sets) {
  const recipe = join(out, `${set.name}.json`);
  if (!existsSync(recipe))
    await clipwright([
      ...[
        "plan",
        "--train-data",
        set.train,
        ...set.judge,
        "--time",
        values.time!,
        "--engine",
        values.engine!,
      ],
      ...["--no-pretrained", "--out", recipe, "--results", join(out, "none.jsonl"), "--score", set.score],
      ...(set.suite === undefined ? [] : ["--suite", set.suite]),
    ]);
  for (const seed of seeds) {
    await trained(set, "default", seed, ["--train-data", set.train, ...set.judge]);
    await trained(set, "plan", seed, [recipe]);
  }
  const { runs } = await collectRuns([join(out, set.name)]);
  everything.push({ set, runs });
  const [ofDefault, ofPlan] = ["default", "plan"].map((arm) =>
    seeds.map((seed) => runs.find(({ run }) => run.endsWith(`${arm}-${seed}`))!),
  ) as [PastRun[], PastRun[]];
  const [a, b] = [ofDefault, ofPlan].map((arm) => arm.map((run) => 100 * scoreOf(set, run)!.value)) as [
    number[],
    number[],
  ];
  const { mean, error } = meanAndError(b.map((score, at) => score - a[at]!));
  const half = student(seeds.length) * error;
  const told = readExpected((JSON.parse(readFileSync(recipe, "utf8")) as { expected: string }).expected);
  const within = b.filter((score) => told.low <= score / 100 && score / 100 <= told.high).length;
  inside += within;
  all += b.length;
  row([
    set.name,
    set.score,
    percent(scoreOf(set, ofPlan[0]!)!.chance ?? 0),
    armWords(ofDefault, a),
    armWords(ofPlan, b),
    `${mean.toFixed(1)}${seeds.length > 1 ? ` ± ${half.toFixed(1)}` : ""}`,
    `${percent(told.value)} (${percent(told.low)} to ${percent(told.high)})`,
    `${within} of ${b.length}`,
  ]);
}
const share = (k: number, n: number): string => {
  const { low, high } = clopperPearson(k, n);
  return `${k} of ${n}, ${percent(k / n)} % (${percent(low)} to ${percent(high)})`;
};
if (all > 0) print(`\nInside the first plans' intervals: ${share(inside, all)}`);

/** Each run's first score of a kind from all runs but those of its recipe: inside, of how many. */
function leftOut(runs: readonly PastRun[]): readonly [inside: number, all: number] {
  let count = 0;
  const told = runs.flatMap(({ run, scores }) => {
    const score = scores.find(
      ({ metric, low, chance = 1 }) => KINDS.includes(metric) && low > chance && chance < 1,
    );
    return score === undefined ? [] : [{ run, score }];
  });
  for (const { run, score } of told) {
    const recipe = run.replace(/-\d+$/, "");
    const others = runs.filter((other) => other.run.replace(/-\d+$/, "") !== recipe);
    const { dataset, metric, n, chance = 0, value } = score;
    const own = runs.find((other) => other.run === run)!;
    const { low, high } = makePredictor({ dataset, metric, n, chance }, others).predict(own);
    if (low <= value && value <= high) count++;
  }
  return [count, told.length];
}

const measured = everything.flatMap((one) => one.runs);
const { runs: others } = await collectRuns(values.results);
for (const folder of values.results) {
  const own = others.filter(({ run }) => run.startsWith(folder));
  print(`From all other recipes' runs, ${folder}: ${share(...leftOut(own))}`);
}
const [held, told] = leftOut(measured);
if (told > 0) print(`From all other recipes' runs, these: ${share(held, told)}`);
