/** A run's state as the files of a checkpoint, and back. */

import type { TypedArray } from "../core/dtype.js";
import { encodeSafetensors, SafetensorsFile } from "../core/safetensors.js";
import type { Clip } from "../models/clip.js";
import type { Checkpoint } from "../storage/checkpoint.js";
import { type StepRunner, splitGroup } from "./runner.js";

/** Which file of a checkpoint holds a group of the state. */
const FILES: Readonly<Record<string, string>> = {
  params: "params.safetensors",
  slots: "optimizer.safetensors",
  ema: "ema.safetensors",
};

/**
 * The state as checkpoint files: parameters and statistics under open_clip's names, beside the moving average the
 * statistics once more, so that either file is a whole model; the optimizer's as NAME.SLOT.
 */
export async function stateFiles(runner: StepRunner): Promise<Record<string, Iterable<Uint8Array>>> {
  const state = [...(await runner.snapshot())].map(([path, { type, data }]) => {
    const [group, name] = splitGroup(path);
    return { group, tensor: { name, ...type, data } };
  });
  const files: Record<string, Iterable<Uint8Array>> = {};
  for (const [group, file] of Object.entries(FILES)) {
    if (!state.some((s) => s.group === group)) continue;
    const isModel = group !== "slots";
    const tensors = state
      .filter((s) => s.group === group || (isModel && s.group === "statistics"))
      .map(({ tensor }) => tensor);
    files[file] = { [Symbol.iterator]: () => encodeSafetensors(tensors, { format: "pt" }) };
  }
  return files;
}

/** What `stateFiles` wrote, by name. It does not depend on the number of devices or processes. */
export function readState(checkpoint: Checkpoint, { statistics }: Clip): Record<string, TypedArray> {
  const state: Record<string, TypedArray> = {};
  for (const [group, name] of Object.entries(FILES)) {
    if (!checkpoint.files.includes(name)) continue;
    using file = new SafetensorsFile(`${checkpoint.path}/${name}`);
    for (const tensor of file.names) {
      const to = statistics[tensor] === undefined ? group : "statistics";
      state[`${to}.${tensor}`] = file.read(tensor);
    }
  }
  return state;
}
