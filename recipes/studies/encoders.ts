/** E4, §6 of the paper: which encoder of one cost, for how many samples? */

import { defineStudy } from "../../src/study/design/study.js";
import { eachSize, parts, twoRegimes } from "./common/scale.js";

export default eachSize((scale) =>
  defineStudy({
    question: { text: "Which encoder, for how many samples?", factor: "encoder", over: "samples" },
    recipe: scale.recipe,
    factors: { encoder: scale.encoders, part: parts(scale.ladder) },
    regime: twoRegimes(scale),
    suite: scale.suite,
    score: scale.score,
    seeds: scale.seeds,
  }),
);
