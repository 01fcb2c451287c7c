/** Writing a table that may take hours and millions of rows: in parts, which a killed writer finds again, joined at the end. */
import { join } from "node:path";
import { makeFolder, namesIn, realDisk, textOf } from "../../core/disk.js";
import { InternalError, UsageError } from "../../core/errors.js";
import { withFileErrors, writeFileAtomic } from "../../core/files.js";
import type { TableInfo } from "../../data/selections/form.js";
import { type Batch, joinParquet, lengthOf, parquetBytes } from "./parquet.js";

/** Rows of a part at most: a row group as DuckDB reads them at best. */
const PART_ROWS = 122_880;
/** A part is written after so long, however few its rows are. */
const PART_MS = 60_000;

const PLAN = "plan.json";
const partName = (start: number, end: number): string =>
  `${[start, end].map((row) => String(row).padStart(12, "0")).join("-")}.parquet`;

export interface TableWriterOptions {
  /**
   * Whatever decides the rows besides what `info` says (time and command apart), e.g. settings of the scores: parts of
   * another plan are not gone on with.
   */
  readonly plan?: unknown;
  /** Rows a part, default 122,880: memory grows with it. */
  readonly partRows?: number;
  /** A part is written after so many ms however few its rows are, default 60,000: so much work a kill costs. */
  readonly partMs?: number;
}

/**
 * Writes a table in parts, `PATH.parts/`, each whole or not there, and joins them in `finish`. Opened again with the same plan,
 * `rows` says how many rows there are already; the caller goes on behind them. Without `finish` the parts stay.
 */
export class TableWriter {
  private readonly folder: string;
  private readonly parts: string[] = [];
  private readonly partRows: number;
  private readonly partMs: number;
  private batches: Batch[] = [];
  private pending = 0;
  private written = 0;
  private partStartedMs = performance.now();

  /** Throws `UsageError` where parts of another plan lie, or nothing can be written. */
  constructor(
    readonly path: string,
    private readonly info: TableInfo,
    { plan, partRows = PART_ROWS, partMs = PART_MS }: TableWriterOptions = {},
  ) {
    this.folder = `${path}.parts`;
    this.partRows = partRows;
    this.partMs = partMs;
    withFileErrors("write", this.folder, () => makeFolder(this.folder));
    const { made: _, command: __, data, ...same } = info;
    // Copied files have other times, and are the same data.
    const wanted = `${JSON.stringify({ ...same, data: { ...data, times: undefined }, plan })}\n`;
    const planPath = join(this.folder, PLAN);
    const kept = textOf(planPath);
    if (kept === undefined) writeFileAtomic(planPath, wanted);
    else if (kept !== wanted) {
      throw new UsageError(
        `table ${path}: ${this.folder} holds parts of another table, made of other data or with other settings. Remove that folder, or write elsewhere.`,
        { file: this.folder },
      );
    }
    this.written = this.findParts();
  }

  /** Rows so far, those of an earlier, killed writer included. */
  get rows(): number {
    return this.written + this.pending;
  }

  /** Adds the rows of a batch; it must not be changed any more. */
  append(batch: Batch): void {
    const rows = lengthOf(batch);
    for (const name of Object.keys(batch)) {
      if (this.info.columns.some((column) => column.name === name)) continue;
      throw new InternalError(`table ${this.path}: has no column ${name}`);
    }
    if (rows === 0) return;
    this.batches.push(batch);
    this.pending += rows;
    if (this.pending >= this.partRows || performance.now() - this.partStartedMs > this.partMs) this.flush();
  }

  /** Writes what is there as a part. */
  flush(): void {
    if (this.pending > 0) {
      const name = partName(this.written, this.written + this.pending);
      const path = join(this.folder, name);
      writeFileAtomic(path, parquetBytes(this.info.columns, this.batches));
      this.parts.push(path);
      this.written += this.pending;
      this.batches = [];
      this.pending = 0;
    }
    this.partStartedMs = performance.now();
  }

  /** Joins the parts to the table, in its place whole or not at all, and removes them. */
  finish(): void {
    this.flush();
    joinParquet(this.path, this.parts, this.info);
    withFileErrors("remove", this.folder, () => realDisk.remove(this.folder));
  }

  /** Finds the parts that lie one behind the other from row 0 on; gives their rows. */
  private findParts(): number {
    let rows = 0;
    for (const name of namesIn(this.folder)) {
      const [, start, end] = /^(\d{12})-(\d{12})\.parquet$/.exec(name) ?? [];
      if (start === undefined || Number(start) !== rows) continue;
      this.parts.push(join(this.folder, name));
      rows = Number(end);
    }
    return rows;
  }
}
