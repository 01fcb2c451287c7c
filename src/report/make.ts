/** A run's page from its folder: curves, scores, and what the model says of pictures that it is shown. */

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { readJsonObject, readJsonRecords } from "../core/files.js";
import { keyFromSeed, Random } from "../core/random.js";
import type { Dataset } from "../data/index.js";
import { runTask } from "../evaluate/evaluate.js";
import { nearestRows, unitFeatures } from "../evaluate/features/features.js";
import { allRows, freshFeatures } from "../evaluate/features/source.js";
import type { Encoder } from "../evaluate/model/encoder.js";
import { parseEvaluation } from "../evaluate/records.js";
import { namedGuesses, zeroshotTask } from "../evaluate/tasks/zeroshot.js";
import type { MetricsPoint } from "./curves.js";
import { type RunReport, writeRunReport } from "./run.js";
import type { PictureGrid, TextQuery } from "./sections.js";

export interface RunPageOptions {
  /** The run's folder. */
  readonly run: string;
  /** Labelled pictures to be named, and found by the queries. */
  readonly data?: Dataset | undefined;
  readonly encoder?: Encoder | undefined;
  readonly classnames?: string | undefined;
  readonly templates?: string | undefined;
  readonly queries?: readonly string[] | undefined;
  /** Pictures in the grid. Default 48. */
  readonly pictures?: number | undefined;
  /** What the page says besides: title, summary, notes, licences, tables; goes before what is made here. */
  readonly about?: Partial<RunReport> | undefined;
}

/** Pictures found for a query. */
const FOUND = 8;

/** The page as HTML. Pictures of the grid are drawn at random by a fixed key: nobody chose them. */
export async function makeRunPage(options: RunPageOptions): Promise<string> {
  const { run, about = {}, data, encoder } = options;
  const config = readJsonObject(join(run, "config.json"));
  const lines = (name: string) => (existsSync(join(run, name)) ? readFileSync(join(run, name), "utf8") : "");
  const metrics = existsSync(join(run, "metrics.jsonl"))
    ? (readJsonRecords(
        join(run, "metrics.jsonl"),
        ({ step }) => typeof step === "number",
        "an object with its step",
      ) as MetricsPoint[])
    : [];
  const scores = parseEvaluation(lines("evaluation.jsonl"));
  const shown =
    data !== undefined && encoder !== undefined ? await showPictures(encoder, data, options) : undefined;
  const last = metrics.at(-1) as Record<string, number> | undefined;
  return writeRunReport({
    title: String(config.name ?? "run"),
    batchSize: Number(config.batchSize),
    logitScaleInit: Number(config.logitScaleInit),
    logitScaleMax: Number(config.logitScaleMax),
    metrics,
    scores,
    ...(shown === undefined ? {} : { grids: [shown.grid], queries: shown.queries }),
    ...about,
    facts: [...(about.facts ?? []), ...factsOf(config, last)],
  });
}

async function showPictures(
  encoder: Encoder,
  data: Dataset,
  { classnames, templates, queries = [], pictures = 48 }: RunPageOptions,
): Promise<{ grid: PictureGrid; queries: TextQuery[] }> {
  const features = freshFeatures(encoder);
  const set = { dataset: data, classnames, templates };
  const { details } = await runTask(zeroshotTask, { features, data: set });
  const { result, classes, indices: samples } = details;
  const images = allRows(details.images);
  const { names, indexOf } = classes;
  const nameOf = (index: number) => names[indexOf.get(data.sample(index).label!)!]!;
  const order = new Random(keyFromSeed(0)).permutation(samples.length);
  const items = [];
  for (const row of order.subarray(0, pictures)) {
    const index = samples[row]!;
    items.push({
      image: await data.readBytes(index),
      truth: nameOf(index),
      predictions: namedGuesses(result.predictions, names, row),
    });
  }
  const found: TextQuery[] = [];
  if (queries.length > 0) {
    const vectors = unitFeatures(await encoder.embedTexts(queries), images.width, "queries");
    const { indices, scores, k } = nearestRows(vectors, images, FOUND);
    for (const [q, text] of queries.entries()) {
      const results = [];
      for (let rank = 0; rank < k; rank++) {
        const index = samples[indices[q * k + rank]!]!;
        const name = nameOf(index);
        results.push({
          image: await data.readBytes(index),
          name,
          score: scores[q * k + rank]!,
          right: name === text,
        });
      }
      found.push({ text, results });
    }
  }
  return {
    grid: {
      title: "Names for pictures never seen",
      sentence: `${items.length} of ${samples.length} pictures of ${data.name}, drawn at random; each could have had any of ${names.length} names.`,
      items,
    },
    queries: found,
  };
}

function factsOf(
  config: Record<string, unknown>,
  last: Record<string, number> | undefined,
): RunReport["facts"] & object {
  const facts: { name: string; value: string | number }[] = [
    { name: "model", value: typeof config.model === "string" ? config.model : "own configuration" },
    { name: "batch size", value: Number(config.batchSize) },
    { name: "optimizer", value: `${config.optimizer}, learning rate ${config.lr}` },
    { name: "seed", value: Number(config.seed) },
  ];
  if (last !== undefined) {
    facts.push({ name: "steps", value: last.step! }, { name: "samples seen", value: last.samplesSeen! });
    facts.push({ name: "minutes of training", value: Math.round(last.seconds! / 6) / 10 });
  }
  return facts;
}
