/** Engines by name: opening one, and telling which can be used here. */

import { availableParallelism } from "node:os";
import { join } from "node:path";
import { cacheFolder } from "../core/cache-folder.js";
import { didYouMean, UsageError } from "../core/errors.js";
import { chooseEngine } from "./choose.js";
import type { Engine } from "./engine.js";
import { findOpenVino, findPlugin, pluginSets, pluginState } from "./install/plugins.js";
import { type EngineName, engineChoices, engineNames } from "./names.js";
import { missingOnnxRuntime } from "./onnxruntime-package.js";
import { knownSelfTest, rememberedSelfTest, type SelfTest } from "./self-test.js";
import type { ProcessPlace } from "./xla/xla.js";

export { type EngineName, engineChoices, engineNames };

export interface EngineOptions {
  /** ONNX Runtime, OpenVINO: threads within an operation. Default: physical cores. */
  readonly threads?: number | undefined;
  /** ONNX Runtime, OpenVINO: prefix of profiles. */
  readonly profile?: string | undefined;
  /** XLA: `xla-cpu`, `xla-cuda13` or the path of a plugin. Default: CLIPWRIGHT_XLA_PLUGIN, else the best that is usable. */
  readonly plugin?: string | undefined;
  /** XLA: devices that a program runs on at once. Default 1. */
  readonly devices?: number | undefined;
  /** XLA, OpenVINO: compiled programs are kept in this folder. Default `programs` in the cache folder; false keeps none. */
  readonly cache?: string | false | undefined;
  /** XLA: debug options by name, for every compilation; OpenVINO: its properties. */
  readonly flags?: Readonly<Record<string, string | number | boolean>> | undefined;
  /** Told in a line which engine `auto` became and why, and of engines that failed their self-test. */
  readonly onChoice?: ((line: string) => void) | undefined;
  /** XLA: this process among several. */
  readonly processes?: ProcessPlace | undefined;
}

/**
 * Opens an engine; `auto` is the one that `chooseEngine` takes. OpenVINO passes its self-test first, once a version and
 * processor. Throws `UsageError` for an unknown name or what the machine lacks.
 */
export async function openEngine(name: string, options: EngineOptions = {}): Promise<Engine> {
  switch (name) {
    case "auto": {
      const { engine, why } = chooseEngine(options);
      if (why !== undefined) options.onChoice?.(`Engine ${engine}: ${why}.`);
      try {
        return await openEngine(engine, options);
      } catch (error) {
        if (engine !== "openvino") throw error;
        options.onChoice?.(`Engine onnxruntime instead: ${(error as Error).message}`);
        return openEngine("onnxruntime", options);
      }
    }
    case "onnxruntime": {
      requireOneDevice(name, options);
      const { OnnxRuntime } = await import("./onnxruntime.js");
      return new OnnxRuntime({ threads: options.threads, profile: options.profile });
    }
    case "openvino": {
      requireOneDevice(name, options);
      const library = findOpenVino();
      const { OpenVino } = await import("./openvino/openvino.js");
      const { threads, profile, flags } = options;
      const programs = programFolder(options);
      const cache = programs === undefined ? undefined : join(programs, "openvino");
      const settings = { library, cache, threads, profile, properties: flags };
      const { f32, bf16 } = await selfTestOf(() => OpenVino.open({ library }), library);
      if (f32 !== undefined) {
        throw new UsageError(
          `openvino: must compute right on this processor; its self-test says: ${f32}. Use --engine onnxruntime.`,
        );
      }
      if (bf16 !== undefined)
        options.onChoice?.(`openvino: no products of bf16 here, their self-test says: ${bf16}.`);
      return OpenVino.open({ ...settings, bf16: bf16 === undefined });
    }
    case "xla": {
      const plugin = findPlugin(options.plugin);
      const cache = programFolder(options);
      const { devices, flags, processes } = options;
      const { Xla } = await import("./xla/xla.js");
      return Xla.open({ plugin, cache, devices, flags, processes });
    }
    default:
      throw new UsageError(
        `engine: must be one of ${engineChoices.join(", ")}; got ${name}.${didYouMean(name, engineChoices)}`,
      );
  }
}

/** What the self-test gives for the engine in `library`, which is opened only where that is not known. */
async function selfTestOf(open: () => Promise<Engine>, library: string): Promise<SelfTest> {
  const known = knownSelfTest(library);
  if (known !== undefined) return known;
  await using engine = await open();
  return await rememberedSelfTest(engine, library);
}

const programFolder = ({ cache }: EngineOptions): string | undefined =>
  cache === false ? undefined : (cache ?? join(cacheFolder(), "programs"));

function requireOneDevice(name: string, { devices = 1 }: EngineOptions): void {
  if (devices !== 1) {
    throw new UsageError(`${name}: runs on one device; got devices=${devices}. Use --engine xla.`);
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
    const { engine, summary } = pluginSets[name]!;
    return {
      engine,
      plugin: engine === "xla" ? name : undefined,
      summary,
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
      summary: `Any CPU, here with ${availableParallelism()} threads`,
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
