/** Worker threads with a queue. Idle workers do not keep the process alive; a worker's end fails what it was doing. */
import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import { InternalError, UsageError } from "../../core/errors.js";
import type { Reply, Task, WorkerSetup } from "./messages.js";

/** Tasks given to a worker ahead of its replies, so that it never waits for the main thread. */
const AHEAD = 2;

interface Waiting {
  readonly task: Task;
  readonly resolve: (reply: Reply) => void;
  readonly reject: (error: Error) => void;
}

interface Member {
  readonly worker: Worker;
  readonly running: Map<number, Waiting>;
}

/** One less than the cores, at least 1. */
export const defaultWorkers = (): number => Math.max(1, availableParallelism() - 1);

/** What a thread that stops means: too little of the machine for it, or a fault of ours. */
export function workerFailure(worker: number, error: Error): Error {
  const { code } = error as NodeJS.ErrnoException;
  if (code !== "ERR_WORKER_OUT_OF_MEMORY" && code !== "ERR_WORKER_INIT_FAILED")
    return new InternalError(`data worker ${worker}: stopped (${error.message}).`, { cause: error });
  return new UsageError(
    `workers: the machine must have room for them; got "${error.message}" (${code}) from data worker ${worker}. Lower --workers or --image-memory, or close other programs.`,
    { cause: error },
  );
}

export class WorkerPool {
  readonly workers: number;
  private readonly members: Member[] = [];
  private readonly queue: Waiting[] = [];
  private nextId = 0;
  private holds = 0;
  private ended: Error | undefined;
  private closing = false;

  /** Throws `UsageError` unless `workers` is a whole number ≥ 1. */
  constructor(setup: WorkerSetup, workers: number = defaultWorkers()) {
    if (!(Number.isInteger(workers) && workers >= 1 && workers <= 256)) {
      throw new UsageError(`loader: workers is a whole number 1 … 256; got workers=${workers}.`);
    }
    this.workers = workers;
    for (let i = 0; i < workers; i++) {
      const worker = new Worker(new URL("./worker.js", import.meta.url), {
        workerData: setup,
        name: `data-${i}`,
        execArgv: [], // the process's own, such as --input-type, may not hold for a file
      });
      worker.unref();
      const member: Member = { worker, running: new Map() };
      worker.on("message", (reply: Reply) => this.settle(member, reply));
      worker.on("error", (error) => this.fail(workerFailure(i, error)));
      worker.on("exit", (code) => this.fail(new InternalError(`data worker ${i}: ended with code ${code}.`)));
      this.members.push(member);
    }
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
    await Promise.all(this.members.map(({ worker }) => worker.terminate()));
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
