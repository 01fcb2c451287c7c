/** Ways to compile a step, tried one after the other on the user's model and device: measured, not guessed. */

import { UsageError } from "../../core/errors.js";
import type { CompilerFlags, Engine } from "../../engines/engine.js";
import type { Precision } from "../recipe/machine-fields.js";
import { benchStep, type StepBenchOptions, type StepBenchResult } from "./bench.js";

export interface OptionSet {
  readonly name: string;
  /** What it changes, and why that may pay. */
  readonly about: string;
  readonly flags?: CompilerFlags;
  readonly attention?: "plain";
  readonly precision?: Precision;
}

const cuda: readonly OptionSet[] = [
  { name: "plain attention", about: "products and a softmax for cuDNN's kernel", attention: "plain" },
  {
    name: "bf16 results",
    about: "products give bf16: half the memory and traffic of activations",
    precision: "bf16-results",
  },
  {
    name: "no command buffers",
    about: "kernels launched one by one and not as CUDA graphs",
    flags: { xla_gpu_enable_command_buffer: "" },
  },
  {
    name: "no Triton products",
    about: "all products by cuBLAS",
    flags: { xla_gpu_enable_triton_gemm: false },
  },
  {
    name: "cuDNN products",
    about: "products with what follows them as cuDNN's fusions",
    flags: { xla_gpu_cudnn_gemm_fusion_level: 2 },
  },
  {
    name: "latency hiding",
    about: "the scheduler that overlaps collectives with computing",
    flags: { xla_gpu_enable_latency_hiding_scheduler: true },
  },
  {
    name: "exhaustive tiling",
    about: "more tilings tried for Triton's products; compiles for long",
    flags: { xla_gpu_exhaustive_tiling_search: true },
  },
];

const cpu: readonly OptionSet[] = [
  { name: "wide vectors", about: "vectors of 512 bits", flags: { xla_cpu_prefer_vector_width: 512 } },
  { name: "no XNNPACK", about: "products by Eigen alone", flags: { xla_cpu_use_xnnpack: false } },
  {
    name: "concurrency scheduler",
    about: "an order of operations for more of them at once",
    flags: { xla_cpu_enable_concurrency_optimized_scheduler: true },
  },
];

/** What is tried on a platform of XLA's, by PJRT's name for it. */
export const optionSets: Readonly<Record<string, readonly OptionSet[]>> = Object.freeze({ cuda, cpu });

/** A set faster than what was given by less than this is not worth its name. */
export const WORTH = 1.02;

export interface Trial {
  readonly name: string;
  readonly about: string;
  /** The words of a command line that ask for it. */
  readonly words: readonly string[];
  readonly result: StepBenchResult | undefined;
  /** Why there is no result. */
  readonly error: string | undefined;
}

export interface Tuning {
  readonly trials: readonly Trial[];
  /** By what factor the two measurements of what was given differ, at least 1. */
  readonly noise: number;
  /** The fastest, if it is faster than both of them by 2 % and by more than the noise. */
  readonly best: Trial | undefined;
}

/**
 * Measures the step as given, with each set that the device's platform has, with all that were faster together,
 * and as given once more, which shows the noise. A set that the compiler refuses is a row with its message.
 */
export async function tuneStep(
  engine: Engine,
  options: StepBenchOptions,
  onTrial: (trial: Trial) => void = () => {},
): Promise<Tuning> {
  const { platform } = engine.capabilities.device;
  const sets = engine.name === "xla" ? optionSets[platform] : undefined;
  if (sets === undefined) {
    throw new UsageError(
      `bench: --tune tries options of XLA on ${Object.keys(optionSets).join(" or ")}; got engine=${engine.name} on ${platform}. ` +
        "Use --engine xla, or --xla-flag for flags of your own.",
    );
  }
  const trials: Trial[] = [];
  const attempt = async (set: OptionSet): Promise<Trial> => {
    const tried = { ...options, ...set, flags: { ...options.flags, ...set.flags } };
    let result: StepBenchResult | undefined;
    let error: string | undefined;
    try {
      result = await benchStep(engine, tried);
    } catch (caught) {
      error = (caught as Error).message;
    }
    const trial = { name: set.name, about: set.about, words: wordsOf(set), result, error };
    trials.push(trial);
    onTrial(trial);
    return trial;
  };
  const rate = (trial: Trial) => trial.result?.imagesPerSecond ?? 0;

  const first = await attempt({ name: "as given", about: "" });
  const faster: OptionSet[] = [];
  for (const set of sets) {
    // A set that changes nothing here is no trial.
    if (set.precision !== undefined && options.precision !== "bf16") continue;
    if (set.attention !== undefined && first.result?.attention === "plain") continue;
    if (rate(await attempt(set)) > WORTH * rate(first)) faster.push(set);
  }
  if (faster.length > 1) {
    const flags: CompilerFlags = Object.assign({}, ...faster.map((set) => set.flags));
    const name = faster.map((set) => set.name).join(" + ");
    await attempt({ ...Object.assign({}, ...faster), name, about: "the faster ones together", flags });
  }
  const again = await attempt({ name: "as given, again", about: "" });
  const [fastest] = [...trials].sort((a, b) => rate(b) - rate(a));
  const [slow, fast] = [rate(first), rate(again)].sort((a, b) => a - b) as [number, number];
  const noise = slow === 0 ? 1 : fast / slow;
  return { trials, noise, best: rate(fastest!) > Math.max(WORTH, noise) * fast ? fastest : undefined };
}

function wordsOf({ flags = {}, attention, precision }: OptionSet): string[] {
  return [
    ...(attention === undefined ? [] : ["--attention", attention]),
    ...(precision === undefined ? [] : ["--precision", precision]),
    ...Object.entries(flags).flatMap(([name, value]) => ["--xla-flag", `${name}=${value}`]),
  ];
}
