/**
 * Files from the web, kept in the cache folder. Only whole files are kept: the server's length comes out right, or the
 * end of the file is certain, and its hash is the wanted one. A transfer that was cut is gone on with. A kept file is asked
 * after again (ETag, Last-Modified) once it was not for an hour.
 */
import { createHash } from "node:crypto";
import { existsSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { cacheFolder } from "../cache-folder.js";
import { makeFolder } from "../disk.js";
import { UsageError } from "../errors.js";
import { readJson, withFileErrors, writeJsonAtomic } from "../files.js";
import { type DownloadLimits, type Kept, Passing, type TransferOptions, transfer } from "./transfer.js";

export type { DownloadLimits, FileHash } from "./transfer.js";

export interface DownloadOptions extends TransferOptions {
  /** Where files are kept. Default: `cacheFolder()`. */
  readonly cacheDir?: string | undefined;
  /**
   * Where this one is kept, of which there is one version: once it is there, it is not asked after. Default: a place in
   * `cacheDir` by its address.
   */
  readonly path?: string | undefined;
}

const LIMITS: DownloadLimits = {
  bytes: 2 ** 40,
  idleMs: 60_000,
  totalMs: 12 * 3_600_000,
  retries: 4,
  waitMs: 1000,
  freshMs: 3_600_000,
};
/** The local copy of `url`. Throws `UsageError` with the status or the network's reason. */
export async function download(
  url: string,
  options: DownloadOptions,
  limits: Partial<DownloadLimits> = {},
): Promise<string> {
  const all = { ...LIMITS, ...limits };
  const path = options.path ?? placeOf(url, options);
  if (options.path !== undefined && existsSync(path)) return path;
  let kept = keptOf(path);
  if (kept !== undefined && Date.now() - kept.askedMs < all.freshMs) return path;
  if (kept !== undefined && kept.etag === undefined && kept.lastModified === undefined) return path;
  withFileErrors("write", path, () => makeFolder(dirname(path)));
  for (let tries = 0; ; tries++) {
    try {
      const headers = await transfer(url, path, kept, options, all);
      if (options.path === undefined) writeJsonAtomic(`${path}.json`, headers);
      return path;
    } catch (error) {
      if (!(error instanceof Passing)) throw error;
      if (tries < all.retries) {
        const waitMs = error.waitMs ?? all.waitMs * 2 ** tries;
        options.onProgress?.(`${url}: ${error.message}; trying again in ${Math.ceil(waitMs / 1000)} s`);
        await wait(waitMs);
        kept = keptOf(path);
        continue;
      }
      if (kept === undefined) {
        const count = tries === 0 ? "" : ` after ${tries + 1} tries`;
        throw new UsageError(`download ${url}: failed${count}; ${error.message}. Run it again later.`);
      }
      options.onProgress?.(`${url}: ${error.message}; the copy of before is used`);
      return path;
    }
  }
}

function placeOf(url: string, options: DownloadOptions): string {
  if (!URL.canParse(url)) {
    throw new UsageError(`download ${url}: is no web address. Write https://host/path/file.tar.`);
  }
  const name = basename(new URL(url).pathname).slice(-128) || "file";
  const hash = createHash("sha256").update(url).digest("hex").slice(0, 16);
  return join(options.cacheDir ?? cacheFolder(), "downloads", hash, name);
}

/** What is known of the whole file at `path`; undefined when there is none. */
function keptOf(path: string): Kept | undefined {
  if (!existsSync(path)) return undefined;
  try {
    const { etag, lastModified, askedMs } = readJson(`${path}.json`) as Record<string, unknown>;
    return {
      ...(typeof etag === "string" ? { etag } : {}),
      ...(typeof lastModified === "string" ? { lastModified } : {}),
      askedMs: typeof askedMs === "number" ? askedMs : 0,
    };
  } catch {
    return { askedMs: statSync(path).mtimeMs }; // the file itself is whole
  }
}
