/**
 * The sweep behind docs/tuning.md: which learning rate, weight decay, batch and warm-up small models want.
 *
 *     node dist/bench/tuning.js --icons FOLDER --fashion FOLDER [--out tuning] [--only PART,…] [--dry-run]
 *
 * `--icons`: the drawings of `npm run demo:icons`; `--fashion`: a folder of tars, named …train… and …test…. Each part of the
 * sweep is a study in `--out`, on a ladder of ViTs of three widths on 32 pixels beside a bag of words, trained on OpenVINO in
 * bf16. A sweep that is killed goes on with the same command; `--dry-run` tells what there is and what is left.
 */

import { existsSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { openEngine } from "../src/engines/registry.js";
import { answerLines } from "../src/study/answer/lines.js";
import {
  checkStudy,
  type FactorInput,
  type RegimeInput,
  type StudyInput,
} from "../src/study/design/study.js";
import { openStudy } from "../src/study/study.js";
import { checkRecipe, type RecipeInput } from "../src/train/recipe/recipe.js";
import { train } from "../src/train/train.js";

const { values } = parseArgs({
  options: {
    icons: { type: "string" },
    fashion: { type: "string" },
    out: { type: "string", default: "tuning" },
    only: { type: "string" },
    "dry-run": { type: "boolean", default: false },
  },
});
const { icons, fashion, out, only } = values;
if (icons === undefined || fashion === undefined) {
  process.stderr.write("--icons and --fashion: folders of the two sets; got nothing.\n");
  process.exit(1);
}

/** A ViT on four patches, projected side by side, and a bag of words; with 2,048 tokens 0.3, 1 and 3.1 M parameters. */
const model = (width: number) => ({
  embed_dim: width,
  vision_cfg: {
    ...{ image_size: 32, patch_size: 16, width, layers: 3, head_width: 32 },
    ...{ pool_type: "flat", class_token: false, no_ln_pre: true },
  },
  text_cfg: { context_length: 16, vocab_size: 2048, width, heads: width / 32, layers: 0, pool_type: "mean" },
});
const level = (width: number): readonly [string, RecipeInput] => [`w${width}`, { model: model(width) }];
const sizes = (...widths: readonly number[]): FactorInput => Object.fromEntries(widths.map(level));

const common: RecipeInput = {
  ...{ engine: "openvino", precision: "bf16-results", batchSize: 256, warmup: 0.05 },
  ...{ keepSize: 32, imageResizeMode: "squash", crop: "whole", normalize: "inception" },
  ...{ imageMemory: 1024, imageDisk: 1024, saveFrequency: "1h", keepBest: "none", valFrequency: "12.5%" },
};

const sets = {
  icons: { train: `${icons}/train/*.tar`, held: `${icons}/validation.tar` },
  fashion: { train: `${fashion}/*train*.tar`, held: `${fashion}/*test*.tar` },
} as const;

const rates = [4e-4, 1e-3, 2.5e-3, 6.3e-3];

interface Part {
  readonly set: keyof typeof sets;
  readonly factors: Readonly<Record<string, FactorInput>>;
  readonly length: RegimeInput;
  readonly seeds?: number;
  readonly recipe?: RecipeInput;
}

/** Of what is swept over other things; what the rule is compared with has it, too. */
const wd = 0.1;

/** The best of `rates` with the first seed, by set and width. */
const best = {
  icons: { 64: 2.5e-3, 128: 1e-3, 256: 1e-3 },
  fashion: { 64: 1e-3, 128: 1e-3, 256: 1e-3 },
} as const;

/** The rule against the sweep's best. */
const check = (set: keyof typeof sets, width: 64 | 128 | 256): Part => ({
  set,
  factors: { rates: { rule: {}, best: { lr: best[set][width], wd } } },
  length: { samples: 16_384 },
  recipe: { model: model(width) },
  seeds: 3,
});

/** In the order in which they are run: what tells most first. */
const parts: Readonly<Record<string, Part>> = {
  "icons-size": {
    set: "icons",
    factors: { size: sizes(64, 128, 256), lr: rates },
    length: { samples: 16_384 },
    recipe: { wd },
  },
  "icons-length": {
    set: "icons",
    factors: { lr: rates },
    length: { samples: 65_536 },
    recipe: { wd, model: model(64) },
  },
  "fashion-size": {
    set: "fashion",
    factors: { size: sizes(64, 128, 256), lr: rates },
    length: { samples: 16_384 },
    recipe: { wd },
  },
  "icons-batch": {
    set: "icons",
    factors: { batchSize: [64, 1024], lr: rates },
    length: { samples: 16_384 },
    recipe: { wd, model: model(64) },
  },
  "icons-warmup": {
    set: "icons",
    factors: { warmup: [0.05, 0.2], lr: [2.5e-3, 6.3e-3] },
    length: { samples: 16_384 },
    recipe: { wd, model: model(64) },
  },
  "icons-check-64": check("icons", 64),
  "fashion-check-64": check("fashion", 64),
  "icons-check-128": check("icons", 128),
  "fashion-check-128": check("fashion", 128),
  "fashion-check-256": check("fashion", 256),
  "icons-check-256": check("icons", 256),
  "fashion-decay": {
    set: "fashion",
    factors: { wd: [0.01, 0.1, 0.8], lr: [1e-3, 2.5e-3] },
    length: { samples: 32_768 },
    recipe: { model: model(64) },
  },
};

/** The tokenizer of a set, learned once. */
async function tokenizerOf(set: Part["set"]): Promise<string> {
  const file = join(out, set, "tokenizer", "tokenizer.json");
  if (existsSync(file)) return file;
  const recipe = { ...common, model: model(64), trainData: sets[set].train, vocabSize: 2048, steps: 1 };
  await train(checkRecipe({ ...recipe, name: "tokenizer", logs: join(out, set) }));
  return file;
}

const study = ({ set, factors, length, seeds = 1, recipe }: Part, tokenizer: string): StudyInput => ({
  question: { text: "Which learning rate?", factor: Object.keys(factors).at(-1)! },
  recipe: { ...common, tokenizer, trainData: sets[set].train, valData: sets[set].held, ...recipe },
  factors,
  regime: length,
  seeds,
  suite: { sets: { held: { data: sets[set].held, tasks: ["zeroshot_retrieval"] } } },
  score: "held/image_retrieval_recall@10",
});

await using engine = await openEngine("openvino", {});
for (const [name, part] of Object.entries(parts)) {
  if (only !== undefined && !only.split(",").includes(name)) continue;
  const input = study(part, await tokenizerOf(part.set));
  const opened = await openStudy(await checkStudy(input, { where: name, name }), {
    folder: join(out, part.set),
    engine,
  });
  const { seconds } = opened.outlook().left;
  process.stdout.write(`${name}: ${opened.runs.length} runs, ${Math.round(seconds)} s left\n`);
  if (values["dry-run"]) continue;
  const { failed, answer } = await opened.run({
    onRun: ({ cell, seed }, at) =>
      process.stdout.write(`${at + 1} ${Object.values(cell.levels).join(" ")} seed ${seed}\n`),
  });
  for (const { run, message } of failed) process.stdout.write(`${run.name} failed: ${message}\n`);
  if (answer !== undefined) process.stdout.write(`${answerLines(answer).join("\n")}\n`);
}
