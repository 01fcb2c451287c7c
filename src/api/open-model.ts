/** A trained model with the engine that it runs on, opened and closed as one. */

import type { Engine } from "../engines/engine.js";
import { type EngineOptions, type engineChoices, openEngine } from "../engines/registry.js";
import { type LoadedModel, loadModel } from "../evaluate/model/load-model.js";
import type { ModelSource } from "../evaluate/model/locate.js";

export interface OpenModelOptions extends Omit<ModelSource, "path" | "optionPrefix"> {
  /** What computes. Default `auto`: the best that is installed here. */
  readonly engine?: (typeof engineChoices)[number] | undefined;
  /** ONNX Runtime: threads within an operation. Default: physical cores. */
  readonly threads?: EngineOptions["threads"];
  /** XLA: a plugin's name or path. Default: the best that is usable. */
  readonly plugin?: EngineOptions["plugin"];
}

/** A model and its engine. `await using` closes both, as `close` does where Node has no `await using` (before 24). */
export interface OpenModel extends Omit<LoadedModel, typeof Symbol.dispose>, AsyncDisposable {
  readonly engine: Engine;
  /** Frees the model and ends the engine. */
  close(): Promise<void>;
}

export async function openModel(path: string, options: OpenModelOptions = {}): Promise<OpenModel> {
  const { engine: name = "auto", threads, plugin, ...source } = options;
  const engine = await openEngine(name, { threads, plugin });
  try {
    const model = await loadModel(engine, { path, ...source });
    let open = true;
    const close = async () => {
      if (!open) return;
      open = false;
      model[Symbol.dispose]();
      await engine[Symbol.asyncDispose]();
    };
    return { ...model, engine, close, [Symbol.asyncDispose]: close };
  } catch (error) {
    await engine[Symbol.asyncDispose]();
    throw error;
  }
}
