/** Evaluations of an encoder on data sets: retrieval and zero-shot classification, as records with intervals. */

import { UsageError } from "../core/errors.js";
import type { Dataset } from "../data/dataset.js";
import type { Encoder, ImageFeatures } from "./encoder.js";
import { type Features, nearestSearch, unitFeatures } from "./features.js";
import { eachTileOn } from "./products.js";
import {
  type EvaluationContext,
  type EvaluationRecord,
  retrievalRecords,
  zeroshotRecords,
} from "./records.js";
import { evaluateRetrieval, type RetrievalResult, rankSearch } from "./retrieval.js";
import { loadClassNames, loadTemplates } from "./templates.js";
import { classEmbeddings, evaluateZeroshot, GUESSES, type ZeroshotResult } from "./zeroshot.js";

/** Images and all of their captions against each other; captions with the same words count as one. */
export async function retrieval(
  encoder: Encoder,
  dataset: Dataset,
  context: EvaluationContext = {},
): Promise<{
  result: RetrievalResult;
  images: ImageFeatures;
  /** Unit vectors [M,E] of all captions, their words, and the row in `images` of the image of each. */
  texts: Features;
  captions: readonly string[];
  captionImage: Uint32Array;
  records: EvaluationRecord[];
}> {
  const images = await encoder.embedDataset(dataset);
  const captions: string[] = [];
  const captionImage: number[] = [];
  images.indices.forEach((index, row) => {
    for (const caption of dataset.sample(index).captions) {
      captions.push(caption);
      captionImage.push(row);
    }
  });
  if (captions.length === 0) {
    throw new UsageError(
      `evaluate ${dataset.name}: retrieval needs captions; got none. Give pairs, or --task zeroshot.`,
    );
  }
  const flat = await encoder.embedTexts(captions);
  const texts = unitFeatures(flat, images.features.width, `captions of ${dataset.name}`);
  const owners = Uint32Array.from(captionImage);
  const search = rankSearch(images.features, texts, owners, captions);
  await eachTileOn(encoder.engine, images.features, texts, search.visit);
  const result = evaluateRetrieval(images.features, texts, owners, { captions, ranks: search.result() });
  const records = retrievalRecords(dataset.name, result, context);
  return { result, images, texts, captions, captionImage: owners, records };
}

export interface Classes {
  readonly names: readonly string[];
  /** Label of a sample to position in `names`. */
  readonly indexOf: ReadonlyMap<string, number>;
}

/**
 * Classes of a labelled set: those of the file, else the labels themselves, sorted. A file is JSON from label to
 * name, or a name a line, where a label is a line's number from 0, the name itself, or its place among the sorted
 * labels.
 */
export async function classesOf(dataset: Dataset, file?: string): Promise<Classes> {
  const labels = new Set<string>();
  for (let i = 0; i < dataset.length; i++) {
    const { label } = dataset.sample(i);
    if (label !== undefined) labels.add(label);
  }
  if (labels.size === 0) {
    throw new UsageError(
      `evaluate ${dataset.name}: zero-shot classification needs labels; got none. Give a folder per class, or a label column.`,
    );
  }
  const sorted = [...labels].sort();
  if (file === undefined) return { names: sorted, indexOf: new Map(sorted.map((label, i) => [label, i])) };
  const { names, keys } = await loadClassNames(file);
  // CLIP_benchmark's shards label a sample by its line in classnames.txt, from 0.
  const lines = sorted.every((label) => /^\d+$/.test(label) && Number(label) < names.length);
  if (keys === undefined && lines)
    return { names, indexOf: new Map(sorted.map((label) => [label, Number(label)])) };
  const known = new Map((keys ?? names).map((key, i) => [key, i]));
  if (sorted.every((label) => known.has(label))) return { names, indexOf: known };
  if (keys === undefined && names.length === sorted.length) {
    return { names, indexOf: new Map(sorted.map((label, i) => [label, i])) };
  }
  const stranger = sorted.find((label) => !known.has(label));
  throw new UsageError(
    `${file}: must name every class of ${dataset.name}; got ${names.length} names, none for label "${stranger}". Add it, or give as many names as there are labels (${sorted.length}), in their order.`,
  );
}

export interface ZeroshotOptions extends EvaluationContext {
  /** File of class names; default: the labels. */
  readonly classnames?: string | undefined;
  /** A template set's name or a file; default `simple`. */
  readonly templates?: string | undefined;
}

/** The class whose prompts are nearest to each image. */
export async function zeroshot(
  encoder: Encoder,
  dataset: Dataset,
  { classnames, templates = "simple", ...context }: ZeroshotOptions = {},
): Promise<{
  result: ZeroshotResult;
  images: ImageFeatures;
  names: readonly string[];
  records: EvaluationRecord[];
}> {
  const { names, indexOf } = await classesOf(dataset, classnames);
  const labelled: number[] = [];
  for (let i = 0; i < dataset.length; i++) if (dataset.sample(i).label !== undefined) labelled.push(i);
  const images = await encoder.embedDataset(dataset, labelled);
  const labels = images.indices.map((i) => indexOf.get(dataset.sample(i).label!)!);
  const classes = await classEmbeddings(names, await loadTemplates(templates), encoder.embedTexts);
  const search = nearestSearch(images.features, classes, GUESSES);
  await eachTileOn(encoder.engine, images.features, classes, search.visit);
  const result = evaluateZeroshot(images.features, labels, classes, names, { predictions: search.result() });
  return { result, images, names, records: zeroshotRecords(dataset.name, result, context) };
}
