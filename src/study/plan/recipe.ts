/** The recipe of an option: what the plan chose, and the settings that follow from it and the data. */

import type { PretrainedModel } from "../../evaluate/pretrained/catalog.js";
import { formatSeconds } from "../../settings/duration.js";
import { finetuning } from "../../train/recipe/finetuning.js";
import { ruledRates } from "../../train/recipe/rates.js";
import type { RecipeInput } from "../../train/recipe/recipe.js";
import type { Asked } from "../predict/predict.js";
import type { Budget } from "./budget.js";
import type { Option } from "./choose.js";
import { writeExpected } from "./expected.js";
import type { DataFacts } from "./facts.js";

/** Pictures are kept somewhat larger than the model sees them, for crops; a multiple of 8. */
const KEPT = 1.25;
/** Pictures that much larger than what is kept are not worth decoding again and again. */
const LARGER = 1.5;
/** Of a run, between scores on what is held out. */
const SCORED = "20%";
interface Known {
  readonly facts: DataFacts;
  readonly asked?: Asked;
  readonly budget?: Budget;
}

/** What of the data decides: pictures much larger than the model sees are kept small, so that they are decoded once. */
function keptSize(
  { imageSize, samples, unique }: Option,
  { side }: DataFacts,
): Pick<RecipeInput, "keepSize"> {
  const size = 8 * Math.ceil((KEPT * imageSize) / 8);
  return samples > unique && side >= LARGER * size ? { keepSize: size } : {};
}

/** Settings that the caller gave stand over what is chosen. With a budget the recipe has its length and what is expected of it. */
export function plannedRecipe(
  base: RecipeInput,
  option: Option,
  { facts, asked, budget }: Known,
): RecipeInput {
  const { model, strategy, batchSize, samples, seconds } = option;
  const whole = budget?.seconds !== undefined && seconds > 0.98 * budget.seconds;
  const length =
    budget === undefined ? {} : whole ? { time: formatSeconds(Math.round(budget.seconds)) } : { samples };
  return {
    model,
    strategy,
    batchSize,
    precision: "auto",
    ...keptSize(option, facts),
    ...(holdsOut(base) && { valFrequency: SCORED }),
    ...ratesFor(base, model),
    ...base,
    ...length,
    ...(asked && {
      expected: writeExpected({ score: `${asked.dataset}/${asked.metric}`, ...option.predicted }),
    }),
  };
}

/** The recipe that trains a pretrained model on. */
export function tunedRecipe(
  base: RecipeInput,
  { name }: PretrainedModel,
  { seconds }: Budget,
  { pairs }: DataFacts,
): RecipeInput {
  const { epochs, valSplit, ...settings } = finetuning;
  return {
    ...settings,
    ...(holdsOut(base) ? {} : { valSplit }),
    pretrained: name,
    batchSize: Math.min(settings.batchSize, 2 ** Math.floor(Math.log2(Math.max(2, pairs / 2)))),
    ...base,
    ...(seconds === undefined ? { epochs } : { time: formatSeconds(Math.round(seconds)) }),
  };
}

/** Learning rate and weight decay by the rule of docs/tuning.md, where the caller gives none and no other optimizer. */
const ratesFor = (
  { lr, wd, optimizer = "adamw" }: RecipeInput,
  model: string,
): Pick<RecipeInput, "lr" | "wd"> =>
  lr === undefined && wd === undefined ? ruledRates({ model, optimizer }) : {};

const holdsOut = ({ valSplit, valData }: RecipeInput): boolean =>
  valData !== undefined || (typeof valSplit === "number" && valSplit > 0);
