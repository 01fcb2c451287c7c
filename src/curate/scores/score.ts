/** What a score family is: some columns of the score table, told and computed in one record. */

import type { Dataset, Sample } from "../../data/dataset.js";
import type { Examined } from "../../data/loading/messages.js";
import type { TableColumn } from "../../data/selections/form.js";
import type { Fields } from "../../settings/fields.js";

/**
 * One column of the score table; no other family has its name. `about` is one sentence: what it says of a pair, its range, and
 * when it is NULL. `better` is the way that is better for training, `source` where the formula is from if not the family's.
 */
export type ScoreColumn = TableColumn;

/** NULL is what is unknown; never NaN. */
export type ScoreValue = number | string | boolean | null;

/** Values of one row by column; a column that is left out is NULL. */
export type ScoreRow = Readonly<Record<string, ScoreValue | undefined>>;

/** Values of one column, a row each; NaN in a Float64Array stands for NULL. */
export type ScoreValues = Float64Array | readonly ScoreValue[];

/** What every family says of itself. */
interface Told {
  /** By which `--scores` names it. */
  readonly name: string;
  /** One sentence for people who choose. */
  readonly about: string;
  /** How it is computed, with every convention that moves a number. */
  readonly how: string;
  /** The paper or program that it follows. */
  readonly source: string;
  readonly columns: readonly ScoreColumn[];
  /** Computed where `--scores` names nothing: what needs no model and no second set. */
  readonly byDefault: boolean;
  /** Settings of its own, shown in the command's help under its name. */
  readonly settings?: Fields;
}

/** Told and used by every family's computation that is not over in no time. */
export interface ScoreHost {
  /** Values of the family's `settings`, checked. */
  readonly settings: Readonly<Record<string, unknown>>;
  readonly workers?: number | undefined;
  /** Told what takes a while, and how far it is. */
  readonly onProgress?: ((progress: { what: string; done: number; total: number }) => void) | undefined;
  /** What a person should know, one line. */
  readonly onNote?: ((line: string) => void) | undefined;
}

/** A score of one caption by itself. Pictures are not read for it. */
export interface CaptionFamily extends Told {
  readonly over: "caption";
  /** Gets ready (loads a library, say) and gives what scores one caption of a sample. */
  open(host: ScoreHost): Promise<(caption: string, sample: Sample) => ScoreRow>;
}

/** A score of one picture by itself, of what a data worker found when it read and decoded it once for all families. */
export interface PictureFamily extends Told {
  readonly over: "picture";
  /** Called for broken pictures, too: they have an `error` and no `picture`. */
  score(found: Examined): ScoreRow;
}

/**
 * A score for which the whole table must be seen, of columns that were scored before; also of rows appended to a table, whose
 * data need not be there any more.
 */
export interface TableFamily extends Told {
  readonly over: "table";
  /** Columns that it reads; their families are computed with it. */
  readonly reads: readonly string[];
  score(host: ScoreHost & ScoredTable): Promise<Readonly<Record<string, ScoreValues>>>;
}

/** Rows of the table as they were scored so far. */
export interface ScoredTable {
  /** Rows. */
  readonly length: number;
  /** Columns of identity (`key`, `caption`, …) or of `reads`, some thousand rows at a time, in order. */
  scan(columns: readonly string[]): AsyncIterable<ScoredRows>;
}

export interface ScoredRows {
  /** The first row's position in the table. */
  readonly start: number;
  readonly length: number;
  /** Values of the columns asked for, a row each. */
  readonly columns: Readonly<Record<string, readonly ScoreValue[]>>;
}

/** A score for which data are needed beside the pair: embeddings, a model, a training. */
export interface DataFamily extends Told {
  readonly over: "data";
  score(host: ScoreHost & ScoredData): Promise<Readonly<Record<string, ScoreValues>>>;
}

/** Rows that are to be scored, and their data. */
export interface ScoredData {
  readonly dataset: Dataset;
  /** Of each row its sample in `dataset`, ascending; and the position of its caption there, 0 where it has none. */
  readonly rows: { readonly length: number; readonly sample: Uint32Array; readonly caption: Uint16Array };
  /** A folder that lasts until the table is complete: what is kept there is not computed again after a kill. */
  readonly folder: string;
}

export type ScoreFamily = CaptionFamily | PictureFamily | TableFamily | DataFamily;

/** What a family reads, in words for people. */
export const needOf = ({ over }: ScoreFamily): string =>
  ({
    caption: "captions",
    picture: "pictures",
    table: "the whole table",
    data: "pictures, captions and a model",
  })[over];
