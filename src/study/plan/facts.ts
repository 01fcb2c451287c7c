/** What a plan knows of the data: how many pairs, and what some of them, looked at, are. */

import { datasetOptions } from "../../data/fields.js";
import { type Dataset, type DropReason, inspectDataset, openDataset, subset } from "../../data/index.js";
import { takeSelected } from "../../data/selections/select.js";
import type { Recipe } from "../../train/recipe/recipe.js";

export interface DataFacts {
  readonly name: string;
  /** Pairs that could be trained on. */
  readonly pairs: number;
  readonly captionsPerImage: number;
  /** Pictures that were looked at, spread over the set; all of a small one. */
  readonly looked: number;
  /** Share of those that are not to be trained on, and of each reason. */
  readonly faulty: number;
  readonly faults: Readonly<Record<DropReason, number>>;
  /** Share of those that look like another. */
  readonly alike: number;
  /** Medians. */
  readonly captionWords: number;
  /** Shorter side, pixels. */
  readonly side: number;
}

/** Pictures that are looked at. */
const LOOKED = 2000;

export interface FactsHooks {
  readonly onNote?: ((line: string) => void) | undefined;
  readonly onLook?: ((done: number, total: number) => void) | undefined;
}

/** Opens the training data of a recipe, and looks at up to 2,000 of its pictures. Throws `UsageError`. */
export async function dataFacts(
  recipe: Recipe,
  { onNote, onLook }: FactsHooks = {},
): Promise<{ readonly facts: DataFacts; readonly dataset: Dataset }> {
  const progress = onNote && { onProgress: onNote };
  const whole = await openDataset(recipe.trainData, { ...datasetOptions(recipe), ...progress });
  const dataset = await takeSelected(whole, recipe.select, { weight: recipe.sampleWeight, ...progress });
  const count = Math.min(LOOKED, dataset.length);
  const indices = Array.from({ length: count }, (_, i) => Math.floor((i * dataset.length) / count));
  const found = await inspectDataset(subset(dataset, indices), onLook && { onProgress: onLook });
  const share = (n: number): number => (count === 0 ? 0 : n / count);
  const { dropCounts, nearDuplicates, captionWords, width, height } = found;
  return {
    dataset,
    facts: {
      name: dataset.name,
      pairs: dataset.length,
      captionsPerImage: found.captions / Math.max(1, count),
      looked: count,
      faulty: share(found.samples - found.usable),
      faults: {
        "unreadable image": share(dropCounts["unreadable image"]),
        "empty caption": share(dropCounts["empty caption"]),
        "too small": share(dropCounts["too small"]),
        duplicate: share(dropCounts.duplicate),
      },
      alike: share(nearDuplicates.reduce((sum, { length }) => sum + length - 1, 0)),
      captionWords: captionWords.median,
      side: Math.min(width.median, height.median),
    },
  };
}
