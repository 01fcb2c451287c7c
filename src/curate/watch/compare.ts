/** New pairs against a profile: what differs, by how much, and whether chance could have made it so. */

import { keyFromSeed } from "../../core/random.js";
import { holm } from "../../evaluate/statistics/many.js";
import { classesApart, type Difference, numbersApart } from "./distributions.js";
import type { ColumnProfile, DataProfile } from "./profile.js";
import type { Vectors } from "./spaces.js";
import { along, domainAuc, mmd } from "./vectors.js";
import type { Window, WindowColumn } from "./window.js";

/** From what on a difference is told. */
export interface DriftThresholds {
  /** Of a score's PSI: 0.1 is moderate. Default 0.1. */
  readonly psi: number;
  /** Of the classifier that tells new embeddings from old. Default 0.55 (Evidently). */
  readonly auc: number;
  /** Of embeddings' MMD². Default 0.015 (Evidently). */
  readonly mmd: number;
  /** The chance of telling anything where nothing has changed, over all tests of a check. Default 0.05. */
  readonly falseAlarms: number;
}

export const defaultThresholds: DriftThresholds = { psi: 0.1, auc: 0.55, mmd: 0.015, falseAlarms: 0.05 };

export interface ColumnFinding extends Difference {
  readonly name: string;
  readonly about?: string | undefined;
  readonly better?: "higher" | "lower" | undefined;
  /** Means of numbers; shares of the class that changed most, of classes. */
  readonly was: number;
  readonly is: number;
  /** Of classes: the one that changed most. */
  readonly class?: string | undefined;
  /** p after Holm's correction over all scores. */
  readonly adjusted: number;
  readonly drifted: boolean;
}

export interface SpaceFinding {
  readonly name: string;
  /** Of a classifier on rows that it was not fitted to: 0.5 where nothing tells new from old. */
  readonly auc: number;
  readonly mmd2: number;
  /** p of both after Holm's correction over all spaces. */
  readonly aucAdjusted: number;
  readonly mmdAdjusted: number;
  readonly drifted: boolean;
}

export interface Findings {
  /** New pictures. */
  readonly pictures: number;
  readonly columns: readonly ColumnFinding[];
  readonly spaces: readonly SpaceFinding[];
  /** Too few pictures to tell anything of. */
  readonly tooFew: boolean;
  readonly drifted: boolean;
}

/** Fewer new pictures tell nothing. */
export const LEAST_PICTURES = 20;
/** Rows of a sample that MMD compares: its matrix is of as many squared. */
const MOST_ROWS = 1000;
/** With so many the p of six tests can be below 0.025 / 6. */
const PERMUTATIONS = 499;

/**
 * Compares new pairs with a profile. A score or a space has drifted where the difference is both larger than its threshold and
 * rarer than chance allows: half of the false alarms are for the scores, half for the spaces, each over all its tests by Holm's
 * correction.
 */
export function compareWith(
  profile: Pick<DataProfile, "columns" | "spaces">,
  window: Window,
  vectors: Vectors,
  thresholds: Partial<DriftThresholds> = {},
): Findings {
  const { psi, auc, mmd: mmdLeast, falseAlarms } = { ...defaultThresholds, ...thresholds };
  const tooFew = window.pictures < LEAST_PICTURES;
  if (tooFew) return { pictures: window.pictures, columns: [], spaces: [], tooFew, drifted: false };
  const level = falseAlarms / 2;
  const compared = profile.columns.flatMap((column) => compareColumn(column, window));
  const adjusted = holm(compared.map(({ p }) => p));
  const columns = compared.map(
    (found, i): ColumnFinding => ({
      ...found,
      adjusted: adjusted[i]!,
      drifted: adjusted[i]! < level && found.psi >= psi,
    }),
  );
  const told = profile.spaces.flatMap(({ name, basis, sample }) => {
    const current = vectors[name];
    if (current === undefined || current.rows < LEAST_PICTURES) return [];
    const [before, now] = [sample, along(basis, current)].map((rows) => ({
      ...rows,
      rows: Math.min(rows.rows, MOST_ROWS),
    })) as [typeof sample, typeof sample];
    const key = keyFromSeed(0);
    return [{ name, domain: domainAuc(before, now, key), kernel: mmd(before, now, PERMUTATIONS, key) }];
  });
  const corrected = holm(told.flatMap(({ domain, kernel }) => [domain.p, kernel.p]));
  const spaces = told.map(({ name, domain, kernel }, i): SpaceFinding => {
    const [aucAdjusted, mmdAdjusted] = [corrected[2 * i]!, corrected[2 * i + 1]!];
    return {
      ...{ name, auc: domain.auc, mmd2: kernel.mmd2, aucAdjusted, mmdAdjusted },
      drifted: (domain.auc >= auc && aucAdjusted < level) || (kernel.mmd2 >= mmdLeast && mmdAdjusted < level),
    };
  });
  return {
    ...{ pictures: window.pictures, columns, spaces, tooFew },
    drifted: [...columns, ...spaces].some(({ drifted }) => drifted),
  };
}

type Compared = Omit<ColumnFinding, "adjusted" | "drifted">;

/** A score's values, and how often it is unknown, where it is now or was. */
function compareColumn(column: ColumnProfile, window: Window): Compared[] {
  const current = window.columns.find(({ name }) => name === column.name);
  const { name, about, better } = column;
  if (current === undefined) return [];
  const unknownNow = window.pictures - current.known;
  const unknownThen = column.pictures - column.known;
  const unknown: Compared[] =
    unknownNow + unknownThen === 0 || current.known + column.known === 0
      ? []
      : [
          {
            name: `${name}, unknown`,
            about: `Pictures without ${name}.`,
            ...{ was: unknownThen / column.pictures, is: unknownNow / window.pictures },
            ...classesApart([column.known, unknownThen], [current.known, unknownNow]),
          },
        ];
  if (current.known === 0 || column.known === 0) return unknown;
  return [{ ...{ name, about, better }, ...valuesApart(column, current) }, ...unknown];
}

function valuesApart(
  column: ColumnProfile,
  current: WindowColumn,
): Difference & Pick<Compared, "was" | "is" | "class"> {
  if (column.kind === "numbers") {
    const { mean: was, sample } = column;
    return { was, is: current.mean, ...numbersApart(sample, current.sample) };
  }
  const classes = [...new Set([...Object.keys(column.counts), ...Object.keys(current.counts)])];
  const then = classes.map((one) => column.counts[one] ?? 0);
  const now = classes.map((one) => current.counts[one] ?? 0);
  const shares = classes.map((one, i) => ({
    one,
    was: then[i]! / column.known,
    is: now[i]! / current.known,
  }));
  const most = shares.reduce((a, b) => (Math.abs(b.is - b.was) > Math.abs(a.is - a.was) ? b : a));
  return { was: most.was, is: most.is, class: most.one, ...classesApart(then, now) };
}
