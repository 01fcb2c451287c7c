/** The engines that a test runs on: ONNX Runtime always, XLA where a plugin is, or where the run demands it. */

import { test } from "node:test";
import type { TensorType } from "../../src/core/shape.js";
import type { Engine } from "../../src/engines/engine.js";
import { findPlugin } from "../../src/engines/install/plugins.js";
import { OnnxRuntime } from "../../src/engines/onnxruntime.js";
import { Xla, type XlaOptions } from "../../src/engines/xla/xla.js";
import type { Op } from "../../src/graph/op.js";

export interface EngineUnderTest {
  readonly title: string;
  /** Which lowering of a record it uses. */
  readonly target: "onnx" | "stablehlo";
  readonly open: () => Promise<Engine>;
}

/** The XLA plugin, or why there is none. With CLIPWRIGHT_REQUIRE_XLA=1 its absence is an error. */
export function xlaPlugin(): { path: string } | { why: string } {
  try {
    return { path: findPlugin() };
  } catch (error) {
    if (process.env.CLIPWRIGHT_REQUIRE_XLA === "1") throw error;
    return { why: (error as Error).message };
  }
}

const plugin = xlaPlugin();

/** Opens XLA on the plugin that `xlaPlugin` found. */
export const openXla = (options: Partial<XlaOptions> = {}): Promise<Xla> => {
  if ("why" in plugin) throw new Error(plugin.why);
  // Several clients share a GPU in these tests; each would take most of it.
  return Xla.open({ plugin: plugin.path, memoryFraction: 0.1, ...options });
};

/** Declares tests that need XLA; without a plugin, one test in their place that is skipped with the reason. */
export function withXla(title: string, declare: () => void): void {
  if ("why" in plugin) test(`XLA: ${title}`, { skip: `NOT TESTED: ${plugin.why}` }, () => {});
  else declare();
}

/** Every engine that this run has. */
export const engines: readonly EngineUnderTest[] = [
  { title: "ONNX Runtime", target: "onnx", open: async () => new OnnxRuntime({ threads: 2 }) },
  ...("why" in plugin ? [] : [{ title: "XLA", target: "stablehlo", open: () => openXla() } as const]),
];

/** Half the time to compile, for tests of what is computed and not of how fast. */
export const quickFlags = {
  xla_backend_optimization_level: 0,
  xla_llvm_disable_expensive_passes: true,
  xla_cpu_parallel_codegen_split_count: 2,
} as const;

/**
 * Engines for whole train steps, which XLA compiles for seconds: it is among them in `npm run test:xla` and
 * wherever else CLIPWRIGHT_REQUIRE_XLA=1.
 */
export const enginesForSteps: readonly EngineUnderTest[] = engines.flatMap((under) => {
  if (under.target === "onnx") return [under];
  return process.env.CLIPWRIGHT_REQUIRE_XLA === "1"
    ? [{ ...under, open: () => openXla({ flags: quickFlags }) }]
    : [];
});

export function runsOn(op: Pick<Op, "onnx" | "stablehlo">, { target }: EngineUnderTest): boolean {
  const lowering = op[target];
  return typeof lowering !== "object" || "kernel" in lowering;
}

/** Whether the engine has these dtypes; where it lacks one, its refusal is tested. */
export const has = ({ capabilities }: Engine, types: readonly TensorType[]): boolean =>
  types.every((t) => capabilities.dtypes.includes(t.dtype));
