/** The process that runs the cases: `child.js TARGET SEED FROM TO`. What goes wrong in it ends nothing but itself. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { Unsupported, UsageError } from "../../src/core/errors.js";
import type { FuzzInput } from "./mutate.js";
import { caseOf, type FuzzTarget } from "./target.js";
import { targets } from "./targets/index.js";

/** What the child tells its parent: that a case begins, and how it ended. */
export type Told =
  | { readonly begins: number }
  | {
      readonly ends: number;
      readonly outcome: "read" | "refused" | "failed";
      /** What went wrong, with where. */
      readonly failure?: string;
      /** The largest memory of the process so far, bytes. */
      readonly peakBytes: number;
    };

/** More than any message has. */
const MOST_CHARACTERS = 2100;

/** Runs one input; gives what is wrong with how it ended, or how it ended. */
async function outcomeOf(
  target: FuzzTarget,
  folder: string,
  input: FuzzInput,
): Promise<{ outcome: "read" | "refused" } | { outcome: "failed"; failure: string }> {
  for (const [name, bytes] of Object.entries(input)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), bytes);
  }
  try {
    await target.run(folder, input);
    return { outcome: "read" };
  } catch (error) {
    if (!(error instanceof UsageError || error instanceof Unsupported)) {
      return { outcome: "failed", failure: error instanceof Error ? (error.stack ?? "") : String(error) };
    }
    const { message } = error;
    if (/[\n\r]|^$/.test(message) || message.length > MOST_CHARACTERS) {
      return { outcome: "failed", failure: `a message of ${message.length} characters: ${error.stack}` };
    }
    return { outcome: "refused" };
  }
}

const [name, seed, from, to] = process.argv.slice(2);
const target = targets.find((one) => one.name === name)!;
const tell = (told: Told): Promise<void> =>
  new Promise((resolve, reject) =>
    process.send!(told, (error: Error | null) => (error ? reject(error) : resolve())),
  );
const root = mkdtempSync(join(tmpdir(), "clipwright-fuzz-"));
let failLater: ((failure: string) => void) | undefined;
for (const event of ["uncaughtException", "unhandledRejection"] as const) {
  process.on(event, (error: unknown) =>
    failLater?.(`outside of the call: ${error instanceof Error ? error.stack : String(error)}`),
  );
}
try {
  const seeds = await target.seeds();
  for (let number = Number(from); number < Number(to); number++) {
    await tell({ begins: number });
    const folder = join(root, String(number));
    mkdirSync(folder);
    const outside = new Promise<{ outcome: "failed"; failure: string }>((resolve) => {
      failLater = (failure) => resolve({ outcome: "failed", failure });
    });
    const input = caseOf(target, seeds, Number(seed), number);
    const ended = await Promise.race([outcomeOf(target, folder, input), outside]);
    rmSync(folder, { recursive: true, force: true });
    await tell({ ends: number, ...ended, peakBytes: process.resourceUsage().maxRSS * 1024 });
  }
} finally {
  rmSync(root, { recursive: true, force: true });
}
process.exit(0);
