/** Which sample stands at which position of training: a pure function of seed and position, on any machine. */
import { foldIn, type Key, Random } from "../../core/random.js";

/** A source's samples, and its share of the positions when sources are weighted. */
export interface OrderedSource {
  /** Sample indices to draw from; not empty. */
  readonly indices: Uint32Array;
  readonly weight: number;
}

const KEPT_PERMUTATIONS = 3;

/**
 * Positions 0, 1, 2, … over one or several sources. Each source is walked epoch by epoch in a fresh permutation;
 * positions are dealt to sources by their weights, as evenly as whole numbers allow: the first n positions hold
 * floor(n · share) of the first source, and so on among the rest.
 */
export class SampleOrder {
  private readonly permutations: Map<number, Uint32Array>[];
  /** Per source: its share among itself and the sources after it. */
  private readonly shares: readonly number[];

  constructor(
    private readonly sources: readonly OrderedSource[],
    private readonly key: Key,
  ) {
    this.permutations = sources.map(() => new Map());
    this.shares = sources.map((source, s) => {
      let rest = 0;
      for (const other of sources.slice(s)) rest += other.weight;
      return source.weight / rest;
    });
  }

  /** The source of a position, and how many positions before it that source had. */
  locate(position: number): { source: number; nth: number } {
    let rest = position;
    for (const [source, share] of this.shares.entries()) {
      if (source === this.shares.length - 1) return { source, nth: rest };
      const before = Math.floor(rest * share);
      if (Math.floor((rest + 1) * share) > before) return { source, nth: before };
      rest -= before;
    }
    return { source: 0, nth: position };
  }

  /** The `nth` sample that a source gives, over epochs. */
  draw(source: number, nth: number): number {
    const { indices } = this.sources[source]!;
    const epoch = Math.floor(nth / indices.length);
    return indices[this.permutation(source, epoch)[nth % indices.length]!]!;
  }

  /** Samples in a source. */
  size(source: number): number {
    return this.sources[source]!.indices.length;
  }

  private permutation(source: number, epoch: number): Uint32Array {
    const kept = this.permutations[source]!;
    let found = kept.get(epoch);
    if (found === undefined) {
      const key = foldIn(this.key, "order", source, epoch);
      found = new Random(key).permutation(this.sources[source]!.indices.length);
      kept.set(epoch, found);
      if (kept.size > KEPT_PERMUTATIONS) kept.delete(kept.keys().next().value!);
    }
    return found;
  }
}
