/** What to do with the data before training: faults of their own, and the paper's rule on keeping the best. */

import { paperCurves } from "../paper/curves.js";
import type { Asked } from "../predict/predict.js";
import type { Option } from "./choose.js";
import type { DataFacts } from "./facts.js";

export interface Advice {
  readonly what: string;
  /** On which evidence. */
  readonly why: string;
  /** Commands that do it. */
  readonly commands: readonly string[];
}

/** Share of faulty pictures from which on they are worth taking out. */
const FAULTY = 0.01;
/** Passes up to which the paper's rule for a single pass holds; it has none for many. */
const FEW_PASSES = 1.5;

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;

export function adviceOn(facts: DataFacts, option: Option, { metric }: Asked): readonly Advice[] {
  const advice: Advice[] = [];
  const { faulty, copies, alike, looked } = facts;
  if (faulty >= FAULTY)
    advice.push({
      what: `Take faulty pairs out first: ${percent(faulty)} of ${looked} pictures that were looked at, ${percent(copies)} exact copies among them${alike >= FAULTY ? `; ${percent(alike)} look like another` : ""}.`,
      why: "the data themselves",
      commands: [
        "clipwright curate score SOURCE --out scores.parquet",
        "clipwright curate select scores.parquet --unique duplicate_group --out once.parquet",
        "and --select once.parquet with the plan",
      ],
    });
  const passes = option.samples / option.unique;
  if (passes > FEW_PASSES) return advice;
  const { share, better, whole } = bestShare(metric, passes < 1);
  advice.push({
    what:
      passes < 1
        ? `The budget reaches ${percent(passes)} of the pairs: let those be the best ones.`
        : "In one pass or little more the best part of the data teaches more than all of them.",
    why: `paper, figures 5 to 7 (${passes < 1 ? "equal samples" : "one pass"}): an error of ${better} % with the best ${Math.round(100 * share)} % against ${whole} % with all; of your data nothing is known before they are scored`,
    commands: [
      "clipwright curate score SOURCE --out scores.parquet --scores crossfit",
      `clipwright curate select scores.parquet --top crossfit_score=${Math.round(100 * share)}% --out best.parquet`,
      "and --select best.parquet with the plan",
    ],
  });
  return advice;
}

/** The share of best pairs at which the paper's error is least, of the kind of score that is asked for. */
function bestShare(metric: string, equalSamples: boolean) {
  const kind = metric.startsWith("image_retrieval")
    ? "text → image"
    : metric.startsWith("text_retrieval")
      ? "image → text"
      : "zero-shot";
  const { points } = paperCurves.find(
    (curve) =>
      curve.experiment === "data quality" &&
      curve.metric === kind &&
      curve.regime === (equalSamples ? "equal samples" : "one pass"),
  )!;
  const least = points.reduce((a, b) => (b.y < a.y ? b : a));
  return { share: least.x, better: least.y, whole: points.at(-1)!.y };
}
