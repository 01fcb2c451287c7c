/** Making an index of pictures, or bringing one up to date. It appears whole: `index.json` is written last and names its files. */

import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { isAbsolute, join, relative, resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { makeFolder, namesIn, realDisk, removeQuietly, textOf } from "../../core/disk.js";
import { UsageError } from "../../core/errors.js";
import { withFileErrors, writeJsonAtomic } from "../../core/files.js";
import type { Dataset } from "../../data/dataset.js";
import { fingerprintOf } from "../../data/look/fingerprint.js";
import type { Progress } from "../../evaluate/features/source.js";
import type { LoadedModel } from "../../evaluate/model/load-model.js";
import { takeLock } from "../../storage/lock.js";
import {
  fileNames,
  INDEX_FILE,
  INDEX_VERSION,
  type IndexInfo,
  ROWS_PER_PACK,
  ROWS_PER_PIECE,
} from "../search/layout.js";
import type { VectorType } from "../search/vectors.js";
import { assemble } from "./assemble.js";
import { blockFolder, blocksOf, makeBlocks } from "./blocks.js";
import { writeGraph } from "./graph.js";
import { PictureIndex } from "./open.js";

/** Pictures from which searching makes use of a graph, unless it is said. */
export const GRAPH_FROM = 1_000_000;

export interface MakeIndexOptions {
  /** The index's folder. One that is there is brought up to date: only pictures whose bytes it has not are embedded. */
  readonly out: string;
  /** What `model` was opened by, for whoever opens the index. */
  readonly modelPath: string;
  /** How vectors are stored. Default `f16`. */
  readonly type?: VectorType | undefined;
  /** Pixels of a thumbnail's longer side. Default 192. */
  readonly thumbnailSide?: number | undefined;
  /** Whether a graph for approximate search is made; `auto`: above a million pictures. */
  readonly approximate?: "auto" | "always" | "never" | undefined;
  /** Which of several processes this is, on one file system: each embeds its share, process 0 puts the index together. */
  readonly processes?: { readonly index: number; readonly count: number } | undefined;
  /** Told what takes a while, and how far it is. */
  readonly onProgress?: ((progress: Progress) => void) | undefined;
  /** Told what should be known, a line each. */
  readonly onNote?: ((line: string) => void) | undefined;
}

export interface MadeIndex {
  /** Undefined in a process that leaves the index to process 0. */
  readonly info: IndexInfo | undefined;
  /** Pictures that this process embedded. */
  readonly embedded: number;
  /** False where the index was up to date. */
  readonly changed: boolean;
}

const MAKING = ".making";
const PLAN = "plan.txt";
const ALONE = { index: 0, count: 1 };
const LOOK_MS = 200;

/**
 * Embeds the pictures of `dataset` into an index at `out`. What was made before a kill is there when it is called again. Throws
 * `UsageError` where the folder holds something else, and where no picture can be read.
 */
export async function makeIndex(
  model: LoadedModel,
  dataset: Dataset,
  options: MakeIndexOptions,
): Promise<MadeIndex> {
  const {
    out,
    type = "f16",
    thumbnailSide = 192,
    processes = ALONE,
    onProgress,
    onNote = () => {},
  } = options;
  const { encoder } = model;
  const width = encoder.options.clip.config.embed_dim;
  const identity = model.identity();
  const data = fingerprintOf(dataset);
  const plan = hashOf([
    INDEX_VERSION,
    identity,
    data,
    keysOf(dataset),
    dataset.name,
    type,
    thumbnailSide,
    options.approximate ?? "auto",
  ]);
  const old = openOld(out);
  using _ = old;
  if (old?.info.plan === plan) return { info: old.info, embedded: 0, changed: false };
  const folder = join(out, MAKING);
  const known = old !== undefined && isOf(old.info, identity, type, thumbnailSide) ? old : undefined;
  const blocks = { folder, count: blocksOf(dataset.length) };
  if (processes.index > 0) {
    await until(() => textOf(join(folder, PLAN)) === plan || planOf(out) === plan);
    if (planOf(out) === plan) return { info: undefined, embedded: 0, changed: true };
    const embedded = await makeBlocks(encoder, dataset, {
      folder,
      side: thumbnailSide,
      processes,
      known,
      onProgress,
    });
    return { info: undefined, embedded, changed: true };
  }
  withFileErrors("write", out, () => makeFolder(folder));
  using lock = takeLock(realDisk, folder);
  begin(folder, plan);
  const embedded = await makeBlocks(encoder, dataset, {
    folder,
    side: thumbnailSide,
    processes,
    known,
    onProgress,
  });
  const missing = () =>
    Array.from({ length: blocks.count }, (_, block) => block).filter(
      (block) => !existsSync(blockFolder(folder, block)),
    );
  if (missing().length > 0) onNote(`Waiting for the ${missing().length} blocks of the other processes …`);
  await until(() => missing().length === 0);
  lock.check();
  const name = nextFiles(out, old?.info.files);
  const files = join(out, name);
  withFileErrors("write", files, () => {
    realDisk.remove(files);
    makeFolder(files);
  });
  const show = (what: string, total: number) => (done: number) => onProgress?.({ what, done, total });
  const { rows, recall, labels, skipped } = assemble({
    ...{ blocks, files, type, width },
    onProgress: show("Putting the index together", blocks.count),
  });
  if (rows === 0) {
    realDisk.remove(files);
    throw new UsageError(
      `data ${dataset.name}: must have a picture that can be read; got ${skipped} broken ones.`,
    );
  }
  const info: IndexInfo = {
    version: INDEX_VERSION,
    made: new Date().toISOString(),
    plan,
    files: name,
    rows,
    width,
    vectors: { type, rowsPerPiece: ROWS_PER_PIECE, recall },
    thumbnails: { type: "image/webp", side: thumbnailSide, rowsPerPack: ROWS_PER_PACK },
    names: { rowsPerPiece: ROWS_PER_PIECE },
    data: { name: dataset.name, sources: dataset.description.map(({ source }) => source), skipped, labels },
    model: {
      path: pathFrom(out, model.run ?? options.modelPath),
      identity,
      ...(model.step !== undefined && { step: model.step }),
      scale: await encoder.scale(),
    },
  };
  const graph = await graphOf(info, out, options, show("Linking neighbours", rows));
  withFileErrors("write", out, () => realDisk.sync(files));
  const whole = { ...info, ...(graph && { graph }) };
  lock.check();
  writeJsonAtomic(join(out, INDEX_FILE), whole);
  tidy(out, name);
  return { info: whole, embedded, changed: true };
}

const hashOf = (parts: unknown): string => createHash("sha256").update(JSON.stringify(parts)).digest("hex");

function keysOf(dataset: Dataset): string {
  const keys = createHash("sha256");
  for (let i = 0; i < dataset.length; i++) keys.update(`${JSON.stringify(dataset.sample(i).key)}\n`);
  return keys.digest("hex");
}

/** The index at `out`; undefined where there is none yet. Throws `UsageError` where something else is in the way. */
function openOld(out: string): PictureIndex | undefined {
  if (existsSync(join(out, INDEX_FILE))) return PictureIndex.open(out);
  const names = withFileErrors("read", out, () => namesIn(out)).filter(
    (name) => name !== MAKING && !isFiles(name),
  );
  if (names.length === 0) return undefined;
  throw new UsageError(
    `${out}: must be an index, or empty; it holds ${names.slice(0, 3).join(", ")}. Give another --out.`,
    { file: out },
  );
}

const planOf = (out: string): string | undefined =>
  existsSync(join(out, INDEX_FILE)) ? PictureIndex.open(out).info.plan : undefined;

/** Whether rows of an index can be taken as they are. */
const isOf = (
  { model, vectors, thumbnails }: IndexInfo,
  identity: string,
  type: VectorType,
  side: number,
): boolean =>
  model.identity === identity &&
  thumbnails.side === side &&
  (vectors.type === type || vectors.type === "f32");

/** Goes on with what a killed process has left of the same plan, and clears what is of another. */
function begin(folder: string, plan: string): void {
  if (textOf(join(folder, PLAN)) === plan) return;
  withFileErrors("write", folder, () => {
    realDisk.remove(join(folder, PLAN));
    for (const name of namesIn(folder)) if (name.startsWith("block-")) realDisk.remove(join(folder, name));
    realDisk.writeNew(join(folder, `${PLAN}.tmp`), plan);
    realDisk.rename(join(folder, `${PLAN}.tmp`), join(folder, PLAN));
  });
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await delay(LOOK_MS);
}

const isFiles = (name: string): boolean => /^files-\d+$/.test(name);

const nextFiles = (out: string, current = "files-0"): string => {
  const numbers = [...namesIn(out).filter((name) => isFiles(name)), current].map((name) =>
    Number(name.slice(6)),
  );
  return `files-${Math.max(...numbers) + 1}`;
};

/** Removes what no reader needs any more. Who has the index before open keeps what it has read. */
function tidy(out: string, current: string): void {
  const gone = namesIn(out).filter((name) => (isFiles(name) && name !== current) || name === MAKING);
  for (const name of gone) removeQuietly(realDisk, join(out, name));
}

/** A path as the index's folder sees it, so that both can be moved together; a name stays. */
const pathFrom = (out: string, path: string): string =>
  !existsSync(path) || isAbsolute(path) ? path : relative(resolve(out), resolve(path));

async function graphOf(
  info: IndexInfo,
  out: string,
  { approximate = "auto" }: MakeIndexOptions,
  onProgress: (done: number) => void,
): Promise<IndexInfo["graph"]> {
  if (approximate === "never" || (approximate === "auto" && info.rows < GRAPH_FROM)) return undefined;
  using index = PictureIndex.of(out, info);
  const recall = await writeGraph(join(out, info.files, fileNames.graph), index, onProgress);
  return { file: fileNames.graph, recall };
}
