/**
 * `npm run bench:picking -- --train train.tar --val val.tar`: batches picked from larger ones (JEST) against batches that come
 * as they come, on pairs of which a share has another pair's caption, at equal steps and at equal compute (multiply-adds of both
 * passes and of judging, as the graphs count them).
 *
 * A part of the pairs is trusted: none of them is swapped, and the reference is trained on them alone. Runs are kept in
 * runs/picking-*; a finished one is not trained again. Prints a Markdown table: means over the seeds, and the 95 % interval of
 * the mean by Student's t.
 */

import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { keyFromSeed, Random } from "../src/core/random.js";
import { readImageBytes } from "../src/data/image-bytes.js";
import { openDataset } from "../src/data/index.js";
import { makeClip } from "../src/models/clip.js";
import { findPreset } from "../src/models/presets/presets.js";
import { judgedMacs } from "../src/train/schedule/phases.js";
import { plainClip } from "../src/train/strategies/clip.js";
import { sampleMacs } from "../src/train/strategies/cost.js";
import { clipwright, meanOf, RETRIEVAL, retrievalOf } from "./runs.js";

const { values } = parseArgs({
  options: {
    train: { type: "string" },
    val: { type: "string" },
    name: { type: "string", default: "pairs" },
    swapped: { type: "string", default: "0.3" },
    trusted: { type: "string", default: "0.2" },
    steps: { type: "string", default: "300" },
    batch: { type: "string", default: "64" },
    seeds: { type: "string", default: "3" },
    model: { type: "string", default: "clipwright-nano-32" },
    /** Rows of the table by number, joined with commas; all otherwise. */
    arms: { type: "string" },
    engine: { type: "string", default: "auto" },
  },
});

const name = `picking-${values.name}`;
const data = join("runs", `${name}-data`);
const steps = Number(values.steps);
const batchSize = Number(values.batch);

/** Writes the folders clean, noisy and trusted, unless they are there. */
async function plant(): Promise<void> {
  if (existsSync(join(data, "done"))) return;
  const dataset = await openDataset(values.train!);
  const order = new Random(keyFromSeed(1)).permutation(dataset.length);
  const trusted = Math.round(Number(values.trusted) * dataset.length);
  const swapped = order.slice(trusted, trusted + Math.round(Number(values.swapped) * dataset.length));
  const captionOf = (i: number) => dataset.sample(i).captions[0]!;
  const wrong = new Map([...swapped].map((i, n) => [i, captionOf(swapped[(n + 1) % swapped.length]!)]));
  const isTrusted = new Set(order.slice(0, trusted));
  for (const folder of ["clean", "noisy", "trusted"]) mkdirSync(join(data, folder), { recursive: true });
  for (let i = 0; i < dataset.length; i++) {
    const bytes = readImageBytes(dataset.images, i);
    const put = (folder: string, caption: string) => {
      writeFileSync(join(data, folder, `${i}.jpg`), bytes);
      writeFileSync(join(data, folder, `${i}.txt`), caption);
    };
    put("clean", captionOf(i));
    put("noisy", wrong.get(i) ?? captionOf(i));
    if (isTrusted.has(i)) put("trusted", captionOf(i));
  }
  writeFileSync(join(data, "done"), "");
}

async function trainRun(run: string, folder: string, count: number, seed: number, words: readonly string[]) {
  await clipwright([
    ...["train", "--model", values.model!, "--train-data", join(data, folder), "--name", run],
    ...["--steps", String(count), "--batch-size", values.batch!, "--seed", String(seed), "--keep-size", "40"],
    ...["--lr", "1e-3", "--wd", "0.1", "--warmup", "0.1", "--threads", "1", "--workers", "1"],
    ...["--save-frequency", "0", "--engine", values.engine!, ...words],
  ]);
  return join("runs", run);
}

const clip = makeClip(findPreset(values.model!).config);
const T = clip.config.text_cfg.context_length;
const stepMacs = sampleMacs(clip, plainClip(clip), T, { backward: true });
const costOf = (pick: "learnability" | "hard" | "easy", pickFilterRatio: number) =>
  1 + judgedMacs({ pick, pickFilterRatio, batchSize }, clip, T) / stepMacs;

interface Arm {
  readonly about: string;
  readonly folder: "clean" | "noisy" | "trusted";
  readonly cost: number;
  readonly steps: number;
  readonly words: readonly string[];
}

const reference = join("runs", `${name}-reference`);
function picked(pick: "learnability" | "hard" | "easy", ratio: number): Arm[] {
  const cost = costOf(pick, ratio);
  const words = ["--pick", pick, "--pick-filter-ratio", String(ratio)];
  const arm = (about: string, count: number): Arm => ({
    about: `${pick}, ${ratio * 100} % left out, ${about}`,
    folder: "noisy",
    cost,
    steps: count,
    words: pick === "hard" ? words : [...words, "--pick-reference", reference],
  });
  const equal = arm("equal steps", steps);
  return cost === 1 ? [equal] : [equal, arm("equal compute", Math.round(steps / cost))];
}

const takesWhatComes = (folder: Arm["folder"], about: string): Arm => ({
  ...{ about, folder, cost: 1, steps, words: [] },
});
const arms: readonly Arm[] = [
  takesWhatComes("noisy", "as it comes"),
  ...picked("learnability", 0.5),
  ...picked("learnability", 0.8),
  ...picked("easy", 0.5),
  ...picked("hard", 0.5).slice(0, 1),
  takesWhatComes("clean", "as it comes, without the faults"),
  takesWhatComes("trusted", "as it comes, the trusted part alone"),
];

await plant();
await trainRun(`${name}-reference`, "trusted", steps, 100, []);
const scores = arms.map((): number[][] => []);
const asked = values.arms?.split(",").map(Number) ?? [...arms.keys()];
for (let seed = 0; seed < Number(values.seeds); seed++) {
  for (const i of asked) {
    const arm = arms[i]!;
    const run = `${name}-${i}-${seed}`;
    scores[i]!.push(
      await retrievalOf(await trainRun(run, arm.folder, arm.steps, seed, arm.words), values.val!),
    );
    process.stderr.write(`${arm.about}, seed ${seed}: ${scores[i]!.at(-1)!.map((x) => x.toFixed(1))}\n`);
  }
}
const out = (line: string) => process.stdout.write(`${line}\n`);
out("| batches | cost of a step | steps | text → image R@10 | image → text R@10 |");
out("| --- | --- | --- | --- | --- |");
for (const i of asked) {
  const { about, cost, steps: count } = arms[i]!;
  out(
    `| ${about} | ${cost.toFixed(2)} × | ${count} | ${RETRIEVAL.map((_, m) => meanOf(scores[i]!.map((each) => each[m]!))).join(" | ")} |`,
  );
}
