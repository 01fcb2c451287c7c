/** Settings of a recipe on the update, and how much of a batch is computed at a time. */

import { choice, defaulted, integer, optional, real } from "../../settings/fields.js";

export const optimizerFields = {
  batchSize: defaulted(integer(2), 64, "Pairs per step; the others in the batch are the negatives."),
  microBatch: optional(
    integer(1),
    "Pairs computed at a time, for any batch in little memory: two passes with the whole batch's gradient, a third more time; batch norms see these alone.",
  ),
  textMicroBatch: optional(integer(1), "Texts computed at a time, instead of --micro-batch."),
  optimizer: defaulted(choice(["adamw", "adafactor"]), "adamw", "Update rule.", { aliases: ["opt"] }),
  lr: optional(
    real({ above: 0 }),
    "Peak learning rate; by the model's size otherwise, 0.0005 for large ones and for weights that are not random (docs/tuning.md).",
  ),
  wd: optional(
    real({ min: 0 }),
    "Decoupled weight decay, on matrices only; otherwise 0.2, or less with a learning rate by the model's size.",
  ),
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
