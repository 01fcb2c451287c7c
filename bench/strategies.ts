/**
 * `npm run bench:strategies`: CLIP, CLIP with augmentation, FLIP and SLIP on one small ViT, three seeds each, by three
 * accounts: one pass over the data, equal samples, equal compute (multiply-adds as the graph counts them, both passes).
 *
 *     npm run bench:strategies                                              # the demo's data, scored on an unseen style
 *     npm run bench:strategies -- --train train.tar --val val.tar --epochs 20   # pairs, scored by retrieval
 *
 * Lengths are counted, not timed, so that a busy machine changes no score. Two runs at a time, a thread each. Runs are kept in
 * runs/strategies-*; a finished one is not trained again. Prints a Markdown table: means over the seeds, and the 95 %
 * interval of the mean by Student's t.
 */

import { parseArgs } from "node:util";
import { parseEvaluation } from "../src/evaluate/records.js";
import { makeClip } from "../src/models/clip.js";
import type { ClipConfig } from "../src/models/config/config.js";
import { findPreset } from "../src/models/presets/presets.js";
import { relativeCost } from "../src/train/strategies/cost.js";
import { makeStrategy, type StrategyName } from "../src/train/strategies/index.js";
import { requireEmoji, scoreWords, withDemoText } from "./emoji-set.js";
import { clipwright, meanOf, RETRIEVAL, retrievalOf } from "./runs.js";

const { values } = parseArgs({
  options: {
    train: { type: "string" },
    val: { type: "string" },
    name: { type: "string", default: "pairs" },
    epochs: { type: "string", default: "3" },
    batch: { type: "string", default: "256" },
    seeds: { type: "string", default: "3" },
    model: { type: "string", default: "clipwright-nano-32" },
  },
});

const HEAD = [512, 128];
/** The paper only resizes images, unless a policy is what is compared. */
const WHOLE = ["--crop", "whole"];
const AT_ONCE = 2;
/** Of the demo. */
const NAMED = ["acc1", "acc5"] as const;

interface Set {
  readonly name: string;
  readonly model: ClipConfig;
  readonly options: readonly string[];
  readonly metrics: readonly string[];
  /** Those of a run, in percent. */
  scores(run: string): Promise<number[]>;
}

const preset = findPreset(values.model!);

function emoji(): Set {
  requireEmoji();
  return {
    name: "emoji",
    model: withDemoText(preset.config),
    options: ["--train-data", "examples/emoji/data/train/*.tar", "--vocab-size", "4096"],
    metrics: NAMED,
    scores: async (run) => {
      const found = parseEvaluation(await clipwright(scoreWords(run)));
      return NAMED.map((metric) => 100 * found.find((r) => r.metric === metric)!.value);
    },
  };
}

const pairs = (): Set => ({
  name: values.name!,
  model: preset.config,
  options: ["--train-data", values.train!],
  metrics: RETRIEVAL,
  scores: (run) => retrievalOf(run, values.val!),
});

const set = values.train === undefined ? emoji() : pairs();
const clip = makeClip(set.model);
const contextLength = clip.config.text_cfg.context_length;
const kinds: readonly { strategy: StrategyName; options: readonly string[] }[] = [
  { strategy: "clip", options: WHOLE },
  { strategy: "clip-aug", options: [] },
  { strategy: "flip", options: [...WHOLE, "--mask-ratio", "0.5"] },
  { strategy: "slip", options: [...WHOLE, "--ssl-head", HEAD.join(",")] },
];
const costOf = (strategy: StrategyName): number =>
  relativeCost(clip, makeStrategy(strategy, clip, { sslHead: HEAD }), contextLength, { backward: true });

const accounts = ["one pass", "equal samples", "equal compute"] as const;
const epochsOf = (account: (typeof accounts)[number], cost: number): number =>
  account === "one pass" ? 1 : Number(values.epochs) / (account === "equal compute" ? cost : 1);

interface Job {
  readonly strategy: StrategyName;
  readonly epochs: number;
  readonly seed: number;
  readonly words: readonly string[];
}

const runOf = ({ strategy, epochs, seed }: Job) =>
  `strategies-${set.name}-${strategy}-${epochs.toFixed(2)}-${seed}`;

async function trainAndScore(job: Job): Promise<number[]> {
  const name = runOf(job);
  await clipwright([
    "train",
    ...["--model", JSON.stringify(set.model), "--name", name, "--seed", String(job.seed)],
    ...["--strategy", job.strategy, "--epochs", String(job.epochs), "--batch-size", values.batch!],
    ...["--lr", "1e-3", "--wd", "0.1", "--warmup", "0.1", "--image-resize-mode", "squash"],
    ...["--keep-size", "64", "--threads", "1", "--workers", "1"],
    ...["--zeroshot-frequency", "0", "--save-frequency", "0", ...set.options, ...job.words],
  ]);
  return set.scores(`runs/${name}`);
}

const costs = new Map(kinds.map(({ strategy }) => [strategy, costOf(strategy)]));
const jobs = new Map<string, Job>();
for (const { strategy, options } of kinds)
  for (const account of accounts)
    for (let seed = 0; seed < Number(values.seeds); seed++) {
      const job = { strategy, epochs: epochsOf(account, costs.get(strategy)!), seed, words: options };
      jobs.set(runOf(job), job);
    }
const results = new Map<string, number[]>();
const waiting = [...jobs];
await Promise.all(
  Array.from({ length: AT_ONCE }, async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const [name, job] = next;
      results.set(name, await trainAndScore(job));
      process.stderr.write(`${name}: ${results.get(name)!.map((x) => x.toFixed(1))}\n`);
    }
  }),
);

const out = (line: string) => process.stdout.write(`${line}\n`);
out(`| strategy | cost a sample | ${accounts.map((a) => `${a}: ${set.metrics.join(", ")}`).join(" | ")} |`);
out(`| --- | --- | ${accounts.map(() => "---").join(" | ")} |`);
for (const { strategy } of kinds) {
  const cells = accounts.map((account) => {
    const seeds = Array.from({ length: Number(values.seeds) }, (_, seed) =>
      runOf({ strategy, epochs: epochsOf(account, costs.get(strategy)!), seed, words: [] }),
    ).map((name) => results.get(name)!);
    return set.metrics.map((_, m) => meanOf(seeds.map((scores) => scores[m]!))).join(", ");
  });
  out(`| ${strategy} | ${costs.get(strategy)!.toFixed(2)} × | ${cells.join(" | ")} |`);
}
