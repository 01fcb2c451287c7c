/** Forms of an export's numbers on trial: size, time, and what their scores lose against f32 on the same items. */

import { openOnnxFile } from "../../engines/onnx-file.js";
import { compareRuns, type ScoredRun } from "../../evaluate/compare.js";
import type { ScoredTask } from "../../evaluate/suites/score.js";
import { findMetric } from "../../evaluate/tasks/index.js";
import { writeOnnx } from "../../graph/emit/onnx-program.js";
import type { Exported, Trial, Variant, VariantScore } from "../form.js";
import { embedPixels, embedTexts, featuresOf, type RunningTowers } from "./features.js";
import type { NumberFormName } from "./numbers/number-forms.js";
import type { Towers } from "./towers.js";

/** What decides whether a form is written: the first guess of a classification; retrieval among the first five. */
const DECIDING = ["acc1", "image_retrieval_recall@5", "text_retrieval_recall@5"];

const TIMED_RUNS = 15;

export interface Tried {
  readonly variant: Omit<Variant, "written">;
  readonly scored: readonly ScoredTask[];
}

/** Runs `towers` as files of this form and scores them, against `reference`, which is f32's trial, where it is given. */
export async function tryVariant(
  dtype: NumberFormName,
  towers: Towers,
  model: Exported,
  trial: Trial | undefined,
  reference?: Tried,
): Promise<Tried> {
  const [vision, text] = [towers.vision, towers.text].map(writeOnnx) as [Uint8Array, Uint8Array];
  const running: RunningTowers = {
    vision: await openOnnxFile(vision, `the image tower in ${dtype}`, trial?.threads),
    text: await openOnnxFile(text, `the text tower in ${dtype}`, trial?.threads),
  };
  try {
    const scored =
      trial === undefined ? [] : await trial.score(featuresOf(running, model, trial.engine, trial));
    const side = model.config.vision_cfg.image_size;
    const pixels = new Uint8Array(side * side * 3).fill(128);
    const scores = scoresOf(scored, reference?.scored ?? []);
    const variant = {
      dtype,
      sizeBytes: vision.length + text.length,
      imageMs: await leastMs(() => embedPixels(running, model, pixels)),
      textMs: await leastMs(() => embedTexts(running, model, ["a photo of a dog"])),
      scores,
      lostPoints: reference === undefined ? undefined : lostPoints(scores),
    };
    return { variant, scored };
  } finally {
    running.vision[Symbol.dispose]();
    running.text[Symbol.dispose]();
  }
}

async function leastMs(run: () => Promise<unknown>): Promise<number> {
  await run();
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < TIMED_RUNS; i++) {
    const start = performance.now();
    await run();
    least = Math.min(least, performance.now() - start);
  }
  return least;
}

/** The shares of `scored`, each beside that of f32. */
function scoresOf(scored: readonly ScoredTask[], reference: readonly ScoredTask[]): VariantScore[] {
  const runs = (name: string, tasks: readonly ScoredTask[]): ScoredRun[] =>
    tasks.map(({ dataset, task, scores }) => ({ run: name, recipe: name, dataset, task, scores }));
  const compared =
    reference.length === 0
      ? []
      : compareRuns([...runs("this", scored), ...runs("f32", reference)], findMetric);
  return scored.flatMap(({ dataset, task, scores }) =>
    scores
      .filter(({ metric }) => findMetric(metric)?.kind === "share")
      .map(({ metric, score: { value, low, high, n } }): VariantScore => {
        const found = compared.find(
          (one) => one.dataset === dataset && one.task === task && one.metric.name === metric,
        );
        const [pair] = found?.pairs ?? [];
        return {
          ...{ dataset, task, metric, value, low, high, n },
          ...(pair && { difference: { value: pair.value, low: pair.low, high: pair.high } }),
        };
      }),
  );
}

function lostPoints(scores: readonly VariantScore[]): number | undefined {
  const compared = scores.filter(({ difference }) => difference !== undefined);
  const deciding = compared.filter(({ metric }) => DECIDING.includes(metric));
  const lost = (deciding.length > 0 ? deciding : compared).map(({ difference }) => -100 * difference!.value);
  return lost.length === 0 ? undefined : Math.max(...lost);
}

/** The scores that decide, or all where none does. */
export function decidingScores({ scores }: Pick<Variant, "scores">): readonly VariantScore[] {
  const deciding = scores.filter(({ metric }) => DECIDING.includes(metric));
  return deciding.length > 0 ? deciding : scores;
}
