/** Scores of an evaluation during training, as lines that fit the terminal. */

import { isShare, verdictOn } from "../evaluate/records.js";
import type { ScoreLine } from "../train/hooks.js";

/** Scores that are read together: one direction of retrieval, a classification, a loss. */
interface Group {
  readonly title: string;
  readonly scores: readonly { readonly label: string; readonly value: string; readonly interval: string }[];
}

const RETRIEVAL = /^(image|text)_retrieval_(?:recall@(\d+)|median_rank)$/;
const LABELS: Readonly<Record<string, string>> = {
  acc1: "top-1",
  acc5: "top-5",
  mean_per_class_recall: "per class",
  val_loss: "loss",
};

/**
 * `step 900  val  image→text  R@1 2.5 % (0.0–5.8)  R@5 9.9 % (5.0–15.0) │ text→image  …`: a line a data set where `columns`
 * allow; intervals stay with the first score of each group, or go, where they do not; then a line a group.
 * A score that is not distinguishable from guessing says so.
 * @param trainLoss mean of the last steps, told beside a held-out loss that it compares with.
 */
export function scoreLines(scores: readonly ScoreLine[], columns: number, trainLoss?: number): string[] {
  const names = [...new Set(scores.map(nameOf))];
  return names.flatMap((set) => {
    const own = scores.filter((score) => nameOf(score) === set);
    const { step } = own[0]!;
    const name = step === undefined ? set : `step ${step}  ${set}`;
    const groups = groupsOf(own, trainLoss);
    for (const withInterval of [() => true, (i: number) => i === 0, () => false]) {
      const line = `${name}  ${groups.map((group) => groupText(group, withInterval)).join(" │ ")}`;
      if (line.length <= columns) return [line];
    }
    const indent = " ".repeat(name.length);
    return groups.map((group, i) => {
      const head = i === 0 ? name : indent;
      const [full, short] = [() => true, () => false].map((w) => `${head}  ${groupText(group, w)}`);
      return full!.length <= columns ? full! : short!;
    });
  });
}

/** The part of the data set where it is told, since that is short; else the data set's name. */
const nameOf = ({ dataset, split }: ScoreLine): string => split ?? dataset;

const groupText = ({ title, scores }: Group, withInterval: (i: number) => boolean): string =>
  [
    ...(title === "" ? [] : [title]),
    ...scores.map(({ label, value, interval }, i) => `${label} ${value}${withInterval(i) ? interval : ""}`),
  ].join("  ");

function groupsOf(scores: readonly ScoreLine[], trainLoss: number | undefined): Group[] {
  const groups = new Map<string, Group["scores"][number][]>();
  for (const score of scores) {
    const retrieval = RETRIEVAL.exec(score.metric);
    const title = retrieval === null ? "" : retrieval[1] === "image" ? "text→image" : "image→text";
    // The median rank says the same as the recalls, and stands in the table at the end.
    if (retrieval !== null && retrieval[2] === undefined) continue;
    const label = retrieval === null ? (LABELS[score.metric] ?? score.metric) : `R@${retrieval[2]}`;
    const key = score.metric === "val_loss" ? score.metric : title;
    const group = groups.get(key) ?? [];
    groups.set(key, group);
    const number = (x: number) => (isShare(score.metric) ? (100 * x).toFixed(1) : x.toFixed(2));
    const beside =
      score.metric === "val_loss" && trainLoss !== undefined ? `, in training ${trainLoss.toFixed(2)}` : "";
    const guess = verdictOn(score) === "guessing" ? " ≈ chance" : "";
    group.push({
      label,
      value: `${number(score.value)}${isShare(score.metric) ? " %" : ""}${guess}${beside}`,
      interval: beside === "" ? ` (${number(score.low)}–${number(score.high)})` : "",
    });
  }
  const rank = ([key]: [string, unknown]) => ["val_loss", "", "image→text", "text→image"].indexOf(key);
  const sorted = [...groups].sort((a, b) => rank(a) - rank(b));
  return sorted.map(([key, own]) => ({ title: key === "val_loss" ? "" : key, scores: own }));
}
