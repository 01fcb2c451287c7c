/** What is looked at of some rows of a table of scores: counts of all of them, and a random sample of pictures. */

import { keyFromSeed, Random } from "../../core/random.js";
import type { TableColumn } from "../../data/selections/form.js";
import { scoreFamilies } from "../scores/index.js";
import { type Database, type SqlValue, sqlName } from "../tables/database.js";

/** Pictures that are drawn: half of them find the directions of vectors, the other half are compared. */
const DRAWN = 2000;
/** More classes than so many are names, and tell nothing of a distribution. */
const MOST_CLASSES = 50;

/** A column of some rows. */
export interface WindowColumn {
  readonly name: string;
  readonly kind: "numbers" | "classes";
  readonly about?: string | undefined;
  readonly better?: "higher" | "lower" | undefined;
  /** Pictures that have the score. */
  readonly known: number;
  /** Of numbers, over all pictures. */
  readonly mean: number;
  /** Of numbers: those of the pictures that were drawn. */
  readonly sample: readonly number[];
  /** Of classes, over all pictures. */
  readonly counts: Readonly<Record<string, number>>;
}

export interface DrawnPicture {
  readonly source: string;
  readonly key: string;
  readonly caption: string | undefined;
}

export interface Window {
  /** Pictures in it. */
  readonly pictures: number;
  readonly columns: readonly WindowColumn[];
  /** At random, at most 2,000. */
  readonly drawn: readonly DrawnPicture[];
}

/** Whether a score stays what it is when other pairs come to the table. */
const isOfPair = (column: string): boolean =>
  !scoreFamilies.some(({ over, columns }) => over === "table" && columns.some(({ name }) => name === column));

interface Tally {
  readonly column: TableColumn;
  known: number;
  sum: number;
  counts: Map<string, number> | undefined;
}

/** The columns that a window looks at beside `source`, `key` and `caption`. */
const looked = (columns: readonly TableColumn[]): TableColumn[] =>
  columns.filter(({ name }) => !IDENTITY.has(name) && isOfPair(name));

/** A row by its columns, `source`, `key` and `caption` among them. */
export type PictureRow = Readonly<Record<string, SqlValue>>;

/**
 * The rows of `view` from `start` on, a picture each, with its first caption: captions of one picture share its scores. Columns
 * over the whole table (duplicates, frequencies) are left out, since they change with it; so are texts with more than 50
 * different values.
 */
export async function windowOf(
  database: Database,
  view: string,
  columns: readonly TableColumn[],
  { start = 0, seed = 0 }: { readonly start?: number; readonly seed?: number } = {},
): Promise<Window> {
  const names = ["source", "key", "caption", ...looked(columns).map(({ name }) => name)];
  const rows = database.each(
    `SELECT ${names.map(sqlName).join(", ")} FROM ${sqlName(view)} WHERE caption_index = 0 AND row >= $1 ORDER BY row`,
    [start],
  );
  const tally = new WindowTally(columns, seed);
  for await (const some of rows) for (const row of some) tally.add(row);
  return tally.window();
}

/** Makes a window of pictures that come one by one. */
export class WindowTally {
  private readonly tallies: readonly Tally[];
  private readonly random: Random;
  private readonly drawn: PictureRow[] = [];
  private pictures = 0;

  constructor(columns: readonly TableColumn[], seed = 0) {
    this.random = new Random(keyFromSeed(seed));
    this.tallies = looked(columns).map(
      (column): Tally => ({ column, known: 0, sum: 0, counts: isNumber(column) ? undefined : new Map() }),
    );
  }

  add(row: PictureRow): void {
    this.pictures++;
    // Reservoir sampling: every picture so far is among the drawn with the same chance.
    const place = this.pictures <= DRAWN ? this.pictures - 1 : this.random.integer(this.pictures);
    if (place < DRAWN) this.drawn[place] = row;
    for (const tally of this.tallies) add(tally, row[tally.column.name] ?? null);
  }

  window(): Window {
    const { drawn } = this;
    const isTold = ({ counts }: Tally) => counts === undefined || counts.size <= MOST_CLASSES;
    const order = [...this.random.permutation(drawn.length)];
    return {
      pictures: this.pictures,
      columns: this.tallies.filter(isTold).map((tally) => columnOf(tally, drawn)),
      drawn: order.map((i) => {
        const { source, key, caption } = drawn[i]!;
        const words = typeof caption === "string" ? caption : undefined;
        return { source: String(source), key: String(key), caption: words };
      }),
    };
  }
}

const IDENTITY: ReadonlySet<string> = new Set(["source", "key", "caption_index", "uid", "caption", "label"]);
const isNumber = ({ kind }: TableColumn): boolean => kind === "number" || kind === "count";

function add(tally: Tally, value: SqlValue): void {
  if (value === null) return;
  tally.known++;
  if (tally.counts === undefined) tally.sum += Number(value);
  else if (tally.counts.size <= MOST_CLASSES) {
    const name = String(value);
    tally.counts.set(name, (tally.counts.get(name) ?? 0) + 1);
  }
}

function columnOf({ column, known, sum, counts }: Tally, drawn: readonly PictureRow[]): WindowColumn {
  const { name, about, better } = column;
  const values = drawn.map((row) => row[name] ?? null).filter((value) => value !== null);
  return {
    ...{ name, about, better, known },
    kind: counts === undefined ? "numbers" : "classes",
    mean: known > 0 ? sum / known : 0,
    sample: counts === undefined ? values.map(Number) : [],
    counts: Object.fromEntries(counts ?? []),
  };
}
