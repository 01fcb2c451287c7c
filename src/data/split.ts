/** Holding out a part of a data set so that no picture is on both sides. */
import { createHash } from "node:crypto";
import { UsageError } from "../core/errors.js";
import { type Dataset, subset } from "./dataset.js";
import { type DuplicateOptions, groupDuplicates } from "./look/duplicates.js";
import { type ExamineOptions, examineImages } from "./look/examine.js";

export interface SplitOptions extends DuplicateOptions, Pick<ExamineOptions, "workers" | "onProgress"> {
  /** Share of the samples to hold out, 0 … 1; or give `count`. */
  readonly fraction?: number;
  /** Samples to hold out; or give `fraction`. */
  readonly count?: number;
  /** Another key, another split; default `heldout`. */
  readonly key?: string;
}

export interface Split {
  readonly train: Dataset;
  readonly heldOut: Dataset;
  /** Samples on the held-out side, ascending: what `splitAt` takes. */
  readonly heldOutIndices: readonly number[];
  /** Samples that share their picture, exactly or nearly, with another one; each group is on one side. */
  readonly duplicates: number;
}

/**
 * Splits by image: exact duplicates (SHA-256) and near duplicates (difference hash) stay together. Which side a
 * picture goes to depends on the key and the images' bytes alone, not on names or order. The held-out side has the
 * wanted number of samples, or a few less where only a larger group would fit. Throws `UsageError` unless exactly
 * one of fraction and count is given and leaves both sides something.
 */
export async function splitByImage(dataset: Dataset, options: SplitOptions): Promise<Split> {
  const { fraction, count, key = "heldout" } = options;
  if ((fraction === undefined) === (count === undefined)) {
    throw new UsageError(`split: takes either fraction or count; got fraction=${fraction}, count=${count}.`);
  }
  const wanted = count ?? Math.round(dataset.length * fraction!);
  if (!(Number.isInteger(wanted) && wanted > 0 && wanted < dataset.length)) {
    const given = count === undefined ? `fraction=${fraction}` : `count=${count}`;
    throw new UsageError(
      `split: holds out 1 … ${dataset.length - 1} of ${dataset.length} samples; got ${given}.`,
    );
  }
  const examined = await examineImages(dataset, options);
  const first = groupDuplicates(examined, options);
  const groups = new Map<number, { members: number[]; rank: string }>();
  for (const [at, root] of first.entries()) {
    const group = groups.get(root) ?? { members: [], rank: "~" };
    group.members.push(at);
    const identity = examined[at]!.sha256 ?? `key ${dataset.sample(at).key}`;
    const rank = createHash("sha256").update(`${key}\0${identity}`).digest("hex");
    if (rank < group.rank) group.rank = rank;
    groups.set(root, group);
  }
  const ranked = [...groups.values()].sort((a, b) => (a.rank < b.rank ? -1 : 1));
  const heldOut: number[] = [];
  for (const { members } of ranked) {
    if (heldOut.length + members.length <= wanted) heldOut.push(...members);
  }
  if (heldOut.length === 0 || heldOut.length === dataset.length) {
    throw new UsageError(
      `split: ${dataset.length} samples are ${groups.size} distinct images, too few to hold out ${wanted} without sharing one.`,
    );
  }
  heldOut.sort((a, b) => a - b);
  return {
    ...splitAt(dataset, heldOut),
    heldOutIndices: heldOut,
    duplicates: [...groups.values()].reduce(
      (n, { members }) => n + (members.length > 1 ? members.length : 0),
      0,
    ),
  };
}

/** What the held-out side of a data set is called, in results too. */
export const heldOutName = (name: string): string => `${name} held out`;

/** The two sides of a split that is known: the samples `heldOut`, ascending, and the others. */
export function splitAt(dataset: Dataset, heldOut: readonly number[]): Pick<Split, "train" | "heldOut"> {
  const gone = new Set(heldOut);
  const rest = Array.from({ length: dataset.length }, (_, i) => i).filter((i) => !gone.has(i));
  return {
    train: subset(dataset, rest, `${dataset.name} train`),
    heldOut: subset(dataset, heldOut, heldOutName(dataset.name)),
  };
}
