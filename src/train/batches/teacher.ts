/**
 * A teacher's embeddings of the training set: made once, in the view of evaluation, and kept on the disk as
 *
 *     LOGS/.teachers/KEY/teacher.json    what they are of
 *     LOGS/.teachers/KEY/images.npy      f32[N,E], a row a sample; zeros where the image cannot be read
 *     LOGS/.teachers/KEY/texts.npy       f32[M,E], a row a caption, each caption once
 *
 * KEY is a hash of the teacher's weights, configuration, preprocessing and tokenizer, and of the names and captions of the
 * samples. Images that are changed under their names are not noticed: remove the folder then.
 */

import { createHash } from "node:crypto";
import { existsSync, renameSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import { z } from "zod";
import { makeFolder } from "../../core/disk.js";
import { decode } from "../../core/dtype.js";
import { UsageError } from "../../core/errors.js";
import { digestOfFile, withFileErrors, writeJsonAtomic } from "../../core/files.js";
import { NpyRows, NpyWriter } from "../../core/npy.js";
import type { Dataset } from "../../data/index.js";
import type { Engine } from "../../engines/engine.js";
import { type Encoder, requireReadable } from "../../evaluate/model/encoder.js";
import { loadModel } from "../../evaluate/model/load-model.js";
import { type LocatedModel, locateModel, type ModelSource } from "../../evaluate/model/locate.js";
import { filesOf } from "../../models/weights/file.js";
import { openWeights } from "../../models/weights/open.js";
import { kebab } from "../../settings/fields.js";
import { readCheckedJson } from "../../settings/json.js";
import type { ExtraRows } from "../strategies/strategy.js";

/** Where embeddings are kept, below the folder of runs. */
const FOLDER = ".teachers";
/** Changes when what is stored does. */
const VERSION = 2;
/** Texts embedded at once. */
const TEXTS = 256;
/** What people call them. */
const names = { teacher: "teacher", pickReference: "reference" } as const;

interface Stored {
  /** e to the teacher's `logit_scale`. */
  readonly scale: number;
  /** The teacher's `logit_bias`, where it has one. */
  readonly bias?: number | undefined;
  /** The weights' file, for people. */
  readonly weights: string;
}

const storedSchema: z.ZodType<Stored> = z.object({
  scale: z.number().positive(),
  bias: z.number().optional(),
  weights: z.string(),
});

/** Which of a recipe's models is embedded: one to learn from, or one to pick pairs by. */
export type TeacherRole = keyof typeof names;

/** The rows of a teacher, or of whatever else embeds the training set once. Dispose it to close its files. */
export interface Teacher extends Disposable {
  readonly images: ExtraRows;
  readonly texts: ExtraRows;
  /** Its own factor on the cosines. */
  readonly scale: number;
  /** What it adds to the scaled cosines; undefined where it was trained without. */
  readonly bias: number | undefined;
  /** Names teacher and data: embeddings of another key may be others. */
  readonly key: string;
}

export interface StoreTeacherOptions {
  /** The setting that names it. Default `teacher`. */
  readonly role?: TeacherRole | undefined;
  readonly engine: Engine;
  readonly dataset: Dataset;
  /** The folder of runs. */
  readonly logs: string;
  /** Told what is done, and what cannot be read. */
  readonly say: (line: string) => void;
}

/**
 * Makes the teacher's embeddings unless they are there; gives their folder.
 * @throws UsageError naming what of the teacher is missing.
 */
export async function storeTeacher(source: ModelSource, options: StoreTeacherOptions): Promise<string> {
  const { dataset, logs, say, role = "teacher" } = options;
  const what = names[role];
  const named: ModelSource = { ...source, optionPrefix: `${kebab(role)}-` };
  const located = await locateModel({ ...named, say });
  const folder = join(logs, FOLDER, keyOf(located, dataset));
  if (existsSync(join(folder, "teacher.json"))) {
    say(`The ${what}'s embeddings are there: ${folder}.`);
    return folder;
  }
  say(`The ${what} ${located.weights} embeds ${dataset.length} images and their captions, once …`);
  const making = `${folder}.${process.pid}.tmp`;
  const writing = <T>(body: () => T): T => withFileErrors("write", making, body);
  writing(() => {
    rmSync(making, { recursive: true, force: true });
    makeFolder(making);
  });
  try {
    const model = await loadModel(options.engine, named);
    try {
      await embedImages(model.encoder, dataset, join(making, "images.npy"), (images) =>
        say(`The ${what} could not read ${images} images, which are left out.`),
      );
      await embedCaptions(model.encoder, captionsOf(dataset), join(making, "texts.npy"));
    } finally {
      model.encoder[Symbol.dispose]();
      for (const buffer of Object.values(model.buffers)) buffer[Symbol.dispose]();
    }
    const stored: Stored = { ...(await logitsOf(located.weights)), weights: located.weights };
    writeJsonAtomic(join(making, "teacher.json"), stored);
    // Another run may have made the same meanwhile.
    if (!existsSync(folder)) writing(() => renameSync(making, folder));
  } finally {
    rmSync(making, { recursive: true, force: true });
  }
  return folder;
}

/** Opens what `storeTeacher` made of this data set. Throws `UsageError` where it does not belong to it. */
export function openTeacher(folder: string, dataset: Dataset, role: TeacherRole = "teacher"): Teacher {
  const { scale, bias } = readCheckedJson(
    join(folder, "teacher.json"),
    storedSchema,
    `Delete ${folder}: it is made again.`,
  );
  const images = new NpyRows(join(folder, "images.npy"));
  const texts = new NpyRows(join(folder, "texts.npy"));
  const rowOf = new Map([...captionsOf(dataset)].map((caption, row) => [caption, row]));
  const dispose = () => {
    images[Symbol.dispose]();
    texts[Symbol.dispose]();
  };
  if (images.rows !== dataset.length || texts.rows !== rowOf.size) {
    dispose();
    throw new UsageError(
      `${role}: ${folder} must hold ${dataset.length} images and ${rowOf.size} captions; got ${images.rows} and ${texts.rows}. Remove the folder; they are made again.`,
    );
  }
  return {
    scale,
    bias,
    key: basename(folder),
    images: { width: images.width, rows: (samples) => images.read(samples) },
    texts: {
      width: texts.width,
      rows: (_, captions) => texts.read(captions.map((caption) => rowOf.get(caption)!)),
    },
    [Symbol.dispose]: dispose,
  };
}

function keyOf({ weights, tokenizer, config, preprocess, clean }: LocatedModel, dataset: Dataset): string {
  const hash = createHash("sha256");
  const add = (value: unknown) => hash.update(`${JSON.stringify(value)}\n`);
  add([VERSION, config, preprocess, clean, ...filesOf(weights).map(digestOfFile), digestOfFile(tokenizer)]);
  for (let i = 0; i < dataset.length; i++) {
    const { key, captions } = dataset.sample(i);
    add([key, captions]);
  }
  return hash.digest("hex").slice(0, 24);
}

async function logitsOf(weights: string): Promise<Omit<Stored, "weights">> {
  using file = await openWeights(weights);
  const read = (name: string): number => decode(file.info(name).dtype, file.read(name))[0]!;
  const scale = Math.exp(read("logit_scale"));
  return file.names.includes("logit_bias") ? { scale, bias: read("logit_bias") } : { scale };
}

/** Each caption once, in the order of the samples. */
function captionsOf(dataset: Dataset): Set<string> {
  const captions = new Set<string>();
  for (let i = 0; i < dataset.length; i++)
    for (const caption of dataset.sample(i).captions) captions.add(caption);
  return captions;
}

async function embedImages(
  encoder: Encoder,
  dataset: Dataset,
  path: string,
  onUnreadable: (images: number) => void,
): Promise<void> {
  const width = encoder.options.clip.config.embed_dim;
  using file = new NpyWriter(path, { dtype: "f32", rowShape: [width] });
  let row = 0;
  let readable = 0;
  const upTo = (end: number) => {
    if (end > row) file.append(new Float32Array((end - row) * width));
    row = Math.max(row, end);
  };
  const skipped = [];
  for await (const batch of encoder.embedBatches(dataset)) {
    for (const [i, index] of batch.indices.entries()) {
      upTo(index);
      file.append(batch.vectors.subarray(i * width, (i + 1) * width));
      row++;
    }
    readable += batch.indices.length;
    skipped.push(...batch.skipped);
  }
  upTo(dataset.length);
  requireReadable(dataset.name, readable, skipped);
  if (skipped.length > 0) onUnreadable(skipped.length);
  file.close();
}

async function embedCaptions(encoder: Encoder, captions: Iterable<string>, path: string): Promise<void> {
  using file = new NpyWriter(path, { dtype: "f32", rowShape: [encoder.options.clip.config.embed_dim] });
  let some: string[] = [];
  const flush = async () => {
    if (some.length > 0) file.append(await encoder.embedTexts(some));
    some = [];
  };
  for (const caption of captions) {
    some.push(caption);
    if (some.length === TEXTS) await flush();
  }
  await flush();
  file.close();
}
