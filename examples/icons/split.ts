/**
 * Which drawings are trained on and which are tested with. Copies of one drawing, as sets make them of each other, are always on one
 * side. Every draw is by a hash of the drawing's name, so that it does not depend on the order of anything.
 */
import { createHash } from "node:crypto";

/** A drawing, as far as the split asks. */
export interface Candidate {
  /** `set_icon`, unique. */
  readonly key: string;
  readonly name: string;
  /** Who drew it. */
  readonly author: string;
  /** Of a style that is never trained on: its name. */
  readonly style?: string;
  /** The same number as its near duplicates. */
  readonly group: number;
}

export interface SplitOptions {
  /** A name is a class when at least so many authors of training sets draw it. Default 10. */
  readonly authors?: number;
  /** Drawings of a class kept for the test in distribution, at most. Default 4. */
  readonly testEach?: number;
  /** Drawings of a class that a probe may learn from, at most; they are trained on as well. Default 16. */
  readonly probeEach?: number;
  /** Share of the groups kept to watch training by. Default 0.01. */
  readonly validation?: number;
}

export interface Split {
  /** Class names, in order of the alphabet. */
  readonly classes: readonly string[];
  /** Indices of the candidates, ascending. */
  readonly train: readonly number[];
  readonly probe: readonly number[];
  readonly validation: readonly number[];
  /** The test in distribution. */
  readonly test: readonly number[];
  /** By style. */
  readonly shifted: ReadonlyMap<string, readonly number[]>;
  /** Drawings of shifted styles left out because a set that is trained on has the same drawing. */
  readonly copies: number;
}

/** Groups larger than this hold plain shapes (circles, arrows) that many drew on their own: they stay in training. */
const LARGEST_TEST_GROUP = 12;

/** A number from 0 to 1 that a text alone decides. */
const drawn = (text: string): number => createHash("sha256").update(text).digest().readUInt32BE(0) / 2 ** 32;

export function splitDrawings(
  all: readonly Candidate[],
  { authors = 10, testEach = 4, probeEach = 16, validation = 0.01 }: SplitOptions = {},
): Split {
  const groups = new Map<number, number[]>();
  for (const [at, { group }] of all.entries()) groups.set(group, [...(groups.get(group) ?? []), at]);

  const hands = new Map<string, Set<string>>();
  const byName = new Map<string, number[]>();
  for (const [at, { name, author, style }] of all.entries()) {
    if (style !== undefined) continue;
    hands.set(name, (hands.get(name) ?? new Set()).add(author));
    byName.set(name, [...(byName.get(name) ?? []), at]);
  }
  const classes = [...hands].filter(([, who]) => who.size >= authors).map(([name]) => name);
  classes.sort();
  const isClass = new Set(classes);

  /** Groups that leave training, whole. */
  const outside = new Set<number>();
  const test: number[] = [];
  const mayLeave = (group: number): boolean => {
    const members = groups.get(group)!;
    return members.length <= LARGEST_TEST_GROUP && members.every((at) => all[at]!.style === undefined);
  };
  const inOrder = (indices: readonly number[], salt: string): readonly number[] =>
    [...indices].sort((a, b) => drawn(`${salt} ${all[a]!.key}`) - drawn(`${salt} ${all[b]!.key}`));
  for (const name of classes) {
    let taken = 0;
    for (const at of inOrder(byName.get(name)!, "test")) {
      const { group } = all[at]!;
      if (taken >= testEach) break;
      if (outside.has(group) || !mayLeave(group)) continue;
      outside.add(group);
      test.push(at);
      taken++;
    }
  }
  const validated: number[] = [];
  for (const [group, members] of groups) {
    const first = members[0]!;
    if (outside.has(group) || !mayLeave(group) || drawn(`validation ${all[first]!.key}`) >= validation)
      continue;
    outside.add(group);
    validated.push(first);
  }
  const train: number[] = [];
  const trained = new Set<number>();
  for (const [at, { style, group }] of all.entries()) {
    if (style !== undefined || outside.has(group)) continue;
    train.push(at);
    trained.add(group);
  }
  const isTrained = new Set(train);
  const probe = classes.flatMap((name) =>
    inOrder(byName.get(name)!, "probe")
      .filter((at) => isTrained.has(at))
      .slice(0, probeEach),
  );
  const shifted = new Map<string, number[]>();
  let copies = 0;
  for (const [at, { style, group, name }] of all.entries()) {
    if (style === undefined || !isClass.has(name)) continue;
    if (trained.has(group)) copies++;
    else shifted.set(style, [...(shifted.get(style) ?? []), at]);
  }
  const ascending = (indices: number[]): readonly number[] => indices.sort((a, b) => a - b);
  return {
    classes,
    train,
    probe: ascending(probe),
    validation: ascending(validated),
    test: ascending(test),
    shifted,
    copies,
  };
}
