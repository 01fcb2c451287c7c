/** E5, §7 of the paper: what is augmentation worth in data? Thirty passes over small sets, at no more multiply-adds. */

import { defineStudy } from "../../src/study/design/study.js";
import { eachSize, parts } from "./common/scale.js";

export default eachSize(({ recipe, few, suite, score, seeds }) =>
  defineStudy({
    question: { text: "What is augmentation worth in data?", factor: "augment", over: "samples" },
    // Policies crop by themselves.
    recipe: { ...recipe, crop: "resized" },
    factors: {
      augment: {
        none: { augment: "none" },
        "crop and flip": { augment: "crop-flip" },
        RandAugment: { augment: "randaugment" },
        "stacked RandAugment": { augment: "stacked-randaugment" },
      },
      part: parts(few),
    },
    regime: { "30 passes": { epochs: 30 } },
    suite,
    score,
    seeds,
  }),
);
