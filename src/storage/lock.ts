/** One writer per run: a lock file with the writer's process, taken over when that process is gone. */

import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import { dirname, join } from "node:path";
import { type Disk, namesIn, removeQuietly, textOf } from "../core/disk.js";
import { UsageError } from "../core/errors.js";
import { withFileErrors } from "../core/files.js";

interface Owner {
  readonly pid: number;
  readonly host: string;
  /** When the process began, in the kernel's ticks; tells a process from a later one with the same number. */
  readonly born: string | undefined;
  readonly since: string;
}

const FILE = "lock.json";

export interface Lock extends Disposable {
  readonly path: string;
}

/**
 * Takes the lock of a run folder.
 * @throws UsageError when another live process, or one on another machine, holds it.
 */
export function takeLock(disk: Disk, folder: string): Lock {
  const path = join(folder, FILE);
  const own: Owner = {
    pid: process.pid,
    host: hostname(),
    born: bornAt(process.pid),
    since: new Date().toISOString(),
  };
  const text = `${JSON.stringify(own)}\n`;
  const draft = join(folder, `.lock-${process.pid}-${Date.now()}`);
  return withFileErrors("lock the run", folder, () => {
    try {
      disk.writeNew(draft, text);
      // A link either makes the lock whole or fails because it is there; there is no half-written lock.
      if (tryLink(disk, draft, path)) return held(disk, path, text);
      const found = textOf(path);
      const owner = found === undefined ? undefined : parseOwner(found);
      if (owner && !isGone(owner)) {
        const where = owner.host === own.host ? "" : ` on ${owner.host}`;
        throw new UsageError(
          `run: another process writes to it; got process ${owner.pid}${where} since ${owner.since} in ${path}. Wait for it, choose another --name, or delete the file if that process is gone.`,
        );
      }
      if (found !== undefined) takeAway(disk, path, found);
      if (tryLink(disk, draft, path)) return held(disk, path, text);
      throw new UsageError(
        `run: another process has just taken it; got ${path}. Wait for it, or choose another --name.`,
      );
    } finally {
      removeQuietly(disk, draft);
    }
  });
}

/** Moves a stale lock aside, unless another process was quicker and the file is a new one by now. */
function takeAway(disk: Disk, path: string, stale: string): void {
  const aside = `${path}.stale-${process.pid}`;
  try {
    disk.rename(path, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
    throw error;
  }
  if (textOf(aside) !== stale) tryLink(disk, aside, path);
  disk.remove(aside);
}

function tryLink(disk: Disk, from: string, to: string): boolean {
  try {
    disk.link(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

function held(disk: Disk, path: string, text: string): Lock {
  removeRemains(disk, dirname(path));
  return {
    path,
    [Symbol.dispose]() {
      if (textOf(path) === text) removeQuietly(disk, path);
    },
  };
}

/** Removes what processes left that were killed while they took the lock. */
function removeRemains(disk: Disk, folder: string): void {
  for (const name of namesIn(folder)) {
    const pid = /^(?:\.lock-|lock\.json\.stale-)(\d+)/.exec(name)?.[1];
    if (pid === undefined || Number(pid) === process.pid) continue;
    const path = join(folder, name);
    const owner = parseOwner(textOf(path) ?? "") ?? { pid: Number(pid), host: hostname(), born: undefined };
    if (isGone(owner)) removeQuietly(disk, path);
  }
}

function parseOwner(text: string): Owner | undefined {
  try {
    const owner = JSON.parse(text);
    return Number.isInteger(owner?.pid) && typeof owner.host === "string" ? owner : undefined;
  } catch {
    return undefined;
  }
}

/** True when the process has ended, as far as this machine can tell. */
function isGone({ pid, host, born }: Omit<Owner, "since">): boolean {
  if (host !== hostname()) return false;
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ESRCH";
  }
  const now = bornAt(pid);
  return born !== undefined && now !== undefined && born !== now;
}

/** Start of a process: the boot it belongs to and field 22 of `/proc/PID/stat`; undefined where there is none. */
function bornAt(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
    // The second field, the name, may hold spaces and brackets; the 22nd is the 20th after it.
    return `${boot}:${stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19]}`;
  } catch {
    return undefined;
  }
}
