/** Worker threads with a queue. Idle workers do not keep the process alive; a worker's end fails what it was doing. */
import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import { InternalError, UsageError } from "../../core/errors.js";
import { describePlace } from "../image-bytes.js";
import { READING_WORDS, type Reply, type Task, type WorkerSetup } from "./messages.js";

/** Tasks given to a worker ahead of its replies, so that it never waits for the main thread. */
const AHEAD = 2;

/** An image that is not read for so long is told: its disk or network does not answer. */
const SLOW_MS = 30_000;
/** A worker that does not end within this time hangs in the system and is left alone. */
const END_MS = 2000;

export interface PoolOptions {
  /** Told once of each image that a worker waits for; default a warning of the process. */
  readonly onSlow?: (line: string) => void;
  /** Default 30 s. */
  readonly slowMs?: number;
}

interface Waiting {
  readonly task: Task;
  readonly resolve: (reply: Reply) => void;
  readonly reject: (error: Error) => void;
}

interface Member {
  readonly worker: Worker;
  /** Images that it had begun when last looked at, and when that was. */
  begun: number;
  since: number;
  readonly running: Map<number, Waiting>;
}

/** Those with workers: the process's end stops them, too. */
const open = new Set<WorkerPool>();
process.on("exit", () => {
  for (const pool of open) pool.awaitModules();
});

/** One less than the cores, at least 1. */
export const defaultWorkers = (): number => Math.max(1, availableParallelism() - 1);

export class WorkerPool {
  readonly workers: number;
  private readonly members: Member[] = [];
  private readonly queue: Waiting[] = [];
  private nextId = 0;
  private holds = 0;
  private ended: Error | undefined;
  private closing = false;
  private readonly reading: Int32Array;
  private readonly watch: NodeJS.Timeout;

  /** Throws `UsageError` unless `workers` is a whole number ≥ 1. */
  constructor(
    private readonly setup: WorkerSetup,
    workers: number = defaultWorkers(),
    { onSlow = (line) => process.emitWarning(line, "Slow"), slowMs = SLOW_MS }: PoolOptions = {},
  ) {
    if (!(Number.isInteger(workers) && workers >= 1 && workers <= 256)) {
      throw new UsageError(`loader: workers is a whole number 1 … 256; got workers=${workers}.`);
    }
    this.workers = workers;
    const { origin: _, ...images } = setup.images; // of no use to a worker
    const memory = new SharedArrayBuffer(4 * READING_WORDS * workers);
    this.reading = new Int32Array(memory).fill(-1);
    this.watch = setInterval(() => this.tellSlow(slowMs, onSlow), slowMs / 4).unref();
    for (let i = 0; i < workers; i++) {
      const worker = new Worker(new URL("./worker.js", import.meta.url), {
        workerData: { ...setup, images, reading: { memory, worker: i } } satisfies WorkerSetup,
        name: `data-${i}`,
        execArgv: [], // the process's own, such as --input-type, may not hold for a file
      });
      worker.unref();
      const member: Member = { worker, running: new Map(), begun: -1, since: 0 };
      worker.on("message", (reply: Reply) => this.settle(member, reply));
      worker.on("error", (error) => this.fail(this.endOf(i, error)));
      worker.on("exit", (code) => this.fail(this.endOf(i, code)));
      this.members.push(member);
    }
    open.add(this);
  }

  /** Queues a task. The process may end before it does, unless held. */
  run(task: Task): Promise<Reply> {
    if (this.ended !== undefined) return Promise.reject(this.ended);
    return new Promise((resolve, reject) => {
      this.queue.push({ task, resolve, reject });
      this.feed();
    });
  }

  /** Keeps the process alive until `work` settles. */
  async hold<T>(work: Promise<T>): Promise<T> {
    if (this.holds++ === 0) for (const { worker } of this.members) worker.ref();
    try {
      return await work;
    } finally {
      if (--this.holds === 0 && !this.closing) for (const { worker } of this.members) worker.unref();
    }
  }

  /** Ends the workers; what they were doing fails. */
  async close(): Promise<void> {
    this.closing = true;
    for (const { worker } of this.members) worker.ref(); // or the process could end before this promise settles
    this.fail(new UsageError("loader: is closed. Make a new one."));
    clearInterval(this.watch);
    this.awaitModules();
    open.delete(this);
    const ends = Promise.all(this.members.map(({ worker }) => worker.terminate()));
    const patience = new Promise<void>((resolve) => setTimeout(resolve, END_MS).unref());
    await Promise.race([ends, patience]);
    for (const { worker } of this.members) worker.unref();
  }

  /** Blocks until all workers have loaded: stopped while it loads a native module, a thread takes the process along. */
  awaitModules(): void {
    for (let w = 0; w < this.workers; w++) Atomics.wait(this.reading, READING_WORDS * w + 2, -1, END_MS);
  }

  private feed(): void {
    while (this.queue.length > 0) {
      let free = this.members[0]!;
      for (const member of this.members) if (member.running.size < free.running.size) free = member;
      if (free.running.size >= AHEAD) return;
      const waiting = this.queue.shift()!;
      const id = this.nextId++;
      free.running.set(id, waiting);
      free.worker.postMessage({ id, task: waiting.task });
    }
  }

  /** Why a worker is no more, by what it threw or its exit code. */
  private endOf(worker: number, end: Error | number): Error {
    const code = typeof end === "number" ? end : (end as NodeJS.ErrnoException).code;
    if (typeof end !== "number" && code !== "ERR_WORKER_OUT_OF_MEMORY") {
      return new InternalError(`data worker ${worker}: stopped (${end.message}).`, { cause: end });
    }
    const why = typeof end === "number" ? `ended with code ${code}` : "ran out of memory";
    const index = this.reading[READING_WORDS * worker]!;
    const at = index < 0 ? "" : ` while it read ${describePlace(this.setup.images, index)}`;
    return new UsageError(
      `data worker ${worker}: ${why}${at}. Use fewer workers (--workers), and look at the data with clipwright inspect.`,
    );
  }

  /** Tells of workers that have been waiting for one image for `slowMs`, once each. */
  private tellSlow(slowMs: number, onSlow: (line: string) => void): void {
    for (const [w, member] of this.members.entries()) {
      const index = Atomics.load(this.reading, READING_WORDS * w);
      const begun = Atomics.load(this.reading, READING_WORDS * w + 1);
      if (index < 0 || begun !== member.begun) {
        member.begun = begun;
        member.since = performance.now();
      } else if (performance.now() - member.since >= slowMs) {
        member.since = Number.POSITIVE_INFINITY;
        const place = describePlace(this.setup.images, index);
        onSlow(
          `data worker ${w}: has waited ${Math.round(slowMs / 1000)} s for ${place}, whose disk or network does not answer. Wait, or end with Ctrl-C twice.`,
        );
      }
    }
  }

  private settle(member: Member, reply: Reply): void {
    const waiting = member.running.get(reply.id);
    member.running.delete(reply.id);
    if (reply.fault === undefined) waiting?.resolve(reply);
    else waiting?.reject(new InternalError(`data worker: ${reply.fault}`));
    this.feed();
  }

  private fail(error: Error): void {
    if (this.ended !== undefined) return;
    this.ended = error;
    for (const { running } of this.members) {
      for (const waiting of running.values()) waiting.reject(error);
      running.clear();
    }
    for (const waiting of this.queue.splice(0)) waiting.reject(error);
  }
}
