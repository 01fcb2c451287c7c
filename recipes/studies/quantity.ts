/** E1, §4 of the paper: what do more passes give, for how much data? */

import { defineStudy } from "../../src/study/design/study.js";
import { eachSize, parts } from "./common/scale.js";

export default eachSize(({ recipe, few, suite, score, seeds }) =>
  defineStudy({
    question: { text: "What do more passes give, for how much data?", factor: "part", over: "samples" },
    recipe,
    factors: { part: parts(few) },
    regime: Object.fromEntries([2, 4, 8, 16, 32].map((epochs) => [`${epochs} passes`, { epochs }])),
    suite,
    score,
    seeds,
  }),
);
