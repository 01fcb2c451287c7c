/** Settings of a recipe on what a run is scored by on the way. */

import { tasks } from "../../evaluate/tasks/index.js";
import { retrievalTask } from "../../evaluate/tasks/retrieval.js";
import { zeroshotTask } from "../../evaluate/tasks/zeroshot.js";
import {
  choice,
  defaulted,
  duration,
  flag,
  list,
  optional,
  real,
  text,
  type Values,
} from "../../settings/fields.js";

/** Every task, as a type that the editor can complete: the names of `tasks`, which a test holds it to. */
export const taskNames = [
  "zeroshot_classification",
  "zeroshot_retrieval",
  "few_shot",
  "few_shot_logistic",
  "linear_probe",
  "logistic_probe",
  "nearest_neighbours",
  "calibration",
  "image_caption_selection",
] as const;

export const evaluationFields = {
  valFrequency: defaulted(
    duration("epochs"),
    { unit: "epochs", value: 1 },
    "How often to measure loss and retrieval on held-out pairs; a number counts epochs, 0 is never.",
    {
      free: true,
    },
  ),
  zeroshotFrequency: defaulted(
    duration("epochs"),
    { unit: "epochs", value: 1 },
    "How often to score --zeroshot-data; a number counts epochs, 0 is never.",
    {
      free: true,
    },
  ),
  zeroshotData: optional(text("SOURCE"), "Labelled images, e.g. a folder per class.", { free: true }),
  zeroshotClassnames: optional(
    text("FILE"),
    "Names of the labels of zeroshotData; those of classnames otherwise.",
    {
      free: true,
    },
  ),
  zeroshotTemplates: optional(text("FILE"), "Prompt templates, one a line, with {} for the class name.", {
    free: true,
  }),
  evalTasks: defaulted(
    list(choice(taskNames)),
    ["zeroshot_classification"],
    "Tasks that score --zeroshot-data on its schedule; see clipwright evaluate --list. Those that learn take --probe-data.",
    { free: true },
  ),
  probeData: optional(
    text("SOURCE"),
    "Labelled images that probes, few-shot and neighbours among --eval-tasks learn from.",
    { free: true },
  ),
  referenceData: optional(
    text("SOURCE"),
    "Of weights that are trained on: what they should stay good at, labelled images or pairs; scored before the first step and with every evaluation.",
  ),
  referenceClassnames: optional(text("FILE"), "Names of the labels of referenceData."),
  referenceMaxLoss: defaulted(
    real({ above: 0, max: 100 }),
    5,
    "Of --reference-data: points of top-1, or of pairs' recall@1, that may be lost; more is told, and such weights are never the best.",
    { free: true },
  ),
  referenceStop: defaulted(
    flag(),
    false,
    "Of --reference-data: end the run where more is lost. The best checkpoint before is the one that is used.",
    { free: true },
  ),
} as const;

type Checked = Values<typeof evaluationFields>;

/** Names of the metrics that a run is scored by on the way, `heldOut` telling whether pairs are held out. */
export function scoredMetrics({ zeroshotData, evalTasks }: Checked, heldOut: boolean): string[] {
  const metricsOf = (names: readonly string[]) =>
    tasks
      .filter(({ name }) => names.includes(name))
      .flatMap(({ metrics }) => metrics.map(({ name }) => name));
  const own = heldOut ? ["val_loss", ...metricsOf([retrievalTask.name, zeroshotTask.name])] : [];
  return [...new Set([...own, ...(zeroshotData === undefined ? [] : metricsOf(evalTasks))])];
}

/** What must hold between them; each gives the message or undefined. */
export const evaluationRules: readonly ((recipe: Checked) => string | undefined)[] = [
  ({ zeroshotData, zeroshotClassnames, zeroshotTemplates }) =>
    zeroshotData === undefined && (zeroshotClassnames ?? zeroshotTemplates) !== undefined
      ? `zeroshotData: class names and templates need images; got none. Add --zeroshot-data, or remove --zeroshot-${zeroshotClassnames === undefined ? "templates" : "classnames"}.`
      : undefined,
  ({ referenceData, referenceClassnames }) =>
    referenceClassnames !== undefined && referenceData === undefined
      ? "referenceData: class names need images; got none. Add --reference-data, or remove --reference-classnames."
      : undefined,
  ({ referenceData, valFrequency }) =>
    referenceData !== undefined && valFrequency.value === 0
      ? "valFrequency: a reference set is scored as often as held-out pairs; got valFrequency=0. Write --val-frequency 1, or remove --reference-data."
      : undefined,
  ({ evalTasks, zeroshotData, probeData }) =>
    zeroshotData === undefined &&
    (probeData !== undefined || evalTasks.some((name) => name !== zeroshotTask.name))
      ? `zeroshotData: tasks score images; got evalTasks=${evalTasks.join(",")} and none. Add --zeroshot-data, or remove ${probeData === undefined ? "--eval-tasks" : "--probe-data"}.`
      : undefined,
  ({ evalTasks, probeData }) => {
    const learns = tasks.find(
      ({ name, needs }) => evalTasks.some((each) => each === name) && needs.includes("train"),
    );
    return learns !== undefined && probeData === undefined
      ? `probeData: ${learns.name} learns from labelled images; got none. Add --probe-data, apart from --zeroshot-data.`
      : undefined;
  },
];
