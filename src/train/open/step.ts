/** The fourth step of opening a run: the model with its weights, and the step that trains it, compiled. */

import { performance } from "node:perf_hooks";
import { keyFromSeed } from "../../core/random.js";
import type { Engine } from "../../engines/engine.js";
import { parseXlaFlagWords } from "../../engines/xla/options.js";
import { type Clip, makeClip } from "../../models/clip.js";
import type { ParameterSpecs } from "../../nn/parameters.js";
import { sampleWeights } from "../batches/sample-weights.js";
import type { Picker } from "../pick/picker.js";
import { precisionOn } from "../recipe/machine-fields.js";
import type { Recipe } from "../recipe/recipe.js";
import { readState } from "../run/state-files.js";
import { type Phases, phasesOf, withStrategies } from "../schedule/phases.js";
import { frozenOf, ratesOf } from "../step/frozen.js";
import { makeOptimizer, type Optimizer } from "../step/optimizer.js";
import { learning, type StepOptions } from "../step/options.js";
import { StepRunner } from "../step/runner.js";
import { initialState } from "../step/state.js";
import { TwoPassRunner } from "../step/two-pass-runner.js";
import type { ExtraRows } from "../strategies/strategy.js";
import { weighted } from "../strategies/weighted.js";
import type { OpenBatches } from "./batches.js";
import type { OpenFolder } from "./folder.js";
import type { Inputs } from "./inputs.js";
import { pickerOf, referenceOf, teacherOf, withTeacher } from "./teachers.js";
import { type WarmStart, warmStart } from "./warm-start.js";

/** Dispose it to free the state, and what is embedded once. */
export interface OpenStep extends Disposable {
  readonly engine: Engine;
  readonly clip: Clip;
  /** Parameters of the model that are trained. */
  readonly trained: ParameterSpecs;
  readonly phases: Phases;
  readonly optimizer: Optimizer;
  readonly runner: StepRunner | TwoPassRunner;
  /** Picks the batches, where the recipe says so. */
  readonly picker: Picker | undefined;
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
  const held: Disposable[] = [];
  const release = () => {
    for (const each of held.splice(0).reverse()) each[Symbol.dispose]();
  };
  try {
    const embedding = { engine, dataset: data.train, say, processes };
    const teacher = await teacherOf(recipe, embedding);
    if (teacher !== undefined) held.push(teacher);
    const reference = await referenceOf(recipe, embedding);
    if (reference !== undefined) held.push(reference);
    const weights = sampleWeights(data.train, recipe.captions);
    const phases = withTeacher(
      withWeights(phasesOf(recipe, clip, model.textLength), weights),
      teacher,
      recipe,
    );
    const phase = phases.at(resumed?.step ?? 0, plan);
    const start = resumed === undefined ? await warmStart(recipe, clip) : undefined;
    const { fresh } = await processes.share("start", () =>
      run!.saveStart({ fresh: start?.fresh ?? [], teacher: teacher?.key, pickReference: reference?.key }),
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
    held.push(runner);
    const picker = await guard("compiling the picking", pickerOf(recipe, engine, options, runner, reference));
    if (picker !== undefined) held.push(picker);
    return {
      engine,
      clip,
      trained: learning(clip.parameters, options),
      phases,
      optimizer: options.optimizer,
      runner,
      picker,
      start,
      compileSeconds: (performance.now() - compiling) / 1000,
      [Symbol.dispose]: release,
    };
  } catch (error) {
    release();
    throw error;
  }
}

const withWeights = (phases: Phases, weights: ExtraRows | undefined): Phases =>
  weights === undefined ? phases : withStrategies(phases, (strategy) => weighted(strategy, weights));

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
