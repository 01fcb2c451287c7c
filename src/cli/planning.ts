/** What `plan` and `init` have in common: their options, and a plan made with what is told on the way. */

import { existsSync } from "node:fs";
import { UsageError } from "../core/errors.js";
import { openEngine } from "../engines/registry.js";
import { defaulted, duration, flag, list, optional, text, type Values } from "../settings/fields.js";
import { collectRuns, DEFAULT_RESULTS } from "../study/past/collect.js";
import type { PastRun } from "../study/past/past-run.js";
import { type BudgetInput, budgetOf } from "../study/plan/budget.js";
import { planModels } from "../study/plan/candidates.js";
import { planTraining, type TrainingPlan } from "../study/plan/plan.js";
import { profileDevice, readProfile, writeProfile } from "../study/plan/profile.js";
import { type RecipeInput, recipeFields, recipeGroups } from "../train/recipe/recipe.js";
import { notesOn, type Terminal } from "./command.js";
import { engineOptions } from "./commands/engines.js";
import { ProgressLine } from "./progress-line.js";

const { trainData: _, ...dataOptions } = recipeGroups.Data;

/** Settings of the recipe that a plan takes as they are. */
export const givenOptions = {
  ...dataOptions,
  strategy: optional(recipeFields.strategy.kind, "Plan with this strategy only."),
  tokenizer: optional(recipeFields.tokenizer.kind, recipeFields.tokenizer.doc),
  lr: optional(recipeFields.lr.kind, "Peak learning rate, instead of the rule's."),
  batchSize: optional(recipeFields.batchSize.kind, "Pairs of a step, instead of the rule's."),
  seed: optional(recipeFields.seed.kind, recipeFields.seed.doc),
};

/** Those of them that a command line has, as they were written. */
export const settingsIn = (given: Readonly<Record<string, unknown>>): RecipeInput =>
  Object.fromEntries(Object.entries(given).filter(([key]) => Object.hasOwn(givenOptions, key)));

export const budgetOptions = {
  time: optional(duration("seconds"), "Time of training, e.g. 2h."),
};

export const scoreOptions = {
  suite: optional(
    text("FILE"),
    "What the run is to be scored on (docs/evaluation.md); pairs that are held out otherwise.",
  ),
  score: optional(
    text("SET/METRIC"),
    "Which score is predicted; the suite's first set, or held-out retrieval, otherwise.",
  ),
};

export const evidenceOptions = {
  results: optional(
    list(text("FOLDER|FILE")),
    `Runs and studies of yours to learn from, folders or files of --save-results; may be repeated. Default: ${DEFAULT_RESULTS.join(" and ")} where they are.`,
  ),
};

export const machineOptions = {
  ...engineOptions,
  precision: optional(
    recipeFields.precision.kind,
    "Number format of products; what is fastest here otherwise.",
  ),
  tryLoader: defaulted(
    flag(),
    true,
    "Train a few steps on the data, to see what reading them costs; not with --device.",
  ),
  pretrained: defaulted(flag(), true, "Where pairs are few, fine-tune a pretrained model."),
};

/** The runs to learn from. Throws `UsageError` for a path that is not there. */
export async function pastRuns(
  results: readonly string[] | undefined,
  terminal: Terminal,
): Promise<readonly PastRun[]> {
  const paths = results ?? DEFAULT_RESULTS.filter((path) => existsSync(path));
  const { runs, left } = await collectRuns(paths);
  if (left.length > 0)
    notesOn(terminal)(
      `${left.length} ${left.length === 1 ? "run is" : "runs are"} left out, e.g. ${left[0]}`,
    );
  return runs;
}

export interface PlanRequest
  extends Values<typeof scoreOptions & typeof evidenceOptions & typeof machineOptions> {
  readonly recipe: RecipeInput;
  readonly budget: BudgetInput;
  readonly device?: string | undefined;
  readonly models?: readonly string[] | undefined;
}

/** Makes the plan of a command, its engine opened and closed. */
export async function planFor(
  request: PlanRequest,
  terminal: Terminal,
): Promise<{ readonly plan: TrainingPlan; readonly past: readonly PastRun[] }> {
  const { recipe, budget, device, models, results, suite, score, tryLoader, pretrained, precision } = request;
  budgetOf(budget); // Refused before anything is opened.
  const past = await pastRuns(results, terminal);
  const profile = device === undefined ? undefined : readProfile(device);
  const onEngine = {
    ...(request.engine !== "auto" && { engine: request.engine }),
    ...(request.plugin && { plugin: request.plugin }),
  };
  using progress = new ProgressLine(terminal);
  const options = {
    recipe: { precision: precision ?? "auto", ...onEngine, ...recipe } as RecipeInput,
    ...{ budget, suite, score, past, models, pretrained, device: profile },
    ...(!tryLoader && { tryLoader }),
    onNote: progress.say,
    onProgress: (what: string, done: number, total: number) => progress.show({ what, done, total }),
  };
  if (profile !== undefined) return { plan: await planTraining(options), past };
  await using engine = await openEngine(request.engine, { ...request, onChoice: notesOn(terminal) });
  return { plan: await planTraining({ ...options, engine }), past };
}

/** Times models on this machine, and writes its profile. */
export async function saveDeviceProfile(
  file: string,
  {
    models = planModels,
    precision = "auto",
    ...onEngine
  }: Pick<PlanRequest, "models" | "precision" | "engine" | "plugin">,
  terminal: Terminal,
): Promise<void> {
  await using engine = await openEngine(onEngine.engine, { ...onEngine, onChoice: notesOn(terminal) });
  using progress = new ProgressLine(terminal);
  const show = (what: string, done: number, total: number): void => progress.show({ what, done, total });
  writeProfile(file, await profileDevice(engine, models, precision, show));
}

/** Seconds of a time option. Throws `UsageError` for another unit. */
export function secondsOf(time: Values<typeof budgetOptions>["time"]): number | undefined {
  if (time !== undefined && time.unit !== "seconds")
    throw new UsageError("time: must be a time, e.g. 2h.", { key: "time", code: "ERR_SETTING" });
  return time?.value;
}
