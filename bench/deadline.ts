/**
 * What a run that is cut short is worth:
 *
 *     node dist/bench/deadline.js --train-data SOURCE [--model clipwright-nano-32] [--batch-size 128] [--steps 1000]
 *         [--cut 0.6] [--seeds 3] [--val-split 0.2] [--logs runs] [--engine onnxruntime]
 *
 * For each seed a run of const-cooldown over all steps; the same with a deadline after the share `--cut` of its time; and,
 * of the length that this came to: const-cooldown from the beginning, cosine, and no cooldown at all. Prints held-out
 * scores, their mean and deviation over seeds, and whether the cut run's weights are those of the planned one to the
 * bit. Runs are kept as deadline-*; finished ones are not trained again.
 */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { TrainResult } from "../src/train/hooks.js";
import { checkRecipe, type RecipeInput } from "../src/train/recipe/recipe.js";
import type { Plan } from "../src/train/schedule/plan.js";
import { train } from "../src/train/train.js";

const { values } = parseArgs({
  options: {
    "train-data": { type: "string" },
    model: { type: "string", default: "clipwright-nano-32" },
    "batch-size": { type: "string", default: "128" },
    steps: { type: "string", default: "1000" },
    cut: { type: "string", default: "0.6" },
    seeds: { type: "string", default: "3" },
    "val-split": { type: "string", default: "0.2" },
    logs: { type: "string", default: "runs" },
    engine: { type: "string", default: "onnxruntime" },
  },
});
const { "train-data": trainData, logs } = values;
if (trainData === undefined) {
  process.stderr.write("--train-data: pairs to train on; got nothing.\n");
  process.exit(1);
}
const steps = Number(values.steps);

/** Of every run: a warm-up in steps, so that runs of other lengths begin alike. */
const common = {
  ...{ model: values.model!, trainData, logs: logs!, batchSize: Number(values["batch-size"]) },
  ...{ engine: values.engine as "onnxruntime" | "xla", valSplit: Number(values["val-split"]) },
  ...{
    schedule: "const-cooldown",
    cooldown: 0.2,
    warmup: Math.round(steps / 20),
    valFrequency: "1000 epochs",
  },
} as const satisfies RecipeInput;

interface Row {
  readonly name: string;
  readonly result: TrainResult;
}

/** Trains one run; a finished one says what it came to. */
async function run(name: string, seed: number, more: RecipeInput): Promise<Row> {
  const recipe = checkRecipe({ ...common, seed, name: `deadline-${name}-${steps}-${seed}`, ...more });
  process.stderr.write(`${recipe.name} …\n`);
  return { name, result: await train(recipe) };
}

const weightsOf = ({ result }: Row): Buffer => {
  const step = `step-${String(result.step).padStart(8, "0")}`;
  return readFileSync(join(result.folder, "checkpoints", step, "params.safetensors"));
};

const rows: Row[] = [];
let identical = 0;
const seeds = Array.from({ length: Number(values.seeds) }, (_, seed) => seed);
for (const seed of seeds) {
  const whole = await run("whole", seed, { steps });
  const deadline = `${Math.ceil(whole.result.seconds * Number(values.cut))}s`;
  const cut = await run("cut", seed, { steps, deadline });
  const plan = JSON.parse(readFileSync(join(cut.result.folder, "plan.json"), "utf8")) as Plan;
  if (plan.cut === undefined) {
    process.stderr.write(`${cut.result.folder}: too short to be cut; give more --steps.\n`);
    process.exit(1);
  }
  const length = cut.result.step;
  const cooldown = (length - plan.cut.step) / length;
  const planned = await run("planned", seed, { steps: length, cooldown });
  const cosine = await run("cosine", seed, { steps: length, schedule: "cosine", cooldown: undefined });
  const constant = await run("constant", seed, { steps: length, schedule: "constant", cooldown: undefined });
  rows.push(whole, cut, planned, cosine, constant);
  if (weightsOf(cut).equals(weightsOf(planned))) identical++;
}

const out = (line: string) => process.stdout.write(`${line}\n`);
const mean = (of: readonly number[]) => of.reduce((sum, x) => sum + x, 0) / of.length;
const deviation = (of: readonly number[]) =>
  Math.sqrt(of.reduce((sum, x) => sum + (x - mean(of)) ** 2, 0) / Math.max(1, of.length - 1));
const metrics = ["val_loss", "image_retrieval_recall@5", "text_retrieval_recall@5"];
out(`| run | steps | seconds | ${metrics.join(" | ")} |`);
out(`| --- | --- | --- | ${metrics.map(() => "---").join(" | ")} |`);
for (const name of new Set(rows.map((row) => row.name))) {
  const own = rows.filter((row) => row.name === name).map(({ result }) => result);
  const cells = metrics.map((metric) => {
    const found = own.map(({ evaluation }) => evaluation.find((line) => line.metric === metric)!.value);
    return `${mean(found).toFixed(3)} ± ${deviation(found).toFixed(3)}`;
  });
  const steps = own.map(({ step }) => step).join(", ");
  out(
    `| ${name} | ${steps} | ${own.map(({ seconds }) => seconds.toFixed(0)).join(", ")} | ${cells.join(" | ")} |`,
  );
}
out(`\nWeights of cut and planned the same to the bit: ${identical} of ${seeds.length} seeds.`);
