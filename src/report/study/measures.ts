/** Which scores of a study's suite its page draws, as errors, and which of the paper's they stand beside. */

import { isShare, metricWords } from "../../evaluate/records.js";
import type { Interval } from "../../evaluate/statistics/bootstrap.js";
import { findMetric } from "../../evaluate/tasks/index.js";
import type { Findings, FoundCell } from "../../study/answer/findings.js";
import type { PaperMetric } from "../../study/paper/paper.js";

export interface Measure {
  readonly id: string;
  readonly dataset: string;
  readonly metric: string;
  /** Heading: `Zero-shot: top-1 on concepts`. */
  readonly title: string;
  /** Of the axis, with its unit: `error: 100 − top-1, %`. */
  readonly label: string;
  /** Ends of what can be; undefined: none. */
  readonly bounds: readonly [number, number] | undefined;
  readonly paper: PaperMetric | undefined;
}

/** A score as an error: shares in percent, turned round where higher is better. */
export type ErrorInterval = Omit<Interval, "n">;

interface Kind {
  readonly title: string;
  /** Metrics in order of preference; the first that is there is drawn. */
  readonly metrics: readonly string[];
  readonly shifts?: boolean;
  readonly paper?: PaperMetric;
}

const KINDS: readonly Kind[] = [
  { title: "Zero-shot", metrics: ["acc1"], paper: "zero-shot" },
  { title: "Shifted sets", metrics: ["acc1"], shifts: true, paper: "shifts" },
  { title: "Few-shot", metrics: ["fewshot_acc1@5", "fewshot_acc1@4"], paper: "5-shot" },
  { title: "Few-shot", metrics: ["fewshot_acc1@10", "fewshot_acc1@8"], paper: "10-shot" },
  { title: "Linear probe", metrics: ["lp_acc1"], paper: "linear probe" },
  {
    title: "Linear probe, shifted sets",
    metrics: ["lp_acc1"],
    shifts: true,
    paper: "linear probe on shifts",
  },
  { title: "Retrieval", metrics: ["text_retrieval_recall@1"], paper: "image → text" },
  { title: "Retrieval", metrics: ["image_retrieval_recall@1"], paper: "text → image" },
];

/** The study's own score first, then the others of `KINDS` that its cells have. */
export function measuresOf({ score, sets, cells }: Findings): readonly Measure[] {
  const there = cells.flatMap(({ scores }) => scores);
  const roles = new Map(sets.map(({ name, role }) => [name, role]));
  const own = KINDS.find(({ metrics, shifts }) => shifts !== true && metrics.includes(score.metric));
  const isOfShift = roles.get(score.set) === "shift";
  const first = measure(
    own?.title ?? "The score",
    score.set,
    score.metric,
    isOfShift ? undefined : own?.paper,
  );
  const others = KINDS.flatMap(({ title, metrics, shifts = false, paper }): Measure[] => {
    for (const metric of metrics) {
      const named = there.filter(
        (one) =>
          one.metric === metric &&
          (shifts ? !roles.has(one.dataset) : roles.has(one.dataset) && roles.get(one.dataset) !== "shift"),
      );
      const found = named.find(({ dataset }) => dataset === score.set) ?? named[0];
      if (found !== undefined) return [measure(title, found.dataset, metric, paper)];
    }
    return [];
  });
  return [first, ...others.filter(({ id }) => id !== first.id)];
}

function measure(title: string, dataset: string, metric: string, paper: PaperMetric | undefined): Measure {
  const words = metricWords(metric);
  const share = isShare(metric);
  return {
    id: `${dataset}-${metric}`.toLowerCase().replace(/[^a-z0-9]+/g, "-"),
    dataset,
    metric,
    title: `${title}: ${words} on ${dataset}`,
    label: share ? (isTurned(metric) ? `error: 100 − ${words}, %` : `${words}, %`) : words,
    bounds: share ? [0, 100] : undefined,
    paper,
  };
}

const isTurned = (metric: string): boolean =>
  isShare(metric) && (findMetric(metric)?.better ?? "higher") === "higher";

/** A score's number as the page draws it. */
export function errorOf(metric: string, { value, low, high }: ErrorInterval): ErrorInterval {
  if (!isShare(metric)) return { value, low, high };
  if (!isTurned(metric)) return { value: 100 * value, low: 100 * low, high: 100 * high };
  return { value: 100 - 100 * value, low: 100 - 100 * high, high: 100 - 100 * low };
}

/** A cell's error by a measure; undefined where it was not scored so. */
export function errorIn(cell: FoundCell, { dataset, metric }: Measure): ErrorInterval | undefined {
  const found = cell.scores.find((one) => one.dataset === dataset && one.metric === metric);
  return found && errorOf(metric, found);
}
