/** Engines by name: opening one, and telling which can be used here. */

import { availableParallelism } from "node:os";
import { join } from "node:path";
import { didYouMean, UsageError } from "../core/errors.js";
import type { Engine } from "./engine.js";
import { cacheFolder, findPlugin, pluginSets, pluginState } from "./install/plugins.js";
import { missingOnnxRuntime } from "./onnxruntime-package.js";
import type { ProcessPlace } from "./xla/xla.js";

export const engineNames = ["onnxruntime", "xla"] as const;
export type EngineName = (typeof engineNames)[number];

export interface EngineOptions {
  /** ONNX Runtime: threads within an operation. Default: physical cores. */
  readonly threads?: number | undefined;
  /** ONNX Runtime: prefix of profiles. */
  readonly profile?: string | undefined;
  /** XLA: `xla-cpu`, `xla-cuda13` or the path of a plugin. Default: CLIPWRIGHT_XLA_PLUGIN, else the best that is usable. */
  readonly plugin?: string | undefined;
  /** XLA: devices that a program runs on at once. Default 1. */
  readonly devices?: number | undefined;
  /** XLA: compiled programs are kept in this folder. Default `programs` in the cache folder; false keeps none. */
  readonly cache?: string | false | undefined;
  /** XLA: debug options by name, for every compilation. */
  readonly flags?: Readonly<Record<string, string | number | boolean>> | undefined;
  /** XLA: this process among several. */
  readonly processes?: ProcessPlace | undefined;
}

/** Opens an engine. Throws `UsageError` for an unknown name or what the machine lacks. */
export async function openEngine(name: string, options: EngineOptions = {}): Promise<Engine> {
  switch (name) {
    case "onnxruntime": {
      if ((options.devices ?? 1) !== 1) {
        throw new UsageError(
          `onnxruntime: runs on one device; got devices=${options.devices}. Use --engine xla.`,
        );
      }
      const { OnnxRuntime } = await import("./onnxruntime.js");
      return new OnnxRuntime({ threads: options.threads, profile: options.profile });
    }
    case "xla": {
      const plugin = findPlugin(options.plugin);
      const cache = options.cache === false ? undefined : (options.cache ?? join(cacheFolder(), "programs"));
      const { devices, flags, processes } = options;
      const { Xla } = await import("./xla/xla.js");
      return Xla.open({ plugin, cache, devices, flags, processes });
    }
    default:
      throw new UsageError(
        `engine: must be one of ${engineNames.join(", ")}; got ${name}.${didYouMean(name, engineNames)}`,
      );
  }
}

export interface EngineListing {
  /** What `--engine` takes. */
  readonly engine: EngineName;
  /** What `--plugin` takes, for XLA. */
  readonly plugin: string | undefined;
  readonly summary: string;
  readonly usable: boolean;
  /** Why it is not usable, and what to do. */
  readonly why: string | undefined;
  readonly path: string | undefined;
}

/** Every engine and plugin, usable here or not. Loads nothing. */
export function listEngines(): EngineListing[] {
  const plugins = Object.keys(pluginSets).map((name): EngineListing => {
    const { why, path, installed } = pluginState(name);
    return {
      engine: "xla",
      plugin: name,
      summary: pluginSets[name]!.summary,
      usable: why === undefined,
      why,
      path: installed ? path : undefined,
    };
  });
  const own = process.env.CLIPWRIGHT_XLA_PLUGIN;
  if (own !== undefined && own !== "" && !(own in pluginSets)) {
    const why = attempt(() => void findPlugin(own));
    plugins.unshift({
      engine: "xla",
      plugin: own,
      summary: "The plugin that CLIPWRIGHT_XLA_PLUGIN names",
      usable: why === undefined,
      why,
      path: own,
    });
  }
  const missing = missingOnnxRuntime();
  return [
    {
      engine: "onnxruntime",
      plugin: undefined,
      summary: `The default: any CPU, here with ${availableParallelism()} threads`,
      usable: missing === undefined,
      why: missing,
      path: undefined,
    },
    ...plugins,
  ];
}

function attempt(f: () => void): string | undefined {
  try {
    f();
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

/** The listing as text for a terminal, one engine a paragraph. */
export function formatEngines(listing: readonly EngineListing[] = listEngines()): string {
  return listing
    .map(({ engine, plugin, summary, usable, why, path }) => {
      const command = `--engine ${engine}${plugin === undefined ? "" : ` --plugin ${plugin}`}`;
      const state = usable ? "usable" : `not usable: ${why}`;
      return `${command}\n  ${summary}\n  ${state}${path === undefined ? "" : `\n  ${path}`}\n`;
    })
    .join("");
}
