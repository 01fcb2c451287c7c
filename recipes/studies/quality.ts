/**
 * E2, §4 of the paper: how much of the data should be kept, by a score of quality? Beside each share a random one of the same size,
 * so that what a choice gives is not taken for what fewer pairs give.
 *
 * The scores are made before. `small`: a quarter of the drawings, of which 30 % have another's name:
 *
 *     node dist/bench/planting.js --data 'examples/icons/data/train/*.tar' --out planted/icons --part 0.25 --swapped 0.3 --captions 1
 *     clipwright curate score planted/icons/pairs.jsonl --out planted/icons/scores.parquet --scores crossfit_score \\
 *       --folds 2 --repeats 1 --crossfit-recipe recipes/studies/crossfit.json
 */

import { defineStudy } from "../../src/study/design/study.js";
import { eachSize, percent, type Scale, type Size, twoRegimes } from "./common/scale.js";

/** Pairs and their scores. */
const scored: Readonly<
  Record<Size, { readonly trainData: string; readonly scores: string; readonly by: string }>
> = {
  small: {
    ...{ trainData: "planted/icons/pairs.jsonl", scores: "planted/icons/scores.parquet" },
    by: "crossfit_score",
  },
  medium: { trainData: "data/cc3m/*.tar", scores: "data/cc3m-scores.parquet", by: "clip_score" },
  paper: { trainData: "data/pairs/*.tar", scores: "data/pairs-scores.parquet", by: "clip_score" },
};

/** Said of the small size, whose faults are planted; for others what all studies say. */
const planted =
  "Drawings with wrong names, and their scores, are made by two commands in a checkout of Clipwright: see the head of recipes/studies/quality.ts.";

const shares = [0.2, 0.4, 0.6, 0.8];

export default eachSize((scale: Scale, size) => {
  const { trainData, ...table } = scored[size];
  return defineStudy({
    question: { text: "How much of the data should be kept?", factor: "kept" },
    recipe: { ...scale.recipe, trainData },
    factors: {
      kept: {
        ...Object.fromEntries(shares.map((top) => [`best ${percent(top)}`, { part: { top, ...table } }])),
        ...Object.fromEntries(shares.map((random) => [`any ${percent(random)}`, { part: { random } }])),
        all: {},
      },
    },
    regime: twoRegimes(scale),
    suite: scale.suite,
    score: scale.score,
    seeds: scale.seeds,
    ...(size === "small" && { dataFrom: planted }),
  });
});
