/** Settings of a recipe on how it learns. */

import { choice, defaulted, duration, integer, optional, real } from "../../settings/fields.js";
import { deadline } from "../schedule/deadline.js";
import { cooldownShapes, scheduleShapes } from "../schedule/learning-rate.js";

/** The update, and how much of a batch is computed at a time. */
export const optimizerFields = {
  batchSize: defaulted(integer(2), 64, "Pairs per step; the others in the batch are the negatives."),
  microBatch: optional(
    integer(1),
    "Pairs computed at a time, for any batch in little memory: two passes with the whole batch's gradient, a third more time; batch norms see these alone.",
  ),
  textMicroBatch: optional(integer(1), "Texts computed at a time, instead of --micro-batch."),
  optimizer: defaulted(choice(["adamw", "adafactor"]), "adamw", "Update rule.", { aliases: ["opt"] }),
  lr: defaulted(real({ above: 0 }), 5e-4, "Peak learning rate."),
  wd: defaulted(real({ min: 0 }), 0.2, "Decoupled weight decay, on matrices only."),
  beta1: defaulted(real({ min: 0, below: 1 }), 0.9, "Decay of the first moment."),
  beta2: defaulted(real({ min: 0, below: 1 }), 0.98, "Decay of the second moment."),
  eps: defaulted(real({ above: 0 }), 1e-6, "Added to the denominator of the update."),
  gradClipNorm: defaulted(real({ min: 0 }), 1, "Largest norm of all gradients together; 0 is off."),
  emaDecay: defaulted(
    real({ min: 0, below: 1 }),
    0,
    "Moving average of the weights, for evaluation; 0 is off.",
  ),
} as const;

/** The learning rate over the run, and ends that come early. */
export const scheduleFields = {
  schedule: defaulted(
    choice(scheduleShapes, { const: "constant" }),
    "cosine",
    "Shape of the learning rate.",
    {
      aliases: ["lr-scheduler"],
    },
  ),
  warmup: defaulted(
    duration("steps"),
    { unit: "percent", value: 5 },
    "Linear rise: a fraction below 1 (0.05), whole steps (500), or a duration.",
  ),
  cooldown: optional(
    real({ above: 0, max: 1 }),
    "Share of the run that const-cooldown decays over (default 0.2).",
  ),
  cooldownShape: defaulted(choice(cooldownShapes), "1-sqrt", "Shape of that decay."),
  deadline: optional(
    deadline(),
    "When this sitting must be over, 2h30m from its start or a time of day, 06:30: const-cooldown then begins early, as long as the time allows, and the run is finished.",
    { free: true },
  ),
  grace: defaulted(
    duration("seconds"),
    { unit: "seconds", value: 25 },
    "The same when the process is asked to end by SIGTERM: so long after it. 0 stops and saves, to be continued.",
    { free: true },
  ),
  lrEnd: defaulted(real({ min: 0 }), 0, "Learning rate at the end of a cosine or cooldown.", {
    aliases: ["lr-cooldown-end"],
  }),
} as const;
