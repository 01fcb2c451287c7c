/**
 * How well cross-fitting finds swapped captions of which the truth is known: plants faults in a set (`bench/planting.ts`),
 * scores its pairs, and prints the AUC of right against swapped captions for every statistic.
 *
 *     node dist/bench/curation.js --data 'fashion-*.tar' --out planted/fashion --folds 5 --repeats 3 --seconds 1200
 *     node dist/bench/curation.js --data 'flickr-*.tar' --out planted/flickr --recipe '{"engine":"openvino"}'
 *
 * What was planted and scored is kept in `--out`, so that a run that was cut short goes on.
 */

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { readJsonLines } from "../src/core/files.js";
import { siblingsFamily } from "../src/curate/fit/accuracy/siblings.js";
import { crossfit } from "../src/curate/fit/crossfit/crossfit.js";
import { openDataset } from "../src/data/index.js";
import type { RecipeInput } from "../src/train/recipe/input.js";
import { plant, swappedAuc, type Truth } from "./planting.js";

const { values } = parseArgs({
  options: {
    data: { type: "string", multiple: true },
    out: { type: "string" },
    captions: { type: "string" },
    seed: { type: "string", default: "0" },
    seconds: { type: "string", default: "1200" },
    folds: { type: "string" },
    repeats: { type: "string" },
    drop: { type: "string" },
    name: { type: "string", default: "crossfit" },
    recipe: { type: "string", default: "{}" },
  },
});
const out = values.out!;
const number = (text: string | undefined) => (text === undefined ? undefined : Number(text));
const print = (line: string) => process.stdout.write(`${line}\n`);

if (!existsSync(join(out, "truth.jsonl"))) {
  const captions = number(values.captions);
  await plant(await openDataset(values.data!), out, {
    seed: Number(values.seed),
    ...(captions !== undefined && { captions }),
  });
}
const truth = readJsonLines(join(out, "truth.jsonl")) as Truth[];
const dataset = await openDataset(join(out, "pairs.jsonl"));
const rows = {
  length: truth.length,
  sample: Uint32Array.from(truth, ({ row }) => row),
  caption: Uint16Array.from(truth, ({ captionIndex }) => captionIndex),
};

function printAuc(name: string, column: ArrayLike<number>, sign = 1): void {
  const auc = swappedAuc(truth, column, sign);
  if (auc !== undefined) print(`| ${name} | ${auc} |`);
}

print("| statistic | AUC of swapped captions |");
print("| --- | --- |");
const table = {
  source: truth.map(() => ""),
  key: truth.map(({ row }) => String(row)),
  caption: truth.map(({ row, captionIndex }) => dataset.sample(row).captions[captionIndex]!),
};
const { sibling_agreement } = await siblingsFamily.score({
  settings: {},
  length: truth.length,
  async *scan() {
    yield { start: 0, length: truth.length, columns: table };
  },
});
printAuc("sibling_agreement", sibling_agreement as Float64Array);
const started = performance.now();
let told = started;
const { plan, ...scores } = await crossfit(dataset, rows, {
  folder: join(out, values.name!),
  seconds: Number(values.seconds),
  folds: number(values.folds),
  repeats: number(values.repeats),
  drop: number(values.drop),
  seed: Number(values.seed),
  recipe: (existsSync(values.recipe!)
    ? JSON.parse(readFileSync(values.recipe!, "utf8"))
    : JSON.parse(values.recipe!)) as RecipeInput,
  onNote: print,
  onProgress: ({ what, done, total }) => {
    if (performance.now() - told < 60_000) return;
    told = performance.now();
    print(`${what}: ${((100 * done) / total).toFixed(1)} %`);
  },
});
print(
  `${JSON.stringify({ ...plan, model: undefined })}; ${((performance.now() - started) / 1000).toFixed(0)} s`,
);
for (const [name, column] of Object.entries(scores))
  printAuc(name, column, ["score", "neighbours", "cosine"].includes(name) ? 1 : -1);
