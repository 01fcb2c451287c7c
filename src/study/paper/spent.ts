/** What a point of the paper's curves took: different pairs, samples, multiply-adds. */

import { InternalError } from "../../core/errors.js";
import { type PaperCurve, paperSource } from "./paper.js";

/** ViT-B/32, which the curves are of that name no encoder: multiply-adds of a pair, 10⁹. */
export const B32_GMACS = 5.76;
/** Of the curves over augmentations (figure 1b). */
const AUGMENTED_PASSES = 30;

/** Different pairs and samples of the run at `x` of a curve. */
export function spentAt(
  { over, level, regime, experiment }: PaperCurve,
  x: number,
): { readonly unique: number; readonly samples: number } {
  if (over === "epochs") {
    const unique = Number(/^(\d+)M pairs$/.exec(level)?.[1]) * 1e6;
    if (Number.isNaN(unique)) throw new InternalError(`paper: no size of a set in "${level}"`);
    return { unique, samples: x * unique };
  }
  const unique = over === "share" ? x * paperSource.pairs : x;
  if (regime === "equal samples") return { unique, samples: paperSource.pairs };
  return { unique, samples: experiment === "augmentation" ? AUGMENTED_PASSES * unique : unique };
}
