/** How far raters agree: raw agreement, kappas and alpha, for nominal labels. */

/** One answer: what `rater` called `item`. At most one of a rater to an item. */
export interface Rating {
  readonly item: string;
  readonly rater: string;
  readonly label: string;
}

export interface Agreement {
  /** Items with two raters or more; the others say nothing of agreement. */
  readonly items: number;
  /** Answers to those items. */
  readonly answers: number;
  /** Share of the pairs of answers to the same item that are alike. */
  readonly raw: number | undefined;
  /** Cohen's kappa (1960), where there are two raters; over the items that both answered. */
  readonly cohenKappa: number | undefined;
  /** Fleiss' kappa (1971); where items have unequal numbers of answers, each item counts alike. */
  readonly fleissKappa: number | undefined;
  /** Krippendorff's alpha (2004), nominal; answers may be missing. From 0.8 on reliable, from 0.667 tentative. */
  readonly alpha: number | undefined;
  /** Share of each label among those answers: a kappa is low where one label is rare, at equal raw agreement. */
  readonly shares: Readonly<Record<string, number>>;
}

/** Counts of the labels that each item of two answers or more got: [items][labels]. */
export function countTable(ratings: readonly Rating[]): { labels: string[]; counts: number[][] } {
  const labels = [...new Set(ratings.map(({ label }) => label))].sort();
  const column = new Map(labels.map((label, k) => [label, k]));
  const byItem = new Map<string, number[]>();
  for (const { item, label } of ratings) {
    const row = byItem.get(item) ?? labels.map(() => 0);
    byItem.set(item, row);
    row[column.get(label)!]!++;
  }
  return { labels, counts: [...byItem.values()].filter((row) => sum(row) >= 2) };
}

export function agreementOf(ratings: readonly Rating[]): Agreement {
  const { labels, counts } = countTable(ratings);
  const answers = sum(counts.map(sum));
  const totals = labels.map((_, k) => sum(counts.map((row) => row[k]!)));
  const alike = sum(counts.map((row) => sum(row.map((n) => n * (n - 1)))));
  const pairs = sum(counts.map((row) => sum(row) * (sum(row) - 1)));
  return {
    items: counts.length,
    answers,
    raw: pairs === 0 ? undefined : alike / pairs,
    cohenKappa: cohenKappa(ratings),
    fleissKappa: fleissKappa(counts),
    alpha: krippendorffAlpha(counts),
    shares: Object.fromEntries(labels.map((label, k) => [label, answers === 0 ? 0 : totals[k]! / answers])),
  };
}

/** (pₒ − pₑ)/(1 − pₑ), pₑ = Σ p₁ₖ p₂ₖ; undefined unless there are two raters, and where chance alone would always agree. */
export function cohenKappa(ratings: readonly Rating[]): number | undefined {
  const [a, b, more] = new Set(ratings.map(({ rater }) => rater));
  if (b === undefined || more !== undefined) return undefined;
  const second = new Map(ratings.filter(({ rater }) => rater === b).map((each) => [each.item, each.label]));
  const both = ratings.filter(({ rater, item }) => rater === a && second.has(item));
  const n = both.length;
  const first = tally(both.map(({ label }) => label));
  const other = tally(both.map(({ item }) => second.get(item)!));
  const observed = both.filter(({ item, label }) => second.get(item) === label).length / n;
  const expected = sum([...first].map(([label, count]) => (count / n) * ((other.get(label) ?? 0) / n)));
  return corrected(observed, expected);
}

/** Pᵢ = (Σ nᵢₖ² − n)/(n(n−1)), pₑ = Σ pₖ², of counts [items][labels]. */
export function fleissKappa(counts: readonly (readonly number[])[]): number | undefined {
  if (counts.length === 0) return undefined;
  const agreements = counts.map((row) => {
    const n = sum(row);
    return (sum(row.map((k) => k * k)) - n) / (n * (n - 1));
  });
  const answers = sum(counts.map(sum));
  const shares = counts[0]!.map((_, k) => sum(counts.map((row) => row[k]!)) / answers);
  return corrected(sum(agreements) / counts.length, sum(shares.map((p) => p * p)));
}

/** 1 − Dₒ/Dₑ by the coincidence matrix of counts [items][labels] of two answers or more; undefined where all are alike. */
export function krippendorffAlpha(counts: readonly (readonly number[])[]): number | undefined {
  if (counts.length === 0) return undefined;
  const totals = counts[0]!.map((_, k) => sum(counts.map((row) => row[k]!)));
  const n = sum(totals);
  // Coincidences off the diagonal: Σᵢ Σ_{c≠k} nᵢc nᵢk / (nᵢ − 1).
  const observed = sum(counts.map((row) => (sum(row) ** 2 - sum(row.map((k) => k * k))) / (sum(row) - 1)));
  const expected = (n * n - sum(totals.map((k) => k * k))) / (n - 1);
  return expected === 0 ? undefined : 1 - observed / expected;
}

const corrected = (observed: number, expected: number): number | undefined =>
  expected < 1 ? (observed - expected) / (1 - expected) : undefined;

export const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);

/** How often each value occurs. */
export function tally<T>(values: Iterable<T>): Map<T, number> {
  const counts = new Map<T, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return counts;
}
