/** Nearest neighbours: whether alike images have alike features, with nothing fitted. */

import { nearestSearch, unitFeatures } from "../features/features.js";
import { eachTileOn } from "../features/products.js";
import { rowsInMemory } from "../features/source.js";
import { NEIGHBOURS, neighbourVotes } from "../linear/neighbours.js";
import { meanInterval } from "../statistics/bootstrap.js";
import { chanceOf, rightOf } from "./guesses.js";
import { probeData } from "./labelled.js";
import type { Task } from "./task.js";

export const neighboursTask: Task = {
  name: "nearest_neighbours",
  doc: "Each picture takes the class that its nearest training pictures vote for.",
  how: "Cosines of unit features after the projection; each of k neighbours votes with e^(cosine/0.07); equal votes go to the first class.",
  source: "Wu et al. 2018; DINOv2, eval/knn.py",
  needs: ["labels", "train"],
  metrics: NEIGHBOURS.map((k) => ({
    name: `knn_acc1@${k}`,
    words: `${k} neighbours`,
    doc: `Share of the pictures whose ${k} nearest training pictures vote for their class.`,
    kind: "share" as const,
    better: "higher" as const,
  })),
  async run(context) {
    const { train, test, answers, allowed, classes, names, notes } = await probeData(context, this.name);
    const { width } = train.features;
    const candidates = unitFeatures(train.features.data, width, "training pictures");
    const queries = unitFeatures(test.features.data, width, "scored pictures");
    const most = NEIGHBOURS.at(-1)!;
    const search = nearestSearch(queries.rows, candidates, most);
    await eachTileOn(context.features.engine, rowsInMemory(queries), candidates, search.visit);
    const nearest = search.result();
    const scores = NEIGHBOURS.filter((k, i) => i === 0 || k <= candidates.rows).map((k) => {
      const guesses = neighbourVotes(nearest, train.labels, classes, k, { ...(allowed && { allowed }) });
      const values = rightOf(guesses, answers);
      return {
        metric: `knn_acc1@${k}`,
        score: meanInterval(values, context.bootstrap),
        chance: chanceOf(guesses, answers, names.length),
        items: { values, samples: test.samples },
      };
    });
    return { scores, notes, details: undefined };
  },
};
