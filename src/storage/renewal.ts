/** The thread that renews a lock (`lock.ts`), until its process ends or lets go. */

import { closeSync, openSync, writeSync } from "node:fs";
import { workerData } from "node:worker_threads";

const { path, everyMs } = workerData as { readonly path: string; readonly everyMs: number };

function renew(): void {
  try {
    // The first byte as it is: what is written has the file system's time, and not this machine's.
    const file = openSync(path, "r+");
    try {
      writeSync(file, "{", 0);
    } finally {
      closeSync(file);
    }
  } catch {
    // Without a lock there is nothing to renew: its process finds out before it writes.
  }
}

renew();
setInterval(renew, everyMs);
