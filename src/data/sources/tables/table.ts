/** Samples from the rows of a table: rows with the same image path are one sample with several captions. */
import { existsSync } from "node:fs";
import { basename, dirname, isAbsolute, join, resolve } from "node:path";
import { UsageError } from "../../../core/errors.js";
import { TextLookup } from "../../columns/lookup.js";
import { SampleWriter } from "../../columns/samples.js";
import type { SourceKind } from "../../dataset.js";
import type { Container } from "../../image-index.js";
import type { DatasetOptions, SourceReading } from "../options.js";
import { Problems } from "../problems.js";
import { type Columns, captionsOf, givenOf, labelOf, looksLikeBase64 } from "./columns.js";

/** Where a row's own image bytes lie, when the table holds bytes and not paths. */
export interface BytesPlace {
  readonly container: Container;
  readonly offset: number;
  readonly size: number;
}

export interface TableRow {
  readonly values: Readonly<Record<string, unknown>>;
  /** Counted as the file counts: lines from 1 with the header in CSV, rows from 0 in Parquet. */
  readonly number: number;
  readonly bytes?: BytesPlace;
}

/** Rows that tell what a table's columns are. */
export const FIRST_ROWS = 50;
/** Share of a table's rows that may be none before it is refused. */
const MOST_SKIPPED = 0.1;

/** Collects the rows of one or several files of one table: `begin` a file, `add` its rows. */
export class TableReader {
  /** Containers of bytes; and folders that paths start from, "" for whole paths. */
  private readonly containers: (Container | string)[] = [];
  private readonly containerOf = new Map<Container | string, number>();
  private readonly samples = new SampleWriter();
  private readonly byPath = new TextLookup((i) => this.pathAt(i));
  private readonly notes = new Set<string>();
  private readonly problems = new Problems();
  private readonly roots = new Set<string>();
  private path = "";
  private columns: Columns = { image: "", captions: [] };
  private root: string | undefined;
  /** Relative paths among the first rows of the file. */
  private probes: string[] = [];
  private rows = 0;
  private emptyRows = 0;
  private merged = 0;
  private skipped = 0;
  /** What to say when nothing can be read. */
  private firstProblem: UsageError | undefined;
  private usesBytes = false;

  constructor(
    private readonly source: string,
    private readonly kind: SourceKind,
    private readonly options: DatasetOptions,
  ) {}

  /** Goes on with the file at `path`; `first` is what its first rows hold. */
  begin(path: string, columns: Columns, first: readonly TableRow["values"][]): void {
    this.path = path;
    this.columns = columns;
    this.root = undefined;
    this.probes = first
      .map((values) => imagePath(values[columns.image]))
      .filter((written) => written !== undefined && !isAbsolute(written)) as string[];
  }

  add(row: TableRow): void {
    const { columns } = this;
    this.rows++;
    const captions = columns.captions.flatMap((c) => captionsOf(row.values[c]));
    const label = columns.label === undefined ? undefined : labelOf(row.values[columns.label]);
    const named = { ...(label === undefined ? {} : { label }), ...givenOf(row.values) };
    if (row.bytes !== undefined) {
      this.usesBytes = true;
      const container = this.containerIndex(row.bytes.container);
      const { offset, size } = row.bytes;
      this.samples.add({ key: this.keyOf(row), captions, container, offset, size, ...named });
      return;
    }
    const written = imagePath(row.values[columns.image]);
    if (written === undefined) {
      this.emptyRows++;
      return;
    }
    if (/^https?:\/\//.test(written)) {
      this.firstProblem ??= new UsageError(
        `${basename(this.path)} row ${row.number}: column "${columns.image}" holds a web address, not an image. Download the images first (img2dataset makes tars that open here).`,
        { file: this.path, line: this.kind === "parquet" ? undefined : row.number },
      );
      this.problems.add("rows with a web address in place of an image, left out", `row ${row.number}`);
      return;
    }
    const root = isAbsolute(written) ? "" : this.rootFor(written);
    const next = this.samples.length;
    const known = this.byPath.findOrAdd(pathFrom(root, written), next);
    if (known !== next) {
      this.merged++;
      for (const caption of captions) this.samples.addCaption(known, caption);
      return;
    }
    const container = this.containerIndex(root);
    this.samples.add({ key: written, captions, container, offset: next, size: -1, ...named });
  }

  /** Counts a line of `path` that is no row. */
  skip(path: string, line: number, reason: string): void {
    this.skipped++;
    this.firstProblem ??= new UsageError(`${this.kind} ${path} line ${line}: ${reason}`, {
      file: path,
      line,
    });
    this.problems.add("lines that are no rows, left out", `${basename(path)} line ${line}`);
  }

  /** Throws: nothing of the file at `path` is a row. */
  refuseEmpty(path: string): never {
    throw (
      this.firstProblem ??
      new UsageError(`${this.kind} ${path}: is empty. Point at a table with data.`, { file: path })
    );
  }

  finish(files: number): SourceReading {
    const { columns } = this;
    if (this.firstProblem !== undefined) {
      const tooMany = this.skipped > MOST_SKIPPED * (this.rows + this.skipped);
      if (tooMany || this.samples.length === 0) throw this.firstProblem;
    }
    if (this.rows === 0)
      throw new UsageError(`${this.kind} ${this.source}: has no rows. Point at a table with data.`);
    if (this.samples.length === 0) {
      throw new UsageError(
        `${this.kind} ${this.source}: column "${columns.image}" is empty in all ${this.rows} rows. Name the image column with csvImgKey (--csv-img-key).`,
      );
    }
    const samples = this.samples.done();
    // An image's key is its path as it is written.
    const paths = samples.keys;
    const containers = this.containers.map((container): Container => {
      if (typeof container !== "string") return container;
      return container === "" ? { kind: "files", paths } : { kind: "files", root: container, paths };
    });
    if (this.emptyRows > 0) this.notes.add(`${this.emptyRows} rows have no image and are left out`);
    if (this.merged > 0) this.notes.add(`${this.merged} rows repeat an image and add to its captions`);
    const names = columns.captions.map((c) => `"${c}"`).join(", ");
    return {
      containers,
      samples,
      description: {
        source: this.source,
        kind: this.kind,
        files,
        imagesFrom: `column "${columns.image}", ${this.usesBytes ? "the image's bytes" : `a path from ${[...this.roots].join(", ") || "/"}`}`,
        captionsFrom:
          columns.captions.length === 0
            ? "none found"
            : `column${columns.captions.length > 1 ? "s" : ""} ${names}`,
        ...(columns.label === undefined ? {} : { labelsFrom: `column "${columns.label}"` }),
        notes: [...this.notes],
        problems: this.problems.lines,
      },
    };
  }

  private pathAt(i: number): string {
    const root = this.containers[this.samples.containerAt(i)];
    return pathFrom(root as string, this.samples.keyAt(i));
  }

  private containerIndex(container: Container | string): number {
    let index = this.containerOf.get(container);
    if (index === undefined) {
      index = this.containers.push(container) - 1;
      this.containerOf.set(container, index);
    }
    return index;
  }

  private keyOf(row: TableRow): string {
    const id = row.values.key ?? row.values.id ?? row.values.__key__ ?? row.values.image_id;
    const path = imagePath(row.values[this.columns.image]);
    if (path !== undefined) return path;
    return typeof id === "string" || typeof id === "number"
      ? String(id)
      : `${basename(this.path)}:${row.number}`;
  }

  /** The folder that relative paths start from: imageRoot, the table's folder, or the working folder. */
  private rootFor(written: string): string {
    if (this.root !== undefined) return this.root;
    const { path, options } = this;
    const probes = this.probes.length > 0 ? this.probes : [written];
    const candidates = options.imageRoot === undefined ? [dirname(path), process.cwd()] : [options.imageRoot];
    const root = candidates.find((folder) => probes.some((probe) => existsSync(join(folder, probe))));
    if (root === undefined) {
      const where = [...new Set(candidates.map((folder) => resolve(folder)))].join(" and ");
      throw new UsageError(
        `${this.kind} ${this.source}: none of the first ${probes.length} images exist; got column "${this.columns.image}", looked for "${probes[0]}" in ${where}. Say where the paths start with imageRoot (--image-root).`,
      );
    }
    if (options.imageRoot === undefined && root !== dirname(path)) {
      this.notes.add("image paths start from the working folder, not from the table's");
    }
    this.roots.add(root);
    this.root = root;
    return root;
  }
}

const pathFrom = (root: string, written: string): string => (root === "" ? written : join(root, written));

/** The path in an image cell: text, or the `path` of Hugging Face's {bytes, path}. */
export function imagePath(value: unknown): string | undefined {
  const written =
    value !== null && typeof value === "object" && !(value instanceof Uint8Array)
      ? (value as Record<string, unknown>).path
      : value;
  if (typeof written !== "string" || written.trim() === "" || looksLikeBase64(written)) return undefined;
  return written.trim();
}
