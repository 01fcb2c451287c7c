/** A plan in words. */

import { formatClock } from "../../train/watch/progress.js";
import type { Predicted } from "../predict/predict.js";
import { fitPaper } from "../predict/prior.js";
import { suitableGmacs } from "../predict/terms.js";
import type { Change, Option } from "./choose.js";
import type { Coverage } from "./expected.js";
import type { PlannedOption, TrainingPlan } from "./plan.js";

const percent = (share: number, digits = 1): string => `${(100 * share).toFixed(digits)} %`;
const count = (x: number): string => Math.round(x).toLocaleString("en-US");
const about = (x: number): string => x.toLocaleString("en-US", { maximumSignificantDigits: 2 });

const interval = ({ value, low, high }: Predicted): string =>
  `${percent(value)}, ${percent(low)} to ${percent(high)} with a chance of 80 %`;

/** `clipwright-mini-64, clip, batch 64: 90,000 samples, 12 passes over 7,200 pairs, in 31m 02s`. */
function optionWords({ model, strategy, batchSize, samples, unique, seconds, estimated }: Option): string {
  const passes = samples / unique;
  const seen =
    passes < 1
      ? `${percent(passes, 0)} of ${count(unique)} pairs`
      : `${about(passes)} passes over ${count(unique)} pairs`;
  const time = `in ${formatClock(seconds)}${estimated ? " (not timed: reckoned from another model)" : ""}`;
  return `${model}, ${strategy}, batch ${batchSize}: ${count(samples)} samples, ${seen}, ${time}`;
}

/** Lines for people. */
export function planLines(plan: TrainingPlan): readonly string[] {
  const { data, budget, device, loader, asked, options, changes, advice, pretrained, evidence } = plan;
  const [first, ...runnersUp] = options as [PlannedOption, ...PlannedOption[]];
  const spent = budget.seconds === undefined ? budget.words : formatClock(budget.seconds);
  const waits =
    loader === undefined
      ? ""
      : `; reading a pair of your data takes ${(1000 * loader.first).toFixed(1)} ms more the first time, then ${(1000 * loader.again).toFixed(1)} ms`;
  return [
    `Data: ${data.name}, ${count(data.pairs)} pairs, ${about(data.captionsPerImage)} ${data.captionsPerImage === 1 ? "caption" : "captions"} a picture, of ${count(data.captionWords)} ${data.captionWords === 1 ? "word" : "words"}, pictures of ${count(data.side)} pixels (medians of ${count(data.looked)} looked at, ${percent(data.faulty)} of them faulty).`,
    `Budget: ${spent} of training${budget.seconds === undefined || budget.words === "time" ? "" : `, ${budget.words}`}.`,
    `Device: ${device.device}, ${device.engine} ${device.precision}, timed on ${device.measured}${waits}.`,
    "",
    ...(pretrained === undefined ? [] : tunedLines(plan, first)),
    `${pretrained === undefined ? "Train" : "From nothing the best would be"} ${optionWords(first)}${pretrained === undefined ? `, at a learning rate of ${plan.recipe.lr}` : ""}.`,
    `Expect ${asked.dataset}/${asked.metric} of ${interval(first.predicted)}; guessing gives ${percent(asked.chance)}.`,
    ...(runnersUp.length === 0 ? [] : ["", "Runners-up"]),
    ...runnersUp.map(
      (option) =>
        `- ${optionWords(option)}: ${interval(option.predicted)}; better than the first with a chance of ${percent(option.better, 0)}.`,
    ),
    "",
    "Why",
    ...whyLines(plan, first).map((line) => `- ${line}`),
    "",
    "What would change the answer",
    ...(changes.length === 0
      ? ["- Neither a quarter nor sixteen times the budget, nor four times the pairs."]
      : changeLines(changes)),
    ...(evidence.here === 0
      ? ["- Runs of yours that are scored so: three short ones narrow the interval more than anything else."]
      : []),
    ...(advice.length === 0 ? [] : ["", "First"]),
    ...advice.flatMap(({ what, why, commands }) => [
      `- ${what} (${why})`,
      ...commands.map((c) => `    ${c}`),
    ]),
  ];
}

/** A line an answer: `With four times the budget or sixteen times the budget: …`. */
function changeLines(changes: readonly Change[]): readonly string[] {
  const answers = new Map<string, string[]>();
  for (const { when, option } of changes) {
    const answer = `${option.model}, ${option.strategy}`;
    answers.set(answer, [...(answers.get(answer) ?? []), when]);
  }
  return [...answers].map(([answer, whens]) => `- With ${whens.join(" or ")}: ${answer}.`);
}

function tunedLines({ pretrained, data }: TrainingPlan, { unique }: Option): readonly string[] {
  const { name, parametersM, data: trainedOn, license } = pretrained!;
  return [
    `Fine-tune ${name} (${parametersM} M parameters, trained on ${trainedOn}, ${license}): ${count(unique)} pairs of ${data.name} are too few to learn from nothing.`,
    "How well that goes nobody has measured here: no score is predicted of it, and it is not timed. --no-pretrained plans without it.",
    "",
  ];
}

function whyLines({ evidence }: TrainingPlan, first: Option): readonly string[] {
  const { here, all, sets, guessing, noise, halfLife } = evidence;
  const { runs, residual } = fitPaper();
  const passes = first.samples / first.unique;
  const own =
    all === 0
      ? "No run of yours has such a score: level and slope are judged from other data, so the interval is wide."
      : here === 0
        ? `${all} scores of your runs on ${sets} other ${sets === 1 ? "set" : "sets"}, none on this one: its level is not known, so the interval is wide.`
        : `${here} of your runs have this score${all > here ? `, ${all - here} more scores on other sets` : ""}; they differ from what the terms say by ${noise.toFixed(2)} in log odds.`;
  return [
    own,
    `The paper's ${runs} zero-shot runs above 5 % (figures 1b, 2, 8b, 9, 13a, 17) give the slopes; they follow the same terms within ${residual.toFixed(2)}.`,
    `A repeated sample is worth less with each pass, 1/e after ${halfLife.toFixed(0)}: ${
      passes <= 1
        ? "here none is repeated."
        : `${about(passes)} passes are worth ${about(1 + halfLife * -Math.expm1(-(passes - 1) / halfLife))}.`
    }`,
    `A model of ${about(first.gmacsPerPair)} · 10⁹ multiply-adds a pair: about ${about(suitableGmacs(first, halfLife))} suit what so many samples are worth (the paper's figure 8b and the sweep of docs/tuning.md).`,
    ...(guessing > 0
      ? [`Scores of your runs that are no better than guessing say nothing; there are ${guessing}.`]
      : []),
  ];
}

/** What came of plans, in lines. */
export function coverageLines({ runs, scored, inside, interval: bounds }: Coverage): readonly string[] {
  if (runs.length === 0)
    return ["No run here was trained from a plan: plans write `expected` into their recipes."];
  const told = runs.map(({ run, score, value, low, high, came, inside: in80 }) => {
    const outcome =
      came === undefined ? "no such score yet" : `came ${percent(came)}, ${in80 ? "inside" : "outside"}`;
    return `${run}: ${score} expected ${percent(value)} (${percent(low)} to ${percent(high)}); ${outcome}`;
  });
  if (bounds === undefined)
    return [...told, "None of them has its score yet: evaluate them on what was planned."];
  return [
    ...told,
    `${inside} of ${scored} inside their interval of 80 %: ${percent(inside / scored, 0)} (${percent(bounds.low, 0)} to ${percent(bounds.high, 0)}).`,
  ];
}
