/** Linear probes: what a linear classifier on frozen image features makes of many labelled images. */

import type { Nearest } from "../features/features.js";
import { guessClasses } from "../linear/classifier.js";
import { fitLogistic } from "../linear/logistic.js";
import { fitSgdProbe } from "../linear/sgd-probe.js";
import { type ProbeData, probeData } from "./labelled.js";
import type { Metric, Task, TaskContext, TaskOutcome } from "./task.js";
import { evaluateZeroshot, GUESSES, type ZeroshotResult } from "./zeroshot.js";

/** What a probe leaves besides its scores. */
export interface ProbeDetails {
  readonly result: ZeroshotResult;
  readonly names: readonly string[];
  /** Learning rate or C: what was chosen, and the share of held-out training images that each tried one had right. */
  readonly chosen: number;
  readonly tried: readonly { readonly value: number; readonly accuracy: number }[];
}

const metricsOf = (prefix: string, words: string): Metric[] => [
  {
    name: `${prefix}_acc1`,
    words: `${words} top-1`,
    doc: "Share of the pictures whose first guess is right.",
    kind: "share",
    better: "higher",
  },
  {
    name: `${prefix}_acc5`,
    words: `${words} top-5`,
    doc: "Share of the pictures with the right class among five guesses.",
    kind: "share",
    better: "higher",
  },
  {
    name: `${prefix}_mean_per_class_recall`,
    words: `${words} mean per-class recall`,
    doc: "Mean over the classes of the share of their pictures that are right.",
    kind: "share",
    better: "higher",
  },
];

interface Probed {
  readonly guesses: Nearest;
  readonly chosen: number;
  readonly tried: readonly { readonly value: number; readonly accuracy: number }[];
  readonly notes: readonly string[];
}

/** A task whose probe is `fit`. */
function probeTask(
  task: Omit<Task, "run" | "metrics" | "needs"> & {
    readonly prefix: string;
    readonly words: string;
    readonly fit: (context: TaskContext, data: ProbeData) => Promise<Probed>;
  },
): Task<ProbeDetails> {
  const { prefix, words, fit, ...told } = task;
  return {
    ...told,
    needs: ["labels", "train"],
    metrics: metricsOf(prefix, words),
    async run(context): Promise<TaskOutcome<ProbeDetails>> {
      const data = await probeData(context, told.name);
      const { test, answers, names } = data;
      const { guesses, chosen, tried, notes } = await fit(context, data);
      const result = evaluateZeroshot(test.labels, names, guesses, { ...context.bootstrap, answers });
      const items = (values: Uint8Array) => ({ values: Float64Array.from(values), samples: test.samples });
      return {
        scores: [
          {
            metric: `${prefix}_acc1`,
            score: result.top1,
            chance: result.chance.top1,
            items: items(result.correct),
          },
          {
            metric: `${prefix}_acc5`,
            score: result.top5,
            chance: result.chance.top5,
            items: items(result.correctTop5),
          },
          {
            metric: `${prefix}_mean_per_class_recall`,
            score: result.meanPerClassRecall,
            chance: result.chance.meanPerClassRecall,
          },
        ],
        notes: [...data.notes, ...notes],
        details: { result, names, chosen, tried },
      };
    },
  };
}

const atEnd = (what: string, value: number): string =>
  `the chosen ${what} ${value} is at the end of those tried: the best may lie beyond`;

export const linearProbeTask: Task<ProbeDetails> = probeTask({
  name: "linear_probe",
  doc: "A layer is trained on frozen picture features by gradient descent; the learning rate is swept for each model.",
  how: "Unit features after the projection, as they are. The layer starts at zero; AdamW without decay, batches of 1,024, 10 epochs (more below 500 steps), a cosine to zero; seven rates from 10⁻³ to 1 are tried on nine tenths of the training pictures of each class, judged on the rest, and the best is trained on all.",
  source:
    "Li, Xie, Cubuk 2024, §3.2 (zero start, rate swept a model); CLIP_benchmark, linear_probe.py (the rest)",
  prefix: "lp",
  words: "linear probe",
  async fit({ features: { engine } }, { train, test, classes, allowed }) {
    const probe = await fitSgdProbe(engine, train.features, train.labels, classes);
    return {
      guesses: await guessClasses(engine, probe.classifier, test.features, GUESSES, allowed),
      chosen: probe.rate,
      tried: probe.tried.map(({ rate, accuracy }) => ({ value: rate, accuracy })),
      notes: probe.atEnd ? [atEnd("learning rate", probe.rate)] : [],
    };
  },
});

export const logisticProbeTask: Task<ProbeDetails> = probeTask({
  name: "logistic_probe",
  doc: "Logistic regression on frozen picture features, with the penalty that serves held-out training pictures best.",
  how: "Unit features after the projection, as they are. Softmax regression with an unpenalised bias, solved by L-BFGS in float32; scikit-learn's C from 10⁻¹ to 10⁴ in half decades, fitted to nine tenths of the training pictures of each class and judged on the rest; the best is fitted to all.",
  source: "Radford et al. 2021, appendix A.3 (L-BFGS, swept penalty)",
  prefix: "logistic",
  words: "logistic probe",
  async fit({ features: { engine } }, { train, test, classes, allowed }) {
    const probe = await fitLogistic(engine, train.features, train.labels, classes);
    return {
      guesses: await guessClasses(engine, probe.classifier, test.features, GUESSES, allowed),
      chosen: probe.penalty,
      tried: probe.tried.map(({ penalty, accuracy }) => ({ value: penalty, accuracy })),
      notes: probe.atEnd ? [atEnd("C", probe.penalty)] : [],
    };
  },
});
