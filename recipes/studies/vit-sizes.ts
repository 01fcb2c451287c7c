/** E3, §5 of the paper: how large a ViT, for how much data? With few-shot, a linear probe, retrieval and shifted styles. */

import { defineStudy } from "../../src/study/design/study.js";
import { eachSize, parts, twoRegimes } from "./common/scale.js";

export default eachSize((scale) =>
  defineStudy({
    question: { text: "How large a ViT, for how much data?", factor: "vit", over: "samples" },
    recipe: scale.recipe,
    factors: { vit: scale.vits, part: parts(scale.ladder) },
    regime: twoRegimes(scale),
    suite: scale.wideSuite,
    score: scale.score,
    seeds: scale.seeds,
  }),
);
