/** How far a review's people agree, and how good each of them is. */

import { type Interval, resampledInterval } from "../../../evaluate/statistics/bootstrap.js";
import { clopperPearson } from "../../../evaluate/statistics/distributions.js";
import { isConflict, type Standing } from "../log/standing.js";
import { type Category, categoryOf, type Question } from "../log/verdict.js";
import { ratingsOf } from "../outcome.js";
import type { AgreementMessage } from "../protocol.js";
import type { ItemIndex, ReviewItem } from "../set.js";
import { accuracyOf, dawidSkene } from "./dawid-skene.js";
import { type Agreement, agreementOf, countTable, krippendorffAlpha, type Rating } from "./measures.js";
import { majorities, truthsOf } from "./truth.js";

export interface ReviewerReport {
  readonly name: string;
  /** Pairs judged. */
  readonly verdicts: number;
  /**
   * By Dawid and Skene's model, the probability of naming what is true; by majority, how often what the others' majority
   * said was said. Undefined without items in common.
   */
  readonly accuracy: number | undefined;
  /** Known questions, right ones among them, and the exact 95 % interval of the share. */
  readonly gold: { readonly n: number; readonly right: number; readonly low: number; readonly high: number };
  /** Questions asked twice, and answered alike. */
  readonly repeats: { readonly n: number; readonly alike: number };
  /** Median time from one verdict to the next, pauses of over two minutes left out; undefined for fewer than two. */
  readonly seconds: number | undefined;
}

export interface ReviewReport {
  readonly pairs: Agreement & { readonly alphaInterval: Interval | undefined };
  readonly duplicates: Agreement;
  readonly method: "majority" | "dawid-skene";
  readonly reviewers: readonly ReviewerReport[];
  /** Items on which reviewers said different things. */
  readonly conflicts: readonly { readonly item: number; readonly said: readonly string[] }[];
}

export interface ReportInputs {
  readonly standing: Standing;
  readonly index: ItemIndex;
  /** Known answers, by item. */
  readonly gold: ReadonlyMap<number, Category>;
}

/** Longer is a pause. */
const PAUSE_MS = 120_000;
const RESAMPLES = 400;

export function reviewReport({ standing, index, gold }: ReportInputs): ReviewReport {
  const ratings = ratingsOf(standing, "pair");
  const { method } = truthsOf(ratings);
  const model = method === "dawid-skene" ? dawidSkene(ratings) : undefined;
  const names = [...new Set(ratings.map(({ rater }) => rater))].sort();
  const repeats = [...standing.repeats()];
  const reviewers = names.map((name): ReviewerReport => {
    const own = ratings.filter(({ rater }) => rater === name);
    const twice = repeats.filter(([{ reviewer }]) => reviewer === name);
    return {
      name,
      verdicts: own.length,
      accuracy: model === undefined ? agreementWithOthers(ratings, name) : accuracyOf(model, name),
      gold: goldScore(standing, index, gold, name),
      repeats: { n: twice.length, alike: twice.filter(([a, b]) => categoryOf(a) === categoryOf(b)).length },
      seconds: medianSeconds(standing, name),
    };
  });
  const conflicts: { item: number; said: string[] }[] = [];
  for (const [, opinions] of standing.all()) {
    const [first] = opinions.values();
    const item = first === undefined ? undefined : index.find(first.other ?? first.item);
    if (item === undefined || !isConflict(opinions)) continue;
    const said = [...opinions.values()].map((verdict) => {
      const text = verdict.correctedCaption ?? verdict.correctedLabel;
      return `${verdict.reviewer}: ${categoryOf(verdict)}${text === undefined ? "" : ` “${text}”`}`;
    });
    conflicts.push({ item, said });
  }
  return {
    pairs: { ...agreementOf(ratings), alphaInterval: alphaInterval(ratings) },
    duplicates: agreementOf(ratingsOf(standing, "duplicate")),
    method,
    reviewers,
    conflicts,
  };
}

function alphaInterval(ratings: readonly Rating[]): Interval | undefined {
  const { counts } = countTable(ratings);
  if (krippendorffAlpha(counts) === undefined) return undefined;
  // A draw without any disagreement has no alpha of its own.
  const alpha = (items: Uint32Array): number => krippendorffAlpha(Array.from(items, (i) => counts[i]!)) ?? 1;
  return resampledInterval(counts.length, alpha, { resamples: RESAMPLES });
}

/** How often a rater says what most of the others say. */
function agreementWithOthers(ratings: readonly Rating[], name: string): number | undefined {
  const others = majorities(ratings.filter(({ rater }) => rater !== name));
  const shared = ratings.filter(({ rater, item }) => rater === name && others.has(item));
  if (shared.length === 0) return undefined;
  return shared.filter(({ item, label }) => others.get(item)!.label === label).length / shared.length;
}

function goldScore(
  standing: Standing,
  index: ItemIndex,
  gold: ReadonlyMap<number, Category>,
  name: string,
): ReviewerReport["gold"] {
  let n = 0;
  let right = 0;
  for (const [, opinions] of standing.all()) {
    const verdict = opinions.get(name);
    const known = verdict?.question === "pair" ? gold.get(index.find(verdict.item) ?? -1) : undefined;
    if (verdict === undefined || known === undefined) continue;
    n++;
    if (categoryOf(verdict) === known) right++;
  }
  return { n, right, ...(n === 0 ? { low: 0, high: 1 } : clopperPearson(right, n)) };
}

function medianSeconds(standing: Standing, name: string): number | undefined {
  const times: number[] = [];
  for (const [, opinions] of standing.all()) {
    const verdict = opinions.get(name);
    if (verdict !== undefined) times.push(Date.parse(verdict.time));
  }
  times.sort((a, b) => a - b);
  const gaps = times
    .slice(1)
    .map((time, i) => time - times[i]!)
    .filter((gap) => gap <= PAUSE_MS)
    .sort((a, b) => a - b);
  return gaps.length === 0 ? undefined : gaps[gaps.length >> 1]! / 1000;
}

const percent = (x: number): string => `${(100 * x).toFixed(0)} %`;

/** Words for a page or a terminal. */
export function agreementSentences({ pairs, duplicates, method }: ReviewReport): string[] {
  const sentence = (question: Question, agreement: Agreement, interval?: Interval): string => {
    const { items, answers, raw, alpha, cohenKappa, fleissKappa, shares } = agreement;
    const what = question === "pair" ? "pairs" : "possible copies";
    if (raw === undefined) return `No ${what} were judged by two people yet.`;
    const kappa =
      cohenKappa !== undefined
        ? `; Cohen's kappa ${cohenKappa.toFixed(2)}`
        : fleissKappa !== undefined
          ? `; Fleiss' kappa ${fleissKappa.toFixed(2)}`
          : "";
    const spread =
      interval === undefined ? "" : ` (95 %: ${interval.low.toFixed(2)} to ${interval.high.toFixed(2)})`;
    const words =
      alpha === undefined
        ? "; all answers are the same, so chance-corrected agreement says nothing"
        : `; Krippendorff's alpha ${alpha.toFixed(2)}${spread}, ${alpha >= 0.8 ? "reliable" : alpha >= 2 / 3 ? "tentative" : "not reliable"}${kappa}`;
    const common = Object.entries(shares).map(([label, share]) => `${label} ${percent(share)}`);
    return `${items} ${what} with ${answers} answers: ${percent(raw)} of the answers agree${words}. Answers: ${common.join(", ")}.`;
  };
  return [
    sentence("pair", pairs, pairs.alphaInterval),
    ...(duplicates.answers > 0 ? [sentence("duplicate", duplicates)] : []),
    method === "dawid-skene"
      ? "What is true is estimated by Dawid and Skene's model; a reviewer's accuracy is the model's."
      : "What is true is what most say; a reviewer's accuracy is how often the others agree. From three reviewers and 200 shared pairs on, Dawid and Skene's model takes over.",
  ];
}

export const REVIEWER_COLUMNS = [
  "reviewer",
  "pairs",
  "accuracy",
  "known questions",
  "asked twice",
  "seconds a pair",
];

export const reviewerRow = ({
  name,
  verdicts,
  accuracy,
  gold,
  repeats,
  seconds,
}: ReviewerReport): string[] => [
  name,
  String(verdicts),
  accuracy === undefined ? "–" : percent(accuracy),
  gold.n === 0 ? "–" : `${gold.right} of ${gold.n} right (${percent(gold.low)} to ${percent(gold.high)})`,
  repeats.n === 0 ? "–" : `${repeats.alike} of ${repeats.n} alike`,
  seconds === undefined ? "–" : seconds.toFixed(1),
];

/** For the page. */
export function agreementMessage(report: ReviewReport, items: readonly ReviewItem[]): AgreementMessage {
  return {
    sentences: agreementSentences(report),
    reviewers: [REVIEWER_COLUMNS, ...report.reviewers.map(reviewerRow)],
    conflicts: report.conflicts.map(({ item, said }) => ({
      item,
      key: items[item]!.id.key,
      said: said.join(" · "),
    })),
  };
}
