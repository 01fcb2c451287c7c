/** The store that the processes of a run share: for PJRT by callbacks, for the trainer by promises. */

import { MessageChannel, type MessagePort, Worker } from "node:worker_threads";
import { InternalError, UsageError } from "../../core/errors.js";
import { cLibrary } from "../native.js";
import type { ProcessGroup } from "../processes.js";
import type { StoreCallbacks } from "./client.js";
import type { Kind } from "./store-wire.js";
import { MAILBOX_BYTES, type WorkerData } from "./store-worker.js";
import type { ProcessPlace } from "./xla.js";

/** Processes of one job start within this time of each other. */
const JOIN_MS = 300_000;

type Member = Pick<ProcessGroup, "index" | "count"> & { readonly localIndex?: number | undefined };

export class Store implements AsyncDisposable {
  private nextId = 0;
  private abandoned = false;
  private readonly open = new Map<
    number,
    { resolve: (value: Uint8Array | undefined) => void; reject: (error: Error) => void }
  >();

  private constructor(
    readonly group: Member,
    readonly callbacks: StoreCallbacks,
    private readonly link: Worker,
    private readonly others: readonly Worker[],
  ) {
    link.on("message", ({ id, value, failed }: { id: number; value?: Uint8Array; failed?: string }) => {
      const waiting = this.open.get(id);
      this.open.delete(id);
      if (this.open.size === 0) link.unref();
      if (failed === undefined) waiting?.resolve(value);
      else waiting?.reject(new UsageError(failed));
    });
  }

  /**
   * Joins the store of `group`; process 0 serves it at `listen` (default `host`) for those who know `token` (default
   * none). Waits for process 0 for `joinMs` (default 5 minutes). Throws `UsageError` when the port is taken, nobody
   * answers, or whoever answers has another token.
   */
  static async join(
    group: Member & Pick<ProcessGroup, "host" | "port"> & Partial<Pick<ProcessGroup, "listen" | "token">>,
    joinMs = JOIN_MS,
  ): Promise<Store> {
    const workers: Worker[] = [];
    const start = async (data: WorkerData, transfer: readonly MessagePort[] = []) => {
      const { worker, ready } = spawn(data, transfer);
      workers.push(worker);
      return { worker, callbacks: (await ready).callbacks ?? {} };
    };
    try {
      const { index, host, port, listen = host, token = "" } = group;
      if (index === 0) await start({ role: "server", listen, port, token });
      const to = index === 0 ? listen : host;
      const { worker: link } = await start({ role: "link", host: to, port, token, timeoutMs: joinMs });
      const ask = async (role: "reader" | "writer") => {
        const { port1, port2 } = new MessageChannel();
        const mailbox = new SharedArrayBuffer(MAILBOX_BYTES);
        link.postMessage({ asker: port1, mailbox }, [port1]);
        return (await start({ role, link: port2, mailbox } satisfies WorkerData, [port2])).callbacks;
      };
      const { get } = await ask("reader");
      const { put, tryGet } = await ask("writer");
      if (get === undefined || put === undefined || tryGet === undefined) {
        throw new InternalError("processes: a thread of the store registered no callbacks");
      }
      return new Store(
        group,
        { get, put, tryGet },
        link,
        workers.filter((w) => w !== link),
      );
    } catch (error) {
      await Promise.all(workers.map((w) => w.terminate()));
      throw error;
    }
  }

  /** What `Xla.open` takes. */
  get place(): ProcessPlace {
    const { index, count, localIndex } = this.group;
    return { index, count, localIndex, store: this.callbacks };
  }

  private ask(
    kind: Kind,
    key: string,
    value: Uint8Array,
    timeoutMs: number,
  ): Promise<Uint8Array | undefined> {
    const id = this.nextId++;
    return new Promise((resolve, reject) => {
      this.open.set(id, { resolve, reject });
      if (!this.abandoned) this.link.ref();
      this.link.postMessage({ id, question: { kind, key, value, timeoutMs } });
    });
  }

  /** Writes `value` under `key` for all processes. */
  async put(key: string, value: Uint8Array): Promise<void> {
    await this.ask("put", key, value, 0);
  }

  /** The value under `key`, once a process has written it. Throws `UsageError` after `timeoutMs`. */
  async get(key: string, timeoutMs: number): Promise<Uint8Array> {
    const value = await this.ask("get", key, new Uint8Array(), timeoutMs);
    if (value === undefined) {
      throw new UsageError(
        `processes: another process must write ${key}; got nothing within ${Math.round(timeoutMs / 1000)} s. ` +
          "Look into the logs of the others, and whether the launcher has started them all.",
      );
    }
    return value;
  }

  /** Takes a value away; none there is fine. */
  async remove(key: string): Promise<void> {
    await this.ask("remove", key, new Uint8Array(), 0);
  }

  /** What is put under `key` if this process goes away without a word; no `value` withdraws it. */
  async will(key: string, value?: Uint8Array): Promise<void> {
    await this.ask("will", key, value ?? new Uint8Array(), 0);
  }

  /** Returns when every process has called it with the same, unused `name`. */
  async barrier(name: string, timeoutMs = JOIN_MS): Promise<void> {
    const { index, count } = this.group;
    await this.put(`barrier/${name}/${index}`, new Uint8Array());
    for (let other = 0; other < count; other++) await this.get(`barrier/${name}/${other}`, timeoutMs);
  }

  /**
   * Waits until all processes leave, withdraws the will under `will`, and ends the threads; process 0, which serves
   * the others, goes last.
   */
  async leave(will?: string): Promise<void> {
    const { index, count } = this.group;
    await this.barrier("leave");
    if (will !== undefined) await this.will(will);
    // Process 0 may be gone before its answer is here: then it has read the word.
    if (index !== 0) await this.put(`left/${index}`, new Uint8Array()).catch(() => {});
    for (let other = 1; index === 0 && other < count; other++) await this.get(`left/${other}`, JOIN_MS);
    await this[Symbol.asyncDispose]();
  }

  /** Lets the process end although the store is open: PJRT may still be inside a callback. */
  abandon(): void {
    this.abandoned = true;
    for (const worker of [this.link, ...this.others]) worker.unref();
  }

  /** Ends the threads at once. PJRT must not call any more: dispose the engine first. */
  async [Symbol.asyncDispose](): Promise<void> {
    const workers = [this.link, ...this.others];
    for (const worker of workers) worker.ref(); // or the process could end before their end is told
    await Promise.all(workers.map((w) => w.terminate()));
  }
}

/** Ends the process at once: Node's own way waits for its threads, of which one may wait for a device for ever. */
export function exitNow(code: number): void {
  cLibrary().func("void _exit(int status)")(code);
}

function spawn(data: WorkerData, transfer: readonly MessagePort[]) {
  const worker = new Worker(new URL("./store-worker.js", import.meta.url), {
    workerData: data,
    transferList: [...transfer],
  });
  const ready = new Promise<{ callbacks?: Record<string, bigint> }>((resolve, reject) => {
    worker.once("message", (message: { callbacks?: Record<string, bigint>; failed?: string }) => {
      // A run that ends by an error is not kept alive by its store.
      worker.unref();
      if (message.failed === undefined) resolve(message);
      else reject(new UsageError(message.failed));
    });
    worker.once("error", reject);
  });
  return { worker, ready };
}
