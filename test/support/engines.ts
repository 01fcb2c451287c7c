/** The engines that a test runs on: ONNX Runtime always, OpenVINO and XLA where they are installed, or where the run demands them. */

import { test } from "node:test";
import { Unsupported } from "../../src/core/errors.js";
import { requireCapabilities } from "../../src/engines/capabilities.js";
import type { Engine } from "../../src/engines/engine.js";
import { findOpenVino, findPlugin } from "../../src/engines/install/plugins.js";
import { OnnxRuntime } from "../../src/engines/onnxruntime.js";
import { OpenVino, type OpenVinoOptions } from "../../src/engines/openvino/openvino.js";
import { Xla, type XlaOptions } from "../../src/engines/xla/xla.js";
import type { Graph } from "../../src/graph/graph.js";
import type { Op } from "../../src/graph/op.js";
import { optimize } from "../../src/graph/passes.js";

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

/** OpenVINO's library, or why there is none. With CLIPWRIGHT_REQUIRE_OPENVINO=1 its absence is an error. */
function openVinoLibrary(): { path: string } | { why: string } {
  try {
    return { path: findOpenVino() };
  } catch (error) {
    if (process.env.CLIPWRIGHT_REQUIRE_OPENVINO === "1") throw error;
    return { why: (error as Error).message };
  }
}

const library = openVinoLibrary();

/** Opens OpenVINO on the library that is installed. */
export const openOpenVino = (options: Partial<OpenVinoOptions> = {}): Promise<OpenVino> => {
  if ("why" in library) throw new Error(library.why);
  return OpenVino.open({ library: library.path, threads: 2, ...options });
};

/** Declares tests that need OpenVINO; without it, one test in their place that is skipped with the reason. */
export function withOpenVino(title: string, declare: () => void): void {
  if ("why" in library) test(`OpenVINO: ${title}`, { skip: `NOT TESTED: ${library.why}` }, () => {});
  else declare();
}

/** Every engine that this run has. */
export const engines: readonly EngineUnderTest[] = [
  { title: "ONNX Runtime", target: "onnx", open: async () => new OnnxRuntime({ threads: 2 }) },
  ...("why" in library ? [] : [{ title: "OpenVINO", target: "onnx", open: () => openOpenVino() } as const]),
  ...("why" in plugin ? [] : [{ title: "XLA", target: "stablehlo", open: () => openXla() } as const]),
];

/** Half the time to compile, for tests of what is computed and not of how fast. */
export const quickFlags = {
  xla_backend_optimization_level: 0,
  xla_llvm_disable_expensive_passes: true,
  xla_cpu_parallel_codegen_split_count: 2,
} as const;

/**
 * Engines for whole train steps, which OpenVINO and XLA compile for seconds: they are among them in
 * `npm run test:openvino` and `test:xla`, and wherever else CLIPWRIGHT_REQUIRE_OPENVINO=1 or CLIPWRIGHT_REQUIRE_XLA=1.
 */
export const enginesForSteps: readonly EngineUnderTest[] = engines.flatMap((under) => {
  if (under.title === "ONNX Runtime") return [under];
  if (under.title === "OpenVINO") return process.env.CLIPWRIGHT_REQUIRE_OPENVINO === "1" ? [under] : [];
  return process.env.CLIPWRIGHT_REQUIRE_XLA === "1"
    ? [{ ...under, open: () => openXla({ flags: quickFlags }) }]
    : [];
});

export function runsOn(op: Pick<Op, "onnx" | "stablehlo">, { target }: EngineUnderTest): boolean {
  const lowering = op[target];
  return typeof lowering !== "object" || "kernel" in lowering;
}

/** Whether the engine has what a graph needs; where it lacks something, its refusal is tested. */
export function can({ name, capabilities }: Engine, { target }: EngineUnderTest, graph: Graph): boolean {
  try {
    requireCapabilities(name, capabilities, optimize(graph, target, capabilities.device));
    return true;
  } catch (error) {
    if (error instanceof Unsupported) return false;
    throw error;
  }
}
