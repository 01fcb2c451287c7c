/** This process among those that a launcher started: what they tell each other, and the engine that they share. */

import { UsageError } from "../core/errors.js";
import { firstError } from "./device-trouble.js";
import type { Engine } from "./engine.js";
import { type ProcessGroup, processGroup } from "./processes.js";
import { type EngineOptions, openEngine } from "./registry.js";
import type { Store } from "./xla/store.js";

/** This process and the others of its run, or this process alone. */
export interface Processes {
  /** 0 for the process that writes files and speaks. */
  readonly index: number;
  readonly count: number;
  /** Opens the engine together with the others; it is closed with the group. */
  openEngine(name: string, options?: Omit<EngineOptions, "processes">): Promise<Engine>;
  /**
   * What process 0 makes, as JSON, in every process; the others wait for it, however long it takes. Every process
   * calls it with the same names in the same order, each name once.
   * @param keep false: the value may go when four more of this kind have been shared. Only where process 0 cannot
   *   be that far ahead of the others.
   */
  share<T>(name: string, make: () => T | Promise<T>, keep?: boolean): Promise<T>;
  /** Calls `listener` in process 0 when `asked` has happened in another process, of those that have the same name. */
  forward(name: string, asked: AbortSignal | undefined, listener: () => void): void;
}

/** A process that goes away without a word leaves this to the others; one that fails says it itself. */
interface Failure {
  readonly index: number;
  readonly message: string;
}

const FAILURE = "failure";
const FOR_EVER_MS = 2 ** 31 - 1;
/** How long a process whose group has failed may take to end by itself. */
const GRACE_MS = 3000;
/** Shares after which one that need not be kept has been read by all. */
const SHARES_BEHIND = 4;

const encode = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value ?? null));
const decode = (bytes: Uint8Array): unknown => JSON.parse(new TextDecoder().decode(bytes));

export interface TogetherOptions {
  /** Default: what the launcher says. */
  readonly place?: ProcessGroup | undefined;
  /** Default: `openEngine`. */
  readonly open?: typeof openEngine | undefined;
}

/**
 * Runs `work` in this process alone or, where torchrun, Slurm or Kubernetes started several, together with them.
 * When one fails or dies, all end: those that are left throw a `UsageError` that names it, and their processes end
 * soon after, even if a device still waits for the one that is gone. Throws `UsageError` when the engine cannot join
 * processes: each would train on its own, into the same folder.
 */
export async function together<T>(
  name: string,
  work: (processes: Processes) => Promise<T>,
  { place = processGroup(), open = openEngine }: TogetherOptions = {},
): Promise<T> {
  if (place === undefined) return alone(work, open);
  const { index, count, launcher } = place;
  if (name !== "xla" && name !== "auto") {
    throw new UsageError(
      `${name}: runs in one process; got process ${index} of ${count}, by ${launcher}'s variables. ` +
        "Use --engine xla, start one process, or set CLIPWRIGHT_PROCESSES=1.",
    );
  }
  const { Store, exitNow } = await import("./xla/store.js");
  const store = await Store.join(place);
  const group = new Group(place, store, open);
  try {
    await store.will(FAILURE, encode({ index, message: "it ended without a word" } satisfies Failure));
    await store.barrier("joined");
    const result = await Promise.race([work(group), group.failed]);
    await Promise.race([group.closeEngine(), group.failed]);
    // The engine's threads call the store to the last; process 0 serves it until all are done.
    await store.leave(FAILURE);
    return result;
  } catch (thrown) {
    const error = firstError(thrown);
    // From here on a device may wait for ever, and Node with it.
    process.once("exit", (code) => exitNow(code));
    setTimeout(() => process.exit(process.exitCode || 1), GRACE_MS).unref();
    if (error !== group.failure) {
      const message = error instanceof Error ? error.message : String(error);
      await store.put(FAILURE, encode({ index, message } satisfies Failure)).catch(() => {});
    }
    store.abandon();
    throw error;
  }
}

async function alone<T>(work: (processes: Processes) => Promise<T>, open: typeof openEngine): Promise<T> {
  let engine: Engine | undefined;
  let failed = true;
  try {
    const result = await work({
      index: 0,
      count: 1,
      openEngine: async (name, options) => {
        engine = await open(name, options);
        return engine;
      },
      share: async (_name, make) => make(),
      forward: () => {},
    });
    failed = false;
    return result;
  } catch (error) {
    throw firstError(error);
  } finally {
    // What a broken device says while it is cleaned up hides why it broke.
    const closed = Promise.resolve(engine?.[Symbol.asyncDispose]());
    await (failed ? closed.catch(() => {}) : closed);
  }
}

class Group implements Processes {
  readonly index: number;
  readonly count: number;
  /** Rejects when another process has failed; never resolves. */
  readonly failed: Promise<never>;
  /** What `failed` has rejected with. */
  failure: Error | undefined;
  private engine: Engine | undefined;
  private readonly passing: string[] = [];

  constructor(
    place: ProcessGroup,
    private readonly store: Store,
    private readonly open: typeof openEngine,
  ) {
    this.index = place.index;
    this.count = place.count;
    this.failed = store.get(FAILURE, FOR_EVER_MS).then(
      (bytes) => this.fail(decode(bytes) as Failure),
      // Process 0 is gone, and the store with it.
      (error: Error) => {
        this.failure = error;
        throw error;
      },
    );
    this.failed.catch(() => {});
  }

  private fail({ index, message }: Failure): never {
    this.failure = new UsageError(
      `processes: all must work; process ${index} of ${this.count} has failed: ${message} ` +
        "Look into its log; the same command continues from the last checkpoint.",
    );
    throw this.failure;
  }

  async openEngine(name: string, options: Omit<EngineOptions, "processes"> = {}): Promise<Engine> {
    this.engine = await this.open(name, { ...options, processes: this.store.place });
    return this.engine;
  }

  async closeEngine(): Promise<void> {
    await this.engine?.[Symbol.asyncDispose]();
  }

  async share<T>(name: string, make: () => T | Promise<T>, keep = true): Promise<T> {
    const key = `share/${name}`;
    if (this.index !== 0) return decode(await this.store.get(key, FOR_EVER_MS)) as T;
    const value = await make();
    await this.store.put(key, encode(value));
    if (!keep) {
      this.passing.push(key);
      if (this.passing.length > SHARES_BEHIND) await this.store.remove(this.passing.shift()!);
    }
    return value;
  }

  forward(name: string, asked: AbortSignal | undefined, listener: () => void): void {
    const key = `asked/${name}`;
    const quietly = (work: Promise<unknown>) => void work.catch(() => {});
    if (this.index === 0) {
      quietly(this.store.get(key, FOR_EVER_MS).then(listener));
      return;
    }
    const ask = () => quietly(this.store.put(key, new Uint8Array(1)));
    if (asked?.aborted) ask();
    else asked?.addEventListener("abort", ask, { once: true });
  }
}
