/** Pictures of the data as a page shows them: encoded anew, so that nothing but pixels of them reaches a browser. */

import { UsageError } from "../../../core/errors.js";
import { Turns } from "../../../core/web/turns.js";
import { thumbnail } from "../../../data/pixels/show/thumbnail.js";

/** Longest sides, in pixels. */
export const SIDES = { grid: 360, full: 1280 } as const;
export type PictureSize = keyof typeof SIDES;

const CACHE_BYTES = 2 ** 26;
/** Pictures encoded at a time, and requests that wait for their turn. */
const AT_ONCE = 3;
const WAITING = 64;

export class Pictures {
  private readonly kept = new Map<string, Uint8Array>();
  private keptBytes = 0;
  private readonly turns = new Turns("picture", AT_ONCE, WAITING);

  /** @param rows those that may be shown. */
  constructor(
    private readonly read: (row: number) => Promise<Uint8Array>,
    private readonly rows: ReadonlySet<number>,
  ) {}

  has = (row: number): boolean => this.rows.has(row);

  /** The picture of a row, as WebP. Throws a `UsageError` where there is none that can be read. */
  async get(row: number, size: PictureSize): Promise<Uint8Array> {
    if (!this.rows.has(row)) throw new UsageError(`picture: row ${row} is not in the review.`);
    const name = `${row} ${size}`;
    const kept = this.kept.get(name);
    if (kept !== undefined) {
      // What was asked for last is kept longest.
      this.kept.delete(name);
      this.kept.set(name, kept);
      return kept;
    }
    return this.turns.run(async () => {
      const made = await thumbnail(await this.read(row), SIDES[size]);
      this.keep(name, made);
      return made;
    });
  }

  private keep(name: string, bytes: Uint8Array): void {
    if (!this.kept.has(name)) this.keptBytes += bytes.length;
    this.kept.set(name, bytes);
    for (const [oldest, { length }] of this.kept) {
      if (this.keptBytes <= CACHE_BYTES) break;
      this.kept.delete(oldest);
      this.keptBytes -= length;
    }
  }
}
