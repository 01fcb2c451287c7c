/**
 * How much of what faults in the data cost is won back by `curate score` and `curate select`, on a set of which the truth is
 * known: plants faults (`bench/planting.ts`), scores and selects by rules that do not know them, and trains on the set without
 * faults, with them, and on what was selected, with equal samples and several seeds.
 *
 *     node dist/bench/recovery.js --train train.tar --test test.tar --out planted/recovery --engine openvino
 *
 * The truth is read for the AUC of the scores, for the counts of what is left, and for the arm that drops the faults alone.
 * What was planted, scored and trained is kept in `--out`: what was cut short goes on, and a finished run is not trained again.
 */

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { readJsonLines, writeJsonAtomic } from "../src/core/files.js";
import { BASE_RECIPE, PATCHES_AND_WORDS } from "../src/curate/fit/crossfit/plan.js";
import { readTable } from "../src/curate/tables/read.js";
import { openDataset } from "../src/data/index.js";
import { plant, type Shares, swappedAuc, type Truth } from "./planting.js";
import { clipwright, meanAndError, meanOf, RETRIEVAL, retrievalOf, student } from "./runs.js";

const { values } = parseArgs({
  options: {
    train: { type: "string", multiple: true },
    test: { type: "string" },
    out: { type: "string" },
    seeds: { type: "string", default: "3" },
    /** Passes over the set without faults; all arms see as many samples. */
    epochs: { type: "string", default: "16" },
    batch: { type: "string", default: "64" },
    time: { type: "string", default: "60m" },
    /** The share of the pairs with a score that may stay. */
    top: { type: "string", default: "70%" },
    language: { type: "string", default: "en" },
    engine: { type: "string", default: "auto" },
    recipe: { type: "string", default: "{}" },
  },
});
const NONE: Shares = { swapped: 0, duplicate: 0, blank: 0, language: 0 };
const out = values.out!;
const at = (name: string): string => join(out, name);
const print = (line: string) => process.stdout.write(`${line}\n`);

const set = await openDataset(values.train!);
if (!existsSync(at("clean/truth.jsonl"))) await plant(set, at("clean"), { captions: 1, shares: NONE });
if (!existsSync(at("truth.jsonl"))) await plant(set, out, { captions: 1 });
/** A line a pair, as every picture has one caption. */
const truth = readJsonLines(at("truth.jsonl")) as Truth[];
const pairs = at("pairs.jsonl");
const samples = Number(values.epochs) * set.length;

// The commands of docs/curation.md.
const scores = at("scores.parquet");
const given = JSON.parse(values.recipe!) as object;
writeJsonAtomic(at("recipe.json"), given);
await clipwright(["curate", "score", pairs, "--out", scores]);
await clipwright([
  ...["curate", "score", pairs, "--out", scores, "--scores", "crossfit", "--time", values.time!],
  ...["--engine", values.engine!, "--crossfit-recipe", at("recipe.json")],
]);
const rules = [
  ...["--where", "broken IS NULL AND NOT is_blank"],
  ...["--where", `language = '${values.language}' OR language_confidence < 0.02`],
  ...["--unique", "duplicate_group", "--best", "crossfit_score", "--top", `crossfit_score=${values.top}`],
];
print(await clipwright(["curate", "select", scores, "--out", at("chosen.parquet"), ...rules]));
for (const name of ["crossfit_score", "crossfit_cosine"])
  print(`AUC of ${name}, right against swapped captions: ${swappedAuc(truth, await column(scores, name))}`);
for (const confidence of [0.02, 0.05, 0.1, 0.2]) print(await droppedByLanguage(confidence));
const kept = await column(at("chosen.parquet"), "keep");
const left = new Map<string, number>();
for (const [i, { fault }] of truth.entries()) if (kept[i] === 1) left.set(fault, (left.get(fault) ?? 0) + 1);
const chosen = kept.filter((keep) => keep === 1).length;
print(`Of the ${chosen} that are selected: ${[...left].map(([fault, n]) => `${n} ${fault}`).join(", ")}\n`);

// What no rule could do better: every pair that is right, by the truth; and as many as were selected, at random.
await clipwright([
  ...["curate", "select", scores, "--out", at("random.parquet"), "--random", String(chosen), "--of", "kept"],
]);
const right = truth.flatMap(({ fault, row }) => (fault === "none" ? [row] : []));
const lines = readFileSync(pairs, "utf8").trimEnd().split("\n");
writeFileSync(at("right.jsonl"), `${right.map((row) => lines[row]!).join("\n")}\n`);

function percent(share: number): string {
  return `${(100 * share).toFixed(0)} %`;
}

/** What the rule of languages drops where it asks for that confidence, in words. */
async function droppedByLanguage(confidence: number): Promise<string> {
  const dropped = new Set<number>();
  let row = 0;
  const columns = ["language", "language_confidence"];
  for await (const rows of readTable(scores, { columns }))
    for (const { language, language_confidence } of rows) {
      const isOther = language !== null && language !== values.language;
      if (isOther && Number(language_confidence) >= confidence) dropped.add(row);
      row++;
    }
  const [foreign, others] = [true, false].map((is) => {
    const of = [...truth.keys()].filter((i) => (truth[i]!.fault === "language") === is);
    return `${of.filter((i) => dropped.has(i)).length} of ${of.length}`;
  });
  return `language, from a confidence of ${confidence}: drops ${foreign} captions in another, ${others} others`;
}

/** A column of a table, in the order of its rows; NaN for NULL. */
async function column(table: string, name: string): Promise<number[]> {
  const values: number[] = [];
  for await (const rows of readTable(table, { columns: [name] }))
    values.push(...rows.map((row) => Number(row[name] ?? Number.NaN)));
  return values;
}

interface Arm {
  readonly about: string;
  readonly words: readonly string[];
}
const arms: Readonly<Record<string, Arm>> = {
  clean: { about: "without the faults", words: ["--train-data", at("clean/pairs.jsonl")] },
  faulted: { about: "with them", words: ["--train-data", pairs] },
  chosen: { about: "selected", words: ["--train-data", pairs, "--select", at("chosen.parquet")] },
  random: { about: "as many at random", words: ["--train-data", pairs, "--select", at("random.parquet")] },
  right: { about: "the pairs that are right, by the truth", words: ["--train-data", at("right.jsonl")] },
};

writeJsonAtomic(at("run.json"), {
  ...BASE_RECIPE,
  ...{ model: PATCHES_AND_WORDS, keepSize: 64, batchSize: Number(values.batch), lr: 1e-3 },
  ...given,
});
async function train(arm: string, seed: number): Promise<number[]> {
  const run = `${arm}-${seed}`;
  await clipwright([
    ...["train", at("run.json"), ...arms[arm]!.words, "--samples", String(samples), "--name", run],
    ...["--logs", at("runs"), "--seed", String(seed), "--save-frequency", "0", "--engine", values.engine!],
  ]);
  return retrievalOf(join(at("runs"), run), values.test!, ["--engine", values.engine!]);
}

/** R@10 of each run, [seeds], mean of both directions last. */
const found = new Map<string, number[][]>(Object.keys(arms).map((arm) => [arm, []]));
for (const part of [
  ["clean", "faulted", "chosen"],
  ["random", "right"],
])
  for (let seed = 0; seed < Number(values.seeds); seed++)
    for (const arm of part) {
      const recalls = await train(arm, seed);
      const of = found.get(arm)!;
      of.push([...recalls, recalls.reduce((a, b) => a + b, 0) / recalls.length]);
      process.stderr.write(`${arm}, seed ${seed}: ${of.at(-1)!.map((x) => x.toFixed(1))}\n`);
    }

print(`| trained on ${samples} samples of the set | ${RETRIEVAL.join(" | ")} | mean | won back |`);
print("| --- | --- | --- | --- | --- |");
const meanScores = (arm: string) => found.get(arm)!.map((scores) => scores.at(-1)!);
for (const [arm, of] of found) {
  const cells = of[0]!.map((_, m) => meanOf(of.map((one) => one[m]!)));
  print(`| ${arms[arm]!.about} | ${cells.join(" | ")} | ${wonBack(arm)} |`);
}

/**
 * The share of the loss that an arm does not have: mean(arm - faulted) / mean(clean - faulted), paired by seed, with Fieller's
 * 95 % interval of a ratio of means.
 */
function wonBack(arm: string): string {
  if (arm === "clean" || arm === "faulted") return "";
  const base = meanScores("faulted");
  const gained = meanScores(arm).map((score, i) => score - base[i]!);
  const lost = meanScores("clean").map((score, i) => score - base[i]!);
  const n = base.length;
  const [a, b] = [meanAndError(gained), meanAndError(lost)];
  const ratio = a.mean / b.mean;
  if (n < 2) return percent(ratio);
  const covariance = gained.reduce((sum, x, i) => sum + (x - a.mean) * (lost[i]! - b.mean), 0) / (n - 1) / n;
  const t = student(n) ** 2;
  const [p, q] = [b.mean ** 2 - t * b.error ** 2, a.mean * b.mean - t * covariance];
  const inside = q ** 2 - p * (a.mean ** 2 - t * a.error ** 2);
  // The loss itself is within chance: no share of it is known.
  if (p <= 0 || inside < 0) return `${percent(ratio)} (no interval: the loss itself is not certain)`;
  const [from, to] = [(q - Math.sqrt(inside)) / p, (q + Math.sqrt(inside)) / p];
  return `${percent(ratio)} (${percent(from)} to ${percent(to)})`;
}
