/** A run's folder: whatever happened to it, it goes on from a sound checkpoint, or is refused in one line. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { UsageError } from "../../../src/core/errors.js";
import { keyFromSeed } from "../../../src/core/random.js";
import { loadTokenizer } from "../../../src/data/tokenizer/load.js";
import { saveTokenizer } from "../../../src/data/tokenizer/save.js";
import { trainBpe } from "../../../src/data/tokenizer/train-bpe.js";
import { locateModel } from "../../../src/evaluate/model/locate.js";
import { makeClip } from "../../../src/models/clip.js";
import { readWeights } from "../../../src/models/weights/weights.js";
import { makeRunPage } from "../../../src/report/run/make.js";
import { checkRecipe } from "../../../src/train/recipe/recipe.js";
import { Run } from "../../../src/train/run/folder.js";
import { readState, stateFiles } from "../../../src/train/run/state-files.js";
import { initialState } from "../../../src/train/step/state.js";
import { plainClip } from "../../../src/train/strategies/clip.js";
import type { FuzzInput } from "../mutate.js";
import type { FuzzTarget } from "../target.js";

const tokenizer = trainBpe(["a cat", "a dog", "two dogs"], { vocabSize: 262 }).tokenizer;
const config = {
  embed_dim: 4,
  vision_cfg: { image_size: 8, patch_size: 8, width: 4, head_width: 4, layers: 1 },
  text_cfg: { context_length: 8, vocab_size: tokenizer.vocabSize, width: 4, heads: 1, layers: 1 },
};
const clip = makeClip(config);
const strategy = plainClip(clip);
const recipeIn = (logs: string) =>
  checkRecipe({ model: config, trainData: "pairs", batchSize: 4, steps: 6, logs, name: "run" });
const plan = { totalSteps: 6, samplesPerEpoch: 12, batchSize: 4, measuredSteps: 0 };

/** Writes a run of four steps, as training does, with numbers that never change. */
function writeRun(logs: string): void {
  using run = Run.open(recipeIn(logs));
  saveTokenizer(tokenizer, run.file(tokenizer.fileName));
  run.writeFile("model.json", JSON.stringify({ model_cfg: config }));
  run.savePlan(plan);
  for (let step = 1; step <= 4; step++) {
    run.appendMetrics({
      step,
      samplesSeen: 4 * step,
      epoch: 0,
      seconds: step,
      loss: 2 / step,
      learningRate: 0.1,
    });
    if (step % 2 !== 0) continue;
    const scores = { dataset: "pairs", split: "val", value: 0.5, low: 0.25, high: 0.75, n: 4 };
    run.appendEvaluation({ step, task: "zeroshot_retrieval", metric: "image_retrieval_recall@1", ...scores });
    const values = initialState({ clip, strategy }, keyFromSeed(step));
    const snapshot = new Map(
      Object.entries(values).map(([name, data]) => {
        const { shape } = clip.variables[name.slice(name.indexOf(".") + 1)]!;
        return [name, { type: { dtype: "f32" as const, shape }, data }] as const;
      }),
    );
    run.saveCheckpoint(step, stateFiles(snapshot, strategy), {
      seconds: step,
      samplesSeen: 4 * step,
      losses: [2],
    });
  }
}

function filesOf(folder: string): FuzzInput {
  const names = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.startsWith("."))
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort();
  return Object.fromEntries(names.map((name) => [name, readFileSync(join(folder, name))]));
}

let made: FuzzInput | undefined;
function seed(): FuzzInput {
  if (made !== undefined) return made;
  const folder = mkdtempSync(join(tmpdir(), "clipwright-fuzz-run-"));
  try {
    writeRun(folder);
    made = filesOf(folder);
    return made;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Gives `state.json` the checksums of what the files hold now, so that damage reaches those who read them. */
function seal(input: FuzzInput): FuzzInput {
  const sha256 = (bytes: Uint8Array | string) => createHash("sha256").update(bytes).digest("hex");
  const sealed: Record<string, Uint8Array> = { ...input };
  for (const [name, bytes] of Object.entries(input)) {
    if (basename(name) !== "state.json") continue;
    try {
      const { format, step, state, score, files } = JSON.parse(Buffer.from(bytes).toString());
      for (const file of Object.keys(files)) {
        const own = input[`${dirname(name)}/${file}`] ?? new Uint8Array(0);
        files[file] = { sizeBytes: own.length, sha256: sha256(own) };
      }
      const contents = { step, state, score, files };
      sealed[name] = Buffer.from(
        JSON.stringify({ format, ...contents, sha256: sha256(JSON.stringify(contents)) }),
      );
    } catch {
      // What is no such file has no checksums.
    }
  }
  return sealed;
}

/** Goes on with the run, as far as there is no need for an engine. */
function resume(folder: string, input: FuzzInput): void {
  using run = Run.open(recipeIn(folder));
  run.savePlan(plan);
  run.saveStart({ fresh: [] });
  run.readMetrics();
  run.readEvaluation();
  const { resumed } = run;
  if (resumed === undefined) return;
  const state = readState(resumed, { clip, strategy });
  const own = `run/checkpoints/${basename(resumed.path)}`;
  const same = (name: string) => Buffer.compare(input[name]!, seed()[name]!) === 0;
  // Whoever's state is as it was written has the weights that were written.
  if (same(`${own}/state.json`)) assert.ok(same(`${own}/params.safetensors`));
  assert.ok(Object.keys(state).length > 0);
  assert.ok(run.readMetrics().every(({ step }) => step === undefined || step <= resumed.step));
}

/** Opens its model for scores or vectors, as far as there is no need for an engine. */
async function openModel(folder: string): Promise<void> {
  const located = await locateModel({ path: join(folder, "run"), say: () => {} });
  const values = await readWeights(located.weights, makeClip(located.config).variables);
  for (const value of Object.values(values)) assert.ok(value.every(Number.isFinite));
  loadTokenizer(located.tokenizer).encode("two cats");
}

export const runFolder: FuzzTarget = {
  name: "run-folder",
  seeds: async () => [seed()],
  words: [
    '"step":',
    '"totalSteps":',
    '"fresh":',
    '"files":',
    "step-00000004",
    "params.safetensors",
    '"loss":',
  ],
  repair: seal,
  async run(folder, input) {
    let refused: unknown;
    // Every reader meets the damage, whatever the others say of it; the run itself last, since it writes.
    for (const read of [
      () => makeRunPage({ run: join(folder, "run") }),
      () => openModel(folder),
      () => resume(folder, input),
    ]) {
      try {
        await read();
      } catch (error) {
        if (!(error instanceof UsageError)) throw error;
        refused ??= error;
      }
    }
    if (refused !== undefined) throw refused;
  },
};
