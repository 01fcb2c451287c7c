/** The state of a run as the files of a checkpoint, and back. */

import { allFinite, type TypedArray } from "../../core/dtype.js";
import { encodeSafetensors, SafetensorsFile } from "../../core/safetensors.js";
import type { TensorType } from "../../core/shape.js";
import type { Clip } from "../../models/clip.js";
import type { Checkpoint } from "../../storage/checkpoint.js";
import { splitGroup } from "../step/state.js";
import type { Strategy } from "../strategies/strategy.js";

const OPTIMIZER = "optimizer.safetensors";
const STRATEGY = "strategy.safetensors";
/** Files that are a whole model, by the group of the state that is in them. */
const MODELS = { params: "params.safetensors", ema: "ema.safetensors" } as const;

/** The state by name, with its types. */
export type Snapshot = ReadonlyMap<string, { readonly type: TensorType; readonly data: TypedArray }>;

/**
 * The state by name as checkpoint files: the model's parameters and statistics under open_clip's names, and beside the
 * moving average the statistics and what is locked once more, so that either file is a whole model; what the strategy has of its own; the
 * optimizer's as NAME.SLOT.
 */
export function stateFiles(snapshot: Snapshot, strategy: Strategy): Record<string, Iterable<Uint8Array>> {
  const state = [...snapshot].map(([path, { type, data }]) => {
    const [group, name] = splitGroup(path);
    const isOwn = strategy.parameters[name] !== undefined || strategy.statistics[name] !== undefined;
    return { group, isOwn: isOwn && group !== "slots", tensor: { name, ...type, data } };
  });
  const files: Record<string, Iterable<Uint8Array>> = {};
  const put = (file: string, wanted: (each: (typeof state)[number]) => boolean) => {
    const tensors = state.filter(wanted).map(({ tensor }) => tensor);
    if (tensors.length === 0) return;
    files[file] = { [Symbol.iterator]: () => encodeSafetensors(tensors, { format: "pt" }) };
  };
  for (const [group, file] of Object.entries(MODELS)) {
    if (!state.some((each) => each.group === group)) continue;
    const has = (name: string) => snapshot.has(`${group}.${name}`);
    put(
      file,
      ({ isOwn, group: own, tensor }) =>
        !isOwn && (own === group || own === "statistics" || (own === "params" && !has(tensor.name))),
    );
  }
  put(STRATEGY, ({ isOwn }) => isOwn);
  put(OPTIMIZER, ({ group }) => group === "slots");
  return files;
}

/** Names of the state's tensors that hold a NaN or an infinity. */
export const notFinite = (snapshot: Snapshot): string[] =>
  [...snapshot].flatMap(([name, { type, data }]) => (allFinite(type.dtype, data) ? [] : [name]));

/** The state by name, as `StepRunner.create` takes it. */
export function readState(
  checkpoint: Checkpoint,
  { clip, strategy }: { readonly clip: Clip; readonly strategy: Strategy },
): Record<string, TypedArray> {
  const state: Record<string, TypedArray> = {};
  const isStatistic = (name: string) =>
    clip.statistics[name] !== undefined || strategy.statistics[name] !== undefined;
  const groups = { ...MODELS, slots: OPTIMIZER };
  const read = (file: string, group: string) => {
    if (!checkpoint.files.includes(file)) return;
    using tensors = new SafetensorsFile(`${checkpoint.path}/${file}`);
    for (const name of tensors.names)
      state[`${isStatistic(name) ? "statistics" : group}.${name}`] = tensors.read(name);
  };
  for (const [group, file] of Object.entries(groups)) read(file, group);
  read(STRATEGY, "params");
  return state;
}
