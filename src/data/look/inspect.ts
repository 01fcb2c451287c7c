/** A report on a data set before anything is spent on it: what it is, samples, what would be dropped and why. */
import { UsageError } from "../../core/errors.js";
import type { Dataset, SourceDescription } from "../dataset.js";
import { duplicateGroups } from "./duplicates.js";
import { type ExamineOptions, examineImages } from "./examine.js";

/** Images with a shorter side of fewer pixels are too small, unless said otherwise. */
export const SMALLEST_SIDE = 16;

/** Why a sample would be dropped; the first that applies, in this order. */
export type DropReason = "unreadable image" | "empty caption" | "too small" | "duplicate";

export interface Dropped {
  readonly index: number;
  readonly key: string;
  readonly reason: DropReason;
  /** The decoder's words, the size, or the key of the sample it repeats. */
  readonly detail: string;
}

/** Of a list of numbers. */
export interface Distribution {
  readonly n: number;
  readonly min: number;
  readonly p5: number;
  readonly median: number;
  readonly p95: number;
  readonly max: number;
  readonly mean: number;
}

export interface HistogramBin {
  /** from ≤ x < to */
  readonly from: number;
  readonly to: number;
  readonly count: number;
}

export interface InspectedSample {
  readonly index: number;
  readonly key: string;
  readonly captions: readonly string[];
  readonly label?: string;
  /** Pixels; absent when unreadable. */
  readonly width?: number;
  readonly height?: number;
  readonly format?: string;
}

export interface Inspection {
  readonly name: string;
  readonly sources: readonly SourceDescription[];
  readonly samples: number;
  readonly captions: number;
  /** Samples left after the drops. */
  readonly usable: number;
  /** Five, spread over the set. */
  readonly examples: readonly InspectedSample[];
  /** Samples by reason. */
  readonly dropCounts: Readonly<Record<DropReason, number>>;
  /** Every drop, by index. */
  readonly drops: readonly Dropped[];
  /** Pictures that are not equal byte by byte but look the same: sample keys by group; they are not dropped. */
  readonly nearDuplicates: readonly (readonly string[])[];
  readonly captionWords: Distribution & { readonly histogram: readonly HistogramBin[] };
  readonly captionChars: Distribution;
  readonly captionsPerImage: Distribution;
  readonly width: Distribution;
  readonly height: Distribution;
  readonly imageBytes: Distribution;
  /** Samples by image format. */
  readonly formats: Readonly<Record<string, number>>;
  /** Samples by label, most frequent first. */
  readonly labels: readonly { readonly label: string; readonly count: number }[];
}

export interface InspectOptions extends Pick<ExamineOptions, "workers" | "onProgress"> {
  /** Images with a shorter side below this many pixels are too small; default `SMALLEST_SIDE`. */
  readonly minSize?: number;
}

const EXAMPLES = 5;
const BIN_WORDS = 4;
const MAX_BINS = 16;

/** Reads every image and caption of `dataset` once. Throws `UsageError` for an option out of range. */
export async function inspectDataset(dataset: Dataset, options: InspectOptions = {}): Promise<Inspection> {
  const { minSize = SMALLEST_SIDE } = options;
  if (!(minSize >= 0))
    throw new UsageError(`inspect: minSize is a number of pixels ≥ 0; got minSize=${minSize}.`);
  const examined = await examineImages(dataset, options);
  const drops: Dropped[] = [];
  const firstWith = new Map<string, string>();
  const labels = new Map<string, number>();
  const formats: Record<string, number> = {};
  const captionWords: number[] = [];
  const captionChars: number[] = [];
  const perImage: number[] = [];
  // Pictures alone lack nothing; where others have captions, one without is not trained on.
  const captioned = dataset.description.some(({ captions }) => captions > 0);
  for (const { index, picture, sha256, error } of examined) {
    const { key, captions, label } = dataset.sample(index);
    const drop = (reason: DropReason, detail: string): void =>
      void drops.push({ index, key, reason, detail });
    perImage.push(captions.length);
    if (label !== undefined) labels.set(label, (labels.get(label) ?? 0) + 1);
    for (const caption of captions) {
      captionWords.push(caption.split(/\s+/).length);
      captionChars.push(caption.length);
    }
    if (picture !== undefined) formats[picture.format] = (formats[picture.format] ?? 0) + 1;
    if (picture === undefined) drop("unreadable image", error ?? "");
    else if (captions.length === 0 && captioned) drop("empty caption", "no caption");
    else if (Math.min(picture.width, picture.height) < minSize)
      drop("too small", `${picture.width}×${picture.height}`);
    else if (firstWith.has(sha256!)) drop("duplicate", `same bytes as ${firstWith.get(sha256!)}`);
    else firstWith.set(sha256!, key);
  }
  const dropCounts: Record<DropReason, number> = {
    "unreadable image": 0,
    "empty caption": 0,
    "too small": 0,
    duplicate: 0,
  };
  for (const { reason } of drops) dropCounts[reason]++;
  const pictures = examined.filter(({ picture }) => picture !== undefined);
  const examples = Array.from({ length: Math.min(EXAMPLES, dataset.length) }, (_, e): InspectedSample => {
    const index = Math.floor((e * dataset.length) / Math.min(EXAMPLES, dataset.length));
    const { width, height, format } = examined[index]!.picture ?? {};
    const size = width === undefined ? {} : { width, height: height!, format: format! };
    return { index, ...dataset.sample(index), ...size };
  });
  return {
    name: dataset.name,
    sources: dataset.description,
    samples: dataset.length,
    captions: captionWords.length,
    usable: dataset.length - drops.length,
    examples,
    dropCounts,
    drops,
    nearDuplicates: duplicateGroups(examined)
      .filter(({ kind }) => kind === "near")
      .map(({ indices }) => indices.map((i) => dataset.sample(i).key)),
    captionWords: { ...distribution(captionWords), histogram: histogram(captionWords) },
    captionChars: distribution(captionChars),
    captionsPerImage: distribution(perImage),
    width: distribution(pictures.map(({ picture }) => picture!.width)),
    height: distribution(pictures.map(({ picture }) => picture!.height)),
    imageBytes: distribution(pictures.map(({ sizeBytes }) => sizeBytes)),
    formats,
    labels: [...labels].map(([label, count]) => ({ label, count })).sort((a, b) => b.count - a.count),
  };
}

/** Order statistics (nearest rank); zeros for an empty list. */
function distribution(values: readonly number[]): Distribution {
  const sorted = Float64Array.from(values).sort();
  const rank = (share: number): number => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0;
  const mean = sorted.length === 0 ? 0 : sorted.reduce((a, b) => a + b, 0) / sorted.length;
  return {
    n: sorted.length,
    min: rank(0),
    p5: rank(0.05),
    median: rank(0.5),
    p95: rank(0.95),
    max: rank(1),
    mean,
  };
}

/** Bins of four words; the last takes the rest. */
function histogram(words: readonly number[]): HistogramBin[] {
  const top = words.reduce((a, b) => Math.max(a, b), 0);
  const bins = Math.min(MAX_BINS, Math.floor(top / BIN_WORDS) + 1);
  const counts = new Array<number>(words.length === 0 ? 0 : bins).fill(0);
  for (const n of words) counts[Math.min(bins - 1, Math.floor(n / BIN_WORDS))]!++;
  return counts.map((count, b) => ({
    from: b * BIN_WORDS,
    to: b === bins - 1 ? Math.max(top + 1, (b + 1) * BIN_WORDS) : (b + 1) * BIN_WORDS,
    count,
  }));
}
