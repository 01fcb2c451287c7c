/** The scores of a run on the way: on held-out pairs and on labelled images. */

import type { Dataset } from "../../data/index.js";
import type { Encoder } from "../../evaluate/model/encoder.js";
import { type EvaluationRecord, lossRecord } from "../../evaluate/records.js";
import { retrieval, zeroshot } from "../../evaluate/tasks/run.js";
import type { Score } from "../../storage/checkpoint.js";
import type { Recipe } from "../recipe/recipe.js";
import type { StepRunner } from "../step/runner.js";
import type { TwoPassRunner } from "../step/two-pass-runner.js";
import type { HeldOutLoss } from "./held-out.js";

/** Scores of the weights as they are after `step`. */
export type Evaluation = (
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
}): Evaluation {
  const { recipe, heldOut, encoder, runner, ema, val, zeroshotData } = context;
  return async (step, what) => {
    const weights = runner.state.variables(ema ? "ema" : "params");
    encoder.use(weights);
    const at = { step, samplesSeen: step * recipe.batchSize };
    const records: EvaluationRecord[] = [];
    if (what.val && val !== undefined && recipe.valFrequency.value > 0) {
      const context = { ...at, split: "val" };
      const found = await retrieval(encoder, val, context);
      const logits = await runner.state.logits(weights);
      const loss = await heldOut.measure({ ...found, images: found.images.features }, logits);
      if (loss !== undefined) records.push(lossRecord(val.name, loss, context));
      records.push(...found.records);
    }
    if (what.zeroshot && zeroshotData !== undefined && recipe.zeroshotFrequency.value > 0) {
      const options = {
        classnames: recipe.zeroshotClassnames ?? recipe.classnames,
        templates: recipe.zeroshotTemplates,
        ...at,
      };
      records.push(...(await zeroshot(encoder, zeroshotData, options)).records);
    }
    return records;
  };
}

/** The score that `keepBest` names, when these weights have just got it. */
export function scoreOf(recipe: Recipe, records: readonly EvaluationRecord[]): Score | undefined {
  const wanted = recipe.keepBest;
  if (wanted === undefined) return undefined;
  const found = records.find(({ metric }) => wanted === metric || wanted.endsWith(`/${metric}`));
  return found === undefined ? undefined : { metric: wanted, value: found.value };
}
