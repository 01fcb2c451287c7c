/** What was decided of each pair of a data set, in about a byte a pair, and the data set that it leaves. */
import { createHash } from "node:crypto";
import { UsageError } from "../../core/errors.js";
import { shared } from "../columns/numbers.js";
import type { Sample, Samples } from "../columns/samples.js";
import { TextsWriter } from "../columns/texts.js";
import { type Dataset, subset } from "../dataset.js";
import type { Pairs } from "./pairs.js";

/** What a row says of its pair. */
export interface Decision {
  readonly keep: boolean;
  readonly weight: number;
  readonly caption?: string | undefined;
  readonly label?: string | undefined;
}

const UNNAMED = 0;
const KEPT = 1;
const DROPPED = 2;

/** Texts that stand in others' places, by pair or sample. */
class Corrections {
  private readonly texts = new TextsWriter();
  private readonly at: Int32Array;
  count = 0;

  constructor(length: number) {
    this.at = shared.i32(length).fill(-1);
  }

  set(i: number, text: string): void {
    if (this.at[i]! < 0) this.count++;
    this.at[i] = this.texts.push(text);
  }

  get(i: number): string | undefined {
    const at = this.at[i]!;
    return at < 0 ? undefined : this.texts.at(at);
  }
}

/** Decisions on the pairs of a data set, each made once. */
export class Decisions {
  private readonly state: Uint8Array;
  private weights: Float64Array | undefined;
  private captions: Corrections | undefined;
  private labels: Corrections | undefined;
  /** Of each sample how often it is taken; absent: once. */
  private times: Uint32Array | undefined;
  named = 0;

  constructor(private readonly pairs: Pairs) {
    this.state = new Uint8Array(new SharedArrayBuffer(pairs.length));
  }

  isNamed(pair: number): boolean {
    return this.state[pair] !== UNNAMED;
  }

  /** Decides a pair of `sample`. Throws `UsageError` where another pair of the sample was given another label. */
  decide(sample: number, pair: number, { keep, weight, caption, label }: Decision): void {
    this.state[pair] = keep ? KEPT : DROPPED;
    this.named++;
    if (weight !== 1 && this.weights === undefined) this.weights = shared.f64(this.state.length).fill(1);
    if (this.weights !== undefined) this.weights[pair] = weight;
    if (caption !== undefined) {
      this.captions ??= new Corrections(this.state.length);
      this.captions.set(pair, caption);
    }
    if (label !== undefined) {
      this.labels ??= new Corrections(this.pairs.dataset.length);
      const other = this.labels.get(sample);
      if (other !== undefined && other !== label)
        throw new UsageError(
          `has two labels for "${this.pairs.samples.keyAt(sample)}", "${other}" and "${label}"`,
        );
      this.labels.set(sample, label);
    }
  }

  /** Takes a sample, all of its captions, once more. */
  take(sample: number): void {
    this.times ??= shared.u32(this.pairs.dataset.length);
    this.times[sample]!++;
    for (let pair = this.pairs.start(sample); pair < this.pairs.ends[sample]!; pair++) {
      if (this.state[pair] === UNNAMED) this.named++;
      this.state[pair] = KEPT;
    }
  }

  get correctedCaptions(): number {
    return this.captions?.count ?? 0;
  }

  get correctedLabels(): number {
    return this.labels?.count ?? 0;
  }

  get weighted(): boolean {
    return this.weights !== undefined;
  }

  /** A pair that nothing was decided of, if there is one. */
  firstUnnamed(): number | undefined {
    const pair = this.state.indexOf(UNNAMED);
    return pair < 0 ? undefined : pair;
  }

  /** Pairs that are kept. */
  get kept(): number {
    let kept = 0;
    for (const state of this.state) if (state === KEPT) kept++;
    return kept;
  }

  /** The data set of what is kept, in the order of the data; each sample as often as it was taken. */
  apply(): Dataset {
    const { pairs, state, times } = this;
    const { dataset } = pairs;
    let length = 0;
    const timesOf = (sample: number): number => {
      for (let pair = pairs.start(sample); pair < pairs.ends[sample]!; pair++)
        if (state[pair] === KEPT) return times?.[sample] ?? 1;
      return 0;
    };
    for (let i = 0; i < dataset.length; i++) length += timesOf(i);
    const at = shared.u32(length);
    let next = 0;
    for (let i = 0; i < dataset.length; i++) for (let n = timesOf(i); n > 0; n--) at[next++] = i;
    return subset(dataset, at, dataset.name, { samples: this.samplesAt(at), selection: this.digest(at) });
  }

  private samplesAt(at: Uint32Array): Samples {
    const whole = this.pairs.samples;
    return {
      length: at.length,
      keyAt: (k) => whole.keyAt(at[k]!),
      uidAt: (k) => whole.uidAt(at[k]!),
      captionsAt: (k) => this.sampleOf(at[k]!).captions.length,
      sample: (k) => this.sampleOf(at[k]!),
    };
  }

  /** A sample with what is kept of it. */
  private sampleOf(i: number): Sample {
    const { pairs, state, captions, labels, weights } = this;
    const { captions: own, label: ownLabel, ...rest } = pairs.samples.sample(i);
    const start = pairs.start(i);
    const texts: string[] = [];
    const weightOf: number[] = [];
    for (let pair = start; pair < pairs.ends[i]!; pair++) {
      const text = captions?.get(pair) ?? own[pair - start];
      if (state[pair] !== KEPT || text === undefined) continue;
      texts.push(text);
      weightOf.push(weights?.[pair] ?? 1);
    }
    const label = labels?.get(i) ?? ownLabel;
    return {
      ...rest,
      captions: texts,
      ...(label === undefined ? {} : { label }),
      ...(weights === undefined ? {} : { weights: weightOf }),
    };
  }

  /** Of all that was decided, whatever file it came from: 16 hex digits. */
  private digest(at: Uint32Array): string {
    const { state, weights, captions, labels, pairs } = this;
    const hash = createHash("sha256").update(bytesOf(at));
    const piece = new Uint8Array(2 ** 16);
    for (let start = 0; start < state.length; start += piece.length) {
      const end = Math.min(state.length, start + piece.length);
      for (let pair = start; pair < end; pair++) piece[pair - start] = state[pair] === KEPT ? 1 : 0;
      hash.update(piece.subarray(0, end - start));
    }
    if (weights !== undefined) hash.update("weights").update(bytesOf(weights));
    for (const [what, texts, length] of [
      ["captions", captions, pairs.length],
      ["labels", labels, pairs.dataset.length],
    ] as const) {
      if (texts !== undefined) hash.update(what);
      for (let i = 0; texts !== undefined && i < length; i++) {
        const text = texts.get(i);
        if (text !== undefined) hash.update(JSON.stringify([i, text]));
      }
    }
    return hash.digest("hex").slice(0, 16);
  }
}

const bytesOf = ({ buffer, byteOffset, byteLength }: Uint32Array | Float64Array): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength);
