/**
 * One writer per run. `lock-7.json` names the process of a run's seventh sitting; the highest number holds the run, and
 * no number is given twice: a sitting that ends leaves `.lock-7.free`. The file's time is renewed while the process
 * lives. Whoever finds a holder gone takes the next number: on this machine once its process has ended, on another once
 * its lease is over. A holder that was taken for gone finds the higher number before it writes again.
 */

import { randomUUID } from "node:crypto";
import { readFileSync, readlinkSync, statSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { type Disk, namesIn, removeQuietly, textOf } from "../core/disk.js";
import { UsageError } from "../core/errors.js";
import { withFileErrors } from "../core/files.js";

/** The code of the error that says that another process writes to the run. */
export const RUN_IS_HELD = "ERR_RUN_IS_HELD";
/** A holder on another machine whose lock is older than this is gone. */
export const LEASE_MS = 60_000;
const RENEW_MS = 10_000;
/** Sittings that are over sooner need no renewal, and no thread for it. */
const RENEW_FROM_MS = 1000;

interface Holder {
  readonly pid: number;
  readonly host: string;
  /** The machine's boot and the space in which `pid` counts; undefined where the system has no name for them. */
  readonly machine: string | undefined;
  /** When the process began, in the kernel's ticks; tells it from a later one with the same number. */
  readonly born: string | undefined;
  readonly since: string;
  /** Tells two sittings of one process apart. */
  readonly token?: string;
}

export interface Lock extends Disposable {
  readonly path: string;
  /** Throws `UsageError` when another process holds the run by now. */
  check(): void;
}

/** A lock file as it was seen: one that looks the same after a lease's time is nobody's. */
export interface Sighting {
  readonly path: string;
  readonly timeMs: number;
}

/** The holder is on another machine, and its lease is not over. */
export class LeasedElsewhere extends UsageError {
  constructor(
    message: string,
    readonly seen: Sighting,
    /** Until the lease is over, if nobody renews it. */
    readonly leftMs: number,
  ) {
    super(message, { code: RUN_IS_HELD });
  }
}

export interface LockOptions {
  /** A lock that looks like this is a gone holder's. */
  readonly gone?: Sighting | undefined;
  readonly leaseMs?: number;
  /** How often the lease is renewed. */
  readonly renewMs?: number;
}

/** How often others may be quicker before it is told. */
const TRIES = 5;

/**
 * Takes the lock of a run folder.
 * @throws UsageError when another live process holds it, `LeasedElsewhere` when that is on another machine.
 */
export function takeLock(
  disk: Disk,
  folder: string,
  { gone, leaseMs = LEASE_MS, renewMs = RENEW_MS }: LockOptions = {},
): Lock {
  const own: Holder = { ...thisProcess(), since: new Date().toISOString(), token: randomUUID() };
  const text = `${JSON.stringify(own)}\n`;
  const draft = join(folder, `.lock-draft-${process.pid}-${own.token}`);
  return withFileErrors("lock the run", folder, () => {
    try {
      disk.writeNew(draft, text);
      // Both times are the file system's own, whatever this machine's clock says.
      const now = statSync(draft).mtimeMs;
      for (let attempt = 0; attempt < TRIES; attempt++) {
        const numbers = sittingsIn(folder);
        for (const { number, held } of numbers)
          if (number === numbers.at(-1)!.number && held)
            refuseLive(join(folder, held), { now, gone, leaseMs });
        const number = (numbers.at(-1)?.number ?? 0) + 1;
        const path = join(folder, `lock-${number}.json`);
        // A link either makes the lock whole or fails because it is there; there is no half-written lock.
        if (!tryLink(disk, draft, path)) continue;
        if (isHighest(folder, number)) return hold(disk, folder, { number, text, renewMs });
        disk.remove(path);
      }
      throw new UsageError(
        `run: other processes have just taken it; got ${folder}. Wait for them, or choose another --name.`,
      );
    } finally {
      removeQuietly(disk, draft);
    }
  });
}

/**
 * `open`, and once more when a holder on another machine has not renewed its lease until its end.
 * @param say told that it waits, and how long at most.
 */
export async function whenLeaseEnds<T>(
  open: (gone?: Sighting) => T,
  say: (line: string) => void,
  leaseMs = LEASE_MS,
): Promise<T> {
  try {
    return open();
  } catch (error) {
    if (!(error instanceof LeasedElsewhere)) throw error;
    const { seen, leftMs } = error;
    const until = performance.now() + Math.min(leaseMs, Math.max(leftMs, 0));
    say(`Waits ${Math.ceil((until - performance.now()) / 1000)} s: ${seen.path} is of another machine.`);
    while (performance.now() < until) {
      await delay(Math.min(1000, leaseMs / 10));
      if (timeOf(seen.path) !== seen.timeMs) return open();
    }
    return open(seen);
  }
}

/** Whether a process that may be alive writes to the run. */
export function isHeld(folder: string, leaseMs = LEASE_MS): boolean {
  const { held } = sittingsIn(folder).at(-1) ?? {};
  if (held === undefined) return false;
  const path = join(folder, held);
  const holder = parseHolder(textOf(path) ?? "");
  const here = holder === undefined ? "unknown" : whereabouts(holder);
  return here === "here" || (here === "unknown" && Date.now() - (timeOf(path) ?? 0) < leaseMs);
}

/** `disk`, on which nothing is changed any more once another process holds the lock. */
export function fenced(disk: Disk, lock: Pick<Lock, "check">): Disk {
  const held = <A extends unknown[]>(change: (...args: A) => void) => {
    return (...args: A) => {
      lock.check();
      change(...args);
    };
  };
  return {
    makeFolder: held((path) => disk.makeFolder(path)),
    writeNew: held((path, content) => disk.writeNew(path, content)),
    append: held((path, content) => disk.append(path, content)),
    sync: (path) => disk.sync(path),
    rename: held((from, to) => disk.rename(from, to)),
    link: held((from, to) => disk.link(from, to)),
    remove: held((path) => disk.remove(path)),
  };
}

/** Throws while the holder that `path` names may be alive. */
function refuseLive(
  path: string,
  { now, gone, leaseMs }: { now: number; gone: Sighting | undefined; leaseMs: number },
): void {
  const timeMs = timeOf(path);
  const text = textOf(path);
  if (timeMs === undefined || text === undefined) return;
  const holder = parseHolder(text);
  const here = holder === undefined ? "unknown" : whereabouts(holder);
  if (here === "gone" || (gone?.path === path && gone.timeMs === timeMs)) return;
  const what =
    holder === undefined
      ? "a lock that cannot be read"
      : `process ${holder.pid}${here === "here" ? "" : ` on ${holder.host}`} since ${holder.since}`;
  if (here === "here") {
    throw new UsageError(
      `run: another process writes to it; got ${what} in ${path}. Wait for it, or choose another --name.`,
      { code: RUN_IS_HELD },
    );
  }
  const leftMs = timeMs + leaseMs - now;
  if (leftMs <= 0) return;
  throw new LeasedElsewhere(
    `run: another process writes to it; got ${what} in ${path}, renewed ${Math.max(0, Math.round((now - timeMs) / 1000))} s ago. Wait for it, or choose another --name; if it is gone, the run is free ${Math.round(leaseMs / 1000)} s after that.`,
    { path, timeMs },
    leftMs,
  );
}

function hold(
  disk: Disk,
  folder: string,
  { number, text, renewMs }: { number: number; text: string; renewMs: number },
): Lock {
  const path = join(folder, `lock-${number}.json`);
  removeRemains(disk, folder, number);
  const renewal = renew(path, renewMs);
  const isOwn = () => textOf(path) === text;
  return {
    path,
    check() {
      if (isOwn() && isHighest(folder, number)) return;
      const other = sittingsIn(folder).at(-1);
      const by = parseHolder(textOf(join(folder, other?.held ?? "")) ?? "");
      throw new UsageError(
        `run: another process has taken it over; got ${by === undefined ? `no lock of this process` : `process ${by.pid} on ${by.host} since ${by.since}`} in ${folder}. This process was taken for gone and writes nothing more.`,
      );
    },
    [Symbol.dispose]() {
      renewal[Symbol.dispose]();
      try {
        // A name needs no room: a full disk lets go all the same.
        if (isOwn()) disk.rename(path, join(folder, `.lock-${number}.free`));
      } catch {
        removeQuietly(disk, path);
      }
    },
  };
}

/** Renews the lock from a thread of its own, however long this one is busy. */
function renew(path: string, everyMs: number): Disposable {
  let worker: Worker | undefined;
  const timer = setTimeout(() => {
    worker = new Worker(new URL("./renewal.js", import.meta.url), {
      workerData: { path, everyMs },
      name: "lock",
      execArgv: [], // the process's own, such as --input-type, may not hold for a file
    });
    worker.unref();
    // Without renewal this machine still sees that the process lives.
    worker.on("error", () => {});
  }, RENEW_FROM_MS).unref();
  return {
    [Symbol.dispose]() {
      clearTimeout(timer);
      void worker?.terminate();
    },
  };
}

interface Sitting {
  readonly number: number;
  /** The file's name while it is held. */
  readonly held: string | undefined;
}

/** Sittings that have a file, in order; where a number was given twice, the one that is held comes last. */
const sittingsIn = (folder: string): Sitting[] =>
  namesIn(folder)
    .flatMap((name) => {
      const [, held, free] = /^(?:lock-(\d+)\.json|\.lock-(\d+)\.free)$/.exec(name) ?? [];
      const number = held ?? free;
      return number === undefined
        ? []
        : [{ number: Number(number), held: held === undefined ? undefined : name }];
    })
    .sort((a, b) => a.number - b.number || Number(a.held !== undefined) - Number(b.held !== undefined));

/** Nobody else has this number or a higher one. */
const isHighest = (folder: string, number: number): boolean =>
  sittingsIn(folder).filter((each) => each.number >= number).length === 1;

function tryLink(disk: Disk, from: string, to: string): boolean {
  try {
    disk.link(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

/** Removes the files of earlier sittings, and drafts of processes that were killed with them. */
function removeRemains(disk: Disk, folder: string, number: number): void {
  for (const name of namesIn(folder)) {
    const earlier = /^(?:lock-|\.lock-)(\d+)\.(?:json|free)$/.exec(name)?.[1];
    const path = join(folder, name);
    if (earlier !== undefined && Number(earlier) < number) removeQuietly(disk, path);
    const pid = /^\.lock-draft-(\d+)/.exec(name)?.[1];
    if (pid === undefined || Number(pid) === process.pid) continue;
    const holder = parseHolder(textOf(path) ?? "") ?? { ...thisProcess(), pid: Number(pid), born: undefined };
    if (whereabouts(holder) === "gone") removeQuietly(disk, path);
  }
}

const timeOf = (path: string): number | undefined => statSync(path, { throwIfNoEntry: false })?.mtimeMs;

function parseHolder(text: string): Holder | undefined {
  try {
    const holder = JSON.parse(text);
    return Number.isInteger(holder?.pid) && typeof holder.host === "string" ? holder : undefined;
  } catch {
    return undefined;
  }
}

const thisProcess = () => ({
  pid: process.pid,
  host: hostname(),
  machine: machine(),
  born: bornAt(process.pid),
});

/** A live process of this machine, one that has ended, or one that cannot be seen from here. */
function whereabouts({ pid, host, machine: its, born }: Omit<Holder, "since">): "here" | "gone" | "unknown" {
  if (host !== hostname() || its !== machine()) return "unknown";
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return "gone";
  }
  const now = bornAt(pid);
  return born !== undefined && now !== undefined && born !== now ? "gone" : "here";
}

function machine(): string | undefined {
  try {
    const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
    return `${boot} ${readlinkSync("/proc/self/ns/pid")}`;
  } catch {
    return undefined;
  }
}

/** Start of a process: field 22 of `/proc/PID/stat`; undefined where there is none. */
function bornAt(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The second field, the name, may hold spaces and brackets; the 22nd is the 20th after it.
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
  } catch {
    return undefined;
  }
}
