/** What to do with the data before training: faults of their own, and whether to keep the best of them only. */

import { type DropReason, SMALLEST_SIDE } from "../../data/index.js";
import type { PastRun } from "../past/past-run.js";
import type { Asked } from "../predict/predict.js";
import type { Option } from "./choose.js";
import type { DataFacts } from "./facts.js";
import { type FilterComparison, filterEvidence, paperShare } from "./filtering.js";

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
const whole = (share: number): string => `${Math.round(100 * share)} %`;

/** What is known beside the data and the choice. */
export interface AdviceContext {
  readonly asked: Asked;
  /** Runs of one's own. Default: none. */
  readonly past?: readonly PastRun[];
  /** The training data, as `PastRun.data`. */
  readonly data?: string;
  /** The data are a selection already: nothing is said on another. */
  readonly selected?: boolean;
}

export function adviceOn(
  facts: DataFacts,
  option: Option,
  { asked, past = [], data = "", selected = false }: AdviceContext,
): readonly Advice[] {
  const advice: Advice[] = [];
  if (facts.faulty >= FAULTY) advice.push(faultAdvice(facts));
  if (selected) return advice;
  const found = filterEvidence(past, { data, asked });
  if (found !== undefined) advice.push(ownAdvice(found));
  const decided = found?.own === true && (found.low > 0 || found.high < 0);
  const passes = option.samples / option.unique;
  return decided || passes > FEW_PASSES ? advice : [...advice, paperAdvice(passes, asked)];
}

/** Each fault in words, and the rule that takes it out of a table of scores. */
const faultRules: Readonly<Record<DropReason, { readonly words: string; readonly where?: string }>> = {
  "unreadable image": { words: "cannot be read", where: "broken IS NULL" },
  "empty caption": { words: "have no caption", where: "caption IS NOT NULL" },
  "too small": { words: "are tiny", where: `width >= ${SMALLEST_SIDE} AND height >= ${SMALLEST_SIDE}` },
  duplicate: { words: "are exact copies" },
};

/** To take out what is faulty in itself, by the rules for the faults that there are. */
function faultAdvice({ faulty, faults, alike, looked }: DataFacts): Advice {
  const reasons = (Object.keys(faultRules) as DropReason[]).filter((reason) => faults[reason] > 0);
  const kinds = reasons.map((reason) => `${percent(faults[reason])} ${faultRules[reason].words}`);
  if (alike >= FAULTY) kinds.push(`${percent(alike)} look like another`);
  const wheres = reasons.flatMap((reason) => faultRules[reason].where ?? []);
  const rules = [
    ...(wheres.length > 0 ? [`--where "${wheres.join(" AND ")}"`] : []),
    ...(faults.duplicate > 0 ? ["--unique duplicate_group"] : []),
  ];
  return {
    what: `Take faulty pairs out first: ${percent(faulty)} of ${looked} pictures that were looked at (${kinds.join("; ")}).`,
    why: "the data themselves",
    commands: [
      "clipwright curate score SOURCE --out scores.parquet",
      `clipwright curate select scores.parquet ${rules.join(" ")} --out whole.parquet`,
      "and --select whole.parquet with the plan",
    ],
  };
}

/** What the paper says on a budget of about one pass or less. */
function paperAdvice(passes: number, { metric }: Asked): Advice {
  const { share, better, whole: all } = paperShare(metric, passes < 1);
  return {
    what:
      passes < 1
        ? `The budget reaches ${percent(passes)} of the pairs: let those be the best ones.`
        : "In one pass or little more the best part of the data teaches more than all of them.",
    why: `paper, figures 5 to 7 (${passes < 1 ? "equal samples" : "one pass"}): an error of ${better} % with the best ${whole(share)} against ${all} % with all; of your data nothing is known before they are scored`,
    commands: keeping(share, "crossfit_score", "crossfit"),
  };
}

/** What runs of one's own say. */
function ownAdvice({ share, by, best, whole: all, low, high, ...found }: FilterComparison): Advice {
  const points = (x: number): string => (100 * x).toFixed(1).replace("-", "−");
  const which = `the best ${whole(share)} by ${by}`;
  const where = found.own ? "" : ` on other data (${found.data})`;
  const came = `${percent(best)} with them${where}, ${percent(all)} with all pairs`;
  const said =
    low > 0
      ? `Keep ${which}${found.own ? "" : ", if these data are alike"}: ${came}.`
      : high < 0
        ? `Keep all pairs: ${which} were worse${where}, ${percent(best)} against ${percent(all)}.`
        : `Whether to keep ${which} only cannot be told from your runs: ${came}.`;
  const seeds =
    found.seeds === 1 ? "one seed each: of these runs, not of their recipes" : `${found.seeds} seeds`;
  const length =
    found.regime === "equal samples"
      ? `${Math.round(found.samples).toLocaleString("en-US")} samples each`
      : "as many passes each, so fewer samples";
  const tried = found.tried === 1 ? "" : `, the best of ${found.tried} shares`;
  return {
    what: said,
    why: `your runs, ${found.score}: ${points(best - all)} points (95 %: ${points(low)} to ${points(high)}; ${seeds}${tried}), ${length}`,
    commands: low > 0 ? keeping(share, by, by) : [],
  };
}

/** Commands that keep the best share by a score, which `--scores` knows as `scores`. */
const keeping = (share: number, by: string, scores: string): readonly string[] => [
  `clipwright curate score SOURCE --out scores.parquet --scores ${scores}`,
  `clipwright curate select scores.parquet --top ${by}=${Math.round(100 * share)}% --out best.parquet`,
  "and --select best.parquet with the plan",
];
