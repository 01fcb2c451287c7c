/** The pairs of a data set by number, and finding one by its names or by its uid. */
import { TextLookup } from "../columns/lookup.js";
import { shared } from "../columns/numbers.js";
import type { Samples } from "../columns/samples.js";
import { pairUid, UidIndex, wordsOfUid } from "../columns/uids.js";
import { type Dataset, type SourceRange, samplesOf } from "../dataset.js";

/** Which sample names which pairs: one for each caption, or one of a sample without any. */
export class Pairs {
  readonly samples: Samples;
  /** Of each sample the number behind its last pair. */
  readonly ends: Uint32Array;

  constructor(readonly dataset: Dataset) {
    this.samples = samplesOf(dataset);
    this.ends = shared.u32(dataset.length);
    let end = 0;
    for (let i = 0; i < dataset.length; i++) {
      end += Math.max(1, this.samples.captionsAt(i));
      this.ends[i] = end;
    }
  }

  get length(): number {
    return this.ends.at(-1) ?? 0;
  }

  start(sample: number): number {
    return sample === 0 ? 0 : this.ends[sample - 1]!;
  }

  /** The pair of a sample's caption; undefined where it has no such caption. */
  pair(sample: number, caption: number): number | undefined {
    const pair = this.start(sample) + caption;
    return caption >= 0 && pair < this.ends[sample]! ? pair : undefined;
  }

  /** The sample of a pair. */
  sampleOf(pair: number): number {
    let low = 0;
    for (let high = this.ends.length - 1; low < high; ) {
      const middle = (low + high) >>> 1;
      if (this.ends[middle]! > pair) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  /** The key of a pair's sample, for messages. */
  nameOf(pair: number): string {
    return this.samples.keyAt(this.sampleOf(pair));
  }
}

/** Finds samples by source and key. Names that come in the order of the data are found without an index. */
export class SampleFinder {
  private readonly dataset: Dataset;
  private cursor = 0;
  private cursorKey: string | undefined;
  private range: SourceRange | undefined;
  private index: { readonly first: TextLookup; readonly next: Int32Array } | undefined;

  /** @param bySource false: names of sources are not looked at. */
  constructor(
    private readonly pairs: Pairs,
    private readonly bySource: boolean,
  ) {
    this.dataset = pairs.dataset;
  }

  /**
   * The samples of that name, more than one where the data have a key twice; where `goOnAt` said, or behind it, first.
   */
  *find(source: string | undefined, key: string): Generator<number> {
    const { cursor } = this;
    for (let i = cursor; i <= cursor + 1; i++) if (this.isAt(i, source, key)) yield i;
    this.index ??= this.makeIndex();
    const { first, next } = this.index;
    const text = this.bySource && source !== undefined ? `${source}\0${key}` : key;
    for (let i = first.find(text) ?? -1; i >= 0; i = next[i]!) {
      if (i !== cursor && i !== cursor + 1) yield i;
    }
  }

  /** The next search begins at this sample. */
  goOnAt(sample: number): void {
    if (sample === this.cursor) return;
    this.cursor = sample;
    this.cursorKey = undefined;
  }

  private isAt(i: number, source: string | undefined, key: string): boolean {
    if (i >= this.dataset.length) return false;
    if (i === this.cursor) this.cursorKey ??= this.pairs.samples.keyAt(i);
    const own = i === this.cursor ? this.cursorKey : this.pairs.samples.keyAt(i);
    return own === key && (!this.bySource || source === undefined || this.sourceAt(i) === source);
  }

  private sourceAt(i: number): string {
    const { range } = this;
    if (range === undefined || i < range.start || i >= range.start + range.length) {
      this.range = this.dataset.sources.find(({ start, length }) => i >= start && i < start + length);
    }
    return this.range!.name;
  }

  private makeIndex(): { readonly first: TextLookup; readonly next: Int32Array } {
    const { length } = this.dataset;
    const textAt = (i: number): string =>
      this.bySource ? `${this.sourceAt(i)}\0${this.pairs.samples.keyAt(i)}` : this.pairs.samples.keyAt(i);
    const first = new TextLookup(textAt);
    const next = new Int32Array(length).fill(-1);
    const last = new Int32Array(length);
    for (let i = 0; i < length; i++) {
      const head = first.findOrAdd(textAt(i), i);
      if (head !== i) next[last[head]!] = i;
      last[head] = i;
    }
    return { first, next };
  }
}

/** Pairs by uid: the data's own, each of all captions of its sample; else of every pair, for which all images are read. */
export class PairsByUid {
  private constructor(
    private readonly index: UidIndex,
    /** Uids are of samples, not of pairs. */
    readonly ofSamples: boolean,
  ) {}

  /** Undefined where the data have no uids of their own. */
  static ofData({ samples, dataset }: Pairs): PairsByUid | undefined {
    let words: Uint32Array | undefined;
    for (let i = 0; i < dataset.length; i++) {
      const uid = samples.uidAt(i);
      if (uid === undefined) continue;
      words ??= shared.u32(4 * dataset.length);
      words.set(uid, 4 * i);
    }
    return words && new PairsByUid(new UidIndex(words), true);
  }

  /** Computed from every image's bytes and captions; images that cannot be read have none. */
  static async computed(
    pairs: Pairs,
    onProgress?: (done: number, total: number) => void,
  ): Promise<PairsByUid> {
    const { dataset } = pairs;
    const words = shared.u32(4 * pairs.length);
    for (let i = 0; i < dataset.length; i++) {
      const bytes = await dataset.readBytes(i).catch(() => undefined);
      const { captions } = dataset.sample(i);
      for (const [c, caption] of (captions.length === 0 ? [""] : captions).entries()) {
        if (bytes !== undefined) words.set(wordsOfUid(pairUid(bytes, caption)), 4 * (pairs.start(i) + c));
      }
      onProgress?.(i + 1, dataset.length);
    }
    return new PairsByUid(new UidIndex(words), false);
  }

  /** Samples (`ofSamples`), or pairs, whose uid stands at `at` of `words`. */
  find(words: Uint32Array, at = 0): Generator<number> {
    return this.index.find(words, at);
  }
}
