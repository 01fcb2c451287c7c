/** Pictures that stand in the set more than once. */

import { GrowingColumn, shared } from "../../../data/columns/numbers.js";
import { groupPictures, hashNumber, type Likeness, MINIATURE_BYTES } from "../../../data/copies/group.js";
import { defaulted, integer } from "../../../settings/fields.js";
import type { ScoredTable, ScoreHost, TableFamily } from "../score.js";
import { eachPicture, type PictureRow } from "./pictures.js";

/** Groups that are told of. */
const TOLD = 3;
/** Pictures of one look, with captions of their own, that stand for others: “image not available”. */
const PLACEHOLDER = 5;

/** What is known of each picture, one behind the other. */
class Found {
  /** First row, and rows. */
  readonly rows = new GrowingColumn(shared.u32);
  readonly lengths = new GrowingColumn(shared.u32);
  readonly bytes = new GrowingColumn(shared.f64);
  readonly pixels = new GrowingColumn(shared.f64);
  readonly hashes = new GrowingColumn(shared.u32);
  /** Twelve words of four bytes each. */
  readonly miniatures = new GrowingColumn(shared.u32);

  add({ row, rows, values }: PictureRow): void {
    this.rows.push(row);
    this.lengths.push(rows);
    this.bytes.push(hashNumber(values.bytes_hash));
    this.pixels.push(hashNumber(values.pixel_hash));
    const phash = String(values.phash ?? "0");
    for (const from of [0, 8]) this.hashes.push(Number.parseInt(phash.slice(from, from + 8), 16) || 0);
    const miniature = Buffer.alloc(
      MINIATURE_BYTES,
      Buffer.from(String(values.miniature ?? "AAAA"), "base64"),
    );
    for (let at = 0; at < MINIATURE_BYTES; at += 4) this.miniatures.push(miniature.readUInt32LE(at));
  }
}

export const duplicatesFamily: TableFamily = {
  name: "duplicates",
  about:
    "Pictures that stand in the set more than once: equal files, equal pixels, or the same picture saved anew.",
  how:
    "Near duplicates have perceptual hashes at most --duplicate-bits apart and miniatures that differ by less than 4 of 255 and a sixteenth of their " +
    "contrast: that finds pictures saved again or resized, not crops or mirror images, which lie near by embedding. " +
    "Groups are closed: what is alike to one of a group belongs to it. Captions of one picture are no duplicates.",
  source: "Zauner 2010 (perceptual hash), Norouzi et al. 2012 (finding them)",
  over: "table",
  byDefault: true,
  reads: ["bytes_hash", "pixel_hash", "phash", "miniature"],
  settings: {
    duplicateBits: defaulted(
      integer(0, 15),
      4,
      "Bits of 64 in which perceptual hashes of near duplicates may differ: 4 surely copies, 10 candidates.",
    ),
  },
  columns: [
    {
      name: "duplicate_group",
      kind: "count",
      about:
        "Number of the picture's group: the row from 0 in which its first picture stands, its own where it is alone; NULL of broken ones.",
    },
    {
      name: "duplicate_count",
      kind: "count",
      better: "lower",
      about: "Pictures in the group; 1 where it is alone.",
    },
    {
      name: "is_duplicate",
      kind: "flag",
      better: "lower",
      about: "Another picture of the group stands before it.",
    },
    {
      name: "duplicate_kind",
      kind: "text",
      about: "Surest likeness to another of the group: “bytes”, “pixels” or “near”; NULL where it is alone.",
    },
  ],
  async score(host) {
    const found = new Found();
    for await (const picture of eachPicture(host, this.reads)) found.add(picture);
    const { first, likeness } = groupPictures(
      {
        bytes: found.bytes.done(),
        pixels: found.pixels.done(),
        hashes: found.hashes.done(),
        miniatures: new Uint8Array(found.miniatures.done().buffer),
      },
      (host.settings as { duplicateBits?: number }).duplicateBits ?? 4,
    );
    const rows = found.rows.done();
    const counts = new Map<number, number>();
    for (const root of first) if (root >= 0) counts.set(root, (counts.get(root) ?? 0) + 1);
    await tellPlaceholders(host, counts, rows);
    const group = new Float64Array(host.length).fill(Number.NaN);
    const count = new Float64Array(host.length).fill(Number.NaN);
    const later: (boolean | null)[] = new Array(host.length).fill(null);
    const kind: (Likeness | null)[] = new Array(host.length).fill(null);
    for (const [at, root] of first.entries()) {
      if (root < 0) continue;
      const [from, to] = [rows[at]!, rows[at]! + found.lengths.values[at]!];
      group.fill(rows[root]!, from, to);
      count.fill(counts.get(root)!, from, to);
      later.fill(root !== at, from, to);
      kind.fill(likeness.get(at) ?? null, from, to);
    }
    return {
      duplicate_group: group,
      duplicate_count: count,
      is_duplicate: later,
      duplicate_kind: kind,
    };
  },
};

/** Tells the pictures that come most often, by the key of the first of each. */
async function tellPlaceholders(
  host: ScoreHost & ScoredTable,
  counts: ReadonlyMap<number, number>,
  rows: Uint32Array,
): Promise<void> {
  const often = [...counts].filter(([, count]) => count >= PLACEHOLDER).sort((a, b) => b[1] - a[1]);
  const told = new Map(often.slice(0, TOLD).map(([root, count]) => [rows[root]!, count]));
  if (told.size === 0) return;
  const keys = new Map<number, string>();
  for await (const { start, length, columns } of host.scan(["key"]))
    for (const row of told.keys())
      if (row >= start && row < start + length) keys.set(row, String(columns.key![row - start]));
  const list = [...told].map(([row, count]) => `${keys.get(row)} ${count} times`).join(", ");
  host.onNote?.(
    `${often.length} ${often.length === 1 ? "picture stands" : "pictures stand"} in the set ${PLACEHOLDER} times or more: ${list}. Placeholders such as “image not available” look like that.`,
  );
}
