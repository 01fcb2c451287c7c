/** An engine and this process's place among those that a launcher started. */

import { UsageError } from "../core/errors.js";
import type { Engine } from "./engine.js";
import { type ProcessGroup, processGroup } from "./processes.js";
import { type EngineOptions, openEngine } from "./registry.js";

export interface EngineGroup extends AsyncDisposable {
  readonly engine: Engine;
  /** 0 for the process that writes checkpoints and speaks. */
  readonly index: number;
  readonly count: number;
  /** Returns when every process has come to the same, unused `name`; at once in a process on its own. */
  barrier(name: string): Promise<void>;
}

/**
 * Opens an engine in this process alone or, where torchrun, Slurm or Kubernetes started several, together with
 * them. Throws `UsageError` when the engine or the plugin cannot join processes: each would train on its own,
 * into the same folder.
 */
export async function openEngineGroup(
  name: string,
  options: Omit<EngineOptions, "processes"> = {},
  group: ProcessGroup | undefined = processGroup(),
): Promise<EngineGroup> {
  if (group === undefined) {
    const engine = await openEngine(name, options);
    return {
      engine,
      index: 0,
      count: 1,
      barrier: async () => {},
      [Symbol.asyncDispose]: () => engine[Symbol.asyncDispose](),
    };
  }
  const { index, count, launcher } = group;
  if (name !== "xla") {
    throw new UsageError(
      `${name}: runs in one process; got process ${index} of ${count}, by ${launcher}'s variables. ` +
        "Start one process, or use --engine xla.",
    );
  }
  const { Store } = await import("./xla/store.js");
  const store = await Store.join(group);
  try {
    const engine = await openEngine(name, { ...options, processes: store.place });
    return {
      engine,
      index,
      count,
      barrier: (at) => store.barrier(at),
      async [Symbol.asyncDispose]() {
        // The engine's threads call the store to the last; process 0 serves it until all are done.
        await engine[Symbol.asyncDispose]();
        await store.leave();
      },
    };
  } catch (error) {
    await store[Symbol.asyncDispose]();
    throw error;
  }
}
