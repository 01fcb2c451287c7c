/** Laws of what runs learned. A run that is no better than guessing tells when learning begins, not how it goes on, and is left out. */

import { UsageError } from "../../core/errors.js";
import { type FitOptions, fitLaw, type LawFit } from "../laws/fit.js";
import type { Law, LawPoint } from "../laws/law.js";

/** A run as a point of a curve. */
export interface CurvePoint extends LawPoint {
  /** Its interval reaches what guessing gives. Default false. */
  readonly guessing?: boolean;
}

/** The law through the points that tell; or why there is none. */
export type TellingFit = LawFit | { readonly refused: string };

/** Fits `law` to the points that are better than guessing; how many are not is among the warnings, or said with the refusal. */
export function fitTelling(law: Law, points: readonly CurvePoint[], options: FitOptions = {}): TellingFit {
  const telling = points.filter(({ guessing = false }) => !guessing);
  const left = points.length - telling.length;
  const words = `${left} of ${points.length} runs ${left === 1 ? "is" : "are"} no better than guessing and left out`;
  try {
    const fit = fitLaw(law, telling, options);
    return left === 0 ? fit : { ...fit, warnings: [...fit.warnings, words] };
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    return { refused: left === 0 ? error.message : `${error.message} ${words}.` };
  }
}
