/** A review of tables: the pairs of a selection, of scores, or of a selection with its scores beside it. */

import { UsageError } from "../../core/errors.js";
import type { Dataset } from "../../data/index.js";
import { identityColumns, pairColumns, selectionColumns } from "../../data/selections/form.js";
import { Pairs, SampleFinder } from "../../data/selections/pairs.js";
import { type Database, openTables, type SqlRow, sqlName } from "../tables/database.js";
import type { ReviewItem, ReviewScore, ReviewSet } from "./set.js";

export interface OpenSetOptions {
  /** A condition in SQL over the columns of the tables. */
  readonly where?: string | undefined;
  /** Pairs at most; of more so many are drawn at random. Default 20,000. */
  readonly limit?: number | undefined;
}

export interface OpenedSet {
  readonly set: ReviewSet;
  /** Pairs that the tables have and `where` lets through. */
  readonly rows: number;
  /** Pairs of the review that the data lack. */
  readonly missing: number;
}

/** The tables of a review, told apart. */
export interface ReviewTables {
  readonly selection: string | undefined;
  readonly scores: string | undefined;
}

/** Columns that say which pairs are copies of each other: a group each. */
export const GROUP_COLUMN = "duplicate_group";
const NUMBERS = /^(TINYINT|SMALLINT|INTEGER|BIGINT|U\w+INT|FLOAT|DOUBLE|DECIMAL.*|BOOLEAN)$/;

/** Which table is the selection and which holds scores. Throws a `UsageError` for two of a kind. */
export async function tellTables(paths: readonly string[]): Promise<ReviewTables> {
  const found: { selection: string | undefined; scores: string | undefined } = {
    selection: undefined,
    scores: undefined,
  };
  for (const path of paths) {
    await using database = await openTables({ tables: { pairs: path } });
    const columns = new Set((await database.columns("pairs")).map(({ name }) => name));
    const lacking = identityColumns.filter(({ name }) => name !== "uid" && !columns.has(name));
    if (lacking.length > 0) {
      throw new UsageError(
        `review: ${path} must be a selection or a table of scores; it has no column ${lacking[0]!.name}. Make one with clipwright curate score or select.`,
        { file: path },
      );
    }
    const kind = columns.has("keep") ? "selection" : "scores";
    if (found[kind] !== undefined) {
      throw new UsageError(
        `review: takes one selection and one table of scores; got ${found[kind]} and ${path}, both ${kind === "scores" ? "scores" : "selections"}. Name one.`,
      );
    }
    found[kind] = path;
  }
  return found;
}

/**
 * Opens the tables for a review of pictures of `dataset`. Every numeric column but those of the identity is a score;
 * `duplicate_group` says what is taken for copies.
 */
export async function openReviewSet(
  { selection, scores }: ReviewTables,
  dataset: Dataset,
  { where, limit = 20_000 }: OpenSetOptions = {},
): Promise<OpenedSet> {
  const tables = {
    ...(selection !== undefined && { selection }),
    ...(scores !== undefined && { scores }),
  };
  await using database = await openTables({ tables });
  const from = await joined(database, selection !== undefined, scores !== undefined);
  const condition = where === undefined ? "true" : await database.condition("review", where, "--where");
  const [count] = await database.rows(`SELECT count(*) AS n FROM review WHERE ${condition}`);
  const rows = Number(count?.n);
  const some =
    rows <= limit
      ? ""
      : ` QUALIFY row_number() OVER (ORDER BY hash(source, key, caption_index), row) <= ${limit}`;
  const columns = scoreColumns(await database.columns("review"));
  const items: ReviewItem[] = [];
  const values = columns.map(() => [] as number[]);
  const pictures = new Finder(dataset);
  let missing = 0;
  const asked = `SELECT * FROM review WHERE ${condition}${some} ORDER BY row`;
  for await (const piece of database.each(asked)) {
    for (const row of piece) {
      const item = itemOf(row, pictures);
      if (item.row === undefined) missing++;
      items.push(item);
      for (const [c, name] of columns.entries()) values[c]!.push(numberOf(row[name]));
    }
  }
  if (items.length === 0) {
    throw new UsageError(
      `review: there must be pairs to look at; ${where === undefined ? "the table has none" : `--where "${where}" leaves none`}. ${where === undefined ? "Name another table" : "Loosen the condition"}.`,
    );
  }
  if (missing === items.length) {
    throw new UsageError(
      `review: the data must have the pairs of the table; they have none of its ${items.length}, the first being ${items[0]!.id.source}/${items[0]!.id.key}. Name the data that the table was made of (--train-data).`,
    );
  }
  const told = new Map(from.map((column) => [column.name, column]));
  const list = columns.map((name, c): ReviewScore => {
    const { about = "", better } = told.get(name) ?? {};
    return { name, about, better, values: Float64Array.from(values[c]!) };
  });
  const title = dataset.name;
  const readPicture = (row: number): Promise<Uint8Array> => dataset.readBytes(row);
  return {
    set: { title, items, scores: list, selected: selection !== undefined, readPicture },
    rows,
    missing,
  };
}

/** Makes the view `review` of both tables; gives what they say of their columns. */
async function joined(database: Database, selection: boolean, scores: boolean) {
  const infos = Object.values(database.infos).flatMap((info) => info?.columns ?? []);
  const name = selection ? "selection" : "scores";
  if (!(selection && scores)) {
    await database.run(`CREATE VIEW review AS SELECT * FROM ${name}`);
    return infos;
  }
  const ids = ["source", "key", "caption_index"];
  const has = new Set((await database.columns("selection")).map((column) => column.name));
  const more = (await database.columns("scores"))
    .map((column) => column.name)
    .filter((column) => !has.has(column))
    .map((column) => `scores.${sqlName(column)}`);
  const same = ids.map((id) => `selection.${id} = scores.${id}`).join(" AND ");
  const list = ["selection.*", ...more].join(", ");
  await database.run(`CREATE VIEW review AS SELECT ${list} FROM selection LEFT JOIN scores ON ${same}`);
  return infos;
}

const known = new Set<string>([
  ...[...pairColumns, ...selectionColumns].map(({ name }) => name),
  GROUP_COLUMN,
  "row",
]);

const scoreColumns = (columns: readonly { readonly name: string; readonly type: string }[]): string[] =>
  columns.filter(({ name, type }) => NUMBERS.test(type) && !known.has(name)).map(({ name }) => name);

function numberOf(value: SqlRow[string] | undefined): number {
  return value === null || value === undefined || typeof value === "string" ? Number.NaN : Number(value);
}

const textOf = (value: SqlRow[string] | undefined): string | undefined =>
  value === null || value === undefined ? undefined : String(value);

function itemOf(row: SqlRow, pictures: Finder): ReviewItem {
  const source = textOf(row.source) ?? "";
  const key = textOf(row.key) ?? "";
  const captionIndex = Number(row.caption_index);
  const sample = pictures.find(source, key);
  const stored = sample === undefined ? undefined : pictures.dataset.sample(sample);
  const caption =
    textOf(row.corrected_caption) ?? textOf(row.caption) ?? stored?.captions[captionIndex] ?? "";
  const label = textOf(row.corrected_label) ?? textOf(row.label) ?? stored?.label;
  const group = row[GROUP_COLUMN];
  // As training reads a selection: NULL is no. Scores alone drop nothing.
  const keep = !("keep" in row) || row.keep === true;
  const reason = textOf(row.reason);
  return {
    id: { source, key, captionIndex, uid: textOf(row.uid) ?? null },
    row: sample,
    caption,
    label,
    keep,
    ...(reason !== undefined && { reason }),
    ...(typeof row.weight === "number" && { weight: row.weight }),
    ...(group !== null && group !== undefined && { group: String(group) }),
  };
}

/** The sample that a table names; by its key alone where the data are one source of another name. */
class Finder {
  private readonly finder: SampleFinder;
  private readonly only: string | undefined;

  constructor(readonly dataset: Dataset) {
    const { sources } = dataset;
    this.only = sources.length === 1 ? sources[0]!.name : undefined;
    this.finder = new SampleFinder(new Pairs(dataset), sources.length > 1);
  }

  find(source: string, key: string): number | undefined {
    for (const sample of this.finder.find(this.only ?? source, key)) {
      this.finder.goOnAt(sample);
      return sample;
    }
    return undefined;
  }
}
