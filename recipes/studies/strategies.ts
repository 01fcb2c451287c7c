/** E6, §7 of the paper: which strategy, for how many samples, and for how much compute? */

import { defineStudy } from "../../src/study/design/study.js";
import { eachSize, parts, twoRegimes } from "./common/scale.js";

export default eachSize((scale) =>
  defineStudy({
    question: { text: "Which strategy, for how many samples?", factor: "strategy", over: "gmacs" },
    recipe: { ...scale.recipe, ...scale.augmentations.none },
    factors: {
      strategy: {
        CLIP: { strategy: "clip" },
        SLIP: { strategy: "slip", ...(scale.sslHead !== undefined && { sslHead: scale.sslHead }) },
        FLIP: { strategy: "flip" },
        "CLIP + augmentation": { strategy: "clip-aug", ...scale.augmentations[scale.augmentation] },
      },
      part: parts(scale.ladder),
    },
    regime: { ...twoRegimes(scale), "equal compute": { gmacs: scale.gmacs } },
    suite: scale.suite,
    score: scale.score,
    seeds: scale.seeds,
  }),
);
