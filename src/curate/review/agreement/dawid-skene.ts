/**
 * What is true where raters of unknown skill disagree: Dawid and Skene's model (1979) by expectation and maximization.
 * Each rater has a table of how often a true label becomes an answer; each item has a true label drawn from a prior.
 */

import { type Rating, sum } from "./measures.js";

export interface DawidSkeneOptions {
  /** Rounds at most. Default 100. */
  readonly rounds?: number;
  /** Stops when the bound of the likelihood, an answer, grows by less. Default 1e-5. */
  readonly tolerance?: number;
}

export interface DawidSkene {
  /** In alphabetical order; the columns of what follows. */
  readonly labels: readonly string[];
  /** Of each item, the probability of each label being true. */
  readonly truth: ReadonlyMap<string, readonly number[]>;
  /** How common each label is. */
  readonly prior: readonly number[];
  /** Of each rater, [answer][true label]: the probability of the answer. */
  readonly errors: ReadonlyMap<string, readonly (readonly number[])[]>;
  readonly rounds: number;
}

/** The least that a rater's table holds before it is normalized. */
const LEAST = 1e-10;

/** Begins with the shares of the votes. Without ratings everything is empty. */
export function dawidSkene(
  ratings: readonly Rating[],
  { rounds = 100, tolerance = 1e-5 }: DawidSkeneOptions = {},
): DawidSkene {
  const labels = [...new Set(ratings.map(({ label }) => label))].sort();
  const items = indexOf(ratings.map(({ item }) => item));
  const raters = indexOf(ratings.map(({ rater }) => rater));
  const column = indexOf(labels);
  const answers = ratings.map(({ item, rater, label }) => ({
    i: items.get(item)!,
    w: raters.get(rater)!,
    k: column.get(label)!,
  }));
  const K = labels.length;

  // Shares of the votes: [items][labels].
  let truth = Array.from({ length: items.size }, () => labels.map(() => 0));
  for (const { i, k } of answers) truth[i]![k]!++;
  truth = truth.map((row) => normalized(row));
  let prior = meanRow(truth, K);
  let errors = raterTables();

  /** M step: eʷ[answer][true] ∝ Σᵢ truthᵢ[true] over the items that w answered so; only over answers that w gave. */
  function raterTables(): number[][][] {
    const tables = Array.from({ length: raters.size }, () => labels.map(() => labels.map(() => 0)));
    const given = Array.from({ length: raters.size }, () => new Set<number>());
    for (const { i, w, k } of answers) {
      given[w]!.add(k);
      for (let t = 0; t < K; t++) tables[w]![k]![t]! += truth[i]![t]!;
    }
    for (const [w, table] of tables.entries()) {
      for (const k of given[w]!) for (let t = 0; t < K; t++) table[k]![t] = Math.max(LEAST, table[k]![t]!);
      for (let t = 0; t < K; t++) {
        const total = sum(table.map((row) => row[t]!));
        for (const row of table) row[t]! /= total;
      }
    }
    return tables;
  }

  /** E step: truthᵢ[t] ∝ prior[t] Π eʷ[answer][t], by logarithms. */
  function posterior(): number[][] {
    const logs = truth.map(() => prior.map(Math.log));
    for (const { i, w, k } of answers) {
      for (let t = 0; t < K; t++) logs[i]![t]! += Math.log(errors[w]![k]![t]!);
    }
    return logs.map((row) => {
      const most = Math.max(...row);
      return normalized(row.map((x) => Math.exp(x - most)));
    });
  }

  /** The evidence's lower bound: E[log p(answers, truth)] + entropy of the truth. */
  function bound(): number {
    const part = (p: number, log: number): number => (p === 0 ? 0 : p * log);
    let total = 0;
    for (const row of truth) {
      for (let t = 0; t < K; t++) total += part(row[t]!, Math.log(prior[t]!) - Math.log(row[t]!));
    }
    for (const { i, w, k } of answers) {
      for (let t = 0; t < K; t++) total += part(truth[i]![t]!, Math.log(errors[w]![k]![t]!));
    }
    return total / answers.length;
  }

  let last = Number.NEGATIVE_INFINITY;
  let done = 0;
  while (done < rounds && answers.length > 0) {
    truth = posterior();
    prior = meanRow(truth, K);
    errors = raterTables();
    done++;
    const now = bound();
    if (now - last < tolerance) break;
    last = now;
  }
  return {
    labels,
    truth: new Map([...items].map(([item, i]) => [item, truth[i]!])),
    prior,
    errors: new Map([...raters].map(([rater, w]) => [rater, errors[w]!])),
    rounds: done,
  };
}

/** The probability that the rater names what is true: Σₖ prior[k] e[k][k]. */
export const accuracyOf = ({ prior, errors }: DawidSkene, rater: string): number =>
  sum(prior.map((p, k) => p * (errors.get(rater)?.[k]?.[k] ?? 0)));

function indexOf(values: readonly string[]): Map<string, number> {
  const index = new Map<string, number>();
  for (const value of values) if (!index.has(value)) index.set(value, index.size);
  return index;
}

function normalized(row: readonly number[]): number[] {
  const total = sum(row);
  return row.map((x) => x / total);
}

const meanRow = (rows: readonly (readonly number[])[], width: number): number[] =>
  Array.from({ length: width }, (_, k) => sum(rows.map((row) => row[k]!)) / rows.length);
