/** What samples are worth that are seen again and again, where the runs of a level see their data differently often. */

import { repeatedLaw } from "../laws/law.js";
import { type CurvePoint, fitTelling, type TellingFit } from "./telling.js";

/** The data-constrained law through one level's runs, of all regimes together; or why there is none. */
export interface Repetition {
  readonly level: string;
  readonly fit: TellingFit;
}

/** A grid on two exponents is searched for each: enough for a band to two digits. */
export const RESAMPLES = 200;

/** Passes up to which samples count as seen once: a run ends with a whole batch, which may begin the next pass. */
const ONCE = 1.05;

/** The fit to each level's points, whose `x` and `unique` count samples; none for a level that sees nothing twice. */
export function repetitionsOf(
  levels: readonly { readonly level: string; readonly points: readonly CurvePoint[] }[],
): readonly Repetition[] {
  return levels.flatMap(({ level, points }): Repetition[] => {
    const passes = points.map(({ x, unique }) => x / unique!);
    if (!passes.some((count) => count > ONCE)) return [];
    // One number of passes for all: what they are worth is then part of B.
    if (new Set(passes.map((count) => count.toPrecision(3))).size < 2)
      return [
        {
          level,
          fit: {
            refused: `what a repeated sample is worth cannot be told where every run sees its data ${passes[0]!.toPrecision(3)} times: vary the passes`,
          },
        },
      ];
    return [{ level, fit: fitTelling(repeatedLaw, points, { resamples: RESAMPLES }) }];
  });
}
