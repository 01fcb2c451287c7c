/**
 * The package onnxruntime-node, loaded when a graph first needs it. It may be missing: on Linux x64 its install script
 * fetches CUDA files, which are not used here, from a host that not every network lets through; npm then goes on without it.
 */

import { createRequire } from "node:module";
import type ort from "onnxruntime-node";
import { UsageError } from "../core/errors.js";

export type OnnxRuntimePackage = typeof ort;

const require = createRequire(import.meta.url);
const NAME = "onnxruntime-node";

/** Why ONNX Runtime cannot be used here, and what to do; undefined where its package is there. Loads nothing. */
export function missingOnnxRuntime(): string | undefined {
  try {
    require.resolve(NAME);
    return undefined;
  } catch {
    return `its package ${NAME} was left out when Clipwright was installed, as npm does where a package's install script cannot reach its host. Install again, the same way, with ONNXRUNTIME_NODE_INSTALL=skip before npm install.`;
  }
}

let loaded: OnnxRuntimePackage | undefined;

/** The package. Throws `UsageError` with the remedy where it is missing or cannot be loaded. */
export function onnxRuntime(): OnnxRuntimePackage {
  loaded ??= load();
  return loaded;
}

function load(): OnnxRuntimePackage {
  const why = missingOnnxRuntime();
  if (why !== undefined) throw new UsageError(`onnxruntime: ${why}`, { code: "ERR_ENGINE_MISSING" });
  try {
    return require(NAME) as OnnxRuntimePackage;
  } catch (error) {
    throw new UsageError(
      `onnxruntime: ${NAME} cannot be loaded; got ${(error as Error).message}. Install Clipwright again on this machine.`,
      { code: "ERR_ENGINE_MISSING", cause: error },
    );
  }
}
