/** What a run does at each of its steps: its strategy, on images, texts and parts of them that may change on the way. */

import { UsageError } from "../../core/errors.js";
import type { Clip } from "../../models/clip.js";
import { type PickSettings, pickOf, pickWeights } from "../recipe/pick-fields.js";
import { endsOf, type Stages, valueAt } from "../recipe/stages.js";
import { plainClip } from "../strategies/clip.js";
import { sampleMacs } from "../strategies/cost.js";
import { makeStrategy, type StrategyName } from "../strategies/index.js";
import type { Strategy, StrategyOptions } from "../strategies/strategy.js";
import { type Plan, plannedStep } from "./plan.js";

/** What does not change between two changes of a setting. */
export interface Phase {
  /** The model for this phase's images, with the run's parameters. */
  readonly clip: Clip;
  /** Its own in every phase; the parameters and statistics are those of every phase. */
  readonly strategy: Strategy;
  /** Side of the training images, pixels. */
  readonly imageSize: number;
  /** Tokens of a training text. */
  readonly contextLength: number;
  /** Share of the run that is done at its end. */
  readonly until: number;
}

export interface Phases {
  /** In order, at least one. */
  readonly all: readonly Phase[];
  /** The phase of step `step` (from 0): the first while the length of the run is not known. */
  at(step: number, plan: Pick<Plan, "totalSteps" | "cut" | "extended">): Phase;
  /** Mean cost of a step from the share `done` of the run on, in units of the step at the share `unit`: there, unless said. */
  meanCost(done?: number, unit?: number): number;
  /**
   * Multiply-adds of `steps` steps' forward passes for one row of their batches, all views and heads: what the paper
   * counts; and those of the pairs that were judged to pick it. Times the batch size they are the run's.
   */
  forwardMacs(steps: number, plan: Pick<Plan, "totalSteps" | "cut" | "extended">): number;
  /** Phases that begin after the share `done` of the run. */
  changesAfter(done: number): number;
  /** One line on what is seen and what it costs. */
  describe(): string;
}

/** Settings of a recipe that make its phases. */
type Chosen = {
  readonly strategy: StrategyName;
  readonly imageSizes?: Stages | undefined;
  readonly contextLengths?: Stages | undefined;
  readonly maskRatio?: Stages | undefined;
} & PickSettings & {
    readonly [K in Exclude<keyof StrategyOptions, "maskRatio">]?: StrategyOptions[K] | undefined;
  };

/**
 * The phases of a recipe. Throws `UsageError` where the model cannot be trained so.
 * @param textLength tokens of a training text where the recipe names no other; the model's context unless said.
 */
export function phasesOf(
  chosen: Chosen,
  clip: Clip,
  textLength = clip.config.text_cfg.context_length,
): Phases {
  const { strategy: name, imageSizes = [], contextLengths = [], maskRatio = [] } = chosen;
  const S = clip.config.vision_cfg.image_size;
  const T = textLength;
  checkMost("imageSizes", imageSizes, S, "the model's images; for larger ones use --force-image-size");
  checkMost(
    "contextLengths",
    contextLengths,
    clip.config.text_cfg.context_length,
    "the model's context; for longer texts use --force-context-length",
  );

  const models = new Map([[S, clip]]);
  const modelFor = (size: number): Clip => {
    const known = models.get(size) ?? clip.forImages(size, "imageSizes");
    models.set(size, known);
    return known;
  };
  const changing = [imageSizes, contextLengths, maskRatio];
  const ends = [...new Set([...changing.flatMap(endsOf), 1])].sort((a, b) => a - b);
  const all = ends.map((until, i): Phase => {
    const done = ends[i - 1] ?? 0;
    const imageSize = valueAt(imageSizes, done) ?? S;
    const model = modelFor(imageSize);
    const ratio = valueAt(maskRatio, done);
    const isWhole = maskRatio.length > 0 && ratio === undefined;
    return {
      clip: model,
      strategy: isWhole
        ? plainClip(model, chosen.labelSmoothing)
        : makeStrategy(name, model, { ...chosen, maskRatio: ratio }),
      imageSize,
      contextLength: valueAt(contextLengths, done) ?? T,
      until,
    };
  });

  const pick = pickOf(chosen);
  const costs = new Map<string, number>();
  const costOf = (
    { clip: model, strategy, contextLength }: Omit<Phase, "imageSize" | "until">,
    backward: boolean,
  ) => {
    const key = `${all.findIndex((phase) => phase.strategy === strategy)} ${backward}`;
    const known =
      costs.get(key) ??
      judgedMacs(chosen, model, contextLength) + sampleMacs(model, strategy, contextLength, { backward });
    costs.set(key, known);
    return known;
  };
  /** Mean over the run from the share `done` on. */
  const meanMacs = (done: number, backward: boolean): number => {
    const spans = all.map((phase, i) => Math.max(0, phase.until - Math.max(done, all[i - 1]?.until ?? 0)));
    const total = spans.reduce((sum, span) => sum + span, 0);
    return all.reduce(
      (sum, phase, i) => (spans[i]! > 0 ? sum + (spans[i]! / total) * costOf(phase, backward) : sum),
      0,
    );
  };
  const at: Phases["at"] = (step, plan) => {
    // What is added to a run goes on as its end does.
    if (plan.extended !== undefined && step >= plan.extended.step) return all.at(-1)!;
    if (all.length === 1 || plan.totalSteps === undefined) return all[0]!;
    const planned = plan.cut?.plannedSteps ?? plan.totalSteps;
    const place = plannedStep(plan, step);
    return all.find(({ until }) => place < Math.round(until * planned)) ?? all.at(-1)!;
  };
  const phaseAt = (done: number): Phase => all.find(({ until }) => done < until) ?? all.at(-1)!;

  return {
    all,
    at,
    meanCost(done = 0, unit = done) {
      if (all.length === 1) return 1;
      const ahead = done < 1 ? meanMacs(done, true) : costOf(all.at(-1)!, true);
      return ahead / costOf(phaseAt(unit), true);
    },
    forwardMacs(steps, plan) {
      if (all.length === 1) return steps * costOf(all[0]!, false);
      let macs = 0;
      for (let step = 0; step < steps; step++) macs += costOf(at(step, plan), false);
      return macs;
    },
    changesAfter: (done) => all.filter((_, i) => i > 0 && all[i - 1]!.until > done).length,
    describe() {
      const isPlain = all.length === 1 && all[0]!.strategy.seen === undefined && all[0]!.strategy.views === 0;
      const whole = plainClip(clip);
      const cost =
        isPlain && pick === undefined && all[0]!.imageSize === S && all[0]!.contextLength === T
          ? 1
          : meanMacs(0, false) / sampleMacs(clip, whole, T);
      const { views } = all[0]!.strategy;
      const parts = [name, ...(views > 0 ? [`${views} further views`] : [])];
      for (const [i, phase] of all.entries()) {
        const sees = [
          ...(phase.imageSize === S ? [] : [`images of ${phase.imageSize} pixels`]),
          ...(phase.contextLength === T ? [] : [`texts of ${phase.contextLength} tokens`]),
          ...(phase.strategy.seen === undefined ? [] : [phase.strategy.seen]),
        ].join(" and ");
        const percent = Number((100 * (phase.until - (all[i - 1]?.until ?? 0))).toPrecision(6));
        if (all.length > 1) parts.push(`${sees || "everything"} for ${percent} %`);
        else if (sees !== "") parts.push(sees);
      }
      if (pick !== undefined)
        parts.push(`picked from ${pick.superBatch} pairs by ${pick.method} in ${pick.chunks} chunks`);
      return `${parts.join(", ")}: ${cost.toFixed(2)} × the multiply-adds of clip`;
    },
  };
}

/** Multiply-adds of the forward passes that judge pairs, for each pair that is picked; 0 where the model judges none. */
export function judgedMacs(chosen: PickSettings, clip: Clip, contextLength: number): number {
  const pick = pickOf(chosen);
  if (pick === undefined || pickWeights[pick.method].learner === 0) return 0;
  return (pick.superBatch / chosen.batchSize!) * sampleMacs(clip, plainClip(clip), contextLength);
}

/** The phases of a run, each with another strategy made of its own. */
export function withStrategies(phases: Phases, change: (strategy: Strategy) => Strategy): Phases {
  const made = new Map(phases.all.map((phase) => [phase, { ...phase, strategy: change(phase.strategy) }]));
  return {
    ...phases,
    all: [...made.values()],
    at: (...where) => made.get(phases.at(...where))!,
  };
}

function checkMost(key: string, stages: Stages, most: number, what: string): void {
  const above = stages.find(({ value }) => value > most);
  if (above === undefined) return;
  throw new UsageError(`${key}: must not exceed ${most}, ${what}; got ${key}=${above.value}.`);
}
