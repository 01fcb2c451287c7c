/** What this machine's processor is, as far as engines differ by it. */

import { readFileSync } from "node:fs";
import { cpus } from "node:os";

export interface Processor {
  /** As the system names it. */
  readonly name: string;
  /** Whether it multiplies bf16 with instructions of its own: AVX-512 BF16, AMX, or ARM's BFMMLA. */
  readonly bf16: boolean;
}

let known: Processor | undefined;

/** Read once a process; without Linux's list of instructions, none in bf16 are assumed. */
export function processor(): Processor {
  if (known === undefined) {
    let flags = "";
    try {
      flags = /^(?:flags|Features)\s*:(.*)$/m.exec(readFileSync("/proc/cpuinfo", "utf8"))?.[1] ?? "";
    } catch {
      // Not Linux.
    }
    known = {
      name: cpus()[0]?.model ?? process.arch,
      bf16: flags.split(/\s+/).some((flag) => ["avx512_bf16", "amx_bf16", "bf16"].includes(flag)),
    };
  }
  return known;
}
