/** Files from the web, kept in the cache folder: each is fetched once, and only whole files are kept. */
import { createHash } from "node:crypto";
import { createWriteStream, existsSync, mkdirSync, renameSync, rmSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { cacheFolder } from "../../core/cache-folder.js";
import { UsageError } from "../../core/errors.js";
import type { DatasetOptions } from "./options.js";

/** The local copy of `url`. Throws `UsageError` with the status or the network's reason. */
export async function download(url: string, options: DatasetOptions): Promise<string> {
  const folder = join(
    options.cacheDir ?? cacheFolder(),
    "downloads",
    createHash("sha256").update(url).digest("hex").slice(0, 16),
  );
  const path = join(folder, basename(new URL(url).pathname) || "file");
  if (existsSync(path)) return path;
  options.onProgress?.(`fetching ${url}`);
  let response: Response;
  try {
    response = await fetch(url);
  } catch (error) {
    const cause = (error as Error).cause;
    throw new UsageError(
      `download ${url}: failed (${cause instanceof Error ? cause.message || (cause as NodeJS.ErrnoException).code : (error as Error).message}). Check the address and the network.`,
    );
  }
  if (!response.ok || response.body === null) {
    throw new UsageError(
      `download ${url}: failed; got status ${response.status} ${response.statusText}. Check the address.`,
    );
  }
  mkdirSync(folder, { recursive: true });
  const partial = `${path}.${process.pid}.partial`;
  try {
    await pipeline(
      Readable.fromWeb(response.body as Parameters<typeof Readable.fromWeb>[0]),
      createWriteStream(partial),
    );
    const expected = response.headers.get("content-length");
    const got = statSync(partial).size;
    if (expected !== null && !response.headers.has("content-encoding") && Number(expected) !== got) {
      throw new Error(`got ${got} of ${expected} bytes`);
    }
    renameSync(partial, path);
  } catch (error) {
    rmSync(partial, { force: true });
    throw new UsageError(`download ${url}: broke off (${(error as Error).message}). Run it again.`);
  }
  return path;
}
