/**
 * What the files of an index are called and hold (docs/using.md, "The files of an index"). Plain TypeScript: a page that fetches
 * them asks the same functions.
 */

import type { VectorType } from "./vectors.js";

/** Another number: other files. Readers refuse what they do not know. */
export const INDEX_VERSION = 1;

export const INDEX_FILE = "index.json";

/** Rows of a piece of vectors, of names. */
export const ROWS_PER_PIECE = 4096;
/** Thumbnails of a pack. */
export const ROWS_PER_PACK = 512;

/** `index.json`: what an index is. */
export interface IndexInfo {
  readonly version: typeof INDEX_VERSION;
  /** When it was made, ISO 8601. */
  readonly made: string;
  /** Tells what it was made of, and how: the same again would give the same index. */
  readonly plan: string;
  /** The folder with its files, beside `index.json`. */
  readonly files: string;
  /** Pictures. */
  readonly rows: number;
  /** Width of the vectors. */
  readonly width: number;
  readonly vectors: {
    readonly type: VectorType;
    readonly rowsPerPiece: number;
    /** Share of the ten nearest by f32 vectors that these find, measured on `queries` of `among` pictures; 1 for f32. */
    readonly recall: { readonly value: number; readonly queries: number; readonly among: number };
  };
  readonly thumbnails: {
    readonly type: "image/webp";
    /** Pixels of the longer side, at most. */
    readonly side: number;
    readonly rowsPerPack: number;
  };
  readonly names: { readonly rowsPerPiece: number };
  readonly data: {
    readonly name: string;
    /** As they were given to `clipwright index`. */
    readonly sources: readonly string[];
    /** Pictures that could not be read, and are not in the index. */
    readonly skipped: number;
    /** Distinct labels, most frequent first, at most 200. */
    readonly labels: readonly string[];
  };
  readonly model: {
    /** A run or a model's folder, from the index's folder; or a name. */
    readonly path: string;
    /** Tells the model from every other: `identity` of an open model. */
    readonly identity: string;
    /** Steps of the checkpoint, where it has them. */
    readonly step?: number | undefined;
    /** What multiplies cosines, as the model has learned it. */
    readonly scale: number;
  };
  /** A graph of neighbours for approximate search, where there is one: usearch's file. */
  readonly graph?: {
    readonly file: string;
    /** Share of the ten nearest that it finds, measured on `queries` pictures of the index. */
    readonly recall: { readonly value: number; readonly queries: number };
  };
}

/** What is kept of a picture besides its vector: a line of names. */
export interface PictureName {
  /** Path without its ending, or another name, as the data have it. */
  readonly key: string;
  readonly captions: readonly string[];
  readonly label?: string | undefined;
}

const five = (number: number): string => String(number).padStart(5, "0");

export const fileNames = {
  /** Of rows `number` · rowsPerPiece and following. */
  vectors: (number: number): string => `vectors-${five(number)}.bin`,
  names: (number: number): string => `names-${five(number)}.jsonl`,
  thumbnails: (number: number): string => `thumbnails-${five(number)}.bin`,
  /** u32 [rows, 2]: where a row's thumbnail begins in its pack, and its bytes. */
  places: "thumbnails.u32",
  /** u8 [rows, 16]: the first half of the SHA-256 of each picture's file. */
  contents: "contents.bin",
  graph: "graph.usearch",
} as const;

/** Where a row's thumbnail is: its pack, first byte and bytes. `places` is the file of that name. */
export function placeOfThumbnail(
  { thumbnails }: Pick<IndexInfo, "thumbnails">,
  places: Uint32Array,
  row: number,
): { readonly pack: number; readonly start: number; readonly bytes: number } {
  const pack = Math.floor(row / thumbnails.rowsPerPack);
  return { pack, start: places[2 * row]!, bytes: places[2 * row + 1]! };
}
