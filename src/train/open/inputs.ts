/** The second step of opening a run: its data, and the model's description fitted to them. */

import { openRunData, type RunData } from "./data.js";
import type { OpenFolder } from "./folder.js";
import { prepareModel, type RunModel, saveModelConfig } from "./model.js";
import { type Pipelines, pipelinesOf } from "./pipelines.js";

export interface Inputs {
  readonly data: RunData;
  readonly model: RunModel;
  readonly pipelines: Pipelines;
}

/** Opens the data, and learns or loads the tokenizer. A run that goes on keeps the one in its folder. */
export async function openInputs(folder: OpenFolder): Promise<Inputs> {
  const { recipe, processes, hooks, run, path, resumed } = folder;
  const data = await openRunData(recipe, (line) => hooks.onMessage?.(line, "note"), processes);
  const fitted = (stored: string | undefined) => prepareModel(recipe, data.train, stored);
  let model: RunModel | undefined;
  if (run !== undefined) {
    model = fitted(resumed === undefined ? undefined : path);
    model.tokenizer.save(run.file(model.tokenizer.fileName));
    saveModelConfig(run.file, model);
  }
  await processes.share("tokenizer", () => true);
  model ??= fitted(path);
  return { data, model, pipelines: pipelinesOf(recipe, model) };
}
