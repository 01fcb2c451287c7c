/** E5, §7 of the paper: what is augmentation worth in data? Thirty passes over small sets, at no more multiply-adds. */

import { defineStudy } from "../../src/study/design/study.js";
import { eachSize, parts } from "./common/scale.js";

export default eachSize(({ recipe, augmentations, few, suite, score, seeds }) =>
  defineStudy({
    question: { text: "What is augmentation worth in data?", factor: "augment", over: "samples" },
    recipe,
    factors: { augment: augmentations, part: parts(few) },
    regime: { "30 passes": { epochs: 30 } },
    suite,
    score,
    seeds,
  }),
);
