/** An index of pictures, opened for use: its vectors, names and thumbnails, read from the disk when they are asked for. */

import { closeSync, existsSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { readExactly } from "../../core/disk.js";
import { UsageError } from "../../core/errors.js";
import { readJsonLines, readJsonObject, withFileErrors } from "../../core/files.js";
import {
  fileNames,
  INDEX_FILE,
  INDEX_VERSION,
  type IndexInfo,
  type PictureName,
  placeOfThumbnail,
} from "../search/layout.js";
import { type Hit, type SearchOptions, searchPieces, type VectorPieces } from "../search/search.js";
import { unpackVectors } from "../search/vectors.js";
import { type Graph, openGraph } from "./graph.js";
import { Kept } from "./kept.js";

/** Bytes of a picture's content hash. */
export const CONTENT_BYTES = 16;

/** What vectors may take of memory; the rest is read again from the disk for every search. */
const VECTOR_BYTES = 2 ** 30;
const NAME_PIECES = 64;

export interface NearestOptions extends SearchOptions {
  /** Compare with every row even where there is a graph. Default false. */
  readonly exact?: boolean | undefined;
}

/** Hold it with `using`, or `close` it. */
export class PictureIndex implements VectorPieces, Disposable {
  readonly rows: number;
  readonly width: number;
  readonly type: VectorPieces["type"];
  readonly rowsPerPiece: number;
  private readonly files: string;
  private readonly pieces = new Kept<number, Uint8Array>(VECTOR_BYTES, (piece) => piece.byteLength);
  private readonly nameLists = new Kept<number, PictureName[]>(NAME_PIECES, () => 1);
  private readonly packs = new Map<number, number>();
  private places: Uint32Array | undefined;
  private graph: Graph | undefined;

  private constructor(
    readonly folder: string,
    readonly info: IndexInfo,
  ) {
    this.rows = info.rows;
    this.width = info.width;
    this.type = info.vectors.type;
    this.rowsPerPiece = info.vectors.rowsPerPiece;
    this.files = join(folder, info.files);
  }

  /** Throws a `UsageError` for a folder that is no index, or one of another version. */
  static open(folder: string): PictureIndex {
    const path = join(folder, INDEX_FILE);
    if (!existsSync(path)) {
      throw new UsageError(
        `${folder}: is no index of pictures; it has no ${INDEX_FILE}. Make one: clipwright index PICTURES --with RUN --out ${folder}.`,
        { file: folder },
      );
    }
    const info = readJsonObject(path) as unknown as IndexInfo;
    if (info.version !== INDEX_VERSION) {
      throw new UsageError(
        `${path}: version must be ${INDEX_VERSION}; got ${JSON.stringify(info.version)}. Make the index again with this version.`,
        { file: path },
      );
    }
    return new PictureIndex(folder, info);
  }

  /** An index whose `index.json` holds `info`, or is to hold it. */
  static of = (folder: string, info: IndexInfo): PictureIndex => new PictureIndex(folder, info);

  piece(number: number): Uint8Array {
    return this.pieces.get(number, () => this.read(fileNames.vectors(number)));
  }

  /** The vector of a row [E], as it is stored: of unit length but for its rounding. */
  vectorOf(row: number): Float32Array {
    const { type, width, rowsPerPiece } = this;
    const packed = this.piece(Math.floor(this.checked(row) / rowsPerPiece));
    return unpackVectors(type, packed, width, row % rowsPerPiece, 1);
  }

  /** What is kept of a row's picture besides its vector. */
  name(row: number): PictureName {
    const { rowsPerPiece } = this.info.names;
    const number = Math.floor(this.checked(row) / rowsPerPiece);
    const names = this.nameLists.get(
      number,
      () => readJsonLines(join(this.files, fileNames.names(number))) as PictureName[],
    );
    return names[row % rowsPerPiece]!;
  }

  /** The names of all rows in order; a piece is in memory at a time. */
  *names(): Generator<PictureName> {
    const { rowsPerPiece } = this.info.names;
    for (let first = 0; first < this.rows; first += rowsPerPiece) {
      yield* readJsonLines(join(this.files, fileNames.names(first / rowsPerPiece))) as PictureName[];
    }
  }

  /** The row's picture within the index's side, WebP. */
  thumbnail(row: number): Uint8Array {
    this.places ??= wordsIn(this.read(fileNames.places));
    const { pack, start, bytes } = placeOfThumbnail(this.info, this.places, this.checked(row));
    const path = join(this.files, fileNames.thumbnails(pack));
    return withFileErrors("read", path, () => {
      let file = this.packs.get(pack);
      if (file === undefined) {
        if (this.packs.size >= 64) this.closePacks();
        file = openSync(path, "r");
        this.packs.set(pack, file);
      }
      const out = new Uint8Array(bytes);
      if (readExactly(file, out, start)) return out;
      throw new UsageError(`${path}: ends before its last picture. Make the index again.`, { file: path });
    });
  }

  /** The rows by the content hash, in hex, of their pictures' files; of copies the first. */
  rowsByContent(): Map<string, number> {
    const all = Buffer.from(this.read(fileNames.contents));
    const rows = new Map<string, number>();
    for (let row = this.rows - 1; row >= 0; row--) {
      rows.set(all.toString("hex", row * CONTENT_BYTES, (row + 1) * CONTENT_BYTES), row);
    }
    return rows;
  }

  /**
   * For each unit vector of `queries` the rows that are most like it, best first. Exact, but of an index with a graph, which is
   * not asked where rows are chosen by `accepts`.
   */
  async nearest(
    queries: readonly Float32Array[],
    { exact = false, ...options }: NearestOptions = {},
  ): Promise<Hit[][]> {
    const { graph } = this.info;
    if (graph === undefined || exact || options.accepts !== undefined)
      return searchPieces(this, queries, options);
    this.graph ??= await openGraph(join(this.files, graph.file), this.width);
    return queries.map((query) => this.graph!.nearest(query, options.k ?? 20, (row) => this.vectorOf(row)));
  }

  /** Closes the index's files. */
  close(): void {
    this.closePacks();
    this.pieces.clear();
    this.graph = undefined;
  }

  /** As `close`. */
  [Symbol.dispose](): void {
    this.close();
  }

  private closePacks(): void {
    for (const file of this.packs.values()) closeSync(file);
    this.packs.clear();
  }

  private read(name: string): Uint8Array {
    const path = join(this.files, name);
    // A buffer of its own: small files would share one, at any alignment.
    return withFileErrors("read", path, () => new Uint8Array(readFileSync(path)));
  }

  private checked(row: number): number {
    if (Number.isInteger(row) && row >= 0 && row < this.rows) return row;
    throw new UsageError(`index ${this.folder}: rows are 0 … ${this.rows - 1}; got row=${row}.`);
  }
}

const wordsIn = ({ buffer, byteLength }: Uint8Array): Uint32Array =>
  new Uint32Array(buffer, 0, byteLength / 4);
