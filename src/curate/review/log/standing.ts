/** What holds after all lines: of each reviewer, question and item the last one. */

import { type Category, categoryOf, entityKey, type Verdict } from "./verdict.js";

/** The verdicts on one thing that stand, by reviewer. */
export type Opinions = ReadonlyMap<string, Verdict>;

const NONE: Opinions = new Map();

/** A log's verdicts, each later line in the place of the one before. */
export class Standing {
  private readonly entities = new Map<string, Map<string, Verdict>>();
  /** First answers of those that were asked again. */
  private readonly first = new Map<string, Map<string, Verdict>>();
  private readonly again = new Map<string, Map<string, Verdict>>();
  /** Changes with every verdict. */
  version = 0;

  constructor(verdicts: Iterable<Verdict> = []) {
    for (const verdict of verdicts) this.add(verdict);
  }

  add(verdict: Verdict): void {
    const entity = entityKey(verdict);
    const { reviewer } = verdict;
    put(verdict.repeat === true ? this.again : this.first, entity, reviewer, verdict);
    // Of a second answer that is taken back, the first is left.
    const before = verdict.repeat === true ? this.first.get(entity)?.get(reviewer) : undefined;
    const stands = verdict.answer === "undecided" ? (before ?? verdict) : verdict;
    put(this.entities, entity, reviewer, stands);
    this.version++;
  }

  /** Verdicts on the entity (`entityKey`) that were not taken back. */
  opinions(entity: string): Opinions {
    return this.entities.get(entity) ?? NONE;
  }

  /** Every entity with at least one verdict that stands. */
  *all(): Generator<readonly [entity: string, opinions: Opinions]> {
    yield* this.entities;
  }

  /** Pairs of answers that a reviewer gave to the same question, asked twice. */
  *repeats(): Generator<readonly [first: Verdict, again: Verdict]> {
    for (const [entity, reviewers] of this.again) {
      for (const [reviewer, verdict] of reviewers) {
        const before = this.first.get(entity)?.get(reviewer);
        if (before !== undefined) yield [before, verdict];
      }
    }
  }

  wasRepeated(entity: string, reviewer: string): boolean {
    return this.again.get(entity)?.has(reviewer) ?? false;
  }
}

function put(map: Map<string, Map<string, Verdict>>, entity: string, reviewer: string, verdict: Verdict) {
  const reviewers = map.get(entity) ?? new Map<string, Verdict>();
  // The map's order is that of the last word.
  reviewers.delete(reviewer);
  if (verdict.answer !== "undecided") reviewers.set(reviewer, verdict);
  if (reviewers.size === 0) map.delete(entity);
  else map.set(entity, reviewers);
}

/** Whether reviewers said different things: another category, or another correction of the same part. */
export function isConflict(opinions: Opinions): boolean {
  if (opinions.size < 2) return false;
  const categories = new Set<Category | undefined>();
  const captions = new Set<string>();
  const labels = new Set<string>();
  for (const verdict of opinions.values()) {
    categories.add(categoryOf(verdict));
    if (verdict.correctedCaption !== undefined) captions.add(verdict.correctedCaption.trim());
    if (verdict.correctedLabel !== undefined) labels.add(verdict.correctedLabel);
  }
  return categories.size > 1 || captions.size > 1 || labels.size > 1;
}
