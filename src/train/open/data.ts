/** The data of a run: what is trained on, and what is held out or labelled for its scores. */

import { UsageError } from "../../core/errors.js";
import { areNumbers, classesOf, datasetLabels } from "../../data/class-names.js";
import { datasetOptions } from "../../data/fields.js";
import { type Dataset, fingerprintOf, openDataset } from "../../data/index.js";
import { takeSelected } from "../../data/selections/select.js";
import { splitAt, splitByImage } from "../../data/split.js";
import type { Processes } from "../../engines/group.js";
import { loadTemplates } from "../../evaluate/prompts/templates.js";
import { zeroshotTask } from "../../evaluate/tasks/zeroshot.js";
import type { Recipe } from "../recipe/recipe.js";
import { heldOutIn, type Run } from "../run/folder.js";
import { referenceTask } from "../watch/reference.js";

export interface RunData {
  readonly train: Dataset;
  /** Held-out pairs, if any. */
  readonly val: Dataset | undefined;
  /** Labelled images, if any. */
  readonly zeroshot: Dataset | undefined;
  /** What tasks that learn take, if any. */
  readonly probe: Dataset | undefined;
  /** What must not be forgotten, if anything. */
  readonly reference: Dataset | undefined;
}

/**
 * Opens what the recipe names; holds out `valSplit` of the training images, duplicates on one side, and of the others takes
 * what is selected. Process 0 looks at the images for that, and it alone opens what is evaluated. `trainSet` stands in the
 * place of `trainData`.
 */
export async function openRunData(
  recipe: Recipe,
  onProgress: (line: string) => void,
  processes: Pick<Processes, "index" | "share">,
  run?: Run,
  trainSet?: Dataset,
): Promise<RunData> {
  const evaluates = processes.index === 0;
  const options = { onProgress, ...datasetOptions(recipe) };
  const weights = recipe.trainDataUpsamplingFactors;
  const all =
    trainSet ??
    (await openDataset(recipe.trainData, { ...options, ...(weights === undefined ? {} : { weights }) }));
  requireCaptions(all, "trainData");
  const zeroshot =
    recipe.zeroshotData === undefined || !evaluates
      ? undefined
      : await openDataset(recipe.zeroshotData, { onProgress });
  if (zeroshot !== undefined) {
    // What is wrong with them is told now, not after the first epoch.
    classesOf(datasetLabels(zeroshot), zeroshot.name, recipe.zeroshotClassnames ?? recipe.classnames);
    if (recipe.zeroshotTemplates !== undefined) await loadTemplates(recipe.zeroshotTemplates);
  }
  const probe =
    recipe.probeData === undefined || !evaluates
      ? undefined
      : await openDataset(recipe.probeData, { onProgress });
  const reference = evaluates ? await openReference(recipe, onProgress) : undefined;
  const scored = { zeroshot, probe, reference };
  // What is held out is not selected: scores of runs with other selections are of the same pairs.
  const selected = (dataset: Dataset) =>
    takeSelected(dataset, recipe.select, {
      ...{ onProgress, weight: recipe.sampleWeight, heldOut: all.length - dataset.length },
    });
  if (recipe.valSplit > 0) {
    const indices = await processes.share("held out", () => heldOutOf(recipe, all, onProgress, run));
    const { train, heldOut } = splitAt(all, indices);
    return { train: await selected(train), val: heldOut, ...scored };
  }
  const val =
    recipe.valData === undefined || !evaluates ? undefined : await openDataset(recipe.valData, options);
  if (val !== undefined) requireCaptions(val, "valData");
  return { train: await selected(all), val, ...scored };
}

/** What the recipe wants not to be forgotten. What is wrong with it is told now. */
async function openReference(
  { referenceData, referenceClassnames }: Recipe,
  onProgress: (line: string) => void,
): Promise<Dataset | undefined> {
  if (referenceData === undefined) return undefined;
  const dataset = await openDataset(referenceData, { onProgress });
  if (referenceTask(dataset) === zeroshotTask)
    classesOf(datasetLabels(dataset), dataset.name, referenceClassnames);
  else requireCaptions(dataset, "referenceData");
  return dataset;
}

/** The samples that the recipe holds out of all: as the run keeps them, or found by looking at every image, and kept. */
async function heldOutOf(
  recipe: Recipe,
  all: Dataset,
  onProgress: (line: string) => void,
  run: Run | undefined,
): Promise<readonly number[]> {
  const data = fingerprintOf(all);
  const kept = run && heldOutIn(run.path, data);
  if (kept !== undefined) return kept;
  onProgress(
    `Looking for duplicates in ${all.length} images before ${100 * recipe.valSplit} % are held out …`,
  );
  const { heldOutIndices } = await splitByImage(all, {
    fraction: recipe.valSplit,
    ...(recipe.workers === undefined ? {} : { workers: recipe.workers }),
  });
  run?.saveHeldOut({ indices: heldOutIndices, data });
  return heldOutIndices;
}

function requireCaptions(dataset: Dataset, key: string): void {
  for (let i = 0; i < dataset.length; i++) if (dataset.sample(i).captions.length > 0) return;
  const remedy = areNumbers(datasetLabels(dataset))
    ? "Their labels are numbers, which describe no picture: name them with --classnames."
    : "Look at them with clipwright inspect.";
  throw new UsageError(
    `${key}: pairs need captions; got ${dataset.length} images of "${dataset.name}", none with one. ${remedy}`,
  );
}
