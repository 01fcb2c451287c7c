/**
 * Cross-fitting: scores of pairs without a pretrained model. The pictures are dealt into folds; for each fold a small CLIP
 * is trained on the others, and scores the fold, of which it has seen neither a picture nor a copy. Repeats deal anew and
 * are averaged; from the second on, the pairs that looked worst are not trained on. Every model is a run in a folder of its
 * own, so that what was killed goes on.
 */

import { createHash } from "node:crypto";
import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { makeFolder } from "../../../core/disk.js";
import { UsageError } from "../../../core/errors.js";
import { readJson, writeJsonAtomic } from "../../../core/files.js";
import { readNpy, writeNpy } from "../../../core/npy.js";
import { foldIn, type Key, keyFromSeed } from "../../../core/random.js";
import type { Samples } from "../../../data/columns/samples.js";
import { type Dataset, type Sample, samplesOf, subset } from "../../../data/dataset.js";
import { fingerprintOf } from "../../../data/look/fingerprint.js";
import { openEngine } from "../../../engines/registry.js";
import { freshFeatures } from "../../../evaluate/features/source.js";
import { loadModel } from "../../../evaluate/model/load-model.js";
import { listCheckpoints } from "../../../storage/checkpoint.js";
import type { RecipeInput } from "../../../train/recipe/input.js";
import { checkRecipe, type Recipe } from "../../../train/recipe/recipe.js";
import { train } from "../../../train/train.js";
import type { PairRows } from "../../scores/run/rows.js";
import { neighbourAgreement } from "../accuracy/neighbours.js";
import { type WordVector, WordWeights } from "../accuracy/word-weights.js";
import { agreementOf, LEAST_TEMPERATURE } from "../relevance/agreement.js";
import { embedPairs } from "../relevance/embed.js";
import { type CombinedScores, combine, type Found, foundColumns, worstPairs } from "./combine.js";
import { dealFolds, pictureGroups } from "./folds.js";
import { type CrossfitPlan, planCrossfit, runRecipe } from "./plan.js";

export interface CrossfitOptions {
  /** Where the plan, the runs and what they scored are kept; given again, it goes on as it was planned. */
  readonly folder: string;
  /** Seconds for everything. */
  readonly seconds: number;
  /** Folds and repeats; default: by the time, at most 5, and 3. */
  readonly folds?: number | undefined;
  readonly repeats?: number | undefined;
  /** Share of the pairs, the worst by the repeats before, that are not trained on from the second repeat on. Default 0.2. */
  readonly drop?: number | undefined;
  readonly seed?: number | undefined;
  /** Settings of the runs, over those that are chosen: model, augmentation, engine, … */
  readonly recipe?: RecipeInput | undefined;
  readonly workers?: number | undefined;
  /** Told what takes a while, and how far it is. */
  readonly onProgress?: ((progress: { what: string; done: number; total: number }) => void) | undefined;
  /** Told what should be known, a line each. */
  readonly onNote?: ((line: string) => void) | undefined;
}

export interface CrossfitScores extends CombinedScores {
  /** What was planned, or kept from before. */
  readonly plan: CrossfitPlan;
}

/** Checkpoints of a run that score its fold: after a quarter, a half, three quarters, and all. */
const CHECKPOINTS = 4;
const DROP = 0.2;
/** Of the temperature that a model has learned: the nearest others tell more than the many (docs/curation.md). */
const SHARPER = 0.5;
/** The groups of the samples, beside the plan. */
const GROUPS = "groups.npy";
/** Parts of a model's training that are told. */
const PROGRESS = 1000;

/** Cross-fits the pairs. Throws `UsageError` for time that is too short, and for what training refuses. */
export async function crossfit(
  dataset: Dataset,
  rows: PairRows,
  options: CrossfitOptions,
): Promise<CrossfitScores> {
  const { folder, seed = 0, drop = DROP, onNote } = options;
  makeFolder(folder);
  const { plan, groups } = await prepare(dataset, options);
  const { folds, repeats, epochs } = plan;
  const different = new Set(groups).size;
  if (different < 2 * folds)
    throw new UsageError(
      `folds: must be at most half of the different pictures; got ${folds} folds of ${different}. Give more pictures, or fewer folds.`,
      { key: "folds" },
    );
  onNote?.(
    `Cross-fitting: ${repeats} times ${folds} models, each ${epochs} passes over ${Math.round(dataset.length * (1 - 1 / folds))} pictures.`,
  );
  const key = foldIn(keyFromSeed(seed), "cross-fit");
  const found: Found[] = [];
  for (let repeat = 0; repeat < repeats; repeat++) {
    const foldOf = dealFolds(groups, folds, foldIn(key, repeat));
    const dropped = repeat === 0 ? new Uint8Array(rows.length) : worstPairs(found, drop);
    const ofRepeat = foundColumns(rows.length);
    for (let fold = 0; fold < folds; fold++) {
      const held = Uint32Array.from(rows.sample.keys()).filter((row) => foldOf[rows.sample[row]!] === fold);
      const values = await scoreFold(dataset, rows, { foldOf, held, fold, repeat, dropped }, plan, options);
      ofRepeat.put(held, values);
    }
    found.push(ofRepeat.columns);
  }
  return { ...combine(found), plan };
}

/** One model's part of the work. */
interface Fold {
  /** Of each sample. */
  readonly foldOf: Uint32Array;
  /** Rows of the fold. */
  readonly held: Uint32Array;
  readonly fold: number;
  readonly repeat: number;
  /** 1 for rows that are not trained on. */
  readonly dropped: Uint8Array;
}

/** What a model that is trained without the fold finds of it; as it was kept, where it was found before. */
async function scoreFold(
  dataset: Dataset,
  rows: PairRows,
  part: Fold,
  plan: CrossfitPlan,
  options: CrossfitOptions,
): Promise<Float32Array> {
  const { folder, seed = 0, recipe: over = {}, workers, onProgress } = options;
  const { folds, repeats, epochs } = plan;
  const { held, fold, repeat } = part;
  const number = repeat * folds + fold;
  const name = `repeat-${repeat + 1}-fold-${fold + 1}`;
  const file = join(folder, `${name}.npy`);
  if (existsSync(file)) return readNpy(file).data as Float32Array;
  const recipe = checkRecipe({
    ...runRecipe(plan, over),
    trainData: dataset.description.map(({ source }) => source),
    name,
    logs: join(folder, "runs"),
    seed: seed * folds * repeats + number,
    saveFrequency: `${epochs / CHECKPOINTS} epochs`,
    keepLast: CHECKPOINTS,
    ...(workers !== undefined && { workers }),
  });
  const told = {
    onStep: ({ step, totalSteps = step }: { step: number; totalSteps: number | undefined }) =>
      onProgress?.({
        what: `cross-fitting, model ${number + 1} of ${folds * repeats}`,
        done: Math.round(PROGRESS * (number + step / totalSteps)),
        total: PROGRESS * folds * repeats,
      }),
  };
  const run = await train(recipe, told, { trainSet: trainingPart(dataset, rows, part) });
  const values = await foundBy(run.folder, dataset, rows, held, recipe, foldIn(keyFromSeed(seed), name));
  writeNpy(file, { dtype: "f32", shape: [held.length, values.length / held.length], data: values });
  // The last checkpoint stays: a model like any other.
  for (const { path } of listCheckpoints(join(run.folder, "checkpoints")).slice(0, -1))
    rmSync(path, { recursive: true, force: true });
  return values;
}

/** What the checkpoints of a run find of the rows `held`, as `foundColumns` takes it. */
async function foundBy(
  run: string,
  dataset: Dataset,
  rows: PairRows,
  held: Uint32Array,
  recipe: Recipe,
  key: Key,
): Promise<Float32Array> {
  const checkpoints = listCheckpoints(join(run, "checkpoints"));
  const columns = foundColumns(held.length);
  const part = partOf(dataset, rows, held);
  const engine = await openEngine(recipe.engine, recipe);
  try {
    const losses: Float64Array[] = [];
    const neighbours: Float64Array[] = [];
    const vectors = wordVectors(part.dataset, part.rows);
    for (const [at, { path }] of checkpoints.entries()) {
      using model = await loadModel(engine, { path, workers: recipe.workers, imageDisk: recipe.imageDisk });
      const source = freshFeatures(model.encoder);
      const temperature = Math.max(LEAST_TEMPERATURE, SHARPER / (await source.scale()));
      const loss = new Float64Array(held.length).fill(Number.NaN);
      const alike = new Float64Array(held.length).fill(Number.NaN);
      for await (const pairs of embedPairs(source, part.dataset, part.rows)) {
        const agreement = await agreementOf(pairs, { temperature, key, engine });
        const captions = Array.from(pairs.at, (row) => vectors[row]!);
        const look = await neighbourAgreement(engine, pairs.images, captions, pairs.imageOf);
        for (const [i, place] of pairs.at.entries()) {
          loss[place] = -agreement.corrected[i]! / temperature;
          alike[place] = look[i]!;
        }
        if (at === checkpoints.length - 1) columns.set(pairs.at, agreement);
      }
      losses.push(loss);
      neighbours.push(alike);
    }
    columns.setCourse(losses, neighbours);
    return columns.flat();
  } finally {
    await engine[Symbol.asyncDispose]();
  }
}

/** Each row's caption by its words, weighted by how rare they are among the rows. */
function wordVectors(dataset: Dataset, rows: PairRows): WordVector[] {
  const captions = Array.from(
    { length: rows.length },
    (_, row) => dataset.sample(rows.sample[row]!).captions[rows.caption[row]!] ?? "",
  );
  const weights = new WordWeights();
  for (const caption of captions) weights.add(caption);
  return captions.map((caption) => weights.vector(caption));
}

/** The samples of the rows `held` alone, and the rows as theirs. */
function partOf(dataset: Dataset, rows: PairRows, held: Uint32Array): { dataset: Dataset; rows: PairRows } {
  const samples = [...new Set(Array.from(held, (row) => rows.sample[row]!))];
  const placeOf = new Map(samples.map((sample, place) => [sample, place]));
  return {
    dataset: subset(dataset, samples),
    rows: {
      length: held.length,
      sample: Uint32Array.from(held, (row) => placeOf.get(rows.sample[row]!)!),
      caption: Uint16Array.from(held, (row) => rows.caption[row]!),
    },
  };
}

/** What a model learns from: the samples outside the fold that have a caption left, without the pairs of which `dropped` is 1. */
function trainingPart(dataset: Dataset, rows: PairRows, { foldOf, fold, dropped }: Fold): Dataset {
  const name = `${dataset.name} without fold ${fold + 1}`;
  const gone = new Map<number, Set<number>>();
  for (const [row, isDropped] of dropped.entries()) {
    if (isDropped === 0) continue;
    const sample = rows.sample[row]!;
    gone.set(sample, (gone.get(sample) ?? new Set()).add(rows.caption[row]!));
  }
  const left = (i: number): Sample => {
    const sample = dataset.sample(i);
    const without = gone.get(i);
    if (without === undefined) return sample;
    const { captions, weights, ...rest } = sample;
    const stays = (_: unknown, c: number) => !without.has(c);
    return {
      ...rest,
      captions: captions.filter(stays),
      ...(weights !== undefined && { weights: weights.filter(stays) }),
    };
  };
  const kept = Uint32Array.from(foldOf.keys()).filter(
    (i) => foldOf[i] !== fold && left(i).captions.length > 0,
  );
  if (gone.size === 0) return subset(dataset, kept, name);
  const whole = samplesOf(dataset);
  const samples: Samples = {
    length: kept.length,
    sample: (at) => left(kept[at]!),
    keyAt: (at) => whole.keyAt(kept[at]!),
    captionsAt: (at) => left(kept[at]!).captions.length,
    uidAt: (at) => whole.uidAt(kept[at]!),
  };
  const digest = createHash("sha256").update(dropped).digest("hex").slice(0, 16);
  return subset(dataset, kept, name, { samples, selection: `without ${digest}` });
}

/** What was planned for these data, kept in the folder from the first time on; and their groups. */
async function prepare(
  dataset: Dataset,
  options: CrossfitOptions,
): Promise<{ readonly plan: CrossfitPlan; readonly groups: Int32Array }> {
  const { folder, seconds, folds, repeats, recipe = {}, workers, onProgress } = options;
  const file = join(folder, "plan.json");
  const data = fingerprintOf(dataset);
  if (existsSync(file)) {
    const kept = readJson(file) as { plan: CrossfitPlan; data: object };
    if (JSON.stringify(kept.data) !== JSON.stringify(data))
      throw new UsageError(
        `${folder}: must hold what was begun with these data; got ${JSON.stringify(data)}, and it was begun with ${JSON.stringify(kept.data)}. Remove the folder, or score elsewhere.`,
        { file },
      );
    return { plan: kept.plan, groups: readNpy(join(folder, GROUPS)).data as Int32Array };
  }
  const groups = await pictureGroups(dataset, {
    ...(workers !== undefined && { workers }),
    onProgress: (done, total) => onProgress?.({ what: "looking for copies", done, total }),
  });
  const { engine: name = "auto", ...choice } = recipe;
  const engine = await openEngine(name, { threads: choice.threads, plugin: choice.plugin });
  try {
    const plan = await planCrossfit(engine, dataset.length, { seconds, folds, repeats, recipe });
    writeNpy(join(folder, GROUPS), { dtype: "i32", shape: [groups.length], data: groups });
    writeJsonAtomic(file, { plan, data });
    return { plan, groups };
  } finally {
    await engine[Symbol.asyncDispose]();
  }
}
