/** Evaluations of an encoder on data sets: retrieval and zero-shot classification, as records with intervals. */

import { UsageError } from "../../core/errors.js";
import { type Classes, classesOf, datasetLabels } from "../../data/class-names.js";
import type { Dataset } from "../../data/dataset.js";
import { type Features, nearestSearch, unitFeatures } from "../features/features.js";
import { eachTileOn } from "../features/products.js";
import type { Encoder, ImageFeatures } from "../model/encoder.js";
import { loadTemplates } from "../prompts/templates.js";
import {
  type EvaluationContext,
  type EvaluationRecord,
  retrievalRecords,
  zeroshotRecords,
} from "../records.js";
import { evaluateRetrieval, type RetrievalResult, rankSearch } from "./retrieval.js";
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
  classes: Classes;
  records: EvaluationRecord[];
}> {
  const classes = classesOf(datasetLabels(dataset), dataset.name, classnames);
  const { names, indexOf } = classes;
  const labelled: number[] = [];
  for (let i = 0; i < dataset.length; i++) if (dataset.sample(i).label !== undefined) labelled.push(i);
  const images = await encoder.embedDataset(dataset, labelled);
  const labels = images.indices.map((i) => indexOf.get(dataset.sample(i).label!)!);
  const prompts = await classEmbeddings(names, await loadTemplates(templates), encoder.embedTexts);
  const search = nearestSearch(images.features, prompts, GUESSES);
  await eachTileOn(encoder.engine, images.features, prompts, search.visit);
  const result = evaluateZeroshot(images.features, labels, prompts, names, { predictions: search.result() });
  return { result, images, classes, records: zeroshotRecords(dataset.name, result, context) };
}
