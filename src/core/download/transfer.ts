/** One transfer of a file from the web: into a piece beside its place, which a later try goes on with. */

import { createHash } from "node:crypto";
import { createReadStream, createWriteStream, readdirSync, renameSync, rmSync, statSync } from "node:fs";
import { hostname } from "node:os";
import { basename, dirname, join } from "node:path";
import { Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { UsageError } from "../errors.js";
import { fileError, freeBytes, readJson, writeJsonAtomic } from "../files.js";

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

/** What a file must be, by one of the two hashes that Hugging Face's hub gives. */
export interface FileHash {
  /** `git`: SHA-1 of "blob LENGTH\0" and the bytes. */
  readonly algorithm: "sha256" | "git";
  readonly hex: string;
}

export interface TransferOptions {
  /** Sent along, e.g. an authorization; a redirect to another host does without it. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Told in a line that a file is fetched, or tried again. */
  readonly onProgress?: ((line: string) => void) | undefined;
  /** Told how many bytes are there, and of how many. */
  readonly onBytes?: ((done: number, total: number | undefined) => void) | undefined;
  /** Default: not checked. */
  readonly hash?: FileHash | undefined;
  /** Of a form that tells its own end: what is wrong with a file, undefined where it is whole. Default: there is none. */
  readonly ownEnd?: ((path: string) => string | undefined) | undefined;
}

/** What is kept of a file's headers, to ask after it again. */
export interface Kept {
  readonly url?: string;
  readonly etag?: string;
  readonly lastModified?: string;
  readonly askedMs: number;
}

/** What may pass: another try makes sense. */
export class Passing extends Error {
  constructor(
    message: string,
    readonly waitMs?: number,
  ) {
    super(message);
  }
}

/** The longest wait that a server's Retry-After is granted. */
const MOST_WAIT_MS = 60_000;
/** A piece of a download that nobody wrote to for so long was left by a killed process, whichever machine's. */
const STALE_MS = 3_600_000;

/** A piece of a file, of which more can be asked for as long as the server has the same. */
interface Piece {
  readonly path: string;
  readonly etag: string;
  readonly bytes: number;
}

const PARTIAL = ".partial";
/** Says of a piece whose it is, and of which file of the server's. */
const noteOf = (partial: string): string => `${partial}.json`;

/**
 * Takes over the largest piece of the file at `path` that a process of before left, as `own`; removes others that are old.
 * A piece is left when its process is gone, or wrote nothing for an hour.
 */
function takeOver(path: string, own: string): Piece | undefined {
  const folder = dirname(path);
  let best: Piece | undefined;
  for (const name of readdirSync(folder)) {
    if (!name.startsWith(`${basename(path)}.`) || !name.endsWith(PARTIAL)) continue;
    const partial = join(folder, name);
    const stats = statSync(partial, { throwIfNoEntry: false });
    if (stats === undefined) continue;
    const note = noteIn(partial);
    const isStale = Date.now() - stats.mtimeMs > STALE_MS;
    const isLeft = partial === own || isStale || (note?.host === hostname() && !isAlive(note.pid));
    if (!isLeft) continue;
    if (note === undefined || stats.size === 0 || (best !== undefined && best.bytes >= stats.size)) {
      removePiece(partial);
      continue;
    }
    if (best !== undefined) removePiece(best.path);
    best = { path: partial, etag: note.etag, bytes: stats.size };
  }
  if (best === undefined || best.path === own) return best;
  try {
    renameSync(best.path, own);
    rmSync(noteOf(best.path), { force: true });
  } catch {
    return undefined; // another process was first
  }
  const taken = { ...best, path: own };
  writeNote(taken);
  return taken;
}

function noteIn(partial: string): { etag: string; host: string; pid: number } | undefined {
  try {
    const { etag, host, pid } = readJson(noteOf(partial)) as Record<string, unknown>;
    const sound = typeof etag === "string" && typeof host === "string" && typeof pid === "number";
    return sound ? { etag, host, pid } : undefined;
  } catch {
    return undefined;
  }
}

const writeNote = ({ path, etag }: Pick<Piece, "path" | "etag">): void =>
  writeJsonAtomic(noteOf(path), { etag, host: hostname(), pid: process.pid });

function removePiece(partial: string): void {
  rmSync(partial, { force: true });
  rmSync(noteOf(partial), { force: true });
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "ESRCH";
  }
}

/** The piece of the file at `path` that this process writes. */
const ownPiece = (path: string): string => `${path}.${process.pid}${PARTIAL}`;

/** Only a strong ETag promises the same bytes. */
const strongTag = (headers: Headers): string | undefined => {
  const etag = headers.get("etag");
  return etag === null || etag.startsWith("W/") ? undefined : etag;
};

/**
 * One try: the file at `path` is there afterwards, whole, and what is to be kept of its headers is given. Throws `Passing`
 * where another try makes sense, which goes on with the piece that is there.
 */
export async function transfer(
  url: string,
  path: string,
  kept: Kept | undefined,
  options: TransferOptions,
  limits: DownloadLimits,
): Promise<Kept> {
  const stop = new AbortController();
  const idle = setTimeout(
    () => stop.abort(new Error(`nothing came for ${limits.idleMs / 1000} s`)),
    limits.idleMs,
  );
  const total = setTimeout(
    () => stop.abort(new Error(`it took more than ${limits.totalMs / 1000} s`)),
    limits.totalMs,
  );
  const partial = ownPiece(path);
  let resumable = false;
  try {
    const left = takeOver(path, partial);
    const piece = kept === undefined ? left : undefined;
    const response = await request(url, kept, piece, options.headers, stop.signal);
    if (response.status === 304) return { ...kept, askedMs: Date.now() };
    if (response.status === 416) throw new Passing("the server has less than there is here");
    if (!response.ok || response.body === null) throw refusal(url, response);
    const start = piece !== undefined && continues(response, piece) ? piece.bytes : 0;
    const tag = strongTag(response.headers);
    if (tag !== undefined) writeNote({ path: partial, etag: tag });
    options.onProgress?.(start === 0 ? `fetching ${url}` : `fetching ${url} from byte ${start} on`);
    const rest = expectedBytes(url, path, response, limits);
    const expected = rest === undefined ? undefined : start + rest;
    let got = start;
    const meter = new Transform({
      transform(chunk: Buffer, _, done) {
        idle.refresh();
        got += chunk.length;
        options.onBytes?.(got, expected);
        if (got > limits.bytes) done(tooLarge(url, got, limits));
        else done(null, chunk);
      },
    });
    resumable = tag !== undefined;
    const body = Readable.fromWeb(response.body as Parameters<typeof Readable.fromWeb>[0]);
    const out = createWriteStream(partial, { flags: start === 0 ? "w" : "a" });
    await pipeline(body, meter, out, { signal: stop.signal });
    if (expected !== undefined && expected !== got) throw new Passing(`got ${got} of ${expected} bytes`);
    resumable = false;
    checkContent(url, partial, response, expected, options.ownEnd);
    const wrong = options.hash && (await flawOf(partial, got, options.hash));
    if (wrong !== undefined && start > 0) throw new Passing(`${wrong}, so it begins anew`);
    if (wrong !== undefined)
      throw new UsageError(
        `download ${url}: ${wrong}. It was damaged on the way, or is another file; run it again.`,
      );
    renameSync(partial, path);
    const [etag, lastModified] = ["etag", "last-modified"].map((name) => response.headers.get(name));
    return {
      url,
      ...(etag == null ? {} : { etag }),
      ...(lastModified == null ? {} : { lastModified }),
      askedMs: Date.now(),
    };
  } catch (error) {
    if (stop.signal.aborted) throw new Passing((stop.signal.reason as Error).message);
    if (error instanceof UsageError) resumable = false;
    if (error instanceof UsageError || error instanceof Passing) throw error;
    const refused = fileError(error, "write", partial);
    if (refused instanceof UsageError && (error as NodeJS.ErrnoException).path !== undefined) throw refused;
    throw new Passing(`the transfer broke off (${reasonOf(error)})`);
  } finally {
    clearTimeout(idle);
    clearTimeout(total);
    stop.abort();
    if (!resumable) removePiece(partial);
  }
}

/** Whether the answer goes on where the piece ends. */
function continues({ status, headers }: Response, { bytes }: Piece): boolean {
  if (status !== 206) return false;
  const [, from] = /^bytes (\d+)-/.exec(headers.get("content-range") ?? "") ?? [];
  if (Number(from) === bytes) return true;
  throw new Passing("the server gave another part than was asked for");
}

async function flawOf(
  path: string,
  bytes: number,
  { algorithm, hex }: FileHash,
): Promise<string | undefined> {
  const hash = createHash(algorithm === "git" ? "sha1" : "sha256");
  if (algorithm === "git") hash.update(`blob ${bytes}\0`);
  await pipeline(createReadStream(path), hash);
  const got = hash.digest("hex");
  return got === hex ? undefined : `its hash must be ${hex}; got ${got}`;
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

async function request(
  url: string,
  kept: Kept | undefined,
  piece: Piece | undefined,
  given: TransferOptions["headers"],
  signal: AbortSignal,
): Promise<Response> {
  const headers: Record<string, string> = { "accept-encoding": "identity", ...given };
  if (kept?.etag !== undefined) headers["if-none-match"] = kept.etag;
  if (kept?.lastModified !== undefined) headers["if-modified-since"] = kept.lastModified;
  if (piece !== undefined) {
    headers.range = `bytes=${piece.bytes}-`;
    headers["if-range"] = piece.etag;
  }
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
  const free = freeBytes(dirname(path));
  if (free !== undefined && bytes > free) {
    throw new UsageError(
      `download ${url}: needs ${bytes} bytes, and ${dirname(path)} has ${free} free. Free space there, or set CLIPWRIGHT_CACHE to another folder.`,
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
  partial: string,
  { headers }: Response,
  expected: number | undefined,
  ownEnd: TransferOptions["ownEnd"],
): void {
  const type = headers.get("content-type") ?? "";
  const no = (what: string): UsageError =>
    new UsageError(`download ${url}: ${what}. Look at the address in a browser.`);
  if (/^text\/html/i.test(type)) throw no("must be data; got a web page");
  const damage = ownEnd?.(partial);
  if (damage !== undefined && /is not a tar|is empty/.test(damage)) throw no(damage);
  const certain =
    expected !== undefined ||
    headers.has("content-length") ||
    headers.get("transfer-encoding") === "chunked" ||
    (ownEnd !== undefined && damage === undefined);
  if (certain) return;
  throw new UsageError(
    `download ${url}: the server does not say how long it is${damage === undefined ? "" : `, and the tar ${damage}`}. Fetch it by other means.`,
  );
}
