/** What a run that starts from weights forgets: scores of a reference set, beside those before the first step. */

import type { Dataset } from "../../data/index.js";
import type { EvaluationRecord } from "../../evaluate/records.js";
import { suitableTasks } from "../../evaluate/tasks/index.js";
import { retrievalTask } from "../../evaluate/tasks/retrieval.js";
import type { Task } from "../../evaluate/tasks/task.js";
import { zeroshotTask } from "../../evaluate/tasks/zeroshot.js";
import type { Recipe } from "../recipe/recipe.js";

/** In `evaluation.jsonl`. */
export const REFERENCE_SPLIT = "reference";

/** What a reference set is scored by: zero-shot classification where it has labels, retrieval where it has captions alone. */
export const referenceTask = (dataset: Dataset): Task =>
  suitableTasks(dataset).zeroshot ? zeroshotTask : retrievalTask;

/** Metrics that tell what is forgotten, as their mean: of a labelled set top-1, of pairs the recall@1 of both directions. */
const TELLING: ReadonlySet<string> = new Set(["acc1", "image_retrieval_recall@1", "text_retrieval_recall@1"]);

/** Plain JSON: what a checkpoint remembers of it. */
export interface ReferenceMemory {
  /** Score before the first step, in 0…1. */
  readonly first: number;
  /** It has been said that more is forgotten than may be. */
  readonly said: boolean;
}

/** What the scores after a step say. */
export interface ReferenceVerdict {
  /** No more is forgotten than may be. */
  readonly within: boolean;
  /** What is wrong, the first time that it is. */
  readonly warning: string | undefined;
}

export class Reference {
  constructor(
    private readonly limits: Pick<Recipe, "referenceMaxLoss" | "referenceStop">,
    private kept?: ReferenceMemory,
  ) {}

  /** Undefined before the first scores. */
  get memory(): ReferenceMemory | undefined {
    return this.kept;
  }

  /** Takes in the scores after a step, the first ones being those to compare with; undefined where the set was not scored. */
  take(records: readonly EvaluationRecord[]): ReferenceVerdict | undefined {
    const telling = records.filter(({ split, metric }) => split === REFERENCE_SPLIT && TELLING.has(metric));
    if (telling.length === 0) return undefined;
    const score = telling.reduce((sum, { value }) => sum + value, 0) / telling.length;
    this.kept ??= { first: score, said: false };
    const { first, said } = this.kept;
    const { referenceMaxLoss: most, referenceStop: stops } = this.limits;
    const lost = 100 * (first - score);
    if (lost <= most) return { within: true, warning: undefined };
    this.kept = { first, said: true };
    const { dataset, metric, step } = telling[0]!;
    const what = metric === "acc1" ? "top-1" : "recall@1";
    const percent = (share: number) => (100 * share).toFixed(1);
    const remedy = stops
      ? "The run ends here. To go further: --lr three times lower, --layer-decay 0.65, --lock-image, or --reference-max-loss."
      : "Lower --lr three times, add --layer-decay 0.65 or --lock-image, or train shorter; --reference-stop ends such a run.";
    return {
      within: false,
      warning:
        said && !stops
          ? undefined
          : `Forgets: ${what} on ${dataset} has fallen by ${lost.toFixed(1)} points, from ${percent(first)} to ${percent(score)} % at step ${step}; ${most} may be lost. ${remedy}`,
    };
  }
}

/**
 * Whether a record is the score of that name: a metric, alone or after its split, data set or task, as in
 * `val/zeroshot_retrieval/image_retrieval_recall@1`.
 */
export function isNamed(name: string) {
  const places = name.split("/");
  const metric = places.pop();
  return (record: Pick<EvaluationRecord, "metric" | "split" | "dataset" | "task">): boolean =>
    record.metric === metric &&
    // What is kept says nothing on what is gained, unless it is asked for.
    (record.split !== REFERENCE_SPLIT || places.includes(REFERENCE_SPLIT)) &&
    places.every((place) => [record.split, record.dataset, record.task].includes(place));
}
