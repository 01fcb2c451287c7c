/** Numbers that data bring for their pairs, under the names that DataComp, LAION and img2dataset have for them. */
import { GrowingColumn, shared } from "./numbers.js";

/** A field of a row or of the JSON beside a picture that is read where it holds a number. */
export interface GivenField {
  readonly name: string;
  /** One sentence. */
  readonly about: string;
  readonly better?: "higher" | "lower";
  readonly unit?: string;
  readonly source: string;
}

export const givenFields: readonly GivenField[] = [
  {
    name: "original_width",
    unit: "px",
    about: "Width before the picture was resized for the set.",
    source: "img2dataset, DataComp",
  },
  {
    name: "original_height",
    unit: "px",
    about: "Height before the picture was resized for the set.",
    source: "img2dataset, DataComp",
  },
  {
    name: "clip_b32_similarity_score",
    better: "higher",
    about: "Cosine of picture and caption by OpenAI's ViT-B/32.",
    source: "DataComp",
  },
  {
    name: "clip_l14_similarity_score",
    better: "higher",
    about: "Cosine of picture and caption by OpenAI's ViT-L/14.",
    source: "DataComp",
  },
  {
    name: "similarity",
    better: "higher",
    about: "Cosine of picture and caption by the model that made the set.",
    source: "LAION",
  },
  {
    name: "aesthetic",
    better: "higher",
    about: "How beautiful a model holds the picture for, 0 … 10.",
    source: "LAION",
  },
  { name: "pwatermark", better: "lower", about: "Probability of a watermark, 0 … 1.", source: "LAION" },
  {
    name: "punsafe",
    better: "lower",
    about: "Probability that the picture is unsafe, 0 … 1.",
    source: "LAION",
  },
];

/** Their names, for readers that ask for columns. */
export const givenNames: readonly string[] = givenFields.map(({ name }) => name);

/** The numbers in a row or a JSON object, by name; undefined where there is none. */
export function givenNumbers(
  record: Readonly<Record<string, unknown>>,
): Readonly<Record<string, number>> | undefined {
  let found: Record<string, number> | undefined;
  for (const name of givenNames) {
    const value = record[name];
    if (value === undefined || value === null || value === "") continue;
    const number = typeof value === "object" ? Number.NaN : Number(value);
    if (!Number.isFinite(number)) continue;
    found ??= {};
    found[name] = number;
  }
  return found;
}

/** Of samples, 8 bytes a number: a column for every name that a sample had; NaN where one has none. */
export type GivenColumns = ReadonlyMap<string, Float64Array>;

/** Collects the numbers of samples one after the other. */
export class GivenWriter {
  private readonly columns = new Map<string, GrowingColumn<Float64Array>>();

  /** Those of the sample at `i`, which is above all before it. */
  add(i: number, numbers: Readonly<Record<string, number>> | undefined): void {
    for (const [name, number] of Object.entries(numbers ?? {})) {
      let column = this.columns.get(name);
      if (column === undefined) {
        column = new GrowingColumn(shared.f64);
        this.columns.set(name, column);
      }
      fill(column, i);
      column.push(number);
    }
  }

  /** The columns of `length` samples. */
  done(length: number): GivenColumns {
    for (const column of this.columns.values()) fill(column, length);
    return new Map([...this.columns].map(([name, column]) => [name, column.done()]));
  }
}

function fill(column: GrowingColumn<Float64Array>, length: number): void {
  while (column.length < length) column.push(Number.NaN);
}

/** The numbers of the sample at `i`; undefined where it has none. */
export function givenAt(columns: GivenColumns, i: number): Readonly<Record<string, number>> | undefined {
  let found: Record<string, number> | undefined;
  for (const [name, { [i]: number }] of columns) {
    if (number === undefined || Number.isNaN(number)) continue;
    found ??= {};
    found[name] = number;
  }
  return found;
}
