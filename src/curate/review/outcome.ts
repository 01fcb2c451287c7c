/** What a review comes to: a decision on each pair, from all that was said. */

import type { Rating } from "./agreement/measures.js";
import { majorities, truthsOf } from "./agreement/truth.js";
import type { Opinions, Standing } from "./log/standing.js";
import { categoryOf, entityKey, type Question, type Verdict } from "./log/verdict.js";
import { copyGroups, pictureOf, type ReviewItem, type ReviewSet } from "./set.js";

/** One pair after the review, as a row of a selection has it. */
export interface Decision {
  readonly keep: boolean;
  /** Why it is dropped: `review`, `review: duplicate`, or what the selection said. */
  readonly reason: string | undefined;
  readonly correctedCaption: string | undefined;
  readonly correctedLabel: string | undefined;
  /** Whether people decided it, or the selection as it was. */
  readonly reviewed: boolean;
}

export interface Outcome {
  /** One an item of the set. */
  readonly decisions: readonly Decision[];
  readonly method: "majority" | "dawid-skene";
  readonly counts: {
    /** Pairs with a decision of people's. */
    readonly reviewed: number;
    /** Pairs kept before, dropped now; and the other way. */
    readonly dropped: number;
    readonly restored: number;
    readonly corrected: number;
    /** Pairs on which opinions are level: the selection decides. */
    readonly undecided: number;
  };
}

/** The answers that stand, as ratings; items are entities (`entityKey`). */
export function ratingsOf(standing: Standing, question: Question): Rating[] {
  const ratings: Rating[] = [];
  for (const [item, opinions] of standing.all()) {
    for (const [rater, verdict] of opinions) {
      const label = categoryOf(verdict);
      if (verdict.question === question && label !== undefined) ratings.push({ item, rater, label });
    }
  }
  return ratings;
}

/**
 * Decides every pair. By Dawid and Skene's estimate where there are raters and shared items enough, else by majority; pairs
 * on which votes are level, and those that nobody judged, stay as the selection has them. Of two copies that are the same
 * the second is dropped with all its captions; one that the selection dropped as a copy comes back when it is different.
 */
export function outcomeOf({ items }: Pick<ReviewSet, "items">, standing: Standing): Outcome {
  const truths = truthsOf(ratingsOf(standing, "pair"));
  const counts = { reviewed: 0, dropped: 0, restored: 0, corrected: 0, undecided: 0 };
  const copies = copyAnswers(items, standing);
  const decisions = items.map((item, i): Decision => {
    const entity = entityKey({ item: item.id, question: "pair" });
    const opinions = standing.opinions(entity);
    const truth = truths.of.get(entity);
    if (opinions.size > 0 && truth === undefined) counts.undecided++;
    let decision: Decision = asSelected(item);
    if (truth !== undefined) {
      counts.reviewed++;
      const keep = truth.label !== "drop";
      const correction = truth.label === "correct" ? correctionOf(opinions) : undefined;
      if (correction !== undefined) counts.corrected++;
      decision = {
        keep,
        reason: keep ? undefined : "review",
        correctedCaption: correction?.correctedCaption,
        correctedLabel: correction?.correctedLabel,
        reviewed: true,
      };
    }
    const copy = copies.get(pictureOf(item, i));
    if (copy === "same" && decision.keep)
      decision = { ...decision, keep: false, reason: "review: duplicate", reviewed: true };
    if (copy === "different" && truth === undefined && isCopyReason(item.reason)) {
      decision = { ...decision, keep: true, reason: undefined, reviewed: true };
    }
    if (item.keep && !decision.keep) counts.dropped++;
    if (!item.keep && decision.keep) counts.restored++;
    return decision;
  });
  return { decisions, method: truths.method, counts };
}

const asSelected = ({ keep, reason }: ReviewItem): Decision => ({
  keep,
  reason: keep ? undefined : reason,
  correctedCaption: undefined,
  correctedLabel: undefined,
  reviewed: false,
});

/** A rule of a selection that drops copies says so in its name. */
const isCopyReason = (reason: string | undefined): boolean => /duplic|cop(y|ies)/i.test(reason ?? "");

/** Of the pictures that people compared with the first of their group, what most said. */
function copyAnswers(items: readonly ReviewItem[], standing: Standing): Map<string, string> {
  const said = majorities(ratingsOf(standing, "duplicate"));
  const answers = new Map<string, string>();
  if (said.size === 0) return answers;
  for (const [first, ...others] of copyGroups(items)) {
    for (const i of others) {
      const entity = entityKey({ item: items[first!]!.id, other: items[i]!.id, question: "duplicate" });
      const answer = said.get(entity);
      if (answer !== undefined) answers.set(pictureOf(items[i]!, i), answer.label);
    }
  }
  return answers;
}

/** The correction that most gave; of those given equally often the last. */
function correctionOf(opinions: Opinions): Verdict | undefined {
  const votes = new Map<string, { verdict: Verdict; count: number }>();
  for (const verdict of opinions.values()) {
    if (categoryOf(verdict) !== "correct") continue;
    const text = JSON.stringify([verdict.correctedCaption, verdict.correctedLabel]);
    votes.set(text, { verdict, count: (votes.get(text)?.count ?? 0) + 1 });
  }
  return [...votes.values()]
    .sort((a, b) => a.count - b.count || (a.verdict.time < b.verdict.time ? -1 : 1))
    .at(-1)?.verdict;
}

/** Whether people say something else of a pair than the selection does; level votes count as a fault. */
export function isFault({ keep }: Pick<ReviewItem, "keep">, opinions: Opinions): boolean {
  if (opinions.size === 0) return false;
  const votes = [...opinions.values()].map((verdict) => {
    const category = categoryOf(verdict);
    return keep ? category !== "keep" : category !== "drop";
  });
  return votes.filter(Boolean).length * 2 >= votes.length;
}
