/** Lines of `metrics.jsonl`: means over the steps since the last line. */

import type { StepReport } from "../hooks.js";

/** Sums over steps that no line has told yet; plain JSON, so that a checkpoint holds them and no step is lost. */
export interface Unlogged {
  readonly steps: number;
  readonly loss: number;
  readonly gradientNorm: number;
  readonly seconds: number;
  readonly dataSeconds: number;
}

export const nothingLogged: Unlogged = { steps: 0, loss: 0, gradientNorm: 0, seconds: 0, dataSeconds: 0 };

export const addStep = (sums: Unlogged, report: StepReport): Unlogged => ({
  steps: sums.steps + 1,
  loss: sums.loss + report.loss,
  gradientNorm: sums.gradientNorm + report.gradNorm,
  seconds: sums.seconds + report.stepSeconds,
  dataSeconds: sums.dataSeconds + report.dataSeconds,
});

/** The line after the step `last`; `seconds` is the run's clock. */
export function metricsLine(sums: Unlogged, last: StepReport, epoch: number, seconds: number) {
  const batchSize = last.samplesSeen / last.step;
  return {
    step: last.step,
    samplesSeen: last.samplesSeen,
    epoch,
    seconds,
    loss: sums.loss / sums.steps,
    learningRate: last.lr,
    logitScale: last.logitScale,
    gradientNorm: sums.gradientNorm / sums.steps,
    samplesPerSecond: (batchSize * sums.steps) / sums.seconds,
    dataWaitShare: sums.dataSeconds / sums.seconds,
    memoryBytes: process.memoryUsage.rss(),
  };
}
