/** Settings of a recipe on what computes it, and how. */

import type { Engine } from "../../engines/engine.js";
import { engineChoices } from "../../engines/registry.js";
import { choice, defaulted, flag, integer, list, optional, text } from "../../settings/fields.js";

/** `bf16`: products take bf16 and give f32. `bf16-results`: they give bf16, too, as PyTorch's autocast does. */
export const precisions = ["f32", "bf16", "bf16-results"] as const;
export type Precision = (typeof precisions)[number];

/** What a recipe's precision means on `engine`. */
export const precisionOn = (precision: Precision | "auto", { capabilities }: Engine): Precision =>
  precision === "auto" ? capabilities.preferredPrecision : precision;

export const machineFields = {
  engine: defaulted(
    choice([...engineChoices]),
    "auto",
    "What computes the steps; auto: the best that is installed here. See: clipwright engines.",
  ),
  plugin: optional(
    text("NAME|FILE"),
    "XLA's plugin: xla-cpu, xla-cuda13, or a library's path; else the best that can be used here.",
    { free: true },
  ),
  devices: defaulted(integer(1), 1, "Devices that share every batch; XLA.", { free: true }),
  precision: defaulted(
    choice([...precisions, "auto"], { fp32: "f32", amp_bf16: "bf16" }),
    "f32",
    "Number format of products' operands; all else and the weights stay f32. bf16-results rounds what products give, too: less memory. bf16 on XLA, bf16-results on XLA and OpenVINO; auto: what is fastest on the engine and processor.",
  ),
  attention: defaulted(
    choice(["auto", "plain"]),
    "auto",
    "auto: in bf16 on NVIDIA's GPUs cuDNN's flash attention, where its limits allow; plain: products and a softmax.",
  ),
  xlaFlag: optional(
    list(text("NAME=VALUE")),
    "An option of XLA's for compiling the train step, e.g. xla_gpu_autotune_level=2; may be repeated.",
    { free: true },
  ),
  gradCheckpointing: defaulted(
    flag(),
    false,
    "Compute each block's intermediates again in the backward pass instead of keeping them: less memory, more time.",
    { free: true },
  ),
  threads: optional(integer(1, 1024), "Threads of the engine; all cores otherwise.", { free: true }),
  workers: optional(integer(1, 256), "Threads that decode images; chosen by cores otherwise.", {
    free: true,
  }),
} as const;
