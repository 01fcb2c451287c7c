/** Models beside the one that is trained: a teacher to learn from, a reference to pick pairs by. Both embed the data once. */

import { UsageError } from "../../core/errors.js";
import type { Engine } from "../../engines/engine.js";
import type { Processes } from "../../engines/group.js";
import type { ModelSource } from "../../evaluate/model/locate.js";
import {
  openTeacher,
  type StoreTeacherOptions,
  storeTeacher,
  type Teacher,
  type TeacherRole,
} from "../batches/teacher.js";
import { Picker } from "../pick/picker.js";
import { pickOf } from "../recipe/pick-fields.js";
import type { Recipe } from "../recipe/recipe.js";
import { DEFAULT_DISTILL } from "../recipe/teacher-fields.js";
import { type Phases, withStrategies } from "../schedule/phases.js";
import type { StepOptions } from "../step/options.js";
import type { StepRunner } from "../step/runner.js";
import type { TwoPassRunner } from "../step/two-pass-runner.js";
import { distilled } from "../strategies/distill.js";
import { kindOf } from "../strategies/index.js";

type Embedding = Omit<StoreTeacherOptions, "logs" | "role"> & { readonly processes: Processes };

/** What a model embeds of the training set, which process 0 makes unless it is there. */
async function embedded(
  role: TeacherRole,
  source: ModelSource,
  { logs }: Recipe,
  { processes, ...context }: Embedding,
): Promise<Teacher> {
  const folder = await processes.share(role, () => storeTeacher(source, { ...context, logs, role }));
  return openTeacher(folder, context.dataset, role);
}

/** The recipe's teacher. */
export async function teacherOf(recipe: Recipe, embedding: Embedding): Promise<Teacher | undefined> {
  const { teacher: path, teacherModel: model, teacherTokenizer: tokenizer, workers } = recipe;
  if (path === undefined) return undefined;
  return embedded("teacher", { path, model, tokenizer, workers }, recipe, embedding);
}

export function withTeacher(phases: Phases, teacher: Teacher | undefined, recipe: Recipe): Phases {
  if (teacher === undefined) return phases;
  const { distill: weight = DEFAULT_DISTILL, teacherScale: scale = teacher.scale } = recipe;
  return withStrategies(phases, (strategy) => distilled(strategy, { ...teacher, weight, scale }));
}

/** What the recipe picks pairs by. Throws `UsageError` where it cannot say what the learner's loss asks of it. */
export async function referenceOf(recipe: Recipe, embedding: Embedding): Promise<Teacher | undefined> {
  const { pickReference: path, pickReferenceModel: model, pickReferenceTokenizer: tokenizer } = recipe;
  if (path === undefined) return undefined;
  const source = { path, model, tokenizer, workers: recipe.workers };
  const reference = await embedded("pickReference", source, recipe, embedding);
  if (kindOf(recipe.strategy).logits.bias === undefined || reference.bias !== undefined) return reference;
  reference[Symbol.dispose]();
  throw new UsageError(
    `pickReference: must know what a pair by itself costs ${recipe.strategy}; got a model without logit_bias, ${path}. Train the reference with --strategy ${recipe.strategy}, too.`,
  );
}

/** What picks the recipe's batches, if anything does. */
export async function pickerOf(
  recipe: Recipe,
  engine: Engine,
  step: StepOptions,
  { state }: StepRunner | TwoPassRunner,
  reference: Teacher | undefined,
): Promise<Picker | undefined> {
  const pick = pickOf(recipe);
  if (pick === undefined) return undefined;
  const { seed, batchSize, microBatch: rows = batchSize } = recipe;
  return Picker.create(engine, { ...pick, step, seed, rows, reference }, state);
}
