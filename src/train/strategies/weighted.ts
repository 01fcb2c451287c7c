/** Pairs that count for more or less than one in the loss. */

import { SAMPLE_WEIGHT } from "./loss.js";
import type { ExtraRows, Strategy } from "./strategy.js";

/**
 * `strategy` with each pair's terms times its weight: both cross-entropies of a pair, the sigmoids of its image, its views'
 * and its teacher's terms. As a rival of other pairs it stays what it is.
 * @param weights f32[n,1] of mean 1 over what is trained on: 2 is what two such pairs would add to the mean of the loss.
 */
export const weighted = (strategy: Strategy, weights: ExtraRows): Strategy => ({
  ...strategy,
  extra: { ...strategy.extra, [SAMPLE_WEIGHT]: weights },
});
