/** Few-shot classification: what a handful of labelled images a class is worth to a linear classifier on frozen features. */

import { UsageError } from "../../core/errors.js";
import { foldIn, keyFromSeed, Random } from "../../core/random.js";
import type { Engine } from "../../engines/engine.js";
import type { Rows } from "../linear/cholesky.js";
import { type LinearClassifier, predict } from "../linear/classifier.js";
import { pick, rowsAt } from "../linear/logistic.js";
import { fitRidge } from "../linear/ridge.js";
import { SoftmaxRegression } from "../linear/softmax-regression.js";
import { groupMean } from "../statistics/groups.js";
import { chanceOf, rightOf } from "./guesses.js";
import { probeData } from "./labelled.js";
import type { Task, TaskScore } from "./task.js";

/** Labelled images a class. */
export const SHOTS = [1, 2, 4, 5, 8, 10, 16, 25] as const;

/** How often the labelled images are drawn anew. */
export const DRAWS = 3;

/** scikit-learn's C of OpenAI's published probe: few images leave none to choose it on. */
const LOGISTIC_PENALTY = 0.316;

type Fit = (engine: Engine, features: Rows, labels: Int32Array, classes: number) => Promise<LinearClassifier>;

function shotsTask(
  task: Omit<Task, "run" | "metrics" | "needs"> & { prefix: string; words: string; fit: Fit },
): Task {
  const { prefix, words, fit, ...told } = task;
  return {
    ...told,
    needs: ["labels", "train"],
    metrics: SHOTS.map((shots) => ({
      name: `${prefix}_acc1@${shots}`,
      words: `${shots}-shot${words}`,
      doc: `Share of the pictures that are right after ${shots} of each class were learned from; mean over ${DRAWS} draws.`,
      kind: "share" as const,
      better: "higher" as const,
    })),
    async run(context) {
      const { train, test, answers, allowed, classes, names, notes } = await probeData(context, told.name);
      const { engine } = context.features;
      const order = drawOrders(train.labels, classes);
      // Counts for which most classes have enough; the others give all that they have.
      const has = (count: number) => order[0]!.filter((rows) => rows.length >= count).length;
      const shotsOf = SHOTS.filter((count) => 2 * has(count) > classes);
      const scores: TaskScore[] = [];
      for (const shots of shotsOf) {
        const runs: Float64Array[] = [];
        let chance = 0;
        for (const byClass of order) {
          const chosen = byClass.flatMap((rows) => rows.slice(0, shots));
          const features = rowsAt(train.features, chosen);
          const classifier = await fit(engine, features, pick(train.labels, chosen), classes);
          const guesses = await predict(engine, classifier, test.features, allowed);
          runs.push(rightOf(guesses, answers));
          chance += chanceOf(guesses, answers, names.length) / DRAWS;
        }
        const values = runs[0]!.map((_, i) => runs.reduce((sum, run) => sum + run[i]!, 0) / runs.length);
        const { value, low, high, n } = groupMean(runs);
        scores.push({
          metric: `${prefix}_acc1@${shots}`,
          score: { value, low: Math.max(0, low), high: Math.min(1, high), n },
          chance,
          items: { values, samples: test.samples },
        });
      }
      if (scores.length === 0) {
        throw new UsageError(
          `evaluate ${context.data.dataset.name}: ${told.name} needs pictures of most classes to learn from; got ${has(1)} of ${classes} classes in ${context.data.train!.name} with one that can be read.`,
        );
      }
      const most = shotsOf.at(-1)!;
      const left = SHOTS.filter((count) => count > most);
      return {
        scores,
        notes: [
          ...notes,
          ...(has(most) === classes
            ? []
            : [
                `${classes - has(most)} of ${classes} classes have fewer than ${most} pictures to learn from, and give all of them`,
              ]),
          ...(left.length === 0
            ? []
            : [`${left.join(", ")} shots are left out: most classes have fewer pictures to learn from`]),
        ],
        details: undefined,
      };
    },
  };
}

/** For each draw, the rows of each class in a random order; more shots are the same rows and others. */
function drawOrders(labels: ArrayLike<number>, classes: number): number[][][] {
  const rows = Array.from({ length: classes }, (): number[] => []);
  for (let i = 0; i < labels.length; i++) rows[labels[i]!]!.push(i);
  return Array.from({ length: DRAWS }, (_, draw) => {
    const random = new Random(foldIn(keyFromSeed(draw), "shots"));
    return rows.map((own) => Array.from(random.permutation(own.length), (at) => own[at]!));
  });
}

export const fewShotTask: Task = shotsTask({
  name: "few_shot",
  doc: "A few labelled pictures a class are learned by ridge regression in closed form.",
  how: "Unit features after the projection, whitened by the support's mean and deviation, with a constant feature of 100; ridge regression to ±1 with a penalty of 2¹⁰; three draws, larger supports holding the smaller ones; a class with too few gives all it has. The interval is over draws and pictures.",
  source: "big_vision, evaluators/fewshot_lsr.py (there on features before the projection)",
  prefix: "fewshot",
  words: "",
  fit: async (_, features, labels, classes) => fitRidge(features, labels, classes),
});

export const fewShotLogisticTask: Task = shotsTask({
  name: "few_shot_logistic",
  doc: "A few labelled pictures a class are learned by logistic regression.",
  how: "Unit features after the projection, as they are; softmax regression by L-BFGS with scikit-learn's C = 0.316; three draws, larger supports holding the smaller ones; a class with too few gives all it has. The interval is over draws and pictures.",
  source: "openai/CLIP, README (linear-probe evaluation)",
  prefix: "fewshot_logistic",
  words: " logistic",
  async fit(engine, features, labels, classes) {
    using problem = await SoftmaxRegression.over(engine, features, labels, classes);
    return (await problem.fit(1 / (LOGISTIC_PENALTY * features.rows))).classifier;
  },
});
