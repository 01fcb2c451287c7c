/** `clipwright bench`: how fast a train step runs here, and on which engine it runs fastest. */

import { UsageError } from "../../core/errors.js";
import type { Engine } from "../../engines/engine.js";
import { openEngine } from "../../engines/registry.js";
import { parseXlaFlagWords } from "../../engines/xla/options.js";
import { readModel } from "../../models/presets/read-model.js";
import { defaulted, flag, integer, list, optional, text } from "../../settings/fields.js";
import { benchStep, type StepBenchOptions, type StepBenchResult } from "../../train/measure/bench.js";
import { benchEngines } from "../../train/measure/bench-engines.js";
import { type Tuning, tuneStep, WORTH } from "../../train/measure/tune.js";
import { precisionOn } from "../../train/recipe/machine-fields.js";
import { recipeFields } from "../../train/recipe/recipe.js";
import { alignColumns } from "../columns.js";
import { defineCommand, type Terminal } from "../command.js";
import { engineOptions } from "./engines.js";

export const benchCommand = defineCommand({
  name: "bench",
  summary: "Measure a whole train step: images a second, share of the device's matmul rate, memory.",
  description:
    "A step is the upload of a batch of bytes, forward, backward, clipping, AdamW, and reading the loss. The share (MFU) is the step's rate, by the multiply-adds that its graph counts, over the device's best rate on square matrix products in the same precision, of several sizes and both layouts, measured between the steps.",
  positionals: [
    { name: "WHAT", doc: "step; or engines: every engine in turns, kept for --engine auto.", required: true },
  ],
  options: {
    Bench: {
      model: defaulted(text("NAME|FILE"), "ViT-S-32", "Preset, or a model's JSON."),
      batch: defaulted(list(integer(2), { separator: "," }), [32], "Pairs a step; several: 256,512,1024.", {
        aliases: ["batch-size"],
      }),
      context: optional(integer(2), "Tokens a text; the model's otherwise.", {
        aliases: ["force-context-length"],
      }),
      forceImageSize: optional(integer(1), "Side of the images; the model's otherwise."),
      steps: defaulted(integer(1), 5, "Timed steps, after two that are not."),
      ...engineOptions,
      strategy: recipeFields.strategy,
      microBatch: recipeFields.microBatch,
      precision: recipeFields.precision,
      attention: recipeFields.attention,
      devices: recipeFields.devices,
      threads: recipeFields.threads,
      rematerialize: defaulted(
        flag(),
        false,
        "Recompute blocks in the backward pass: less memory, more time.",
        { aliases: ["grad-checkpointing"] },
      ),
      xlaFlag: recipeFields.xlaFlag,
      tune: defaulted(
        flag(),
        false,
        "Try XLA's options for this model and device, print what each brings, and the fastest.",
      ),
    },
    Output: { json: defaulted(flag(), false, "Print the numbers as JSON.") },
  },
  examples: [
    ["clipwright bench step --model ViT-B-32 --batch 16 --context 77 --json", "For a script."],
    ["clipwright bench step --engine xla --precision bf16 --batch 256,1024", "Several batch sizes on a GPU."],
    ["clipwright bench step --strategy siglip --batch 256 --micro-batch 32", "As another recipe trains."],
    ["clipwright bench engines --model clipwright-tiny-64 --batch 256", "Which engine is fastest here."],
    ["clipwright bench step --engine xla --precision bf16 --tune", "Choose XLA's options by measuring."],
  ],
  async run({ options, positionals, terminal }) {
    const [what] = positionals;
    if (what !== "step" && what !== "engines") {
      throw new UsageError(
        `bench: can measure "step" or "engines"; got ${what}. Write: clipwright bench step.`,
      );
    }
    if (options.tune && options.batch.length > 1) {
      throw new UsageError(
        `bench: --tune measures one batch size; got ${options.batch.join()}. Keep the one you train with.`,
      );
    }
    const { config } = readModel(options.model);
    const { context, forceImageSize } = options;
    const measured: Omit<StepBenchOptions, "batchSize"> = {
      config: {
        ...config,
        vision_cfg: { ...config.vision_cfg, ...(forceImageSize && { image_size: forceImageSize }) },
        text_cfg: { ...config.text_cfg, ...(context && { context_length: context }) },
      },
      steps: options.steps,
      rematerialize: options.rematerialize,
      attention: options.attention,
      strategy: options.strategy,
      microBatch: options.microBatch,
      flags: parseXlaFlagWords(options.xlaFlag ?? []),
    };
    if (what === "engines") {
      const { model, threads, batch } = options;
      const say = (line: string) => terminal.err(`${line}\n`);
      const found = await benchEngines({ ...measured, model, threads, batchSize: batch[0]!, say });
      if (options.json) printJson(terminal, found.speeds);
      else printEngines(terminal, found);
      return 0;
    }
    await using engine = await openEngine(options.engine, {
      ...options,
      onChoice: (line) => terminal.err(`${line}\n`),
    });
    const about = { model: options.model, engine: engine.name, device: engine.capabilities.device };
    const say = options.json ? () => {} : (line: string) => terminal.err(`${line}\n`);
    if (options.tune) {
      const found = await tuneStep(
        engine,
        { ...measured, precision: precisionOn(options.precision, engine), batchSize: options.batch[0]! },
        (trial) =>
          say(
            `${trial.name}: ${trial.result ? `${rounded(trial.result.imagesPerSecond)} images/s` : trial.error}`,
          ),
      );
      if (options.json) printJson(terminal, { ...about, ...found });
      else printTuning(terminal, found);
      return 0;
    }
    // The device's count of its peak only grows: smaller batches go first.
    const runs: Run[] = [];
    for (const batchSize of [...new Set(options.batch)].sort((a, b) => a - b)) {
      try {
        runs.push({
          batchSize,
          result: await benchStep(engine, {
            ...measured,
            precision: precisionOn(options.precision, engine),
            batchSize,
          }),
        });
      } catch (error) {
        if (runs.length === 0) throw error;
        runs.push({ batchSize, error: (error as Error).message });
        break;
      }
      say(`batch ${batchSize}: ${rounded(runs.at(-1)!.result!.imagesPerSecond)} images/s`);
    }
    if (options.json) {
      printJson(terminal, {
        ...about,
        runs: runs.map(({ batchSize, error, result }) => result ?? { batchSize, error }),
      });
    } else printRuns(terminal, options.model, engine, runs);
    return 0;
  },
});

function printEngines(terminal: Terminal, { speeds, path }: Awaited<ReturnType<typeof benchEngines>>): void {
  const entries = Object.entries(speeds.imagesPerSecond).sort(([, a], [, b]) => b - a);
  const lines = alignColumns([
    ["engine", "images/s"],
    ...entries.map(([name, rate]) => [name, rounded(rate)]),
  ]);
  terminal.out(`${lines}\n\nKept in ${path} for --engine auto.\n`);
}

interface Run {
  readonly batchSize: number;
  readonly result?: StepBenchResult;
  /** Why there is no result: it and what is larger did not fit. */
  readonly error?: string;
}

const printJson = (terminal: Terminal, value: object): void =>
  terminal.out(`${JSON.stringify(value, null, 2)}\n`);

/** Three digits, or all before the point. */
const rounded = (x: number): string => (x >= 100 ? x.toFixed(0) : x.toPrecision(3));
const gib = (bytes: number | undefined): string =>
  bytes === undefined ? "–" : `${(bytes / 2 ** 30).toFixed(2)}`;
const percent = (share: number): string => `${(100 * share).toFixed(0)} %`;

function printRuns(terminal: Terminal, model: string, engine: Engine, runs: readonly Run[]): void {
  const first = runs[0]!.result!;
  const { platform, name } = engine.capabilities.device;
  const times = first.devices > 1 ? ` × ${first.devices}` : "";
  terminal.out(
    `\n${model}, ${first.imageSize} pixels, ${first.contextLength} tokens, ${first.precision}, ${first.strategy}${first.microBatch === undefined ? "" : ` in parts of ${first.microBatch}`}, attention ${first.attention}\n` +
      `${engine.name} on ${platform}${name === undefined || name === platform ? "" : `: ${name}`}${times}\n\n`,
  );
  const [unit, gflops] = first.matmulGflops < 1000 ? (["GFLOP/s", 1] as const) : (["TFLOP/s", 1000] as const);
  const head = ["batch", "images/s", "step s", unit, "matmul", "MFU", "peak GiB", "planned", "compile s"];
  const rows = runs.flatMap(({ batchSize, result }) =>
    result === undefined ? [] : [rowOf(batchSize, result, gflops)],
  );
  terminal.out(alignColumns([head, ...rows]));
  for (const { batchSize, error } of runs)
    if (error !== undefined) terminal.out(`batch ${batchSize}: ${error}\n`);
  terminal.out(
    `\n${unit} of a device: ${(first.macs / 1e9).toFixed(1)} G multiply-adds a step at batch ${first.batchSize}; ` +
      `matmul: its best rate on products, here of ${first.matmulKind}; MFU: their ratio.\n` +
      `peak: of the ${first.peakMemoryOf}; planned: by the compiler${first.plannedBytes === undefined ? " (this engine makes no plan)" : ""}; ` +
      `the graph's account: ${runs.map(({ result }) => gib(result?.predictedPeakBytes)).join(", ")}.\n`,
  );
}

const rowOf = (batchSize: number, result: StepBenchResult, gflops: number): string[] => [
  `${batchSize}`,
  rounded(result.imagesPerSecond),
  (batchSize / result.imagesPerSecond).toPrecision(3),
  rounded(result.gflops / gflops),
  rounded(result.matmulGflops / gflops),
  percent(result.shareOfMatmul),
  gib(result.peakMemoryBytes),
  gib(result.plannedBytes),
  result.compileSeconds.toFixed(1),
];

function printTuning(terminal: Terminal, { trials, noise, best }: Tuning): void {
  const base = trials[0]!.result?.imagesPerSecond;
  const rows = trials.map(({ name, result }) =>
    result === undefined
      ? [name, "refused", "–", "–", "–", "–"]
      : [
          name,
          rounded(result.imagesPerSecond),
          base === undefined ? "–" : (result.imagesPerSecond / base).toFixed(2),
          percent(result.shareOfMatmul),
          gib(result.plannedBytes),
          result.compileSeconds.toFixed(1),
        ],
  );
  terminal.out(
    `\n${alignColumns([["options", "images/s", "ratio", "MFU", "planned GiB", "compile s"], ...rows])}\n`,
  );
  for (const { name, about, words } of trials) {
    if (about !== "") terminal.out(`${name}: ${about} (${words.join(" ")})\n`);
  }
  terminal.out(`\nThe same options twice: a factor of ${noise.toFixed(2)} between them.`);
  terminal.out(
    best === undefined
      ? ` Nothing is faster by more than that and ${percent(WORTH - 1)}.\n`
      : `\nFastest: ${best.name}. Add: ${best.words.join(" ")}\n`,
  );
}
