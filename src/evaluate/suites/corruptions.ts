/** One's own test pictures corrupted: what is left of a model's scores, at stated strengths (docs/evaluation.md). */

import { InternalError, UsageError } from "../../core/errors.js";
import { corrupted } from "../../data/dataset.js";
import { type CorruptionName, corruptionNames, STRENGTHS } from "../../data/pixels/corrupt/corruption.js";
import { runTask } from "../evaluate.js";
import type { EmbeddedTexts, FeatureSource } from "../features/source.js";
import { type CorruptedScore, type EvaluationRecord, metricWords, recordOf } from "../records.js";
import { type BootstrapOptions, meanInterval, ratioInterval } from "../statistics/bootstrap.js";
import { findMetric, findTask } from "../tasks/index.js";
import type { EvaluationSet, TaskScore } from "../tasks/task.js";
import type { ScoredTask, ScoreOptions } from "./score.js";

/** Which corruptions; all of them at every strength, unless it says less. */
export interface CorruptionsInput {
  readonly kinds?: readonly CorruptionName[];
  /** Of 1 … 5. */
  readonly strengths?: readonly number[];
  /** Default 0. */
  readonly seed?: number;
}

export type Corruptions = Required<CorruptionsInput>;

export const allCorruptions = ({
  kinds = corruptionNames,
  strengths = STRENGTHS,
  seed = 0,
}: CorruptionsInput = {}): Corruptions => ({
  kinds: [...new Set(kinds)],
  strengths: [...new Set(strengths)],
  seed,
});

/**
 * Scores a set whose pictures are corrupted by those of the tasks in `clean`, its scores as it is, that learn nothing: a score
 * for each kind and strength, then the mean of each kind, then that of all kinds, with the share of the clean score that is
 * kept. Metrics that are no mean over items (mean per-class recall, median ranks) are left out. Throws a `UsageError` where no
 * task of `clean` can be scored.
 */
export async function scoreCorrupted(
  features: FeatureSource,
  set: EvaluationSet,
  clean: readonly ScoredTask[],
  { kinds, strengths, seed }: Corruptions,
  { name = set.dataset.name, where = {}, bootstrap }: ScoreOptions = {},
): Promise<ScoredTask[]> {
  const scorable = clean.filter(
    ({ task, scores }) => !findTask(task)!.needs.includes("train") && scores.some(isMean),
  );
  if (scorable.length === 0) {
    throw new UsageError(
      `evaluate ${name}: corrupted pictures are scored by tasks that learn nothing; got ${clean.map(({ task }) => task).join(", ") || "none"}. Ask for zeroshot or retrieval.`,
      { key: "corruptions" },
    );
  }
  const singles: Single[] = [];
  const source = textsOnce(features);
  for (const kind of kinds) {
    for (const strength of strengths) {
      const data = { ...set, dataset: corrupted(set.dataset, { kind, strength, seed }) };
      for (const { task, scores: before } of scorable) {
        const { scores } = await runTask(findTask(task)!, { features: source, data, bootstrap });
        singles.push({ task, kind, strength, before, scores: scores.filter(isMean) });
      }
    }
  }
  const common = { name, where, bootstrap, seed };
  return scorable.flatMap(({ task, scores: before }) => {
    const own = singles.filter((single) => single.task === task);
    const mean = (kind: CorruptionName | "all", of: readonly Single[]) =>
      told({ task, kind, before, scores: meansOf(of, bootstrap) }, common);
    return [
      ...own.map((single) => told(single, common)),
      ...kinds.map((kind) =>
        mean(
          kind,
          own.filter((single) => single.kind === kind),
        ),
      ),
      mean("all", own),
    ];
  });
}

/** The same features, each list of texts embedded once: only the pictures change here. */
function textsOnce(features: FeatureSource): FeatureSource {
  const known = new Map<string, Promise<EmbeddedTexts>>();
  return {
    engine: features.engine,
    scale: () => features.scale(),
    images: (dataset) => features.images(dataset),
    texts(texts, what) {
      const key = JSON.stringify(texts);
      const made = known.get(key) ?? features.texts(texts, what);
      known.set(key, made);
      return made;
    },
  };
}

interface Single {
  readonly task: string;
  readonly kind: CorruptionName | "all";
  readonly strength?: number;
  /** The clean scores. */
  readonly before: readonly TaskScore[];
  readonly scores: readonly TaskScore[];
}

const isMean = ({ metric, items }: TaskScore): boolean =>
  items !== undefined && findMetric(metric)?.kind === "share";

/** The mean of several scores of the same items, metric by metric. */
function meansOf(singles: readonly Single[], bootstrap: BootstrapOptions | undefined): TaskScore[] {
  return singles[0]!.scores.map(({ metric, items }) => {
    const { samples } = items!;
    const values = new Float64Array(samples.length);
    for (const { scores } of singles) {
      const own = scores.find((score) => score.metric === metric)!.items!;
      if (own.values.length !== values.length) {
        throw new InternalError(`corruptions: ${own.values.length} items of ${values.length}`);
      }
      for (let i = 0; i < values.length; i++) values[i]! += own.values[i]! / singles.length;
    }
    const score = meanInterval(values, { ...bootstrap, clusters: samples });
    return { metric, score, items: { values, samples } };
  });
}

/** Scores with what they kept of the clean ones, as records under a name of their own. */
function told(
  { task, kind, strength, before, scores }: Single,
  { name, where, bootstrap, seed }: ScoreOptions & { readonly name: string; readonly seed: number },
): ScoredTask {
  const words = kind === "all" ? "corrupted" : strength === undefined ? kind : `${kind} ${strength}`;
  const dataset = `${name}, ${words}`;
  const records = scores.map(({ metric, score, chance, items }) => {
    const clean = before.find((one) => one.metric === metric)!.items!;
    const clusters = items!.samples;
    const kept = ratioInterval(items!.values, clean.values, { ...bootstrap, clusters });
    const corruption: CorruptedScore = {
      of: name,
      kind,
      ...(strength !== undefined && { strength }),
      seed,
      ...(kept && { kept: { value: kept.value, low: kept.low, high: kept.high } }),
    };
    return recordOf({
      ...{ dataset, task, metric, ...score, ...where, corruption },
      ...(chance !== undefined && { chance }),
    });
  });
  return { dataset, task, scores, records, notes: [], details: undefined, corruption: { of: name, kind } };
}

/** What is told of corrupted pictures: a table for each data set and metric. */
export interface CorruptionTable {
  readonly title: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** Metrics whose table is shown: the first of each kind of question. */
const isShown = (metric: string): boolean => !/(?:\D5|@10)$/.test(metric);

/**
 * Kinds down, strengths across, then the mean of each kind and what it keeps of the clean score, in percent with its interval;
 * of records that say the same, the last counts.
 */
export function corruptionTables(records: readonly EvaluationRecord[]): CorruptionTable[] {
  const keyOf = ({ dataset, task, metric }: EvaluationRecord) => JSON.stringify([dataset, task, metric]);
  const latest = [...new Map(records.map((record) => [keyOf(record), record])).values()];
  const means = latest.filter(({ corruption }) => corruption?.kind === "all");
  return means
    .filter(({ metric }) => isShown(metric))
    .map((mean) => {
      const { of } = mean.corruption!;
      const own = latest.filter(
        ({ corruption, task, metric }) =>
          corruption?.of === of && task === mean.task && metric === mean.metric,
      );
      const strengths = [...new Set(own.flatMap(({ corruption }) => corruption!.strength ?? []))];
      const kinds = [...new Set(own.map(({ corruption }) => corruption!.kind))];
      const percent = (value: number | undefined) => (value === undefined ? "–" : (100 * value).toFixed(1));
      const rows = kinds.map((kind) => {
        const at = (strength?: number) =>
          own.find(({ corruption: c }) => c!.kind === kind && c!.strength === strength);
        const whole = at();
        const kept = whole?.corruption?.kept;
        return [
          kind === "all" ? "mean of all" : kind,
          ...strengths.map((strength) => (kind === "all" ? "" : percent(at(strength)?.value))),
          percent(whole?.value),
          kept === undefined
            ? "–"
            : `${percent(kept.value)} % (${percent(kept.low)} – ${percent(kept.high)})`,
        ];
      });
      return {
        title: `${of}, corrupted: ${metricWords(mean.metric)}, %`,
        columns: ["", ...strengths.map(String), "mean", "kept of the clean score"],
        rows,
      };
    });
}
