/** What a score owes to test pictures that stand in the training data: with them, without them, and the difference. */

import {
  type BootstrapOptions,
  type Interval,
  meanInterval,
  resampledInterval,
} from "../statistics/bootstrap.js";
import type { TaskScore } from "../tasks/task.js";

export interface LeakScore {
  readonly metric: string;
  /** Over all items, over those of pictures that are new, and over the others. */
  readonly all: Interval;
  readonly clean: Interval;
  readonly leaked: Interval;
  /** `clean` less `all`, paired: the same pictures are drawn for both. */
  readonly difference: Interval;
}

/**
 * The scores that are means over items, with and without the items of the samples `leaked`; none where all or none are.
 * In retrieval the others stay among the candidates.
 */
export function leakScores(
  scores: readonly TaskScore[],
  leaked: ReadonlySet<number>,
  options: BootstrapOptions = {},
): LeakScore[] {
  return scores.flatMap(({ metric, items }) => {
    if (items === undefined) return [];
    const { values, samples } = items;
    const out = [...samples.keys()].filter((i) => leaked.has(samples[i]!));
    if (out.length === 0 || out.length === values.length) return [];
    const kept = [...samples.keys()].filter((i) => !leaked.has(samples[i]!));
    const part = (rows: readonly number[]): Interval =>
      meanInterval(
        Float64Array.from(rows, (i) => values[i]!),
        { ...options, clusters: Uint32Array.from(rows, (i) => samples[i]!) },
      );
    // Of each picture: the sum of its items' values and how many there are; pictures are drawn.
    const groups = new Map<number, { sum: number; count: number; leaked: boolean }>();
    for (const [i, sample] of samples.entries()) {
      const group = groups.get(sample) ?? { sum: 0, count: 0, leaked: leaked.has(sample) };
      group.sum += values[i]!;
      group.count++;
      groups.set(sample, group);
    }
    const pictures = [...groups.values()];
    const difference = resampledInterval(
      pictures.length,
      (drawn) => {
        let [sum, count, cleanSum, cleanCount] = [0, 0, 0, 0];
        for (const at of drawn) {
          const picture = pictures[at]!;
          sum += picture.sum;
          count += picture.count;
          if (picture.leaked) continue;
          cleanSum += picture.sum;
          cleanCount += picture.count;
        }
        return cleanCount === 0 ? 0 : cleanSum / cleanCount - sum / count;
      },
      options,
    );
    return [{ metric, all: part([...samples.keys()]), clean: part(kept), leaked: part(out), difference }];
  });
}
