/** Opening a data set: works out what each source is, reads its index, and joins several into one. */
import { accessSync, closeSync, constants, openSync, readSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { specialFile } from "../core/disk.js";
import { UsageError } from "../core/errors.js";
import { fileError, withFileErrors } from "../core/files.js";
import { eachSample, type SampleColumns } from "./columns/samples.js";
import { concatDatasets, type Dataset, makeDataset } from "./dataset.js";
import { captionByClass } from "./sources/class-captions.js";
import { download } from "./sources/download.js";
import { count, listFolder, readFolder } from "./sources/folder.js";
import {
  type DatasetOptions,
  IMAGE_ENDINGS,
  type SourceFormat,
  type SourceReading,
} from "./sources/options.js";
import { isPicture, readPictures } from "./sources/pictures.js";
import { Problems } from "./sources/problems.js";
import { expandSource, type SourceSpec, splitSpec } from "./sources/spec.js";
import { readCsv } from "./sources/tables/csv.js";
import { readJsonl } from "./sources/tables/jsonl.js";
import { readParquet } from "./sources/tables/parquet.js";
import { readWebDataset } from "./sources/tars/webdataset.js";
import { GARBLED, isGarbled } from "./sources/text.js";

export type { DatasetOptions, SourceFormat } from "./sources/options.js";
export type { SourceSpec, WeightedSource } from "./sources/spec.js";

/**
 * Opens one or several sources as a data set.
 *
 * A source is a path, a brace range (`shards-{000..009}.tar`), a glob, an http(s) address, or several of them joined
 * by `::`. It may be a folder of images with .txt or .json of the same name; one folder a class; CSV, TSV, JSONL or
 * Parquet with an image path (from the table's folder) or bytes; WebDataset tars. Several sources without weights
 * are joined, every sample counting alike; with weights (in the spec or in `options.weights`) each source gives its
 * share of the samples drawn in training.
 *
 * Only places and captions are read; image bytes stay where they are. Throws `UsageError`, one line, naming the file
 * and what was seen, when a source is missing, empty, damaged or could be read in several ways.
 */
export async function openDataset(
  spec: SourceSpec | readonly SourceSpec[],
  options: DatasetOptions & { readonly weights?: readonly number[] } = {},
): Promise<Dataset> {
  const parts = withPicturesTogether(splitSpec(spec, options.weights), options);
  const readings: SourceReading[] = [];
  for (const { source, pictures } of parts) {
    const paths: string[] = [];
    for (const path of pictures ?? expandSource(source)) {
      paths.push(/^https?:\/\//.test(path) ? await download(path, options) : path);
    }
    for (const path of paths) checkReadable(path);
    const reading = await readSource(source, paths, options).catch((error: unknown) => {
      throw fileError(error, "read", (error as NodeJS.ErrnoException).path ?? source);
    });
    const { samples, description } = reading;
    const problems = [...(description.problems ?? []), ...garbledCaptions(samples)];
    if (problems.length > 0 && options.strict === true) {
      throw new UsageError(
        `data ${source}: ${problems.join("; ")}. Mend the data, or leave out strict (--strict).`,
      );
    }
    for (const problem of problems) options.onProgress?.(`${source}: ${problem}`);
    readings.push({ ...reading, description: { ...description, problems } });
  }
  const names = parts.map(({ source }) => nameOf(source));
  if (parts.length === 1 && options.name !== undefined) names[0] = options.name;
  return concatDatasets(
    captionByClass(readings, names.join("+"), options).map(({ containers, samples, description }, p) =>
      makeDataset(names[p]!, containers, samples, description),
    ),
    parts.map((part) => part.weight),
    options.name,
  );
}

/** A source, or the single pictures that are taken for one. */
interface Part {
  readonly source: string;
  readonly weight?: number;
  readonly pictures?: readonly string[];
}

/** Pictures that were named one by one, as a shell's glob does, are one source, in the first one's place. */
function withPicturesTogether(parts: readonly Part[], options: DatasetOptions): readonly Part[] {
  const isSingle = ({ source, weight }: Part): boolean =>
    weight === undefined &&
    isPicture(source) &&
    statSync(source, { throwIfNoEntry: false })?.isFile() === true;
  const pictures = options.captionsOptional === true ? parts.filter(isSingle) : [];
  if (pictures.length < 2) return parts;
  const paths = pictures.map(({ source }) => source);
  const together: Part = { source: `${paths.length} pictures`, pictures: paths };
  return parts.flatMap((part) => (part === pictures[0] ? [together] : pictures.includes(part) ? [] : [part]));
}

const nameOf = (source: string): string =>
  basename(source)
    .replace(/\.(tar|csv|tsv|txt|jsonl|json|parquet)$/i, "")
    .replace(/[-_]?(\{[^}]*\}|[*?]+)$/, "") || "data";

/** What captions that are not in the encoding they were read in make of themselves, if any. */
function garbledCaptions(samples: SampleColumns): readonly string[] {
  const problems = new Problems();
  if (!GARBLED.some((part) => samples.anyHolds(part))) return [];
  for (const { key, captions, label = "" } of eachSample(samples)) {
    if (!captions.some(isGarbled) && !isGarbled(label)) continue;
    problems.add("captions with characters that are not in their encoding (say which with --encoding)", key);
  }
  return problems.lines;
}

/** Throws `UsageError` unless `path` is a file or folder that may be read. */
function checkReadable(path: string): void {
  withFileErrors("read", path, () => accessSync(path, constants.R_OK));
  const what = specialFile(statSync(path));
  if (what === undefined) return;
  throw new UsageError(
    `data ${path}: must be a file or a folder; got ${what}. Write what it gives to a file first.`,
  );
}

const FORMAT_OF_ENDING: Readonly<Record<string, SourceFormat>> = {
  csv: "csv",
  txt: "csv",
  tsv: "tsv",
  tab: "tsv",
  jsonl: "jsonl",
  ndjson: "jsonl",
  parquet: "parquet",
  pq: "parquet",
  tar: "webdataset",
};

/** The format of a file from its first bytes where they tell, else from its ending. */
function formatOfFile(path: string): SourceFormat {
  const head = Buffer.alloc(264);
  const fd = openSync(path, "r");
  const length = readSync(fd, head, 0, head.length, 0);
  closeSync(fd);
  if (head.toString("latin1", 0, 4) === "PAR1") return "parquet";
  if (head.toString("latin1", 257, 262) === "ustar") return "webdataset";
  const ending = /\.([^./]+)$/.exec(path)?.[1]?.toLowerCase() ?? "";
  const format = FORMAT_OF_ENDING[ending];
  if (format !== undefined) return format;
  if (ending === "json" && head[0] === 0x7b) return "jsonl";
  const what = (IMAGE_ENDINGS as readonly string[]).includes(ending)
    ? "one image; point at its folder"
    : length === 0
      ? "an empty file"
      : `a file ending in ".${ending}"`;
  throw new UsageError(
    `data ${path}: is no format known by its ending or first bytes; got ${what}. Say which with format: csv, tsv, jsonl, parquet or webdataset (--data-format).`,
  );
}

async function readSource(
  source: string,
  paths: readonly string[],
  options: DatasetOptions,
): Promise<SourceReading> {
  const folders = paths.filter((path) => statSync(path).isDirectory());
  if (folders.length > 0) {
    if (paths.length > 1) {
      throw new UsageError(
        `data ${source}: matches ${folders.length} folders among ${paths.length} paths. Join folders with "::" instead.`,
      );
    }
    return readFolderSource(source, folders[0]!, options);
  }
  if (options.captionsOptional === true && options.format === undefined) {
    const pictures = paths.filter(isPicture);
    if (pictures.length > 0) return readPictures(source, pictures);
  }
  const formats = new Set(options.format === undefined ? paths.map(formatOfFile) : [options.format]);
  if (formats.size > 1) {
    throw new UsageError(
      `data ${source}: its files have several formats (${[...formats].join(", ")}). Open them one by one, joined by "::".`,
    );
  }
  return readFiles(source, paths, [...formats][0]!, options);
}

async function readFiles(
  source: string,
  paths: readonly string[],
  format: SourceFormat,
  options: DatasetOptions,
): Promise<SourceReading> {
  for (const path of paths) checkReadable(path);
  switch (format) {
    case "webdataset":
      return readWebDataset(source, paths, options);
    case "csv":
    case "tsv":
      return readCsv(source, format, paths, options);
    case "jsonl":
      return readJsonl(source, paths, options);
    case "parquet":
      return readParquet(source, paths, options);
    case "folder":
      throw new UsageError(`data ${source}: format is "folder", but this is a file.`);
  }
}

/** A folder is images with texts, or holds one kind of table or tars; several kinds at once need a word. */
async function readFolderSource(
  source: string,
  root: string,
  options: DatasetOptions,
): Promise<SourceReading> {
  const listing = listFolder(root);
  if (options.format === "folder") return readFolder(source, root, listing, options);
  const files = withoutRecords(listing.files);
  const byFormat = new Map<SourceFormat, string[]>();
  for (const file of files) {
    const ending = /\.([^./\\]+)$/.exec(file)?.[1]?.toLowerCase() ?? "";
    let format = ending === "txt" ? undefined : FORMAT_OF_ENDING[ending];
    if (format === undefined && (IMAGE_ENDINGS as readonly string[]).includes(ending)) format = "folder";
    if (format !== undefined) byFormat.set(format, [...(byFormat.get(format) ?? []), file]);
  }
  if (options.format !== undefined) {
    const chosen = byFormat.get(options.format);
    if (chosen === undefined)
      throw new UsageError(`data ${source}: holds no ${options.format} file; got ${count(files)}.`);
    return readFiles(
      source,
      chosen.map((file) => join(root, file)),
      options.format,
      options,
    );
  }
  const kinds = [...byFormat.keys()];
  if (kinds.length === 1 && kinds[0] !== "folder") {
    return readFiles(
      source,
      byFormat.get(kinds[0]!)!.map((file) => join(root, file)),
      kinds[0]!,
      options,
    );
  }
  const images = new Set((byFormat.get("folder") ?? []).map((file) => file.replace(/\.[^.]+$/, "")));
  const paired = files.some(
    (file) => /\.(txt|json)$/i.test(file) && images.has(file.replace(/\.[^.]+$/, "")),
  );
  const tables = kinds.filter((kind) => kind !== "folder");
  if (kinds.includes("folder") && tables.length === 1 && !paired) {
    const [kind] = tables;
    const table = byFormat.get(kind!)!;
    if (kind !== "webdataset" && table.length === 1)
      return readFiles(source, [join(root, table[0]!)], kind!, options);
  }
  if (tables.length > 0) {
    throw new UsageError(
      `data ${source}: could be read in several ways; got ${count(files)}. Point at one file, or say format: ${kinds.join(" or ")} (--data-format).`,
    );
  }
  return readFolder(source, root, listing, options);
}

/**
 * Without the tables in which img2dataset keeps what became of each address: of `00000.tar`, or of the images in `00000/`,
 * that is `00000.parquet`, with `00000_stats.json` beside it.
 */
function withoutRecords(files: readonly string[]): string[] {
  const all = new Set(files);
  const folders = new Set(files.map((file) => dirname(file)));
  return files.filter((file) => {
    const stem = /^(.*)\.parquet$/i.exec(file)?.[1];
    return stem === undefined || !(all.has(`${stem}.tar`) || folders.has(stem));
  });
}
