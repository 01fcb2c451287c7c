/**
 * A data set is an index: where each image's bytes lie, and its captions. Image bytes stay on disk until a worker
 * asks for them.
 */
import { InternalError, UsageError } from "../core/errors.js";
import {
  joinSamples,
  pickSamples,
  type Sample,
  type SampleColumns,
  type Samples,
} from "./columns/samples.js";
import { wordsOfUid } from "./columns/uids.js";
import { readImageBytes } from "./image-bytes.js";
import { type Container, type ImageIndex, joinImages, pickImages } from "./image-index.js";
import type { Corruption } from "./pixels/corrupt/corruption.js";

export type { Sample } from "./columns/samples.js";

export type SourceKind =
  | "image-text folder"
  | "class folder"
  | "pictures"
  | "csv"
  | "tsv"
  | "jsonl"
  | "parquet"
  | "webdataset";

/** What was understood of one source. */
export interface SourceDescription {
  /** As the caller wrote it. */
  readonly source: string;
  readonly kind: SourceKind;
  readonly files: number;
  readonly samples: number;
  readonly captions: number;
  /** In words, e.g. `column "filepath", relative to data/`. */
  readonly imagesFrom: string;
  readonly captionsFrom: string;
  readonly labelsFrom?: string;
  /** Distinct labels. */
  readonly classes: number;
  /** Class folders without an image: classes all the same. */
  readonly emptyClasses?: readonly string[];
  /** Share of the samples drawn, when the caller gave weights. */
  readonly weight?: number;
  /** Names of the numbers that it brings for its pairs, such as `clip_b32_similarity_score`; absent without any. */
  readonly given?: readonly string[];
  /** What a person should know: captions without image, a fallback that was taken. */
  readonly notes: readonly string[];
  /** What is damaged or cannot be read, counted, the first ones named; with `strict` there is none. */
  readonly problems: readonly string[];
}

/** A run of consecutive samples that came from one source. */
export interface SourceRange {
  readonly name: string;
  readonly start: number;
  readonly length: number;
  /** Share of the samples drawn in training, before normalization; absent: by size. */
  readonly weight?: number;
}

export interface Dataset {
  readonly name: string;
  readonly length: number;
  /** One entry a source. */
  readonly description: readonly SourceDescription[];
  readonly sources: readonly SourceRange[];
  /** The places of the images, for worker threads. */
  readonly images: ImageIndex;
  /** What was chosen of the data and how it was corrected, as 16 hex digits; absent: they are whole. */
  readonly selection?: string | undefined;
  /** Throws `UsageError` outside 0 … length-1. */
  sample(i: number): Sample;
  /** The encoded image (JPEG, PNG, …) as stored. Throws `UsageError` naming the file when it cannot be read. */
  readBytes(i: number): Promise<Uint8Array>;
}

class IndexedDataset implements Dataset {
  readonly length: number;
  constructor(
    readonly name: string,
    readonly description: readonly SourceDescription[],
    readonly sources: readonly SourceRange[],
    readonly images: ImageIndex,
    readonly samples: Samples,
    readonly selection?: string | undefined,
  ) {
    this.length = samples.length;
  }

  sample(i: number): Sample {
    if (!(Number.isInteger(i) && i >= 0 && i < this.length)) {
      throw new UsageError(`dataset "${this.name}": a sample index is 0 … ${this.length - 1}; got ${i}.`);
    }
    return this.samples.sample(i);
  }

  async readBytes(i: number): Promise<Uint8Array> {
    this.sample(i);
    return readImageBytes(this.images, i);
  }
}

/** The samples of a data set without those that it was made from; they have keys and counts of captions at hand. */
export const samplesOf = (dataset: Dataset): Samples =>
  dataset instanceof IndexedDataset
    ? dataset.samples
    : {
        length: dataset.length,
        sample: (i) => dataset.sample(i),
        keyAt: (i) => dataset.sample(i).key,
        captionsAt: (i) => dataset.sample(i).captions.length,
        uidAt(i) {
          const { uid } = dataset.sample(i);
          return uid === undefined ? undefined : wordsOfUid(uid);
        },
      };

/** What the reader of a source says of it; the rest is counted. */
export type SourceWords = Omit<SourceDescription, "samples" | "captions" | "classes" | "problems"> &
  Partial<Pick<SourceDescription, "problems">>;

/** A data set of one source. */
export function makeDataset(
  name: string,
  containers: readonly Container[],
  samples: SampleColumns,
  description: SourceWords,
): Dataset {
  const { length, captionCount: captions, classes } = samples;
  const given = samples.given.size === 0 ? {} : { given: [...samples.given.keys()] };
  const full: SourceDescription = {
    problems: [],
    ...description,
    ...given,
    samples: length,
    captions,
    classes,
  };
  const images = { containers, ...samples.places };
  return new IndexedDataset(name, [full], [{ name, start: 0, length }], images, samples);
}

/** Data sets one after the other. `weights`, one a part, give each part's share of the samples drawn in training. */
export function concatDatasets(
  parts: readonly Dataset[],
  weights?: readonly (number | undefined)[],
  name = parts.map((part) => part.name).join("+"),
): Dataset {
  const [first] = parts;
  if (first === undefined) throw new InternalError("concatDatasets: no parts");
  if (parts.length === 1 && weights?.[0] === undefined) return first;
  let start = 0;
  const sources: SourceRange[] = [];
  const description: SourceDescription[] = [];
  for (const [p, part] of parts.entries()) {
    const weight = weights?.[p];
    const weighted = weight === undefined ? {} : { weight };
    sources.push({ name: part.name, start, length: part.length, ...weighted });
    description.push(...part.description.map((d) => ({ ...d, ...weighted })));
    start += part.length;
  }
  const samples = joinSamples(parts.map(samplesOf));
  const selections = parts.map(({ selection = "" }) => selection);
  const selection = selections.every((each) => each === "") ? undefined : selections.join("+");
  const images = joinImages(parts.map((part) => part.images));
  return new IndexedDataset(name, description, sources, images, samples, selection);
}

/**
 * The samples at `indices`, in that order, as a data set of their own; the images stay where they are. Sources keep
 * their weights; `indices` must be ascending where there is more than one source. The description stays that of
 * the whole.
 * @param change other texts for the samples that were picked, and what tells them from those before.
 */
export function subset(
  dataset: Dataset,
  indices: ArrayLike<number>,
  name = dataset.name,
  change?: { readonly samples: Samples; readonly selection: string },
): Dataset {
  const at = Uint32Array.from(indices);
  for (const i of at) if (!(i < dataset.length)) dataset.sample(i);
  const images = pickImages(dataset.images, at);
  const { samples, selection } = change ?? {
    samples: pickSamples(samplesOf(dataset), at),
    selection: dataset.selection,
  };
  const sources: SourceRange[] = [];
  if (dataset.sources.length === 1) {
    sources.push({ ...dataset.sources[0]!, name, start: 0, length: at.length });
  } else {
    if (at.some((i, k) => k > 0 && i < at[k - 1]!)) {
      throw new UsageError("subset: indices must ascend when the data set has several sources. Sort them.");
    }
    let start = 0;
    for (const source of dataset.sources) {
      const length = at.filter((i) => i >= source.start && i < source.start + source.length).length;
      if (length > 0) sources.push({ ...source, start, length });
      start += length;
    }
  }
  return new IndexedDataset(name, dataset.description, sources, images, samples, selection);
}

/** The same images and captions with labels of their own; `border` is cut off every image, in pixels. */
export function relabelled(
  dataset: Dataset,
  labelOf: (sample: Sample, i: number) => string | undefined,
  border?: number,
): Dataset {
  const { name, description, sources, images } = dataset;
  const whole = samplesOf(dataset);
  const labels = Array.from({ length: dataset.length }, (_, i) => labelOf(whole.sample(i), i));
  const samples: Samples = {
    length: dataset.length,
    keyAt: (i) => whole.keyAt(i),
    captionsAt: (i) => whole.captionsAt(i),
    uidAt: (i) => whole.uidAt(i),
    sample(i) {
      const { label: _, ...rest } = whole.sample(i);
      const label = labels[i];
      return { ...rest, ...(label !== undefined && { label }) };
    },
  };
  const cut = border === undefined ? images : { ...images, prepared: { ...images.prepared, border } };
  // Class folders without an image had names of the labels before.
  const told = description.map(({ emptyClasses: _, ...rest }) => rest);
  return new IndexedDataset(name, told, sources, cut, samples, dataset.selection);
}

/** The same data set with its images corrupted when they are evaluated. Throws `UsageError` for a strength other than 1 … 5. */
export function corrupted(dataset: Dataset, corruption: Corruption): Dataset {
  const { kind, strength, seed } = corruption;
  if (!(Number.isInteger(strength) && strength >= 1 && strength <= 5)) {
    throw new UsageError(`corruption ${kind}: strength is 1, 2, 3, 4 or 5; got strength=${strength}.`);
  }
  const { description, sources, images, selection } = dataset;
  const prepared = { ...images.prepared, corruption: { kind, strength, seed } };
  const name = `${dataset.name}, ${kind} ${strength}`;
  const samples = samplesOf(dataset);
  return new IndexedDataset(name, description, sources, { ...images, prepared }, samples, selection);
}
