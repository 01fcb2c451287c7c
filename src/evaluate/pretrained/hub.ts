/**
 * Models of the Hugging Face hub: the files that a model needs, fetched once into the cache folder, each checked by the hash
 * that the hub gives (SHA-256 of large files, git's SHA-1 of small ones). Source: huggingface_hub, file_download.py.
 *
 *     CACHE/models/OWNER--NAME/COMMIT/…         the files; source.json is written last
 *     CACHE/models/OWNER--NAME/refs/REVISION    the commit that a branch or tag was when it was asked for
 *
 * $HF_ENDPOINT names a mirror, $HF_TOKEN opens what is closed.
 */

import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { cacheFolder } from "../../core/cache-folder.js";
import { makeFolder } from "../../core/disk.js";
import { type DownloadLimits, download, type FileHash } from "../../core/download/download.js";
import { UsageError } from "../../core/errors.js";
import { readText, withFileErrors, writeFileAtomic, writeJsonAtomic } from "../../core/files.js";
import { MODEL_FILES } from "../../models/config/model-file.js";
import { filesOf, isIndex } from "../../models/weights/file.js";

export interface HubModel {
  /** OWNER/NAME. */
  readonly repository: string;
  /** A branch, a tag or a commit. Default main. */
  readonly revision?: string | undefined;
}

export interface FetchOptions {
  /** Default: `cacheFolder()`. */
  readonly cacheDir?: string | undefined;
  /** Told in a line of what is fetched. */
  readonly say?: ((line: string) => void) | undefined;
  /** Told how far a file is, in bytes. */
  readonly progress?: ((at: { what: string; done: number; total: number }) => void) | undefined;
  readonly limits?: Partial<DownloadLimits> | undefined;
}

const COMMIT = /^[0-9a-f]{40}$/;
const SOURCE = "source.json";

/** The folder of a model in the cache, where it is there whole. */
export function cachedModel(
  { repository, revision = "main" }: HubModel,
  cacheDir = cacheFolder(),
): string | undefined {
  const place = placeOf(repository, cacheDir);
  const ref = refOf(place, revision);
  const commit = COMMIT.test(revision) ? revision : existsSync(ref) ? readText(ref).trim() : undefined;
  const folder = commit === undefined ? undefined : join(place, commit);
  return folder !== undefined && existsSync(join(folder, SOURCE)) ? folder : undefined;
}

const placeOf = (repository: string, cacheDir: string): string =>
  join(cacheDir, "models", repository.replace("/", "--"));
const refOf = (place: string, revision: string): string => join(place, "refs", encodeURIComponent(revision));

/**
 * The folder of a model, fetched unless it is there. What was cut is gone on with.
 * @throws UsageError where there is no such model, no access, or it holds none that is read; and as `download` does
 */
export async function fetchModel(model: HubModel, options: FetchOptions = {}): Promise<string> {
  const { repository, revision = "main" } = model;
  const { cacheDir = cacheFolder(), say = () => {} } = options;
  const there = cachedModel(model, cacheDir);
  if (there !== undefined) return there;
  const hub = new Hub(repository, options);
  let found: RemoteFile | undefined;
  for (const name of MODEL_FILES) found ??= await hub.find(name, revision);
  if (found === undefined) {
    throw new UsageError(
      `hf-hub:${repository}: must hold ${MODEL_FILES.join(" or ")}; ${revision} has neither. Look at ${hub.endpoint}/${repository}.`,
    );
  }
  const { commit } = found;
  const place = placeOf(repository, cacheDir);
  const folder = join(place, commit);
  const files: Record<string, string> = {};
  const take = async (file: RemoteFile): Promise<void> => {
    await hub.fetch(file, folder);
    files[file.name] = file.hash === undefined ? "unchecked" : file.hash.hex;
    if (file.hash === undefined)
      say(`${file.name}: the server gives no hash, so only its length was checked.`);
  };
  /** The first that is there of several, which stand for the same. */
  const takeOne = async (names: readonly string[]): Promise<string | undefined> => {
    for (const name of names) {
      const file = await hub.find(name, commit);
      if (file === undefined) continue;
      await take(file);
      return name;
    }
    return undefined;
  };
  await take(found);
  await takeOne(["preprocessor_config.json", "processor_config.json"]);
  const tokenizer = await takeOne(["tokenizer.json", "vocab.json", "bpe_simple_vocab_16e6.txt.gz"]);
  if (tokenizer === "vocab.json") await takeOne(["merges.txt"]);
  if (tokenizer !== undefined) await takeOne(["tokenizer_config.json"]);
  const weights = await takeOne(WEIGHTS[found.name as keyof typeof WEIGHTS]);
  if (weights === undefined) {
    throw new UsageError(
      `hf-hub:${repository}: must hold weights for ${found.name}, one of ${WEIGHTS[found.name as keyof typeof WEIGHTS].join(", ")}; it has none.`,
    );
  }
  if (isIndex(weights)) {
    for (const path of filesOf(join(folder, weights)))
      if ((await takeOne([path.slice(folder.length + 1)])) === undefined)
        throw new UsageError(`hf-hub:${repository}: ${weights} names ${path}, which is not there.`);
  }
  writeJsonAtomic(join(folder, SOURCE), { endpoint: hub.endpoint, repository, revision, commit, files });
  if (!COMMIT.test(revision)) {
    const ref = refOf(place, revision);
    withFileErrors("write", ref, () => makeFolder(dirname(ref)));
    writeFileAtomic(ref, `${commit}\n`);
  }
  say(`hf-hub:${repository} is kept in ${folder}.`);
  return folder;
}

/** Of each kind of model, the wanted first. */
const WEIGHTS: Readonly<Record<(typeof MODEL_FILES)[number], readonly string[]>> = {
  "open_clip_config.json": [
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.bin",
    "model.safetensors",
    "pytorch_model.bin",
  ],
  "config.json": [
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
  ],
};

interface RemoteFile {
  readonly name: string;
  readonly commit: string;
  readonly hash: FileHash | undefined;
}

const LOOPBACK = /^(?:localhost|127(?:\.\d+){3}|\[::1\])$/;
/** Redirects within the hub, of models that were renamed. */
const MOST_REDIRECTS = 5;

class Hub {
  readonly endpoint: string;
  private readonly headers: Readonly<Record<string, string>>;

  constructor(
    private readonly repository: string,
    private readonly options: FetchOptions,
  ) {
    const given = process.env.HF_ENDPOINT || "https://huggingface.co";
    if (!URL.canParse(given) || !/^https?:$/.test(new URL(given).protocol)) {
      throw new UsageError(`HF_ENDPOINT: must be an address, e.g. https://huggingface.co; got ${given}.`);
    }
    this.endpoint = given.replace(/\/+$/, "");
    const { protocol, hostname } = new URL(given);
    const token = process.env.HF_TOKEN?.trim();
    // A token in the clear is everyone's.
    const mayTell = protocol === "https:" || LOOPBACK.test(hostname);
    this.headers = token && mayTell ? { authorization: `Bearer ${token}` } : {};
  }

  private address = (name: string, revision: string): string =>
    `${this.endpoint}/${this.repository}/resolve/${encodeURIComponent(revision)}/${encodeURIComponent(name)}`;

  /** What the hub says of a file; undefined where the model has none of this name. */
  async find(name: string, revision: string): Promise<RemoteFile | undefined> {
    const response = await this.head(this.address(name, revision));
    const { status, headers } = response;
    const reason = headers.get("x-error-code");
    if (status === 404 && (reason === null || reason === "EntryNotFound")) return undefined;
    if (status === 401 || status === 403 || status === 404) throw this.refusal(status, reason, revision);
    if (status >= 400) {
      throw new UsageError(
        `hf-hub:${this.repository}: ${this.endpoint} gave status ${status} for ${name}. Run it again later, or set HF_ENDPOINT to a mirror.`,
      );
    }
    const commit = headers.get("x-repo-commit") ?? (COMMIT.test(revision) ? revision : undefined);
    if (commit === undefined || !COMMIT.test(commit)) {
      throw new UsageError(
        `hf-hub:${this.repository}: ${this.endpoint} must say which commit ${revision} is (x-repo-commit); it does not. Set HF_ENDPOINT to a hub or a mirror of it.`,
      );
    }
    const etag = (headers.get("x-linked-etag") ?? headers.get("etag") ?? "").replace(/^W\/|"/g, "");
    const hash: FileHash | undefined = /^[0-9a-f]{64}$/.test(etag)
      ? { algorithm: "sha256", hex: etag }
      : COMMIT.test(etag)
        ? { algorithm: "git", hex: etag }
        : undefined;
    return { name, commit, hash };
  }

  /** The headers of the hub itself, which a redirect to where the bytes lie has not. */
  private async head(url: string): Promise<Response> {
    let at = url;
    for (let i = 0; i < MOST_REDIRECTS; i++) {
      const response = await this.ask(at);
      const location = response.headers.get("location");
      const stays = location !== null && new URL(location, at).origin === new URL(at).origin;
      const isSaid = response.headers.has("x-linked-etag");
      if (response.status < 300 || response.status >= 400 || isSaid || !stays) return response;
      at = new URL(location, at).href;
    }
    throw new UsageError(`hf-hub:${this.repository}: ${this.endpoint} redirects without end.`);
  }

  private async ask(url: string): Promise<Response> {
    try {
      const headers = { "accept-encoding": "identity", ...this.headers };
      return await fetch(url, { method: "HEAD", redirect: "manual", headers });
    } catch (error) {
      const { cause, message } = error as Error;
      const why = cause instanceof Error ? cause.message || (cause as NodeJS.ErrnoException).code : message;
      throw new UsageError(
        `hf-hub:${this.repository}: ${this.endpoint} cannot be reached (${why}). Check the network, set HF_ENDPOINT to a mirror, or fetch the folder elsewhere (hf download ${this.repository} --local-dir FOLDER) and give it.`,
      );
    }
  }

  private refusal(status: number, reason: string | null, revision: string): UsageError {
    const { repository } = this;
    if (reason === "RevisionNotFound")
      return new UsageError(
        `hf-hub:${repository}: has no revision ${revision}. Give a branch, a tag or a commit.`,
      );
    const why =
      reason === "GatedRepo" || status === 403
        ? "asks for its terms to be accepted, with an account"
        : "is not there, or is closed to others";
    return new UsageError(
      `hf-hub:${repository}: ${why} (status ${status}). Look at ${this.endpoint}/${repository}, and set HF_TOKEN if you may read it.`,
    );
  }

  async fetch({ name, commit, hash }: RemoteFile, folder: string): Promise<void> {
    const { say, progress, limits } = this.options;
    const onBytes =
      progress &&
      ((done: number, total = done) => progress({ what: `${this.repository} ${name}`, done, total }));
    await download(
      this.address(name, commit),
      { path: join(folder, name), headers: this.headers, hash, onProgress: say, onBytes },
      limits,
    );
  }
}
