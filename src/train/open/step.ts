/** The fourth step of opening a run: the model with its weights, and the step that trains it, compiled. */

import { performance } from "node:perf_hooks";
import { keyFromSeed } from "../../core/random.js";
import type { Engine } from "../../engines/engine.js";
import type { Processes } from "../../engines/group.js";
import { parseXlaFlagWords } from "../../engines/xla/options.js";
import { type Clip, makeClip } from "../../models/clip.js";
import type { ParameterSpecs } from "../../nn/parameters.js";
import { openTeacher, type StoreTeacherOptions, storeTeacher, type Teacher } from "../batches/teacher.js";
import { precisionOn } from "../recipe/machine-fields.js";
import type { Recipe } from "../recipe/recipe.js";
import { DEFAULT_DISTILL } from "../recipe/teacher-fields.js";
import { readState } from "../run/state-files.js";
import { distilledPhases, type Phases, phasesOf } from "../schedule/phases.js";
import { frozenOf, ratesOf } from "../step/frozen.js";
import { makeOptimizer, type Optimizer } from "../step/optimizer.js";
import { learning, type StepOptions } from "../step/options.js";
import { StepRunner } from "../step/runner.js";
import { initialState } from "../step/state.js";
import { TwoPassRunner } from "../step/two-pass-runner.js";
import type { OpenBatches } from "./batches.js";
import type { OpenFolder } from "./folder.js";
import type { Inputs } from "./inputs.js";
import { type WarmStart, warmStart } from "./warm-start.js";

/** Dispose it to free the state and the teacher. */
export interface OpenStep extends Disposable {
  readonly engine: Engine;
  readonly clip: Clip;
  /** Parameters of the model that are trained. */
  readonly trained: ParameterSpecs;
  readonly phases: Phases;
  readonly optimizer: Optimizer;
  readonly runner: StepRunner | TwoPassRunner;
  /** What the weights start from, in a new run that does not start from nothing. */
  readonly start: WarmStart | undefined;
  readonly compileSeconds: number;
}

/** Throws `UsageError` where the model cannot be trained so, its weights do not fit, or the engine cannot run it. */
export async function openStep(
  folder: OpenFolder,
  { data, model, pipelines }: Inputs,
  { plan }: OpenBatches,
): Promise<OpenStep> {
  const { recipe, processes, hooks, run, resumed, guard } = folder;
  const say = (line: string) => hooks.onMessage?.(line, "note");
  const engine = await processes.openEngine(recipe.engine, { ...recipe, onChoice: say });
  const clip = clipOf(recipe, model.config);
  const teacher = await teacherOf(recipe, { engine, dataset: data.train, say, processes });
  try {
    const phases = withTeacher(phasesOf(recipe, clip, model.textLength), teacher, recipe);
    const phase = phases.at(resumed?.step ?? 0, plan);
    const start = resumed === undefined ? await warmStart(recipe, clip) : undefined;
    const { fresh } = await processes.share("start", () =>
      run!.saveStart({ fresh: start?.fresh ?? [], teacher: teacher?.key }),
    );
    const variables = { clip, strategy: phase.strategy };
    const initial =
      resumed === undefined
        ? initialState(variables, keyFromSeed(recipe.seed), start?.values)
        : readState(resumed, variables);
    const options: StepOptions = {
      ...stepSettings(recipe, clip, new Set(fresh)),
      precision: precisionOn(recipe.precision, engine),
      clip: phase.clip,
      strategy: phase.strategy,
      contextLength: phase.contextLength,
      normalization: pipelines.normalization,
      replicas: engine.capabilities.replicas,
      firstReplica: processes.index * engine.capabilities.devices,
      device: recipe.attention === "plain" ? undefined : engine.capabilities.device,
    };
    const compiling = performance.now();
    const flags = parseXlaFlagWords(recipe.xlaFlag ?? []);
    const { microBatch, textMicroBatch } = recipe;
    const runner = await guard<StepRunner | TwoPassRunner>(
      "compiling the step",
      microBatch === undefined
        ? StepRunner.create(engine, options, initial, { flags })
        : TwoPassRunner.create(engine, { ...options, microBatch, textMicroBatch }, initial, { flags }),
    );
    return {
      engine,
      clip,
      trained: learning(clip.parameters, options),
      phases,
      optimizer: options.optimizer,
      runner,
      start,
      compileSeconds: (performance.now() - compiling) / 1000,
      [Symbol.dispose]() {
        runner[Symbol.dispose]();
        teacher?.[Symbol.dispose]();
      },
    };
  } catch (error) {
    teacher?.[Symbol.dispose]();
    throw error;
  }
}

/** The model of a recipe. A tower that is locked whole computes without noise. */
export const clipOf = (recipe: Recipe, config: Inputs["model"]["config"]): Clip =>
  makeClip(config, {
    rematerialize: recipe.gradCheckpointing,
    dropPath: recipe.lockImage === true && recipe.lockImageUnlockedGroups === undefined ? 0 : recipe.dropPath,
  });

/** What a recipe says of its steps, whatever they run on. `fresh` parameters start anew and are never locked. */
export const stepSettings = (recipe: Recipe, clip: Clip, fresh: ReadonlySet<string>) =>
  ({
    optimizer: makeOptimizer(recipe.optimizer, {
      beta1: recipe.beta1,
      beta2: recipe.beta2,
      epsilon: recipe.eps,
      weightDecay: recipe.wd,
    }),
    frozen: frozenOf(recipe, clip, fresh),
    rate: ratesOf(recipe, clip),
    batchSize: recipe.batchSize,
    clipNorm: recipe.gradClipNorm > 0 ? recipe.gradClipNorm : undefined,
    maxLogitScale: recipe.logitScaleMax,
    ema: recipe.emaDecay > 0,
  }) satisfies Partial<StepOptions>;

/** The recipe's teacher, whose embeddings process 0 makes unless they are there. */
async function teacherOf(
  recipe: Recipe,
  { processes, ...context }: Omit<StoreTeacherOptions, "logs"> & { readonly processes: Processes },
): Promise<Teacher | undefined> {
  const { teacher: path, teacherModel: model, teacherTokenizer: tokenizer, logs, workers } = recipe;
  if (path === undefined) return undefined;
  const folder = await processes.share("teacher", () =>
    storeTeacher({ path, model, tokenizer, workers }, { ...context, logs }),
  );
  return openTeacher(folder, context.dataset);
}

function withTeacher(phases: Phases, teacher: Teacher | undefined, recipe: Recipe): Phases {
  if (teacher === undefined) return phases;
  const { distill: weight = DEFAULT_DISTILL, teacherScale: scale = teacher.scale } = recipe;
  return distilledPhases(phases, { ...teacher, weight, scale });
}
