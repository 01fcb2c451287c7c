/**
 * Files from the web, kept in the cache folder. Only whole files are kept: the server's length comes out right, or the
 * end of the file is certain. A kept file is asked after again (ETag, Last-Modified) once it was not for an hour.
 */
import { createHash } from "node:crypto";
import {
  createWriteStream,
  existsSync,
  readdirSync,
  renameSync,
  rmSync,
  statfsSync,
  statSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { setTimeout as wait } from "node:timers/promises";
import { cacheFolder } from "../../core/cache-folder.js";
import { makeFolder } from "../../core/disk.js";
import { UsageError } from "../../core/errors.js";
import { fileError, readJson, withFileErrors, writeJsonAtomic } from "../../core/files.js";
import type { DatasetOptions } from "./options.js";
import { readTar } from "./tars/tar.js";
import { FileWindow } from "./tars/tar-fields.js";

export interface DownloadLimits {
  /** Bytes of one file; default 1 TiB. */
  readonly bytes: number;
  /** Without a byte for so long, a transfer has stopped; default 60 s. */
  readonly idleMs: number;
  /** Of one transfer; default 12 h. */
  readonly totalMs: number;
  /** Further tries after what may pass: statuses 408, 429 and 5xx, transfers that stop; default 4. */
  readonly retries: number;
  /** Before the second try, doubled before each further one; default 1 s. */
  readonly waitMs: number;
  /** A kept file is not asked after again for so long; default 1 h. */
  readonly freshMs: number;
}

const LIMITS: DownloadLimits = {
  bytes: 2 ** 40,
  idleMs: 60_000,
  totalMs: 12 * 3_600_000,
  retries: 4,
  waitMs: 1000,
  freshMs: 3_600_000,
};
/** The longest wait that a server's Retry-After is granted. */
const MOST_WAIT_MS = 60_000;
/** A piece of a download that nobody wrote to for so long was left by a killed process. */
const STALE_MS = 3_600_000;

/** What is kept of a file's headers, to ask after it again. */
interface Kept {
  readonly etag?: string;
  readonly lastModified?: string;
  readonly askedMs: number;
}

/** What may pass: another try makes sense. */
class Passing extends Error {
  constructor(
    message: string,
    readonly waitMs?: number,
  ) {
    super(message);
  }
}

/** The local copy of `url`. Throws `UsageError` with the status or the network's reason. */
export async function download(
  url: string,
  options: DatasetOptions,
  limits: Partial<DownloadLimits> = {},
): Promise<string> {
  const all = { ...LIMITS, ...limits };
  const path = placeOf(url, options);
  let kept = keptOf(path);
  if (kept !== undefined && Date.now() - kept.askedMs < all.freshMs) return path;
  if (kept !== undefined && kept.etag === undefined && kept.lastModified === undefined) return path;
  withFileErrors("write", path, () => {
    makeFolder(dirname(path));
    removeLeftovers(dirname(path));
  });
  for (let tries = 0; ; tries++) {
    try {
      await transfer(url, path, kept, options, all);
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

function placeOf(url: string, options: DatasetOptions): string {
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

function removeLeftovers(folder: string): void {
  for (const name of readdirSync(folder)) {
    if (!name.endsWith(".partial")) continue;
    const path = join(folder, name);
    const stats = statSync(path, { throwIfNoEntry: false });
    if (stats !== undefined && Date.now() - stats.mtimeMs > STALE_MS) rmSync(path, { force: true });
  }
}

/** One try. Throws `Passing` where another makes sense. */
async function transfer(
  url: string,
  path: string,
  kept: Kept | undefined,
  options: DatasetOptions,
  limits: DownloadLimits,
): Promise<void> {
  const stop = new AbortController();
  const idle = setTimeout(
    () => stop.abort(new Error(`nothing came for ${limits.idleMs / 1000} s`)),
    limits.idleMs,
  );
  const total = setTimeout(
    () => stop.abort(new Error(`it took more than ${limits.totalMs / 1000} s`)),
    limits.totalMs,
  );
  const partial = `${path}.${process.pid}.partial`;
  try {
    const response = await request(url, kept, stop.signal);
    if (response.status === 304) {
      writeJsonAtomic(`${path}.json`, { ...kept, askedMs: Date.now() });
      return;
    }
    if (!response.ok || response.body === null) throw refusal(url, response);
    options.onProgress?.(`fetching ${url}`);
    const expected = expectedBytes(url, path, response, limits);
    let got = 0;
    const meter = new Transform({
      transform(piece: Buffer, _, done) {
        idle.refresh();
        got += piece.length;
        if (got > limits.bytes) done(tooLarge(url, got, limits));
        else done(null, piece);
      },
    });
    const body = Readable.fromWeb(response.body as Parameters<typeof Readable.fromWeb>[0]);
    await pipeline(body, meter, createWriteStream(partial), { signal: stop.signal });
    if (expected !== undefined && expected !== got) throw new Passing(`got ${got} of ${expected} bytes`);
    checkContent(url, path, partial, response, expected);
    renameSync(partial, path);
    const [etag, lastModified] = ["etag", "last-modified"].map((name) => response.headers.get(name));
    writeJsonAtomic(`${path}.json`, {
      url,
      ...(etag == null ? {} : { etag }),
      ...(lastModified == null ? {} : { lastModified }),
      askedMs: Date.now(),
    });
  } catch (error) {
    if (stop.signal.aborted) throw new Passing((stop.signal.reason as Error).message);
    if (error instanceof UsageError || error instanceof Passing) throw error;
    const refused = fileError(error, "write", partial);
    if (refused instanceof UsageError && (error as NodeJS.ErrnoException).path !== undefined) throw refused;
    throw new Passing(`the transfer broke off (${reasonOf(error)})`);
  } finally {
    clearTimeout(idle);
    clearTimeout(total);
    stop.abort();
    rmSync(partial, { force: true });
  }
}

const reasonOf = (error: unknown): string => {
  const { cause, message } = error as Error;
  return cause instanceof Error ? cause.message || String((cause as NodeJS.ErrnoException).code) : message;
};

/** Of the network: that there is no such host, or nobody who answers there, will not pass by waiting. */
const LASTING = new Set([
  "ENOTFOUND",
  "ECONNREFUSED",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "EACCES",
  "ERR_INVALID_URL",
]);

async function request(url: string, kept: Kept | undefined, signal: AbortSignal): Promise<Response> {
  const headers: Record<string, string> = { "accept-encoding": "identity" };
  if (kept?.etag !== undefined) headers["if-none-match"] = kept.etag;
  if (kept?.lastModified !== undefined) headers["if-modified-since"] = kept.lastModified;
  try {
    return await fetch(url, { headers, signal });
  } catch (error) {
    if (signal.aborted) throw error;
    const { cause } = error as { cause?: NodeJS.ErrnoException & { errors?: NodeJS.ErrnoException[] } };
    const code = cause?.code ?? cause?.errors?.[0]?.code;
    const passes = code !== undefined && !LASTING.has(code);
    if (passes || kept !== undefined) throw new Passing(`the request failed (${reasonOf(error)})`);
    throw new UsageError(`download ${url}: failed (${reasonOf(error)}). Check the address and the network.`);
  }
}

function refusal(url: string, { status, statusText, headers }: Response): Error {
  if (status === 408 || status === 429 || status >= 500) {
    const seconds = Number(headers.get("retry-after") ?? Number.NaN);
    const waitMs = seconds >= 0 ? Math.min(MOST_WAIT_MS, seconds * 1000) : undefined;
    return new Passing(`got status ${status} ${statusText}`.trim(), waitMs);
  }
  return new UsageError(
    `download ${url}: failed; got status ${status} ${statusText}`.trim().concat(". Check the address."),
  );
}

const tooLarge = (url: string, bytes: number, limits: DownloadLimits): UsageError =>
  new UsageError(
    `download ${url}: must have at most ${limits.bytes} bytes; got ${bytes}. Fetch it by other means.`,
  );

/** Bytes that are to come, where the server says so. Throws `UsageError` where they are too many, or do not fit. */
function expectedBytes(
  url: string,
  path: string,
  { headers }: Response,
  limits: DownloadLimits,
): number | undefined {
  const stated = headers.get("content-length");
  if (stated === null || headers.has("content-encoding")) return undefined;
  const bytes = Number(stated);
  if (bytes > limits.bytes) throw tooLarge(url, bytes, limits);
  const { bavail, bsize } = statfsSync(dirname(path));
  if (bytes > bavail * bsize) {
    throw new UsageError(
      `download ${url}: needs ${bytes} bytes, and ${dirname(path)} has ${bavail * bsize} free. Free space there, or set CLIPWRIGHT_CACHE to another folder.`,
    );
  }
  return bytes;
}

/**
 * Throws where what came is not what was asked for: a page of a proxy or a portal, or a file of which nobody knows whether
 * it is whole, as neither a length, nor chunks, nor its own end tells.
 */
function checkContent(
  url: string,
  path: string,
  partial: string,
  { headers }: Response,
  expected: number | undefined,
): void {
  const type = headers.get("content-type") ?? "";
  const no = (what: string): UsageError =>
    new UsageError(`download ${url}: ${what}. Look at the address in a browser.`);
  if (/^text\/html/i.test(type)) throw no("must be data; got a web page");
  const isTar = /\.tar$/i.test(path);
  const damage = isTar ? tarDamage(partial) : undefined;
  if (damage !== undefined && /is not a tar|is empty/.test(damage)) throw no(damage);
  const certain =
    expected !== undefined ||
    headers.has("content-length") ||
    headers.get("transfer-encoding") === "chunked" ||
    (isTar && damage === undefined);
  if (certain) return;
  throw new UsageError(
    `download ${url}: the server does not say how long it is${damage === undefined ? "" : `, and the tar ${damage}`}. Fetch it by other means.`,
  );
}

function tarDamage(path: string): string | undefined {
  const file = new FileWindow(path);
  try {
    return readTar(file).damage;
  } finally {
    file.close();
  }
}
