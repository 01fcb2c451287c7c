/** The public functions of a review by people, with their arguments checked. */

import { type DawidSkeneOptions, dawidSkene as skillsOf } from "../curate/review/agreement/dawid-skene.js";
import { agreementOf as agreementOfRatings } from "../curate/review/agreement/measures.js";
import { readReviewLog as readLog } from "../curate/review/log/log.js";
import { faultsLeft as faultsIn } from "../curate/review/order/faults-left.js";
import { reviewOrders } from "../curate/review/order/priority.js";
import { openReview as openReviewUnchecked, type ReviewOptions } from "../curate/review/review.js";
import {
  checked,
  checkedAsync,
  count,
  either,
  listOf,
  oneOf,
  options,
  real,
  text,
  thing,
} from "./arguments.js";

const dataset = thing("a data set, as openDataset gives", "sample", "length");
const share = real("a number from 0 to 1", (x) => x >= 0 && x <= 1);

/**
 * Opens a review of a selection, of a table of scores, or of both, by people together: `serve` shows its page, `report` says how
 * they agree, `export` writes what they decided as a selection (docs/review.md). Throws `UsageError` for tables that are none, data
 * that have none of their pairs, and a log that cannot be written.
 */
export const openReview = checkedAsync(
  "openReview",
  openReviewUnchecked,
  2,
  ["tables", either(text, listOf(text))],
  ["dataset", dataset],
  [
    "options",
    options<ReviewOptions>({
      log: text,
      where: text,
      limit: count(1),
      order: oneOf(reviewOrders),
      opinions: count(1),
      overlap: share,
      repeats: share,
      audit: share,
      gold: text,
      stopAt: share,
    }),
  ],
);

const ratings = listOf(thing("a rating", "item", "rater", "label"));

/** Raw agreement, kappas and Krippendorff's alpha of ratings; answers may be missing. */
export const agreementOf = checked("agreementOf", agreementOfRatings, 1, ["ratings", ratings]);

/** What is true where raters disagree, and how good each rater is: Dawid and Skene's model (1979). */
export const dawidSkene = checked(
  "dawidSkene",
  skillsOf,
  1,
  ["ratings", ratings],
  ["options", options<DawidSkeneOptions>({ rounds: count(1), tolerance: real("a number", () => true) })],
);

/**
 * Faults expected among the items that nobody has seen, by a random audit of each stratum, with an interval; undefined while fewer
 * than five were audited.
 */
export const faultsLeft = checked(
  "faultsLeft",
  faultsIn,
  1,
  ["strata", listOf(thing("a stratum", "unseen", "audited", "faults"))],
  ["level", real("a number between 0 and 1", (x) => x > 0 && x < 1)],
);

/** All verdicts of a review's log. Throws a `UsageError` where there is none. */
export const readReviewLog = checked("readReviewLog", readLog, 1, ["path", text]);
