/** The scores of a run on the way: on held-out pairs and on labelled images. */

import { areNumbers, datasetLabels } from "../../data/class-names.js";
import type { Dataset } from "../../data/index.js";
import { runTask } from "../../evaluate/evaluate.js";
import { freshFeatures, rowsInMemory } from "../../evaluate/features/source.js";
import type { Encoder } from "../../evaluate/model/encoder.js";
import { type EvaluationRecord, lossRecord } from "../../evaluate/records.js";
import { type RetrievalDetails, retrievalTask } from "../../evaluate/tasks/retrieval.js";
import { zeroshotTask } from "../../evaluate/tasks/zeroshot.js";
import type { Score } from "../../storage/checkpoint.js";
import type { Recipe } from "../recipe/recipe.js";
import type { StepRunner } from "../step/runner.js";
import type { TwoPassRunner } from "../step/two-pass-runner.js";
import type { HeldOutLoss, HeldOutPairs } from "./held-out.js";

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
}): Scoring {
  const { recipe, heldOut, encoder, runner, ema, val, zeroshotData } = context;
  const features = freshFeatures(encoder);
  const heldOutClasses = val !== undefined && hasClasses(val, recipe.classnames);
  return async (step, what) => {
    const weights = runner.state.variables(ema ? "ema" : "params");
    encoder.use(weights);
    const at = { step, samplesSeen: step * recipe.batchSize };
    const records: EvaluationRecord[] = [];
    if (what.val && val !== undefined && recipe.valFrequency.value > 0) {
      const context = { ...at, split: "val" };
      const found = await runTask(retrievalTask, { features, data: { dataset: val } }, context);
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
        records.push(...(await runTask(zeroshotTask, { features: source, data }, context)).records);
      }
    }
    if (what.zeroshot && zeroshotData !== undefined && recipe.zeroshotFrequency.value > 0) {
      const data = {
        dataset: zeroshotData,
        classnames: recipe.zeroshotClassnames ?? recipe.classnames,
        templates: recipe.zeroshotTemplates,
      };
      records.push(...(await runTask(zeroshotTask, { features, data }, at)).records);
    }
    return records;
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
export function scoreOf(recipe: Recipe, records: readonly EvaluationRecord[]): Score | undefined {
  const wanted = recipe.keepBest;
  if (wanted === undefined) return undefined;
  const found = records.find(({ metric }) => wanted === metric || wanted.endsWith(`/${metric}`));
  return found === undefined ? undefined : { metric: wanted, value: found.value };
}
