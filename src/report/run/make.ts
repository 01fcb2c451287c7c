/** A run's page from its folder: curves, scores, and what the model says of pictures that it is shown. */

import { existsSync, readFileSync, statSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { join } from "node:path";
import { readJsonObject, readJsonRecords } from "../../core/files.js";
import type { FeatureSource } from "../../evaluate/features/source.js";
import {
  cleanScores,
  type EvaluationRecord,
  metricWords,
  parseEvaluation,
  scoreWords,
  verdictOn,
} from "../../evaluate/records.js";
import { corruptionTables } from "../../evaluate/suites/corruptions.js";
import { suitableTasks } from "../../evaluate/tasks/index.js";
import type { MetricsPoint } from "./curves.js";
import { type Shown, type ShownSet, showSet } from "./pictures.js";
import { type RunReport, writeRunReport } from "./run.js";

export interface RunPageOptions {
  /** The run's folder. */
  readonly run: string;
  /** Pictures to be named, captioned, and found by the queries. */
  readonly sets?: readonly ShownSet[] | undefined;
  /** The model's; needed for `sets`. */
  readonly features?: FeatureSource | undefined;
  /** Steps of the weights that are shown. */
  readonly step?: number | undefined;
  readonly queries?: readonly string[] | undefined;
  /** Pictures in a grid. Default 48. */
  readonly pictures?: number | undefined;
  /** The command line that makes the page. */
  readonly command?: string | undefined;
  /** What the page says besides: title, summary, notes, licences, tables; goes before what is made here. */
  readonly about?: Partial<RunReport> | undefined;
}

/** The page as HTML. */
export async function makeRunPage(options: RunPageOptions): Promise<string> {
  const { run, about = {}, sets = [], features, step, queries = [], pictures = 48, command } = options;
  const config = readJsonObject(join(run, "config.json"));
  const lines = (name: string) => (existsSync(join(run, name)) ? readFileSync(join(run, name), "utf8") : "");
  const metrics = existsSync(join(run, "metrics.jsonl"))
    ? (readJsonRecords(
        join(run, "metrics.jsonl"),
        ({ step }) => typeof step === "number",
        "an object with its step",
      ) as MetricsPoint[])
    : [];
  const shown: Shown[] = [];
  if (features !== undefined)
    for (const set of sets)
      shown.push(await showSet(set, suitableTasks(set.dataset), { features, queries, pictures, step }));
  const scores = [...parseEvaluation(lines("evaluation.jsonl")), ...shown.flatMap(({ records }) => records)];
  const made = shown.flatMap(({ records }) => records);
  return writeRunReport({
    title: String(config.name ?? "run"),
    batchSize: Number(config.batchSize),
    logitScaleInit: Number(config.logitScaleInit),
    logitScaleMax: Number(config.logitScaleMax),
    metrics,
    scores: cleanScores(scores),
    grids: shown.flatMap(({ grids }) => grids),
    searches: shown.flatMap(({ searches }) => searches),
    mistakes: shown.flatMap(({ mistakes }) => mistakes),
    headline: headlineOf(made),
    ...about,
    tables: [...(about.tables ?? []), ...corruptionTables(scores)],
    facts: [...(about.facts ?? []), ...factsOf(run, config, { metrics, sets, step, command })],
    notes: [...(about.notes ?? []), ...shown.flatMap(({ notes }) => notes.map(sentence)), ...caveats(scores)],
  });
}

/** The numbers that matter most of what was shown, each with what guessing would give. */
const HEADLINES = ["acc1", "acc5", "image_retrieval_recall@1", "text_retrieval_recall@1"];

function headlineOf(records: readonly EvaluationRecord[]): RunReport["headline"] & object {
  const first = records[0]?.dataset;
  return records
    .filter(({ dataset, metric }) => dataset === first && HEADLINES.includes(metric))
    .map((record) => {
      const { value, interval, chance } = scoreWords(record);
      const verdict = verdictOn(record) === "guessing" ? ", not distinguishable from guessing" : "";
      return {
        value,
        label: metricWords(record.metric),
        detail: `${interval}${chance === undefined ? "" : ` · chance ${chance}${verdict}`}`,
      };
    });
}

const sentence = (note: string): string => `${note[0]!.toUpperCase()}${note.slice(1)}.`;

/** Test items below which intervals are wide. */
const FEW = 200;

function caveats(scores: readonly EvaluationRecord[]): string[] {
  if (scores.length === 0) return [];
  const fewest = Math.min(...scores.map(({ n }) => n));
  return [
    "Intervals say how much a score would move with other test pictures of the same kind. The same recipe with another seed moves it too, often by as much: one run shows little of small differences between recipes.",
    ...(fewest < FEW ? [`Some scores rest on ${fewest} items only: their intervals are wide.`] : []),
  ];
}

interface Circumstances {
  readonly metrics: readonly MetricsPoint[];
  readonly sets: readonly ShownSet[];
  readonly step: number | undefined;
  readonly command: string | undefined;
}

function factsOf(
  run: string,
  config: Record<string, unknown>,
  { metrics, sets, step, command }: Circumstances,
): RunReport["facts"] & object {
  const last = metrics.at(-1) as Record<string, number> | undefined;
  const facts: { name: string; value: string | number }[] = [];
  const add = (name: string, value: string | number | undefined) => {
    if (value !== undefined) facts.push({ name, value });
  };
  const given = (key: string) => (config[key] === undefined ? undefined : String(config[key]));
  const words = (value: unknown) => (Array.isArray(value) ? value.join(", ") : String(value));
  add("model", typeof config.model === "string" ? config.model : "own configuration");
  add("trained on", words(config.trainData));
  add("held out", config.valData === undefined ? shareOf(config.valSplit) : words(config.valData));
  for (const { dataset } of sets)
    add("pictures shown", `${dataset.name}, ${dataset.length.toLocaleString("en-US")}`);
  add("batch size", Number(config.batchSize));
  add("optimizer", `${config.optimizer}, learning rate ${config.lr}`);
  add("seed", Number(config.seed));
  add("engine", given("engine"));
  add("steps", last?.step);
  add("weights of step", step === last?.step ? undefined : step);
  add("samples seen", last?.samplesSeen);
  add("minutes of training", last === undefined ? undefined : Math.round(last.seconds! / 6) / 10);
  add(
    "last step",
    existsSync(join(run, "metrics.jsonl")) ? dateOf(statSync(join(run, "metrics.jsonl")).mtime) : undefined,
  );
  add("page made", dateOf(new Date()));
  const processors = cpus();
  const gibibytes = Math.round(totalmem() / 2 ** 30);
  add(
    "on",
    `${processors[0]?.model.trim() ?? process.arch} × ${processors.length}, ${gibibytes} GiB, ${process.platform}`,
  );
  add("Node", process.version);
  add("command", command);
  return facts;
}

const shareOf = (valSplit: unknown): string | undefined =>
  typeof valSplit === "number" && valSplit > 0 ? `${100 * valSplit} % of it` : undefined;

/** `2026-11-28 07:40 UTC` */
const dateOf = (date: Date): string => `${date.toISOString().slice(0, 16).replace("T", " ")} UTC`;
