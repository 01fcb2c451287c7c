/** What is reviewed: pairs with their scores, what the selection says of them, and where their pictures are. */

import { type PairId, pairKey } from "./log/verdict.js";
import type { ScoreColumnValues } from "./order/priority.js";

export interface ReviewItem {
  readonly id: PairId;
  /** The picture, as a row of the data; undefined where the data lack it. */
  readonly row: number | undefined;
  readonly caption: string;
  readonly label?: string | undefined;
  /** What the selection says; true without one. */
  readonly keep: boolean;
  /** Why it was dropped. */
  readonly reason?: string | undefined;
  /** How much it counts in training. Default 1. */
  readonly weight?: number | undefined;
  /** Pairs taken for copies of each other share a number. */
  readonly group?: number | string | undefined;
}

export interface ReviewScore extends ScoreColumnValues {
  readonly about: string;
}

export interface ReviewSet {
  readonly title: string;
  readonly items: readonly ReviewItem[];
  /** Columns over the items. */
  readonly scores: readonly ReviewScore[];
  /** Whether a selection says what is kept. */
  readonly selected: boolean;
  /** The encoded picture of a row. */
  readonly readPicture: (row: number) => Promise<Uint8Array>;
}

/** Finds items by the names that verdicts give them: by source, key and caption; else by uid. */
export class ItemIndex {
  private readonly byKey = new Map<string, number>();
  private readonly byUid = new Map<string, number>();

  constructor(items: readonly ReviewItem[]) {
    for (const [i, { id }] of items.entries()) {
      this.byKey.set(pairKey(id), i);
      if (id.uid !== null) this.byUid.set(id.uid, i);
    }
  }

  find(id: PairId): number | undefined {
    return this.byKey.get(pairKey(id)) ?? (id.uid === null ? undefined : this.byUid.get(id.uid));
  }
}

/** Classes of the items, the most frequent first. */
export function classesOf(items: readonly ReviewItem[]): string[] {
  const counts = new Map<string, number>();
  for (const { label } of items) if (label !== undefined) counts.set(label, (counts.get(label) ?? 0) + 1);
  return [...counts].sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1)).map(([label]) => label);
}

/** What tells pictures apart: the row of the data, or the item itself where the data lack it. */
export const pictureOf = ({ row }: ReviewItem, i: number): string =>
  row === undefined ? `item ${i}` : `${row}`;

/**
 * Groups of two pictures or more that are taken for copies, in the order of their first; each picture by one of its items, and
 * the kept and first come first.
 */
export function copyGroups(items: readonly ReviewItem[]): number[][] {
  const groups = new Map<number | string, number[]>();
  for (const [i, { group }] of items.entries()) {
    if (group === undefined) continue;
    const members = groups.get(group);
    if (members === undefined) groups.set(group, [i]);
    else members.push(i);
  }
  const onePerPicture = (members: readonly number[]): number[] => {
    const sorted = members.toSorted((a, b) => Number(items[b]!.keep) - Number(items[a]!.keep) || a - b);
    const seen = new Map<string, number>();
    for (const i of sorted) {
      const picture = pictureOf(items[i]!, i);
      if (!seen.has(picture)) seen.set(picture, i);
    }
    return [...seen.values()];
  };
  return [...groups.values()].map(onePerPicture).filter((members) => members.length > 1);
}
