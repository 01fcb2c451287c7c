/** What holds after several people have spoken: the majority, or Dawid and Skene's estimate where there is enough to learn from. */

import { dawidSkene } from "./dawid-skene.js";
import { type Rating, tally } from "./measures.js";

/** With fewer raters or items Dawid and Skene's tables are guesses; the majority is taken. */
export const RATERS_FOR_MODEL = 3;
export const ITEMS_FOR_MODEL = 200;

export interface Truth {
  readonly label: string;
  /** Dawid and Skene's probability, or the share of the votes. */
  readonly confidence: number;
}

export interface Truths {
  readonly method: "majority" | "dawid-skene";
  /** Of each item; an item whose votes are level has none. */
  readonly of: ReadonlyMap<string, Truth>;
}

/** By the model, given three raters or more and 200 items or more that several answered; else by majority. */
export function truthsOf(ratings: readonly Rating[]): Truths {
  const raters = new Set(ratings.map(({ rater }) => rater)).size;
  const answers = tally(ratings.map(({ item }) => item));
  const shared = [...answers.values()].filter((n) => n >= 2).length;
  if (raters < RATERS_FOR_MODEL || shared < ITEMS_FOR_MODEL) {
    return { method: "majority", of: majorities(ratings) };
  }
  const { labels, truth } = dawidSkene(ratings);
  const of = new Map<string, Truth>();
  for (const [item, chances] of truth) {
    const confidence = Math.max(...chances);
    // Level to the last bits is a tie still.
    const [label, other] = labels.filter((_, k) => chances[k]! > confidence - 1e-9);
    if (other === undefined) of.set(item, { label: label!, confidence });
  }
  return { method: "dawid-skene", of };
}

/** The label of most votes, of each item where it is one alone. */
export function majorities(ratings: readonly Rating[]): ReadonlyMap<string, Truth> {
  const votes = new Map<string, string[]>();
  for (const { item, label } of ratings) {
    const given = votes.get(item);
    if (given === undefined) votes.set(item, [label]);
    else given.push(label);
  }
  const of = new Map<string, Truth>();
  for (const [item, given] of votes) {
    const [first, second] = [...tally(given)].sort(([, a], [, b]) => b - a);
    if (second !== undefined && second[1] === first![1]) continue;
    of.set(item, { label: first![0], confidence: first![1] / given.length });
  }
  return of;
}
