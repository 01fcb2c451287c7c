/** What differs between the platforms that plugins are for: client options, libraries to load first, flags. */

import { existsSync, readdirSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { loadForever } from "../native.js";
import { parseXlaFlags, type XlaFlags } from "./options.js";
import { INSTALL, type OptionValue } from "./pjrt.js";

export type Platform = "cpu" | "cuda" | "other";

/** Guessed from the library's name: options must be right before a plugin can be asked what it is. */
export function platformOf(plugin: string): Platform {
  const name = basename(plugin).toLowerCase();
  if (name.includes("cuda") || name.includes("gpu")) return "cuda";
  return name.includes("cpu") ? "cpu" : "other";
}

/** Client options by name; plugins refuse names that they do not know. */
export function clientOptions(
  plugin: string,
  {
    devices,
    fraction,
    processes,
  }: {
    readonly devices: number;
    readonly fraction?: number | undefined;
    readonly processes?:
      | { readonly index: number; readonly count: number; readonly localIndex?: number | undefined }
      | undefined;
  },
): Record<string, OptionValue> {
  switch (platformOf(plugin)) {
    case "cpu":
      return { cpu_device_count: devices };
    case "cuda": {
      const several = processes !== undefined && processes.count > 1;
      return {
        platform_name: "cuda",
        visible_devices: visibleDevices(devices, several ? (processes.localIndex ?? 0) : 0),
        ...(fraction === undefined ? {} : { memory_fraction: { float: fraction } }),
        ...(several ? { node_id: processes.index, num_nodes: processes.count } : {}),
      };
    }
    case "other":
      return {};
  }
}

/**
 * A process takes its devices after those of its siblings on the machine, unless the launcher shows it only its
 * own (Slurm's GPU binding, pods).
 */
export function visibleDevices(devices: number, place: number): number[] {
  const shown = process.env.CUDA_VISIBLE_DEVICES?.split(",").filter((id) => id.trim() !== "").length;
  const first = shown !== undefined && shown <= devices ? 0 : place * devices;
  return Array.from({ length: devices }, (_, i) => first + i);
}

let fromEnvironment: XlaFlags | undefined;

/**
 * XLA_FLAGS, to be given per compilation. The variable is taken out of the environment: XLA would read it as
 * well, and ends the process at a flag that its version does not know.
 */
export function environmentFlags(): XlaFlags {
  if (fromEnvironment === undefined) {
    fromEnvironment = parseXlaFlags(process.env.XLA_FLAGS ?? "");
    delete process.env.XLA_FLAGS;
  }
  return fromEnvironment;
}

/**
 * Flags that a platform asks for. CUDA: where NVIDIA's compiler tools lie. CPU: barriers stay until code is made;
 * this compiler takes them out early, then merges what is computed again with its first copy, and
 * rematerialization would save nothing (a small CLIP's temporaries: 42 MB without this, 14 MB with it).
 */
export function platformFlags(plugin: string): XlaFlags {
  const platform = platformOf(plugin);
  if (platform === "cpu") return { xla_disable_hlo_passes: "cse_barrier_expander" };
  if (platform !== "cuda") return {};
  const root = nvidiaFolder(plugin);
  const tools =
    root === undefined ? undefined : ["cu13", "cuda_nvcc"].map((name) => join(root, name)).find(existsSync);
  return tools === undefined ? {} : { xla_gpu_cuda_data_dir: tools };
}

/** The `nvidia` folder of the wheels that were unpacked beside the plugin's. */
function nvidiaFolder(plugin: string): string | undefined {
  const here = dirname(resolve(plugin));
  return [join(here, "..", "nvidia"), join(here, "..", "..", "nvidia")].find(existsSync);
}

// In the order in which JAX loads them (jax_plugins/cuda/__init__.py); each needs those before it.
const cudaLibraries = [
  "libcudart.so",
  "libnvJitLink.so",
  "libnvrtc.so",
  "libcublasLt.so",
  "libcublas.so",
  "libnccl.so",
  "libcupti.so",
  "libcusparse.so",
  "libcusolver.so",
  "libcufft.so",
  "libnvshmem_host.so",
  "libcudnn.so",
];

/** Loads the libraries beside the plugin, so that it finds these and not those of a system's own CUDA. */
export function preload(plugin: string): void {
  const root = platformOf(plugin) === "cuda" ? nvidiaFolder(plugin) : undefined;
  if (root === undefined) return;
  const found = new Map<string, string>();
  for (const part of readdirSync(root)) {
    const folder = join(root, part, "lib");
    if (!existsSync(folder)) continue;
    for (const file of readdirSync(folder)) {
      const library = cudaLibraries.find((name) => file.startsWith(`${name}.`));
      if (library !== undefined) found.set(library, join(folder, file));
    }
  }
  for (const library of cudaLibraries) {
    const path = found.get(library);
    if (path !== undefined) loadForever(path, "xla", INSTALL);
  }
}
