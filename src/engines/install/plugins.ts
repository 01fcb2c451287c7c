/** What can be installed, XLA's plugins and OpenVINO: which there are, where they lie once installed, and which of them this machine can use. */

import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { cacheFolder } from "../../core/cache-folder.js";
import { didYouMean, UsageError } from "../../core/errors.js";
import { openVinoWheels, type PinsByProcessor, xlaCpuWheels, xlaCuda13Wheels } from "./pins.js";

export interface PluginSet {
  /** Whose it is. */
  readonly engine: "xla" | "openvino";
  readonly summary: string;
  /** The wheels that were tested, by processor: what is installed. */
  readonly wheels: PinsByProcessor;
  /** Where the plugin lies among the unpacked wheels. */
  readonly file: string;
  /** Roughly what lies on disk afterwards. */
  readonly diskGb: number;
  readonly needsNvidia: boolean;
}

/** By name; of one engine's, better ones first. */
export const pluginSets: Readonly<Record<string, PluginSet>> = Object.freeze({
  openvino: {
    engine: "openvino",
    summary: "CPUs by Intel's OpenVINO: the fastest there, in f32, and in bf16 where the processor has it",
    wheels: openVinoWheels,
    file: join("openvino", "libs", "libopenvino_c.so.2641"),
    diskGb: 0.2,
    needsNvidia: false,
  },
  "xla-cuda13": {
    engine: "xla",
    summary: "NVIDIA GPUs, by the plugin that JAX uses (CUDA 13, driver 580 or later)",
    wheels: xlaCuda13Wheels,
    file: join("jax_plugins", "xla_cuda13", "xla_cuda_plugin.so"),
    diskGb: 4,
    needsNvidia: true,
  },
  "xla-cpu": {
    engine: "xla",
    summary: "CPUs, for tests and for several devices in one process",
    wheels: xlaCpuWheels,
    file: join("xla_plugins", "xla_cpu_pjrt", "xla_cpu_pjrt.so"),
    diskGb: 0.3,
    needsNvidia: false,
  },
});

export const pluginFolder = (name: string): string => join(cacheFolder(), "plugins", name);

/** Where the plugin of a set lies, installed or not. */
export const pluginPath = (name: string): string => join(pluginFolder(name), pluginSets[name]!.file);

export interface PluginState {
  readonly name: string;
  readonly path: string;
  readonly installed: boolean;
  /** Undefined when it can be used here; else what is missing, and what to do. */
  readonly why: string | undefined;
}

/** Whether the plugin of a set can be used here, without loading it. */
export function pluginState(name: string): PluginState {
  const set = pluginSets[name];
  if (set === undefined) {
    throw new UsageError(
      `engines: plugins are ${Object.keys(pluginSets).join(", ")}; got ${name}.${didYouMean(name, Object.keys(pluginSets))}`,
    );
  }
  const path = pluginPath(name);
  const installed = existsSync(path);
  const state = { name, path, installed };
  if (process.platform !== "linux") {
    return { ...state, why: `has builds for Linux only; this is ${process.platform}` };
  }
  if (set.needsNvidia && !hasNvidiaDriver()) {
    return { ...state, why: "needs an NVIDIA GPU with its driver; there is none here" };
  }
  if (!installed) return { ...state, why: `is not installed. Run: clipwright engines install ${name}` };
  return { ...state, why: undefined };
}

/** Whether the kernel's side of NVIDIA's driver is there. */
const hasNvidiaDriver = (): boolean =>
  existsSync("/proc/driver/nvidia/version") || existsSync("/dev/nvidiactl") || existsSync("/dev/dxg");

const xlaSets = Object.keys(pluginSets).filter((name) => pluginSets[name]!.engine === "xla");

/** The path of OpenVINO's library. Throws `UsageError` with what to install when there is none. */
export function findOpenVino(): string {
  const { path, why } = pluginState("openvino");
  if (why !== undefined) throw new UsageError(`openvino: ${why}.`);
  return path;
}

/**
 * The plugin's path: of the named set, the given path itself, that in CLIPWRIGHT_XLA_PLUGIN, or else the first
 * set that can be used here. Throws `UsageError` with what to install when there is none.
 */
export function findPlugin(nameOrPath = process.env.CLIPWRIGHT_XLA_PLUGIN): string {
  if (nameOrPath !== undefined && nameOrPath !== "") {
    if (!xlaSets.includes(nameOrPath)) {
      if (existsSync(nameOrPath)) return resolve(nameOrPath);
      throw new UsageError(
        `xla: plugin must be the path of a library or one of ${xlaSets.join(", ")}; ` +
          `got ${nameOrPath}.${didYouMean(nameOrPath, xlaSets)}`,
      );
    }
    const { path, why } = pluginState(nameOrPath);
    if (why !== undefined) throw new UsageError(`xla: ${nameOrPath} ${why}.`);
    return path;
  }
  const states = xlaSets.map(pluginState);
  const usable = states.find((s) => s.why === undefined);
  if (usable === undefined) {
    throw new UsageError(
      `xla: no plugin can be used here: ${states.map((s) => `${s.name} ${s.why}`).join("; ")}.`,
    );
  }
  return usable.path;
}
