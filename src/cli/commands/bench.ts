/** `clipwright bench step`: how fast a train step runs here. */

import { UsageError } from "../../core/errors.js";
import { openEngine } from "../../engines/registry.js";
import { benchStep } from "../../train/bench.js";
import { choice, defaulted, flag, integer, optional, text } from "../../train/fields.js";
import { readModel } from "../../train/prepare.js";
import { defineCommand } from "../command.js";
import { engineOptions } from "./engines.js";

export const benchCommand = defineCommand({
  name: "bench",
  summary: "Measure a whole train step: images a second, share of the engine's matmul rate, memory.",
  positionals: [{ name: "WHAT", doc: "step", required: true }],
  options: {
    Bench: {
      model: defaulted(text("NAME|FILE"), "ViT-S-32", "Preset, or a model's JSON."),
      batch: defaulted(integer(2), 32, "Pairs a step.", { aliases: ["batch-size"] }),
      context: optional(integer(2), "Tokens a text; the model's otherwise.", {
        aliases: ["force-context-length"],
      }),
      steps: defaulted(integer(1), 5, "Timed steps, after two that are not."),
      ...engineOptions,
      precision: defaulted(choice(["f32", "bf16"]), "f32", "Number format of products; bf16 on XLA."),
      devices: defaulted(integer(1), 1, "Devices that share the batch; XLA."),
      threads: optional(integer(1, 1024), "Threads of the engine; all cores otherwise."),
      rematerialize: defaulted(
        flag(),
        false,
        "Recompute blocks in the backward pass: less memory, more time.",
        {
          aliases: ["grad-checkpointing"],
        },
      ),
    },
    Output: { json: defaulted(flag(), false, "Print the numbers as JSON.") },
  },
  examples: [["clipwright bench step --model ViT-B-32 --batch 16 --context 77 --json", "For a script."]],
  async run({ options, positionals, terminal }) {
    if (positionals[0] !== "step") {
      throw new UsageError(`bench: can measure "step"; got ${positionals[0]}. Write: clipwright bench step.`);
    }
    const { config } = readModel(options.model);
    await using engine = await openEngine(options.engine, options);
    const result = await benchStep(engine, {
      config,
      batchSize: options.batch,
      contextLength: options.context,
      steps: options.steps,
      rematerialize: options.rematerialize,
      precision: options.precision,
    });
    const about = {
      model: options.model,
      batch: options.batch,
      context: options.context,
      engine: engine.name,
    };
    if (options.json) {
      terminal.out(`${JSON.stringify({ ...about, ...result }, null, 2)}\n`);
      return 0;
    }
    const gib = (bytes: number) => `${(bytes / 2 ** 30).toFixed(2)} GiB`;
    const lines = [
      ["images a second", result.imagesPerSecond.toFixed(2)],
      ["step", `${Math.min(...result.seconds).toFixed(3)} to ${Math.max(...result.seconds).toFixed(3)} s`],
      ["rate", `${result.gflops.toFixed(0)} GFLOP/s, forward × 3`],
      [
        "engine's matmul",
        `${result.matmulGflops.toFixed(0)} GFLOP/s; the step reaches ${(100 * result.shareOfMatmul).toFixed(0)} %`,
      ],
      [
        "peak memory",
        `${gib(result.peakMemoryBytes)} of this process; ${gib(result.predictedPeakBytes)} by the graph's account`,
      ],
      ["compiling", `${result.compileSeconds.toFixed(1)} s`],
    ];
    for (const [name, value] of lines) terminal.out(`${name!.padEnd(18)}${value}\n`);
    return 0;
  },
});
