/**
 * Runs cases of a target in child processes: a case that hangs, or ends the process, is told by its number, and the next
 * child goes on behind it.
 */
import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Told } from "./child.js";

export interface FuzzOptions {
  /** Cases 0 … cases-1. */
  readonly cases: number;
  /** The first case; default 0. */
  readonly from?: number;
  /** Default 1. */
  readonly seed?: number;
  /** A case that takes longer has hung; default 30 s. */
  readonly limitMs?: number;
  /** The child's memory that counts as too much; default 1 GiB. */
  readonly limitBytes?: number;
  readonly onCase?: (done: number) => void;
}

export interface FuzzFailure {
  readonly case: number;
  readonly what: string;
}

export interface FuzzSummary {
  readonly target: string;
  readonly read: number;
  readonly refused: number;
  readonly failures: readonly FuzzFailure[];
  readonly peakBytes: number;
}

const MOST_FAILURES = 20;
const CHILD = fileURLToPath(new URL("./child.js", import.meta.url));

/** Runs the cases of the target called `name`; stops after 20 failures. */
export async function fuzz(name: string, options: FuzzOptions): Promise<FuzzSummary> {
  const counts = { read: 0, refused: 0, failed: 0 };
  const failures: FuzzFailure[] = [];
  let peakBytes = 0;
  let next = options.from ?? 0;
  while (next < options.cases && failures.length < MOST_FAILURES) {
    const { died, at } = await runChild(name, next, options, (told) => {
      if (!("ends" in told)) return;
      counts[told.outcome]++;
      if (told.failure !== undefined) failures.push({ case: told.ends, what: told.failure });
      peakBytes = Math.max(peakBytes, told.peakBytes);
      options.onCase?.(told.ends + 1);
    });
    if (died !== undefined) failures.push({ case: at, what: died });
    next = at + 1;
  }
  const { limitBytes = 2 ** 30 } = options;
  if (peakBytes > limitBytes) {
    failures.push({ case: -1, what: `took ${Math.round(peakBytes / 2 ** 20)} MiB of memory` });
  }
  return { target: name, read: counts.read, refused: counts.refused, failures, peakBytes };
}

/** One child from case `from` on; gives the last case that it began, and how it died if it did not end by itself. */
function runChild(
  name: string,
  from: number,
  { cases, seed = 1, limitMs = 30_000 }: FuzzOptions,
  onTold: (told: Told) => void,
): Promise<{ died?: string; at: number }> {
  return new Promise((resolve, reject) => {
    const words = [name, seed, from, cases].map(String);
    const child = fork(CHILD, words, {
      execArgv: ["--max-old-space-size=768"],
      stdio: ["ignore", "ignore", "pipe", "ipc"],
    });
    let at = from;
    let hung = false;
    let said = "";
    child.stderr!.setEncoding("utf8").on("data", (text: string) => {
      said = (said + text).slice(-2000);
    });
    const watch = setTimeout(() => {
      hung = true;
      child.kill("SIGKILL");
    }, limitMs);
    child.on("message", (told: Told) => {
      watch.refresh();
      if ("begins" in told) at = told.begins;
      onTold(told);
    });
    child.on("error", reject);
    child.on("close", (code, signal) => {
      clearTimeout(watch);
      if (hung) resolve({ died: `did not end within ${limitMs / 1000} s`, at });
      else if (code === 0) resolve({ at: cases - 1 });
      else resolve({ died: `ended the process (${signal ?? `code ${code}`}): ${said}`, at });
    });
  });
}
