/** The scores of a run on the way: on held-out pairs and on labelled images. */

import { areNumbers, datasetLabels } from "../../data/class-names.js";
import type { Dataset } from "../../data/index.js";
import { runTask, type TaskRun } from "../../evaluate/evaluate.js";
import { type FeatureSource, freshFeatures, rowsInMemory } from "../../evaluate/features/source.js";
import type { Encoder } from "../../evaluate/model/encoder.js";
import { type EvaluationContext, type EvaluationRecord, lossRecord } from "../../evaluate/records.js";
import { tasks } from "../../evaluate/tasks/index.js";
import { type RetrievalDetails, retrievalTask } from "../../evaluate/tasks/retrieval.js";
import type { Task, TaskContext } from "../../evaluate/tasks/task.js";
import { zeroshotTask } from "../../evaluate/tasks/zeroshot.js";
import type { Score } from "../../storage/checkpoint.js";
import type { Recipe } from "../recipe/recipe.js";
import type { StepRunner } from "../step/runner.js";
import type { TwoPassRunner } from "../step/two-pass-runner.js";
import type { HeldOutLoss, HeldOutPairs } from "./held-out.js";
import { isNamed, REFERENCE_SPLIT, referenceTask } from "./reference.js";

/** Scores of the weights as they are after `step`. */
export type Scoring = (
  step: number,
  what: { val: boolean; zeroshot: boolean },
) => Promise<EvaluationRecord[]>;

export function makeScoring(context: {
  recipe: Recipe;
  heldOut: HeldOutLoss;
  encoder: Encoder;
  runner: StepRunner | TwoPassRunner;
  ema: boolean;
  val: Dataset | undefined;
  zeroshotData: Dataset | undefined;
  probeData: Dataset | undefined;
  /** What must not be forgotten. */
  reference: Dataset | undefined;
  /** Told each note on the scores once. */
  say: (note: string) => void;
}): Scoring {
  const { recipe, heldOut, encoder, runner, ema, val, zeroshotData, probeData, reference, say } = context;
  const told = new Set<string>();
  const score = async <Details>(
    task: Task<Details>,
    of: TaskContext,
    where: EvaluationContext,
  ): Promise<TaskRun<Details>> => {
    const scored = await runTask(task, of, where);
    for (const note of scored.notes) {
      const line = `${of.data.dataset.name}: ${note}.`;
      if (!told.has(line)) say(line);
      told.add(line);
    }
    return scored;
  };
  const features = freshFeatures(encoder);
  const heldOutClasses = val !== undefined && hasClasses(val, recipe.classnames);
  return async (step, what) => {
    const weights = runner.state.variables(ema ? "ema" : "params");
    encoder.use(weights);
    const at = { step, samplesSeen: step * recipe.batchSize };
    const records: EvaluationRecord[] = [];
    const onVal = what.val && recipe.valFrequency.value > 0;
    const onZeroshot = what.zeroshot && zeroshotData !== undefined && recipe.zeroshotFrequency.value > 0;
    if (onVal && val !== undefined) {
      const context = { ...at, split: "val" };
      const found = await score(retrievalTask, { features, data: { dataset: val } }, context);
      const logits = await runner.state.logits(weights);
      const loss = await heldOut.measure(firstPairs(val, found.details), logits);
      if (loss !== undefined) records.push(lossRecord(val.name, loss, context));
      records.push(...found.records);
      if (heldOutClasses) {
        const { images, indices } = found.details;
        const embedded = { features: rowsInMemory(images), indices, skipped: [] };
        const data = {
          dataset: val,
          classnames: recipe.classnames,
          templates: recipe.zeroshotTemplates,
        };
        const source = { ...features, images: async () => embedded };
        records.push(...(await score(zeroshotTask, { features: source, data }, context)).records);
      }
    }
    if (onZeroshot) {
      const data = {
        dataset: zeroshotData,
        classnames: recipe.zeroshotClassnames ?? recipe.classnames,
        templates: recipe.zeroshotTemplates,
        train: probeData,
      };
      const once = embeddedOnce(features);
      for (const task of tasks)
        if (recipe.evalTasks.some((name) => name === task.name))
          records.push(...(await score(task, { features: once, data }, at)).records);
    }
    if (reference !== undefined && (onVal || onZeroshot)) {
      const data = { dataset: reference, classnames: recipe.referenceClassnames };
      const where = { ...at, split: REFERENCE_SPLIT };
      records.push(...(await score(referenceTask(reference), { features, data }, where)).records);
    }
    return records;
  };
}

/** The features, with the images of a set embedded once: for as long as the weights stay. */
function embeddedOnce(features: FeatureSource): FeatureSource {
  const known = new Map<Dataset, ReturnType<FeatureSource["images"]>>();
  return {
    ...features,
    images(dataset) {
      const found = known.get(dataset) ?? features.images(dataset);
      known.set(dataset, found);
      return found;
    },
  };
}

/** Whether images are of several classes with names, so that prompts can be made of them. */
function hasClasses(dataset: Dataset, classnames: string | undefined): boolean {
  const labels = datasetLabels(dataset);
  return labels.length > 1 && (classnames !== undefined || !areNumbers(labels));
}

/** Each image with its first caption. */
function firstPairs(
  dataset: Dataset,
  { images, indices, texts, textFeatures }: RetrievalDetails,
): HeldOutPairs {
  const { width } = textFeatures;
  const textOf = new Map(texts.map((text, at) => [text, at]));
  const rows = [...indices.keys()].filter((row) => dataset.sample(indices[row]!).captions.length > 0);
  const captions = rows.map((row) => dataset.sample(indices[row]!).captions[0]!);
  const data = new Float32Array(rows.length * width);
  for (const [at, caption] of captions.entries()) {
    const text = textOf.get(caption)!;
    data.set(textFeatures.data.subarray(text * width, (text + 1) * width), at * width);
  }
  return { images, texts: { data, rows: rows.length, width }, captions, captionImage: rows };
}

/** The score that `keepBest` names, when these weights have just got it. */
export function scoreOf(
  { keepBest: wanted }: Recipe,
  records: readonly EvaluationRecord[],
): Score | undefined {
  const found = wanted === undefined ? undefined : records.find(isNamed(wanted));
  return found === undefined ? undefined : { metric: wanted!, value: found.value };
}
