/** What a server of pictures shows: an index, the model that made it, and their map; all of it may be changed while it is shown. */

import type { Progress } from "../../evaluate/features/source.js";
import type { Encoder } from "../../evaluate/model/encoder.js";
import type { Scale } from "../classify/calibrate.js";
import { Kept } from "../index/kept.js";
import { mapOf } from "../index/map.js";
import type { PictureIndex } from "../index/open.js";
import type { Description, FoundPicture } from "../page/source.js";
import { type Filter, filterOf } from "../search/filter.js";
import type { PictureName } from "../search/layout.js";

export interface ServedParts {
  readonly index: PictureIndex;
  readonly encoder: Pick<Encoder, "embedTexts" | "embedImages">;
  readonly scale: Scale;
  readonly title: string;
  /** The model, in words. */
  readonly model: string;
}

/** Filters whose pictures are remembered. */
const FILTERS = 16;

/** One index with its model. */
export class Served {
  readonly index: PictureIndex;
  readonly encoder: ServedParts["encoder"];
  readonly version: string;
  private readonly filters = new Kept<string, Uint32Array>(FILTERS, () => 1);
  private mapDone = 0;
  private mapMade: Promise<Uint8Array<ArrayBuffer> | undefined> | undefined;
  private mapBytes: { readonly bytes: Uint8Array<ArrayBuffer> | undefined } | undefined;

  constructor(private readonly parts: ServedParts) {
    this.index = parts.index;
    this.encoder = parts.encoder;
    this.version = `${parts.index.info.plan.slice(0, 12)}-${parts.index.info.files}`;
  }

  describe(): Omit<Description, "follows"> {
    const { index, scale, title, model } = this.parts;
    const { rows, data } = index.info;
    const { value, about } = scale;
    return { title, model, rows, labels: data.labels, scale: { value, about }, version: this.version };
  }

  found = (row: number, score?: number): FoundPicture => {
    const { key, captions, label }: PictureName = this.index.name(row);
    return {
      row,
      key,
      captions,
      ...(label !== undefined && { label }),
      ...(score !== undefined && { score }),
    };
  };

  async nearest(vector: Float32Array, k: number, filter: Filter): Promise<FoundPicture[]> {
    const passed = this.passing(filter);
    const chosen = passed && new Set(passed);
    const accepts = chosen && ((row: number) => chosen.has(row));
    const [hits = []] = await this.index.nearest([vector], { k, accepts });
    return hits.map(({ row, score }) => this.found(row, score));
  }

  browse(from: number, count: number, filter: Filter): { found: FoundPicture[]; total: number } {
    const passed = this.passing(filter);
    const total = passed?.length ?? this.index.rows;
    const rows = Array.from(
      { length: Math.max(0, Math.min(count, total - from)) },
      (_, i) => passed?.[from + i] ?? from + i,
    );
    return { found: rows.map((row) => this.found(row)), total };
  }

  /** The map's bytes; how far it is, from 0 to 1, while it is computed; undefined where there is none. */
  map(onProblem: (line: string) => void): Uint8Array<ArrayBuffer> | number | undefined {
    if (this.mapBytes !== undefined) return this.mapBytes.bytes;
    this.mapMade ??= mapOf(this.index, ({ done, total }: Progress) => {
      this.mapDone = done / total;
    });
    this.mapMade.then(
      (bytes) => {
        this.mapBytes = { bytes };
      },
      (error: unknown) => {
        if (this.mapBytes === undefined)
          onProblem(`map: ${error instanceof Error ? error.message : String(error)}`);
        this.mapBytes = { bytes: undefined };
      },
    );
    return this.mapDone;
  }

  /** The rows that pass a filter, ascending; undefined where every row does. */
  private passing(filter: Filter): Uint32Array | undefined {
    const passes = filterOf(filter);
    if (passes === undefined) return undefined;
    return this.filters.get(JSON.stringify([filter.label, filter.words]), () => {
      const rows: number[] = [];
      let row = 0;
      for (const name of this.index.names()) {
        if (passes(name)) rows.push(row);
        row++;
      }
      return Uint32Array.from(rows);
    });
  }
}
