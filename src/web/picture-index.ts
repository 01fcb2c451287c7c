/** An index of `clipwright index` behind an address: its pieces are fetched when they are asked for, and kept. */

import { UsageError } from "../core/errors.js";
import {
  fileNames,
  INDEX_FILE,
  INDEX_VERSION,
  type IndexInfo,
  type PictureName,
  placeOfThumbnail,
} from "../serve/search/layout.js";
import {
  type Hit,
  type SearchOptions,
  searchPieces,
  type VectorPieces,
  vectorOfRow,
} from "../serve/search/search.js";
import { fetchBytes, fetchObject, folderUrl } from "./fetched.js";

export interface WebIndexOptions {
  /** Told after each piece that came, with all that there are. */
  readonly onPiece?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

/** A picture that was found, with what is kept of it. */
export interface WebHit extends Hit, PictureName {}

export interface WebIndex {
  readonly info: IndexInfo;
  /** The rows most like a vector [E] of unit length, best first. The first search fetches all vectors. */
  search(query: Float32Array, options?: SearchOptions): Promise<WebHit[]>;
  /** The rows most like a row, itself not among them. */
  similar(row: number, options?: SearchOptions): Promise<WebHit[]>;
  name(row: number): Promise<PictureName>;
  /** The names of all rows in order; a piece is fetched at a time. */
  names(): AsyncGenerator<PictureName>;
  /** The vector of a row [E], of unit length. */
  vector(row: number): Promise<Float32Array>;
  /** WebP within the index's side. */
  thumbnail(row: number): Promise<Blob>;
}

/** Opens the index at an address, relative to the page. Throws `UsageError` where there is none, or one of another version. */
export async function openWebIndex(folder: string | URL, options: WebIndexOptions = {}): Promise<WebIndex> {
  const at = folderUrl(folder);
  const info = (await fetchObject(new URL(INDEX_FILE, at), options.signal)) as unknown as IndexInfo;
  if (info.version !== INDEX_VERSION) {
    throw new UsageError(
      `${new URL(INDEX_FILE, at).href}: version must be ${INDEX_VERSION}; got ${JSON.stringify(info.version)}. Make the index again, or load this page anew.`,
    );
  }
  return new FetchedIndex(info, new URL(`${info.files}/`, at), options);
}

class FetchedIndex implements WebIndex, VectorPieces {
  readonly rows: number;
  readonly width: number;
  readonly type: VectorPieces["type"];
  readonly rowsPerPiece: number;
  private readonly files = new Map<string, Promise<Uint8Array<ArrayBuffer>>>();
  private readonly nameLists = new Map<number, Promise<readonly PictureName[]>>();
  private fetched = 0;

  constructor(
    readonly info: IndexInfo,
    private readonly at: URL,
    private readonly options: WebIndexOptions,
  ) {
    this.rows = info.rows;
    this.width = info.width;
    this.type = info.vectors.type;
    this.rowsPerPiece = info.vectors.rowsPerPiece;
  }

  async piece(number: number): Promise<Uint8Array> {
    const name = fileNames.vectors(number);
    const isNew = !this.files.has(name);
    const bytes = await this.file(name);
    if (isNew) this.options.onPiece?.(++this.fetched, Math.ceil(this.rows / this.rowsPerPiece));
    return bytes;
  }

  async search(query: Float32Array, options: SearchOptions = {}): Promise<WebHit[]> {
    const [hits] = await searchPieces(this, [query], options);
    return this.named(hits!);
  }

  vector = (row: number): Promise<Float32Array> => vectorOfRow(this, row);

  async *names(): AsyncGenerator<PictureName> {
    for (let row = 0; row < this.rows; row++) yield this.name(row);
  }

  async similar(row: number, options: SearchOptions = {}): Promise<WebHit[]> {
    const { accepts } = options;
    const others = (other: number): boolean => other !== row && (accepts === undefined || accepts(other));
    return this.search(await this.vector(row), { ...options, accepts: others });
  }

  async name(row: number): Promise<PictureName> {
    const { rowsPerPiece } = this.info.names;
    const number = Math.floor(row / rowsPerPiece);
    const list = this.nameLists.get(number) ?? this.namesOf(number);
    this.nameLists.set(number, list);
    return (await list)[row % rowsPerPiece]!;
  }

  async thumbnail(row: number): Promise<Blob> {
    const words = await this.file(fileNames.places);
    const places = new Uint32Array(words.buffer, words.byteOffset, words.byteLength / 4);
    const { pack, start, bytes } = placeOfThumbnail(this.info, places, row);
    const packed = await this.file(fileNames.thumbnails(pack));
    return new Blob([packed.subarray(start, start + bytes)], { type: this.info.thumbnails.type });
  }

  private named(hits: readonly Hit[]): Promise<WebHit[]> {
    return Promise.all(hits.map(async (hit) => ({ ...hit, ...(await this.name(hit.row)) })));
  }

  private async namesOf(number: number): Promise<readonly PictureName[]> {
    const text = new TextDecoder().decode(await this.file(fileNames.names(number)));
    return text
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as PictureName);
  }

  /** What could not be fetched is asked for again the next time. */
  private file(name: string): Promise<Uint8Array<ArrayBuffer>> {
    const known = this.files.get(name);
    if (known !== undefined) return known;
    const bytes = fetchBytes(new URL(name, this.at), this.options.signal);
    this.files.set(name, bytes);
    bytes.catch(() => this.files.delete(name));
    return bytes;
  }
}
