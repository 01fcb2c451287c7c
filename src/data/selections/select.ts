/** A selection applied to a data set: which pairs of it are trained on, with which weights and which texts. */
import { closeSync, openSync, readSync } from "node:fs";
import { UsageError } from "../../core/errors.js";
import { withFileErrors } from "../../core/files.js";
import { isUid, wordsOfUid } from "../columns/uids.js";
import type { Dataset } from "../dataset.js";
import { openParquet, type ParquetFile, readColumns, rowGroups } from "../sources/tables/parquet-file.js";
import { type Decision, Decisions } from "./decisions.js";
import { type TableInfo, tableInfo } from "./form.js";
import { Pairs, PairsByUid, SampleFinder } from "./pairs.js";
import { readSubset } from "./subset-file.js";

export interface SelectOptions {
  /** Column of the table that holds the pairs' weights; default `weight`, if there is one. With it a table of scores is taken, too, and keeps every pair. */
  readonly weight?: string | undefined;
  /** Images of the same data that are held out of these: rows about them name nothing, and the note of such rows says so. */
  readonly heldOut?: number | undefined;
  /** Told about slow steps, one line each. */
  readonly onProgress?: ((line: string) => void) | undefined;
}

export interface Selected {
  /** What is left, in the order of the data. */
  readonly dataset: Dataset;
  /** Images and pairs before and after. A sample that is taken twice counts twice. */
  readonly images: { readonly of: number; readonly kept: number };
  readonly pairs: { readonly of: number; readonly kept: number };
  /** Rows that name pairs which the data lack. */
  readonly missing: number;
  /** Pairs that no row names; they are left out. */
  readonly unnamed: number;
  readonly correctedCaptions: number;
  readonly correctedLabels: number;
  /** Pairs have weights other than 1. */
  readonly weighted: boolean;
  /** What a person should know, a line each. */
  readonly notes: readonly string[];
}

/**
 * Applies the selection in the file at `path` to `dataset`: a Parquet table as `clipwright curate select` writes it, or of any
 * other program that has `key` or `uid` and perhaps `source`, `caption_index`, `keep`, `weight`, `corrected_caption` and
 * `corrected_label`; or DataComp's .npy of uids, of which one that stands there twice is taken twice. Pairs that it does not name are
 * left out. Needs about a byte a pair, 16 more for uids, and 8 more where rows come in another order than the data.
 *
 * Throws `UsageError` where the file is no selection, names a pair twice, names nothing of the data, or keeps nothing.
 */
export async function selectFrom(
  dataset: Dataset,
  path: string,
  options: SelectOptions = {},
): Promise<Selected> {
  const pairs = new Pairs(dataset);
  const decisions = new Decisions(pairs);
  const found = isNpy(path)
    ? await takeSubset(path, pairs, decisions, options)
    : await decideRows(path, pairs, decisions, options);
  const kept = decisions.kept;
  if (kept === 0) {
    throw new UsageError(
      `selection ${path}: keeps nothing of "${dataset.name}"; got ${decisions.named} pairs, all dropped. Loosen its rules.`,
      { file: path },
    );
  }
  const left = decisions.apply();
  const unnamed = pairs.length - decisions.named;
  const n = (x: number): string => x.toLocaleString("en-US");
  const notes = [
    `${path} keeps ${n(left.length)} of ${n(dataset.length)} images and ${n(kept)} of ${n(pairs.length)} pairs.`,
    ...found.notes,
  ];
  const example = decisions.firstUnnamed();
  if (example !== undefined && !found.partial)
    notes.push(
      `${path} says nothing of ${n(unnamed)} pairs, e.g. of "${pairs.nameOf(example)}": they are left out.`,
    );
  return {
    dataset: left,
    images: { of: dataset.length, kept: left.length },
    pairs: { of: pairs.length, kept },
    missing: found.missing,
    unnamed,
    correctedCaptions: decisions.correctedCaptions,
    correctedLabels: decisions.correctedLabels,
    weighted: decisions.weighted,
    notes,
  };
}

/** As `selectFrom`, told by `onProgress`; without a `path` the data set as it is. */
export async function takeSelected(
  dataset: Dataset,
  path: string | undefined,
  options: SelectOptions = {},
): Promise<Dataset> {
  if (path === undefined) return dataset;
  const selected = await selectFrom(dataset, path, options);
  for (const note of selected.notes) options.onProgress?.(note);
  return selected.dataset;
}

interface Found {
  /** Rows whose pair the data lack. */
  readonly missing: number;
  readonly notes: readonly string[];
  /** The file names what is kept alone. */
  readonly partial: boolean;
}

/** Whether a file begins as .npy does. */
function isNpy(path: string): boolean {
  return withFileErrors("read", path, () => {
    const file = openSync(path, "r");
    try {
      const head = Buffer.alloc(6);
      readSync(file, head, 0, 6, 0);
      return head.toString("latin1") === "\x93NUMPY";
    } finally {
      closeSync(file);
    }
  });
}

async function computeUids(path: string, pairs: Pairs, { onProgress }: SelectOptions): Promise<PairsByUid> {
  onProgress?.(
    `${path} names pairs by uid, and the data have none of their own: reading ${pairs.dataset.length} images to compute them …`,
  );
  return PairsByUid.computed(pairs);
}

/** Takes the samples, or pairs, whose uids stand in DataComp's subset file. */
async function takeSubset(
  path: string,
  pairs: Pairs,
  decisions: Decisions,
  options: SelectOptions,
): Promise<Found> {
  const byUid = PairsByUid.ofData(pairs) ?? (await computeUids(path, pairs, options));
  let missing = 0;
  let total = 0;
  for (const words of readSubset(path)) {
    for (let at = 0; at < words.length; at += 4) {
      total++;
      let known = false;
      for (const place of byUid.find(words, at)) {
        known = true;
        const sample = byUid.ofSamples ? place : pairs.sampleOf(place);
        if (byUid.ofSamples || pairs.ends[sample]! - pairs.start(sample) === 1) decisions.take(sample);
        else if (!decisions.isNamed(place)) decisions.decide(sample, place, { keep: true, weight: 1 });
      }
      if (!known) missing++;
    }
  }
  if (missing === total) throw nothingKnown(path, pairs, total, "uids");
  return { missing, notes: missingNotes(path, missing, "uids", options), partial: true };
}

/** What is told of rows that name nothing of the data. */
function missingNotes(
  path: string,
  missing: number,
  what: "pairs" | "uids",
  { heldOut = 0 }: SelectOptions,
  example?: string,
): string[] {
  if (missing === 0) return [];
  const n = (x: number): string => x.toLocaleString("en-US");
  const why =
    heldOut > 0 ? `are of the ${n(heldOut)} images held out, or that the data lack` : "the data lack";
  const such = example === undefined ? "" : `, e.g. "${example}"`;
  return [`${path} names ${n(missing)} ${what} that ${why}${such}.`];
}

const nothingKnown = (
  path: string,
  { dataset }: Pairs,
  rows: number,
  what: string,
  sources = "",
): UsageError =>
  new UsageError(
    `selection ${path}: must name pairs of the data; got ${rows} ${what}, none of which ${dataset.sources.map(({ name }) => `"${name}"`).join(", ")} has${sources}. Give the data that it was made of.`,
    { file: path },
  );

const READ = ["source", "key", "caption_index", "uid", "keep", "corrected_caption", "corrected_label"];

/** Columns of some rows; each is absent where the file has none. */
type Rows = Readonly<Record<string, ArrayLike<unknown> | undefined>>;

async function decideRows(
  path: string,
  pairs: Pairs,
  decisions: Decisions,
  options: SelectOptions,
): Promise<Found> {
  const parquet = await openParquet(path);
  const info = tableInfo(path, parquet.metadata);
  checkColumns(parquet, info, options.weight);
  let result = await new RowReader(parquet, info, pairs, decisions, options).read();
  if (result.known === 0 && result.withUid > 0) {
    // Nothing by name: another copy of the data has the same pairs.
    const byUid = PairsByUid.ofData(pairs) ?? (await computeUids(path, pairs, options));
    result = await new RowReader(parquet, info, pairs, decisions, options, byUid).read();
  }
  const { known, missing, rows, example, sources } = result;
  if (known === 0)
    throw nothingKnown(
      path,
      pairs,
      rows,
      "pairs",
      sources.size > 0 ? `; its sources are ${list(sources)}` : "",
    );
  return { missing, notes: missingNotes(path, missing, "pairs", options, example), partial: false };
}

const list = (names: Iterable<string>): string =>
  [...names]
    .slice(0, 5)
    .map((name) => `"${name}"`)
    .join(", ");

const KINDS: Readonly<Record<string, readonly string[]>> = {
  keep: ["BOOLEAN"],
  caption_index: ["INT32", "INT64"],
};

/** Throws `UsageError` where the columns cannot be those of a selection. */
function checkColumns({ path, metadata }: ParquetFile, info: TableInfo | undefined, weight?: string): void {
  const types = new Map(metadata.schema.slice(1).map(({ name, type }) => [name, type]));
  const refuse = (rule: string, got: string, remedy: string): never => {
    throw new UsageError(`selection ${path}: ${rule}; got ${got}. ${remedy}`, { file: path });
  };
  if (weight !== undefined && !types.has(weight))
    refuse(`must have the column "${weight}"`, [...types.keys()].join(", "), "Name one of its columns.");
  if (info?.kind === "scores" && weight === undefined)
    refuse(
      "must say which pairs are kept",
      "a table of scores",
      "Make a selection of it: clipwright curate select.",
    );
  if (!types.has("key") && !types.has("uid"))
    refuse(
      'must name pairs by "key" or "uid"',
      `columns ${[...types.keys()].join(", ")}`,
      "Rename its columns.",
    );
  for (const [name, wanted] of Object.entries(KINDS)) {
    const type = types.get(name);
    if (type !== undefined && !wanted.includes(type))
      refuse(`column ${name} must be ${wanted.join(" or ")}`, type, "Write it so.");
  }
  const weightType = types.get(weight ?? "weight");
  if (weightType !== undefined && !["DOUBLE", "FLOAT", "INT32", "INT64"].includes(weightType))
    refuse(`column ${weight ?? "weight"} must hold numbers`, weightType, "Name another.");
}

/** Goes over the rows of a table once. */
class RowReader {
  known = 0;
  missing = 0;
  rows = 0;
  withUid = 0;
  /** Of the first row that names nothing of the data. */
  example = "";
  /** Names of sources of rows that name nothing of the data. */
  readonly sources = new Set<string>();
  private readonly finder: SampleFinder;
  private readonly weight: string;

  constructor(
    private readonly parquet: ParquetFile,
    info: TableInfo | undefined,
    private readonly pairs: Pairs,
    private readonly decisions: Decisions,
    options: SelectOptions,
    private readonly byUid?: PairsByUid,
  ) {
    this.weight = options.weight ?? "weight";
    // One source is the other whatever it is called: data are moved and renamed.
    const single = pairs.dataset.sources.length === 1 && (info?.sources.length ?? 1) === 1;
    this.finder = new SampleFinder(pairs, !single);
  }

  async read(): Promise<this> {
    for (const { rowStart, rowEnd } of rowGroups(this.parquet.metadata)) {
      const columns = await readColumns(this.parquet, { rowStart, rowEnd, columns: [...READ, this.weight] });
      for (let r = 0; r < rowEnd - rowStart; r++) this.readRow(columns, r, rowStart + r);
    }
    return this;
  }

  private readRow(columns: Rows, r: number, row: number): void {
    this.rows++;
    const uid = columns.uid?.[r];
    if (isUid(uid)) this.withUid++;
    const caption = columns.caption_index?.[r] ?? undefined;
    const captionIndex = caption === undefined ? undefined : Number(caption);
    const decision = this.decisionOf(columns, r, row);
    try {
      const outcome =
        this.byUid === undefined
          ? this.decideByName(columns, r, captionIndex, decision)
          : isUid(uid)
            ? this.decideByUid(this.byUid, uid, captionIndex, decision)
            : "missing";
      if (outcome === "known") this.known++;
      else if (outcome === "twice") this.fail(row, `names "${columns.key?.[r] ?? uid}" for the second time`);
      else {
        this.missing++;
        this.example ||= String(columns.key?.[r] ?? uid ?? "");
        const source = columns.source?.[r];
        if (typeof source === "string" && this.sources.size < 6) this.sources.add(source);
      }
    } catch (error) {
      if (error instanceof UsageError && error.file === undefined) this.fail(row, error.message);
      throw error;
    }
  }

  private fail(row: number, why: string): never {
    const { path } = this.parquet;
    throw new UsageError(`selection ${path} row ${row}: ${why}. Each pair stands in one row, once.`, {
      file: path,
    });
  }

  private decisionOf(columns: Rows, r: number, row: number): Decision {
    const { keep, corrected_caption, corrected_label } = columns;
    const weight = columns[this.weight]?.[r] ?? 1;
    if (!(Number(weight) >= 0 && Number(weight) < Number.POSITIVE_INFINITY)) {
      const { path } = this.parquet;
      throw new UsageError(
        `selection ${path} row ${row}: column ${this.weight} must hold numbers from 0; got ${weight}. Mend it.`,
        { file: path },
      );
    }
    return {
      keep: keep === undefined ? true : keep[r] === true,
      weight: Number(weight),
      caption: textOf(corrected_caption?.[r]),
      label: textOf(corrected_label?.[r]),
    };
  }

  private decideByName(
    columns: Rows,
    r: number,
    caption: number | undefined,
    decision: Decision,
  ): "known" | "missing" | "twice" {
    const key = columns.key?.[r];
    if (typeof key !== "string") return "missing";
    const source = columns.source?.[r];
    let outcome: "missing" | "twice" = "missing";
    for (const sample of this.finder.find(typeof source === "string" ? source : undefined, key)) {
      const done = this.decideSample(sample, caption, decision);
      if (done === "known") {
        this.finder.goOnAt(sample);
        return done;
      }
      if (done === "twice") outcome = done;
    }
    return outcome;
  }

  private decideByUid(
    byUid: PairsByUid,
    uid: string,
    caption: number | undefined,
    decision: Decision,
  ): "known" | "missing" | "twice" {
    let outcome: "missing" | "twice" = "missing";
    for (const place of byUid.find(wordsOfUid(uid))) {
      const sample = byUid.ofSamples ? place : this.pairs.sampleOf(place);
      const index = byUid.ofSamples ? caption : place - this.pairs.start(sample);
      const done = this.decideSample(sample, index, decision);
      if (done === "known") return done;
      if (done === "twice") outcome = done;
    }
    return outcome;
  }

  /** Decides one caption of a sample, or all. */
  private decideSample(
    sample: number,
    caption: number | undefined,
    decision: Decision,
  ): "known" | "missing" | "twice" {
    const { pairs, decisions } = this;
    const start = pairs.start(sample);
    const first = caption === undefined ? start : pairs.pair(sample, caption);
    if (first === undefined) return "missing";
    const end = caption === undefined ? pairs.ends[sample]! : first + 1;
    for (let pair = first; pair < end; pair++) if (decisions.isNamed(pair)) return "twice";
    for (let pair = first; pair < end; pair++) decisions.decide(sample, pair, decision);
    return "known";
  }
}

/** A text that is not blank. */
function textOf(value: unknown): string | undefined {
  const text = typeof value === "string" ? value.trim() : "";
  return text === "" ? undefined : text;
}
