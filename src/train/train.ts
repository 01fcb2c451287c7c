/** Training, from a recipe to a run's folder, in this process alone or in each of several. */

import { performance } from "node:perf_hooks";
import { UsageError } from "../core/errors.js";
import { keyFromSeed } from "../core/random.js";
import { createLoader } from "../data/index.js";
import { type Pipeline, pipelineOfSize } from "../data/pixels/pipeline.js";
import { type Processes, type TogetherOptions, together } from "../engines/group.js";
import { parseXlaFlagWords } from "../engines/xla/options.js";
import { Encoder } from "../evaluate/encoder.js";
import { makeClip } from "../models/clip.js";
import { countParameters } from "../nn/parameters.js";
import { PASSES } from "./batches.js";
import { makeEvaluation } from "./evaluation.js";
import { guardOf } from "./failure.js";
import { HeldOutLoss } from "./held-out.js";
import type { TrainHooks, TrainResult } from "./hooks.js";
import { Keeper, resultOfDone } from "./keeper.js";
import { Loaders } from "./loaders.js";
import { loop } from "./loop.js";
import { makeOptimizer } from "./optimizer.js";
import { makePlan } from "./plan.js";
import { openRunData, pipelinesOf, prepareModel, saveModelConfig } from "./prepare.js";
import { type Recipe, recipeToJson } from "./recipe.js";
import { followRun, Run, refuseOtherRecipe } from "./run-folder.js";
import { StepRunner } from "./runner.js";
import { shareOf } from "./shares.js";
import { initialState } from "./state.js";
import { readState } from "./state-files.js";
import { phasesOf } from "./strategies/phases.js";
import { TwoPassRunner } from "./two-pass-runner.js";

/**
 * Trains what the recipe says, in the folder `LOGS/NAME`; run again, it goes on from the latest checkpoint. Where a
 * launcher started several processes, each calls it: process 0 alone writes the folder and calls the hooks, the others
 * pass on what their own rows of a batch had to warn of, and all get process 0's result.
 * Throws `UsageError` for what the caller can mend: bad data or settings, a full disk, a loss that is not finite, a
 * device that fails, another process that has.
 */
export function train(
  recipe: Recipe,
  hooks: TrainHooks = {},
  options: TogetherOptions = {},
): Promise<TrainResult> {
  const started = performance.now();
  return together(recipe.engine, (processes) => trainHere(recipe, hooks, processes, started), options);
}

async function trainHere(
  recipe: Recipe,
  given: TrainHooks,
  processes: Processes,
  started: number,
): Promise<TrainResult> {
  const { index, count } = processes;
  refuseOtherRecipe(await processes.share("recipe", () => recipeToJson(recipe)), recipe);
  const hooks = index === 0 ? given : warningsOnly(given, index);
  using run = index === 0 ? Run.open(recipe) : undefined;
  const say = (line: string) => hooks.onMessage?.(line, "note");
  const begin = await processes.share("begin", () => {
    const step = run!.resumed?.step;
    return { step, done: step !== undefined && step === run!.plan?.totalSteps };
  });
  if (begin.done) {
    say(`This run was done before; train longer under another --name. Nothing is changed in ${run?.path}.`);
    return processes.share("result", () => resultOfDone(run!));
  }
  const { path, resumed } = run ?? (await followRun(recipe, begin.step));
  const data = await openRunData(recipe, say, processes);
  // A run that goes on keeps its tokenizer; loadTokenizer finds it in the folder. So do the other processes.
  const learn = () => {
    const made = prepareModel(recipe, data.train, resumed === undefined ? undefined : path);
    made.tokenizer.save(run!.file(made.tokenizer.fileName));
    saveModelConfig(run!.file, made);
    return made;
  };
  const made = run && learn();
  await processes.share("tokenizer", () => true);
  const model = made ?? prepareModel(recipe, data.train, path);
  const pipelines = pipelinesOf(recipe, model);
  const { batchSize } = recipe;
  if (count > 1 && recipe.microBatch !== undefined) {
    throw new UsageError(
      `microBatch: batches in parts are made by one process; got microBatch=${recipe.microBatch}, ${count} processes. Remove it, or use --devices in one process.`,
    );
  }
  const share = shareOf(batchSize, count * recipe.devices, {
    first: index * recipe.devices,
    devices: recipe.devices,
  });
  const ofSize = (size: number) => (pipeline: Pipeline) =>
    size === pipelines.train.size ? pipeline : pipelineOfSize(pipeline, size);
  const makeLoader = (size: number) =>
    createLoader({
      dataset: data.train,
      ...(recipe.microBatch === undefined
        ? { batchSize, rows: { start: share.start, end: share.end } }
        : {
            batchSize: recipe.microBatch,
            revisit: { batches: batchSize / recipe.microBatch, times: PASSES },
          }),
      seed: recipe.seed,
      pipeline: ofSize(size)(pipelines.train),
      views: pipelines.views.map(ofSize(size)),
      captions: recipe.captions,
      captionDropout: recipe.captionDropout,
      memoryLimitBytes: recipe.imageMemory * 2 ** 20,
      ...(recipe.workers === undefined ? {} : { workers: recipe.workers }),
    });
  const loaders = new Loaders(makeLoader, recipe.imageSizes?.[0]?.value ?? pipelines.train.size);
  try {
    const plan = await processes.share("plan", () =>
      run!.savePlan(makePlan(recipe, loaders.samplesPerEpoch)),
    );
    let saved = resumed?.step;
    const guard = guardOf(recipe, () => saved);
    const engine = await processes.openEngine(recipe.engine, recipe);
    const clip = makeClip(model.config, {
      rematerialize: recipe.gradCheckpointing,
      dropPath: recipe.dropPath,
    });
    const phases = phasesOf(recipe, clip);
    const { strategy, contextLength, clip: phaseClip } = phases.at(resumed?.step ?? 0, plan);
    const { tokenizer } = model;
    const optimizer = makeOptimizer(recipe.optimizer, {
      beta1: recipe.beta1,
      beta2: recipe.beta2,
      epsilon: recipe.eps,
      weightDecay: recipe.wd,
    });
    const initial =
      resumed === undefined
        ? initialState({ clip, strategy }, keyFromSeed(recipe.seed))
        : readState(resumed, { clip, strategy });
    const stepOptions = {
      clip: phaseClip,
      strategy,
      optimizer,
      batchSize,
      contextLength,
      normalization: pipelines.normalization,
      clipNorm: recipe.gradClipNorm > 0 ? recipe.gradClipNorm : undefined,
      maxLogitScale: recipe.logitScaleMax,
      ema: recipe.emaDecay > 0,
      replicas: engine.capabilities.replicas,
      firstReplica: index * engine.capabilities.devices,
      precision: recipe.precision,
      device: recipe.attention === "plain" ? undefined : engine.capabilities.device,
    };
    const compiling = performance.now();
    const flags = parseXlaFlagWords(recipe.xlaFlag ?? []);
    const { microBatch, textMicroBatch } = recipe;
    using runner = await guard<StepRunner | TwoPassRunner>(
      "compiling the step",
      microBatch === undefined
        ? StepRunner.create(engine, stepOptions, initial, { flags })
        : TwoPassRunner.create(engine, { ...stepOptions, microBatch, textMicroBatch }, initial, { flags }),
    );
    const compileSeconds = (performance.now() - compiling) / 1000;
    const compute = { recipe, processes, loaders, phases, runner, optimizer, tokenizer, guard, hooks };
    const onSaved = (step: number) => {
      saved = step;
    };
    if (run === undefined) {
      processes.forward("stop", given.signal, () => {});
      processes.forward("finish", given.finish, () => {});
      await loop({ ...compute, keeper: undefined, onSaved }, plan, resumed?.step ?? 0);
      return await processes.share("result", (): TrainResult => resultOfDone(run!));
    }
    using encoder = await guard(
      "compiling the towers",
      Encoder.create(engine, {
        clip,
        tokenizer,
        pipeline: pipelines.evaluation,
        normalization: pipelines.normalization,
        workers: recipe.workers,
      }),
    );
    using heldOut = new HeldOutLoss(engine, batchSize, strategy.pairs);
    const keeper = new Keeper({
      started,
      recipe,
      hooks,
      run,
      plan,
      dataset: data.train,
      loaders,
      runner,
      phases,
      guard,
      evaluate: makeEvaluation({
        recipe,
        heldOut,
        encoder,
        runner,
        ema: recipe.emaDecay > 0,
        val: data.val,
        zeroshotData: data.zeroshot,
      }),
      compileSeconds,
      has: { val: data.val !== undefined, zeroshot: data.zeroshot !== undefined },
    });
    const among = count === 1 ? "" : ` over ${count} processes`;
    keeper.begin(
      `${loaders.samplesPerEpoch} images, ${(countParameters(clip.parameters) / 1e6).toFixed(1)} M parameters, ` +
        `batch ${batchSize}${among}; ${model.tokenizerNote}, context ${tokenizer.contextLength}; ` +
        phases.describe(),
    );
    processes.forward("stop", undefined, () => keeper.stop());
    processes.forward("finish", undefined, () => keeper.finish());
    const step = await loop({ ...compute, keeper, onSaved }, plan, resumed?.step ?? 0);
    return await processes.share("result", () => keeper.result(step));
  } finally {
    await loaders[Symbol.asyncDispose]();
  }
}

/** What a process other than 0 has to say: what is wrong with its rows. */
const warningsOnly = (hooks: TrainHooks, index: number): TrainHooks => ({
  onMessage(text, kind) {
    if (kind === "warning") hooks.onMessage?.(`Process ${index}: ${text}`, kind);
  },
});
