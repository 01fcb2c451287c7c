/**
 * How fast models train on a device: timed here, or read from a profile that was written there. A profile is JSON, so that a plan for a
 * machine that is not at hand can be made from what was measured on it.
 */

import { cpus } from "node:os";
import { z } from "zod";
import { writeFileAtomic } from "../../core/files.js";
import type { Engine } from "../../engines/engine.js";
import { costOf } from "../../graph/cost.js";
import { readCheckedJson } from "../../settings/json.js";
import { prepareStep } from "../../train/measure/bench.js";
import { type Precision, precisionOn } from "../../train/recipe/machine-fields.js";
import { StepRunner } from "../../train/step/runner.js";
import { candidatesOf, configOf } from "./candidates.js";

/** A train step of a model, of strategy `clip`. */
export interface TimedStep {
  readonly model: string;
  readonly batchSize: number;
  readonly secondsPerPair: number;
  /** Multiply-adds of the forward pass on a pair, 10⁹. */
  readonly gmacsPerPair: number;
  /** What the step needs at its peak, by its graph. */
  readonly memoryBytes: number;
}

export interface DeviceProfile {
  /** Whose it is, in words. */
  readonly device: string;
  readonly engine: string;
  readonly precision: Precision;
  /** Day of the measurement, YYYY-MM-DD. */
  readonly measured: string;
  readonly steps: readonly TimedStep[];
}

const FORMAT = 1;

const schema = z.object({
  format: z.literal(FORMAT),
  device: z.string(),
  engine: z.string(),
  precision: z.enum(["f32", "bf16", "bf16-results"]),
  measured: z.iso.date(),
  steps: z
    .array(
      z.object({
        model: z.string(),
        batchSize: z.int().positive(),
        secondsPerPair: z.number().positive(),
        gmacsPerPair: z.number().positive(),
        memoryBytes: z.number().positive(),
      }),
    )
    .min(1),
});

/** The profile in a file. Throws `UsageError` naming the file and the key. */
export function readProfile(path: string): DeviceProfile {
  const { format: _, ...profile } = readCheckedJson(
    path,
    schema,
    "Write it on the device with clipwright plan --save-profile.",
  );
  return profile;
}

export function writeProfile(path: string, profile: DeviceProfile): void {
  writeFileAtomic(path, `${JSON.stringify({ format: FORMAT, ...profile }, undefined, 1)}\n`);
}

/** Steps that are timed, after two that are not; the fastest counts, as other programs only slow a step down. */
const TIMED = 4;
const WARM = 2;

/** Times steps of a model on random data. Throws what the engine cannot do. */
export async function timeStep(
  engine: Engine,
  { model, batchSize, gmacsPerPair }: Pick<TimedStep, "model" | "batchSize" | "gmacsPerPair">,
  precision: Precision | "auto",
): Promise<TimedStep> {
  using step = await prepareStep(engine, {
    config: configOf(model),
    batchSize,
    precision: precisionOn(precision, engine),
  });
  let seconds = Number.POSITIVE_INFINITY;
  for (let i = 1; i <= WARM + TIMED; i++) {
    const started = performance.now();
    await step.take(i);
    if (i > WARM) seconds = Math.min(seconds, (performance.now() - started) / 1000);
  }
  const { runner } = step;
  const memoryBytes = runner instanceof StepRunner ? costOf(runner.graph).peakBytes : 1;
  return { model, batchSize, gmacsPerPair, secondsPerPair: seconds / batchSize, memoryBytes };
}

/** The day, YYYY-MM-DD. */
export const today = (): string => new Date().toISOString().slice(0, 10);

/** A profile of the engine's device, without its times. */
export const profileOf = (
  engine: Engine,
  precision: Precision | "auto",
  measured: string,
): Omit<DeviceProfile, "steps"> => {
  const { length, 0: first } = cpus();
  return {
    device: engine.capabilities.device?.name ?? `${length} × ${first?.model.trim() ?? "processor"}`,
    engine: engine.name,
    precision: precisionOn(precision, engine),
    measured,
  };
};

/** A step that takes longer ends a profile: larger models are not for this device. */
const LONGEST_SECONDS = 10;
/** Pairs of the steps that a profile is of. */
const BATCH = 64;

/**
 * Times every model, the cheapest first, until one takes longer than 10 seconds a step. For devices that have no data: a plan for data
 * times what it needs itself.
 */
export async function profileDevice(
  engine: Engine,
  models: readonly string[],
  precision: Precision | "auto" = "auto",
  onProgress: (what: string, done: number, total: number) => void = () => {},
): Promise<DeviceProfile> {
  const candidates = [...candidatesOf(models, ["clip"])].sort((a, b) => a.gmacsPerPair - b.gmacsPerPair);
  const steps: TimedStep[] = [];
  for (const [at, candidate] of candidates.entries()) {
    onProgress(`timing ${candidate.model}`, at, candidates.length);
    const step = await timeStep(engine, { ...candidate, batchSize: BATCH }, precision);
    steps.push(step);
    if (step.secondsPerPair * BATCH > LONGEST_SECONDS) break;
  }
  return { ...profileOf(engine, precision, today()), steps };
}

/**
 * Seconds a pair of a model on the device of `steps`: its own, or by multiply-adds from the timed model of the nearest cost, which is
 * then an estimate.
 */
export function secondsOf(
  steps: readonly TimedStep[],
  { model, gmacsPerPair }: Pick<TimedStep, "model" | "gmacsPerPair">,
): { readonly seconds: number; readonly estimated: boolean } {
  const own = steps.find((step) => step.model === model);
  if (own !== undefined) return { seconds: own.secondsPerPair, estimated: false };
  const distance = (step: TimedStep): number => Math.abs(Math.log(step.gmacsPerPair / gmacsPerPair));
  const nearest = steps.reduce((a, b) => (distance(b) < distance(a) ? b : a));
  return { seconds: (nearest.secondsPerPair * gmacsPerPair) / nearest.gmacsPerPair, estimated: true };
}
