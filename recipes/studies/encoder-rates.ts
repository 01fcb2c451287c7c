/** Before E4: at which learning rate is each encoder at its best? By successive halving, on the ladder's last part. */

import { defineStudy } from "../../src/study/design/study.js";
import { eachSize, twoRegimes } from "./common/scale.js";

export default eachSize((scale) =>
  defineStudy({
    question: { text: "Which learning rate, for which encoder?", factor: "lr", kind: "best" },
    recipe: scale.recipe,
    factors: {
      encoder: Object.fromEntries(
        Object.entries(scale.encoders).map(([name, { model }]) => [
          name,
          { model, part: { random: scale.ladder.at(-1)! } },
        ]),
      ),
      lr: scale.rates,
    },
    regime: { "equal samples": twoRegimes(scale)["equal samples"]! },
    suite: scale.suite,
    score: scale.score,
    seeds: Math.min(2, scale.seeds),
  }),
);
