/** Samples from the rows of a table: rows with the same image path are one sample with several captions. */
import { existsSync } from "node:fs";
import { basename, dirname, isAbsolute, join, resolve } from "node:path";
import { UsageError } from "../../core/errors.js";
import type { Container, LocatedSample, SourceKind } from "../dataset.js";
import { type Columns, captionsOf, labelOf, looksLikeBase64 } from "./columns.js";
import type { DatasetOptions, SourceReading } from "./options.js";

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

const ROOT_PROBE = 20;

/** Collects the rows of one or several files of one table. */
export class TableReader {
  private readonly containers: Container[] = [];
  private readonly containerOf = new Map<Container, number>();
  private readonly paths: string[] = [];
  private readonly byPath = new Map<string, number>();
  private readonly samples: (Omit<LocatedSample, "captions"> & { captions: string[] })[] = [];
  private readonly notes = new Set<string>();
  private rootOf = new Map<string, string>();
  private rows = 0;
  private emptyRows = 0;
  private usesBytes = false;

  constructor(
    private readonly source: string,
    private readonly kind: SourceKind,
    private readonly options: DatasetOptions,
  ) {}

  /** Adds the rows of the file at `path`. */
  add(path: string, columns: Columns, rows: readonly TableRow[]): void {
    const file = basename(path);
    for (const row of rows) {
      this.rows++;
      const captions = columns.captions.flatMap((c) => captionsOf(row.values[c]));
      const label = columns.label === undefined ? undefined : labelOf(row.values[columns.label]);
      const labelled = label === undefined ? {} : { label };
      if (row.bytes !== undefined) {
        this.usesBytes = true;
        const container = this.containerIndex(row.bytes.container);
        const { offset, size } = row.bytes;
        this.samples.push({
          key: this.keyOf(row, columns, file),
          captions,
          container,
          offset,
          size,
          ...labelled,
        });
        continue;
      }
      const written = imagePath(row.values[columns.image]);
      if (written === undefined) {
        this.emptyRows++;
        continue;
      }
      if (/^https?:\/\//.test(written)) {
        throw new UsageError(
          `${file} row ${row.number}: column "${columns.image}" holds a web address, not an image. Download the images first (img2dataset makes tars that open here).`,
        );
      }
      const full = isAbsolute(written) ? written : join(this.root(path, columns, rows), written);
      const known = this.byPath.get(full);
      if (known !== undefined) {
        this.samples[known]!.captions.push(...captions);
        continue;
      }
      this.byPath.set(full, this.samples.length);
      this.samples.push({
        key: written,
        captions,
        container: -1,
        offset: this.paths.push(full) - 1,
        size: -1,
        ...labelled,
      });
    }
  }

  finish(files: number, columns: Columns): SourceReading {
    if (this.rows === 0)
      throw new UsageError(`${this.kind} ${this.source}: has no rows. Point at a table with data.`);
    if (this.samples.length === 0) {
      throw new UsageError(
        `${this.kind} ${this.source}: column "${columns.image}" is empty in all ${this.rows} rows. Name the image column with csvImgKey (--csv-img-key).`,
      );
    }
    const filesContainer =
      this.paths.length > 0 ? this.containers.push({ kind: "files", paths: this.paths }) - 1 : -1;
    const samples = this.samples.map((s) => (s.container < 0 ? { ...s, container: filesContainer } : s));
    if (this.emptyRows > 0) this.notes.add(`${this.emptyRows} rows have no image and are left out`);
    const merged = this.rows - this.emptyRows - samples.length;
    if (merged > 0) this.notes.add(`${merged} rows repeat an image and add to its captions`);
    const names = columns.captions.map((c) => `"${c}"`).join(", ");
    return {
      containers: this.containers,
      samples,
      description: {
        source: this.source,
        kind: this.kind,
        files,
        imagesFrom: `column "${columns.image}", ${this.usesBytes ? "the image's bytes" : `a path from ${[...new Set(this.rootOf.values())].join(", ") || "/"}`}`,
        captionsFrom:
          columns.captions.length === 0
            ? "none found"
            : `column${columns.captions.length > 1 ? "s" : ""} ${names}`,
        ...(columns.label === undefined ? {} : { labelsFrom: `column "${columns.label}"` }),
        notes: [...this.notes],
      },
    };
  }

  private containerIndex(container: Container): number {
    let index = this.containerOf.get(container);
    if (index === undefined) {
      index = this.containers.push(container) - 1;
      this.containerOf.set(container, index);
    }
    return index;
  }

  private keyOf(row: TableRow, columns: Columns, file: string): string {
    const id = row.values.key ?? row.values.id ?? row.values.__key__ ?? row.values.image_id;
    const path = imagePath(row.values[columns.image]);
    if (path !== undefined) return path;
    return typeof id === "string" || typeof id === "number" ? String(id) : `${file}:${row.number}`;
  }

  /** The folder that relative paths start from: imageRoot, the table's folder, or the working folder. */
  private root(path: string, columns: Columns, rows: readonly TableRow[]): string {
    const known = this.rootOf.get(path);
    if (known !== undefined) return known;
    const probe: string[] = [];
    for (const row of rows) {
      const written = imagePath(row.values[columns.image]);
      if (written !== undefined && !isAbsolute(written)) probe.push(written);
      if (probe.length === ROOT_PROBE) break;
    }
    const candidates =
      this.options.imageRoot === undefined ? [dirname(path), process.cwd()] : [this.options.imageRoot];
    const root = candidates.find((folder) => probe.some((written) => existsSync(join(folder, written))));
    if (root === undefined) {
      const where = [...new Set(candidates.map((folder) => resolve(folder)))].join(" and ");
      throw new UsageError(
        `${this.kind} ${this.source}: none of the first ${probe.length} images exist; got column "${columns.image}", looked for "${probe[0]}" in ${where}. Say where the paths start with imageRoot (--image-root).`,
      );
    }
    if (this.options.imageRoot === undefined && root !== dirname(path)) {
      this.notes.add("image paths start from the working folder, not from the table's");
    }
    this.rootOf.set(path, root);
    return root;
  }
}

/** The path in an image cell: text, or the `path` of Hugging Face's {bytes, path}. */
export function imagePath(value: unknown): string | undefined {
  if (typeof value === "string") {
    return value.trim() === "" || looksLikeBase64(value) ? undefined : value.trim();
  }
  if (value !== null && typeof value === "object" && !(value instanceof Uint8Array)) {
    return imagePath((value as Record<string, unknown>).path);
  }
  return undefined;
}
