/** From data and a budget to a recipe: what to train, on which evidence, and what is likely to come of it. */

import { totalmem } from "node:os";
import { UsageError } from "../../core/errors.js";
import type { Dataset } from "../../data/index.js";
import type { Engine } from "../../engines/engine.js";
import { type PretrainedModel, pretrainedModels } from "../../evaluate/pretrained/catalog.js";
import { loadSuite, type Suite } from "../../evaluate/suites/suite.js";
import { checkRecipe, lengthKeys, type Recipe, type RecipeInput } from "../../train/recipe/recipe.js";
import type { PastRun } from "../past/past-run.js";
import { type Asked, type Evidence, makePredictor, type Predicted } from "../predict/predict.js";
import { type Advice, adviceOn } from "./advice.js";
import { askedOfRecipe, askedOfSuite } from "./asked.js";
import { type Budget, type BudgetInput, budgetOf } from "./budget.js";
import { type Candidate, candidatesOf } from "./candidates.js";
import { batchFor, type Change, changesOf, type Option, rank, type Situation, TOLD } from "./choose.js";
import { type DataFacts, dataFacts } from "./facts.js";
import { type LoaderCost, measureLoader } from "./loader.js";
import { type DeviceProfile, profileOf, type TimedStep, timeStep, today } from "./profile.js";
import { plannedRecipe, tunedRecipe } from "./recipe.js";

export interface PlanOptions {
  /** The data, and any setting that the plan is not to choose; without a length. */
  readonly recipe: RecipeInput;
  readonly budget: BudgetInput;
  /** What models are timed on; not needed with a profile that has all of them. */
  readonly engine?: Engine | undefined;
  /** Of the device that will train. Default: this machine, timed on `engine`. */
  readonly device?: DeviceProfile | undefined;
  /** What the score is taken on: a suite, or its file. Default: pairs that are held out. */
  readonly suite?: string | Suite | undefined;
  /** `SET` or `SET/METRIC`. Default: see `askedOfSuite`. */
  readonly score?: string | undefined;
  /** Runs that are done. Default: none. */
  readonly past?: readonly PastRun[] | undefined;
  /** Presets to choose from. Default: `planModels`. */
  readonly models?: readonly string[] | undefined;
  /** Where pairs are few: fine-tune a pretrained model. Default true. */
  readonly pretrained?: boolean | undefined;
  /** Train a few steps on the data itself, to see what reading them costs. Default: where the device is this machine. */
  readonly tryLoader?: boolean | undefined;
  /** The day, YYYY-MM-DD. Default: today. */
  readonly today?: string | undefined;
  /** Told what should be known, a line each. */
  readonly onNote?: ((line: string) => void) | undefined;
  /** Told what takes a while, and how far it is. */
  readonly onProgress?: ((what: string, done: number, total: number) => void) | undefined;
}

/** A way to spend the budget. */
export interface PlannedOption extends Omit<Option, "predicted"> {
  readonly predicted: Predicted;
  /** The chance that it scores above the first, by the same evidence. */
  readonly better: number;
}

export interface TrainingPlan {
  /** YYYY-MM-DD. */
  readonly made: string;
  readonly data: DataFacts;
  readonly budget: Budget;
  readonly device: Omit<DeviceProfile, "steps">;
  readonly loader: LoaderCost | undefined;
  readonly asked: Asked;
  readonly evidence: Evidence;
  /** As `checkRecipe` takes it. */
  readonly recipe: RecipeInput;
  /** Weights that the recipe starts from, where pairs are few; what is predicted is then of the best model without them. */
  readonly pretrained: PretrainedModel | undefined;
  /** Best first: the choice and up to two runners-up. */
  readonly options: readonly PlannedOption[];
  readonly changes: readonly Change[];
  readonly advice: readonly Advice[];
  /** What was timed: a profile of this machine. */
  readonly profile: DeviceProfile;
}

/** Fewer pairs teach a model from nothing little: about a thousand, told from below three. */
export const FEW_PAIRS = 3000;
/** Held out where nobody says what a run is scored on: a tenth, of many pairs two thousand. */
const HELD_OUT = { share: 0.1, most: 2000 };
/** Models that are timed at most, and how long timing one may take beside the budget, at most a minute. */
const TIMED_MODELS = 6;
const TIMING = { share: 0.1, seconds: 60, steps: 6 };
/** Share of the memory that a step may need. */
const MEMORY = 0.6;

/**
 * Makes a plan. Models are timed that could be chosen, on random data; the best is then tried on the data themselves, a few steps.
 * Throws `UsageError` for data, settings and budgets that cannot be.
 */
export async function planTraining(options: PlanOptions): Promise<TrainingPlan> {
  const { recipe: input, engine, device, onNote, onProgress, past = [], models } = options;
  const budget = budgetOf(options.budget);
  const settled = checkedInput(input, options.suite !== undefined);
  const look = {
    onNote,
    onLook: (done: number, total: number) => onProgress?.("looking at pictures", done, total),
  };
  const { facts, dataset } = await dataFacts(settled, look);
  const split = splitFor(facts.pairs, input, options.suite !== undefined);
  const base = { ...input, ...split };
  const suite = typeof options.suite === "string" ? await loadSuite(options.suite) : options.suite;
  const checked = checkRecipe({ ...base, model: settled.model, steps: 1 });
  const asked =
    suite === undefined
      ? await askedOfRecipe(checked, dataset, options.score)
      : await askedOfSuite(suite, options.score);
  const predictor = makePredictor(asked, past);
  const unique = Math.max(2, Math.round(facts.pairs * (1 - checked.valSplit)));
  const candidates = candidatesOf(
    typeof input.model === "string" ? [input.model] : models,
    input.strategy === undefined ? undefined : [settled.strategy],
  );
  const here = device === undefined;
  const situation: Situation = {
    budget,
    unique,
    steps: device?.steps ?? [],
    predictor,
    ...(here && { memoryBytes: MEMORY * totalmem() }),
  };
  const timed = here
    ? await timeWhatCounts(needEngine(engine), checked, candidates, situation, onProgress)
    : situation;
  const tries = options.tryLoader ?? here;
  const loader = tries
    ? await tryLoader(base, rank(candidates, timed)[0], facts, dataset, onProgress)
    : undefined;
  const final: Situation = { ...timed, loader };
  const ranked = rank(candidates, final);
  const [first] = ranked;
  if (first === undefined)
    throw new UsageError(
      `plan: the budget must allow a step of some model; got ${budget.words} for ${unique} pairs, less than a batch of ${batchFor(unique)}. Allow more.`,
      { code: "ERR_SETTING" },
    );
  const made = options.today ?? today();
  const profile = device ?? {
    ...profileOf(needEngine(engine), checked.precision, made),
    steps: timed.steps,
  };
  const start = unique < FEW_PAIRS && (options.pretrained ?? true) ? pretrainedModels[0] : undefined;
  const { steps: _, ...deviceFacts } = profile;
  return {
    made,
    data: facts,
    budget,
    device: deviceFacts,
    loader,
    asked,
    evidence: predictor.evidence,
    recipe:
      start === undefined
        ? plannedRecipe(base, first, { asked, facts, budget })
        : tunedRecipe(base, start, budget, facts),
    pretrained: start,
    options: ranked.slice(0, TOLD).map((option) => ({ ...option, better: predictor.better(option, first) })),
    changes: changesOf(candidates, final),
    advice: adviceOn(facts, first, {
      ...{ asked, past },
      data: [settled.trainData].flat().join(","),
      selected: settled.select !== undefined,
    }),
    profile,
  };
}

/** The recipe with what is not chosen yet; its length is the budget's. */
function checkedInput(input: RecipeInput, hasSuite: boolean): Recipe {
  const length = lengthKeys.find((key) => input[key] !== undefined);
  if (length !== undefined)
    throw new UsageError(
      `${length}: a plan's budget says how long the run is; got ${length}=${JSON.stringify(input[length])}. Leave it out of the recipe.`,
      { key: length },
    );
  return checkRecipe({
    ...input,
    model: input.model ?? "unknown",
    steps: 1,
    ...splitFor(0, input, hasSuite),
  });
}

/** What is held out, where nothing else says what the run is scored on. */
function splitFor(pairs: number, input: RecipeInput, hasSuite: boolean): Pick<RecipeInput, "valSplit"> {
  if (hasSuite || input.valData !== undefined || input.valSplit !== undefined) return {};
  return { valSplit: Number(Math.min(HELD_OUT.share, HELD_OUT.most / Math.max(1, pairs)).toPrecision(2)) };
}

function needEngine(engine: Engine | undefined): Engine {
  if (engine !== undefined) return engine;
  throw new UsageError(
    "plan: models are timed on an engine; got none, and no profile of a device. Give one of them.",
  );
}

/** Times models until the best options are of timed ones: the cheapest first, then whatever is best by reckoning. */
async function timeWhatCounts(
  engine: Engine,
  { precision }: Recipe,
  candidates: readonly Candidate[],
  situation: Situation,
  onProgress: PlanOptions["onProgress"],
): Promise<Situation> {
  const steps = new Map<string, TimedStep>();
  const cheapest = candidates.reduce((a, b) => (b.gmacsPerPair < a.gmacsPerPair ? b : a));
  const { seconds = Number.POSITIVE_INFINITY } = situation.budget;
  const allowed = Math.min(TIMING.seconds, Math.max(1, TIMING.share * seconds));
  let next: (Candidate & Pick<Option, "batchSize">) | undefined = {
    ...cheapest,
    batchSize: batchFor(situation.unique),
  };
  for (let timings = 0; next !== undefined && timings < TIMED_MODELS; timings++) {
    onProgress?.(`timing ${next.model}`, timings, TIMED_MODELS);
    steps.set(next.model, await timeStep(engine, next, precision));
    // A run of few samples has smaller batches than the pairs alone would give it, and a pair of those takes longer.
    const unknown = rank(candidates, { ...situation, steps: [...steps.values()] })
      .slice(0, TOLD)
      .filter(({ estimated, model, batchSize }) => estimated || batchSize < steps.get(model)!.batchSize);
    next = unknown.find(
      ({ seconds: all, samples, batchSize }) => (all / samples) * batchSize * TIMING.steps <= allowed,
    );
  }
  return { ...situation, steps: [...steps.values()] };
}

/** Trains a few steps of the best option on the data, and says what reading them costs. */
async function tryLoader(
  base: RecipeInput,
  option: Option | undefined,
  facts: DataFacts,
  dataset: Dataset,
  onProgress: PlanOptions["onProgress"],
): Promise<LoaderCost | undefined> {
  if (option === undefined) return undefined;
  onProgress?.("trying the data", 0, 1);
  const { samples, seconds } = option;
  return measureLoader(plannedRecipe(base, option, { facts }), dataset, seconds / samples);
}
