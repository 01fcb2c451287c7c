/** What `--engine auto` means on this machine, and why. */

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { cacheFolder } from "../core/cache-folder.js";
import { pluginSets, pluginState } from "./install/plugins.js";
import type { EngineName } from "./names.js";
import { processor } from "./processor.js";
import { knownSelfTest } from "./self-test.js";

export interface Choice {
  readonly engine: EngineName;
  /** For people, without a full stop; undefined where a person has said so themselves. */
  readonly why: string | undefined;
}

/** What `clipwright bench engines` measured on one processor. */
export interface EngineSpeeds {
  readonly model: string;
  readonly batchSize: number;
  /** Images a second, by engine and precision: `openvino f32`. */
  readonly imagesPerSecond: Readonly<Record<string, number>>;
}

const speedsPath = (): string => join(cacheFolder(), "engine-speeds.json");

function readAll(): Record<string, EngineSpeeds> {
  try {
    return JSON.parse(readFileSync(speedsPath(), "utf8")) as Record<string, EngineSpeeds>;
  } catch {
    return {};
  }
}

/** What was measured on this processor, if anything was. */
export const knownSpeeds = (): EngineSpeeds | undefined => readAll()[processor().name];

/** Keeps what was measured on this processor; gives the file. */
export function rememberSpeeds(speeds: EngineSpeeds): string {
  const path = speedsPath();
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `${JSON.stringify({ ...readAll(), [processor().name]: speeds }, null, 2)}\n`);
  return path;
}

/** The fastest engine by its best precision, with how much faster than ONNX Runtime it is. */
function fastest({ imagesPerSecond }: EngineSpeeds): { engine: string; times: number } | undefined {
  const entries = Object.entries(imagesPerSecond).sort(([, a], [, b]) => b - a);
  const base = imagesPerSecond["onnxruntime f32"];
  const [best] = entries;
  if (best === undefined || base === undefined) return undefined;
  return { engine: best[0].split(" ")[0]!, times: best[1] / base };
}

export interface Wanted {
  readonly devices?: number | undefined;
  readonly plugin?: string | undefined;
  /** Present where several processes run together. */
  readonly processes?: unknown;
}

/**
 * The engine for this machine: the one that CLIPWRIGHT_ENGINE names; XLA where several devices or processes, a plugin
 * or an NVIDIA GPU ask for it; else the fastest that `bench engines` measured here; else OpenVINO where it is
 * installed and its self-test has not failed; else ONNX Runtime.
 */
export function chooseEngine({ devices = 1, plugin, processes }: Wanted = {}): Choice {
  const named = process.env.CLIPWRIGHT_ENGINE;
  if (named !== undefined && named !== "" && named !== "auto") {
    return { engine: named as EngineName, why: undefined };
  }
  if (processes !== undefined) return { engine: "xla", why: "several processes run together" };
  if (devices > 1) return { engine: "xla", why: `${devices} devices share every batch` };
  if (plugin !== undefined) return { engine: "xla", why: `its plugin ${plugin} was asked for` };
  const own = process.env.CLIPWRIGHT_XLA_PLUGIN;
  if (own !== undefined && own !== "") return { engine: "xla", why: "CLIPWRIGHT_XLA_PLUGIN names a plugin" };
  const gpu = Object.keys(pluginSets).find(
    (name) => pluginSets[name]!.needsNvidia && pluginState(name).why === undefined,
  );
  if (gpu !== undefined) return { engine: "xla", why: `${gpu} is installed, and there is an NVIDIA GPU` };
  const { path, why } = pluginState("openvino");
  if (why !== undefined) {
    return { engine: "onnxruntime", why: `it comes with Clipwright; openvino, which is faster, ${why}` };
  }
  const wrong = knownSelfTest(path)?.f32;
  if (wrong !== undefined) {
    return { engine: "onnxruntime", why: `openvino failed its self-test on ${processor().name}: ${wrong}` };
  }
  const speeds = knownSpeeds();
  const best = speeds && fastest(speeds);
  if (best === undefined)
    return { engine: "openvino", why: `it is installed, and the fastest on most processors` };
  const measured = `measured on ${speeds!.model} at ${speeds!.batchSize}: ${best.times.toFixed(2)} × onnxruntime`;
  if (best.engine === "onnxruntime") {
    return { engine: "onnxruntime", why: `the fastest here, ${measured.split(":")[0]}` };
  }
  return { engine: best.engine as EngineName, why: measured };
}
