/** Samples in columns: what the index of a data set holds takes about the bytes of its texts. */
import { type GivenColumns, GivenWriter, givenAt } from "./given.js";
import { TextLookup } from "./lookup.js";
import { GrowingColumn, shared } from "./numbers.js";
import { anyHolds, type Texts, TextsWriter, textAt } from "./texts.js";
import { uidOfWords, wordsOfUid } from "./uids.js";

export interface Sample {
  /** Names the sample in messages: the path without its ending, a tar member's key, or file:row. */
  readonly key: string;
  /** Trimmed and non-empty; may be an empty list, and such a sample is not trained on. */
  readonly captions: readonly string[];
  readonly label?: string;
  /** The data's own identity of the pair, 32 hex digits, as DataComp has it. */
  readonly uid?: string;
  /** Numbers that the data bring for it, by `givenFields`' names. */
  readonly given?: Readonly<Record<string, number>>;
  /** Of each caption, in the loss; absent: 1 each. */
  readonly weights?: readonly number[];
}

/** A sample with the place of its image, as the readers of sources yield it. */
export interface LocatedSample extends Sample {
  readonly container: number;
  readonly offset: number;
  /** Bytes; -1 for a whole file. */
  readonly size: number;
}

/** Samples by their position, made when they are asked for. */
export interface Samples {
  readonly length: number;
  /** The sample at `i`; 0 ≤ i < length. */
  sample(i: number): Sample;
  /** Its key alone. */
  keyAt(i: number): string;
  /** How many captions it has. */
  captionsAt(i: number): number;
  /** Its uid as four words; undefined where it has none. */
  uidAt(i: number): Uint32Array | undefined;
}

export function* eachSample(samples: Pick<Samples, "length" | "sample">): Generator<Sample> {
  for (let i = 0; i < samples.length; i++) yield samples.sample(i);
}

/** The samples at the positions `at` of others. */
export const pickSamples = (samples: Samples, at: Uint32Array): Samples => ({
  length: at.length,
  sample: (i) => samples.sample(at[i]!),
  keyAt: (i) => samples.keyAt(at[i]!),
  captionsAt: (i) => samples.captionsAt(at[i]!),
  uidAt: (i) => samples.uidAt(at[i]!),
});

/** Samples one after the other. */
export function joinSamples(parts: readonly Samples[]): Samples {
  let length = 0;
  const ends = parts.map((part) => (length += part.length));
  const find = (i: number): [part: Samples, at: number] => {
    const part = ends.findIndex((end) => i < end);
    return [parts[part]!, i - (ends[part - 1] ?? 0)];
  };
  return {
    length,
    sample(i) {
      const [part, at] = find(i);
      return part.sample(at);
    },
    keyAt(i) {
      const [part, at] = find(i);
      return part.keyAt(at);
    },
    captionsAt(i) {
      const [part, at] = find(i);
      return part.captionsAt(at);
    },
    uidAt(i) {
      const [part, at] = find(i);
      return part.uidAt(at);
    },
  };
}

/** The captions of samples: those of sample i are `at[start]` … `at[end - 1]` of `texts`, its end `ends[i]`, its start `ends[i - 1]`. */
interface Captions {
  readonly texts: Texts;
  readonly ends: Uint32Array;
  /** Absent: the texts in their own order. */
  readonly at?: Uint32Array;
}

/** The labels of samples: positions in `texts`; -1 of those that have none. */
interface Labels {
  readonly texts: Texts;
  readonly at: Int32Array;
}

/** What a source was read into. */
export class SampleColumns implements Samples {
  constructor(
    readonly keys: Texts,
    private readonly captions: Captions,
    private readonly labels: Labels | undefined,
    /** Of each image, as in `ImageIndex`. */
    readonly places: {
      readonly container: Uint32Array;
      readonly offset: Float64Array;
      readonly size: Float64Array;
    },
    /** [4 · length] of each sample's uid the words, first digits first; zeros of one that has none. Absent: none has. */
    private readonly uids?: Uint32Array,
    /** Numbers that the data bring. */
    readonly given: GivenColumns = new Map(),
  ) {}

  get length(): number {
    return this.keys.length;
  }

  /** Captions of all samples. */
  get captionCount(): number {
    return this.captions.ends.at(-1) ?? 0;
  }

  /** The distinct labels, as they come first. */
  *labelNames(): Generator<string> {
    const { texts } = this.labels ?? { texts: undefined };
    for (let i = 0; texts !== undefined && i < texts.length; i++) yield textAt(texts, i);
  }

  get classes(): number {
    return this.labels?.texts.length ?? 0;
  }

  sample(i: number): Sample {
    const { texts, ends, at } = this.captions;
    const captions: string[] = [];
    for (let c = i === 0 ? 0 : ends[i - 1]!; c < ends[i]!; c++) captions.push(textAt(texts, at?.[c] ?? c));
    const label = this.labels?.at[i] ?? -1;
    const words = this.uidAt(i);
    const given = givenAt(this.given, i);
    return {
      key: this.keyAt(i),
      captions,
      ...(label < 0 ? {} : { label: textAt(this.labels!.texts, label) }),
      ...(words === undefined ? {} : { uid: uidOfWords(words) }),
      ...(given === undefined ? {} : { given }),
    };
  }

  keyAt(i: number): string {
    return textAt(this.keys, i);
  }

  captionsAt(i: number): number {
    const { ends } = this.captions;
    return ends[i]! - (i === 0 ? 0 : ends[i - 1]!);
  }

  uidAt(i: number): Uint32Array | undefined {
    const words = this.uids?.subarray(4 * i, 4 * i + 4);
    return words?.some((word) => word !== 0) ? words : undefined;
  }

  /** Whether `part` stands in any caption or label. */
  anyHolds(part: string): boolean {
    return (
      anyHolds(this.captions.texts, part) || (this.labels !== undefined && anyHolds(this.labels.texts, part))
    );
  }

  /** The same samples, each that has a label described by `nameOf` it alone. */
  describedBy(nameOf: (label: string) => string): SampleColumns {
    if (this.labels === undefined) return this;
    const { at: labels } = this.labels;
    const texts = new TextsWriter();
    for (const label of this.labelNames()) texts.push(nameOf(label));
    const ends = shared.u32(this.length);
    const at = new GrowingColumn(shared.u32);
    for (const [i, label] of labels.entries()) {
      if (label >= 0) at.push(label);
      ends[i] = at.length;
    }
    const captions = { texts: texts.done(), ends, at: at.done() };
    return new SampleColumns(this.keys, captions, this.labels, this.places, this.uids, this.given);
  }
}

/** Collects samples one by one. */
export class SampleWriter {
  private readonly keys = new TextsWriter();
  private readonly captions = new TextsWriter();
  /** Of each caption its sample. */
  private readonly owners = new GrowingColumn(shared.u32);
  private readonly labels = new TextsWriter();
  private readonly labelOf = new GrowingColumn(shared.i32);
  private readonly knownLabels = new TextLookup((i) => this.labels.at(i));
  private readonly container = new GrowingColumn(shared.u32);
  private readonly offset = new GrowingColumn(shared.f64);
  private readonly size = new GrowingColumn(shared.f64);
  private readonly uids = new GrowingColumn(shared.u32);
  private readonly given = new GivenWriter();

  get length(): number {
    return this.keys.length;
  }

  keyAt(i: number): string {
    return this.keys.at(i);
  }

  containerAt(i: number): number {
    return this.container.values[i]!;
  }

  /** Gives the sample's position. */
  add({ key, captions, label, uid, given, container, offset, size }: LocatedSample): number {
    const i = this.keys.push(key);
    for (const caption of captions) this.addCaption(i, caption);
    this.labelOf.push(label === undefined ? -1 : this.positionOf(label));
    this.container.push(container);
    this.offset.push(offset);
    this.size.push(size);
    if (uid !== undefined) {
      // Those before it have none.
      while (this.uids.length < 4 * i) this.uids.push(0);
      for (const word of wordsOfUid(uid)) this.uids.push(word);
    } else if (this.uids.length > 0) for (let w = 0; w < 4; w++) this.uids.push(0);
    this.given.add(i, given);
    return i;
  }

  /** A further caption of the sample at `i`. */
  addCaption(i: number, caption: string): void {
    this.captions.push(caption);
    this.owners.push(i);
  }

  done(): SampleColumns {
    const labels =
      this.labels.length === 0 ? undefined : { texts: this.labels.done(), at: this.labelOf.done() };
    const places = {
      container: this.container.done(),
      offset: this.offset.done(),
      size: this.size.done(),
    };
    const uids = this.uids.length === 0 ? undefined : this.uids.done();
    const given = this.given.done(this.length);
    return new SampleColumns(this.keys.done(), this.groupedCaptions(), labels, places, uids, given);
  }

  private positionOf(label: string): number {
    const next = this.labels.length;
    const position = this.knownLabels.findOrAdd(label, next);
    if (position === next) this.labels.push(label);
    return position;
  }

  /** The captions by their samples, those of a sample in the order in which they came. */
  private groupedCaptions(): Captions {
    const owners = this.owners.values.subarray(0, this.owners.length);
    const ends = shared.u32(this.length);
    let inOrder = true;
    for (const [c, owner] of owners.entries()) {
      ends[owner]!++;
      inOrder &&= c === 0 || owners[c - 1]! <= owner;
    }
    for (let i = 1; i < ends.length; i++) ends[i]! += ends[i - 1]!;
    const texts = this.captions.done();
    if (inOrder) return { texts, ends };
    const next = new Uint32Array(ends.length);
    next.set(ends.subarray(0, -1), 1);
    const at = shared.u32(owners.length);
    for (const [c, owner] of owners.entries()) at[next[owner]!++] = c;
    return { texts, ends, at };
  }
}

/** The samples of a list. */
export function samplesOf(list: Iterable<LocatedSample>): SampleColumns {
  const writer = new SampleWriter();
  for (const sample of list) writer.add(sample);
  return writer.done();
}
