/** Sources of data: whatever is in the file, opening it ends in pairs that can be read, or in one line. */
import assert from "node:assert/strict";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { UsageError } from "../../../src/core/errors.js";
import { fingerprintOf, openDataset } from "../../../src/data/index.js";
import { pngOf, tarOf } from "../../data.helpers.js";
import { fixture } from "../../support/fixture.js";
import type { FuzzInput } from "../mutate.js";
import type { FuzzTarget } from "../target.js";

const IMAGES = 3;
const pictures = () => Promise.all(Array.from({ length: IMAGES }, (_, i) => pngOf(i, 12, 9)));

/** Opens `file` of the folder and reads all of it; every image must be what its place says, or be refused by name. */
async function readAll(folder: string, file: string): Promise<void> {
  const dataset = await openDataset(join(folder, file), { cacheDir: join(folder, "cache") });
  assert.equal(dataset.images.offset.length, dataset.length);
  for (let i = 0; i < dataset.length; i++) {
    const { key, captions, label } = dataset.sample(i);
    assert.equal(typeof key, "string");
    for (const caption of captions) assert.ok(caption !== "" && caption.trim() === caption);
    assert.notEqual(label, "");
    const container = dataset.images.containers[dataset.images.container[i]!]!;
    if (container.kind === "range") {
      const [offset, size] = [dataset.images.offset[i]!, dataset.images.size[i]!];
      assert.ok(offset >= 0 && size >= 0 && offset + size <= statSync(container.path).size);
    }
    await dataset.readBytes(i).catch((error) => {
      if (!(error instanceof UsageError) || error.message.includes("\n")) throw error;
    });
  }
  const { samples } = fingerprintOf(dataset);
  assert.equal(samples, dataset.length);
}

const source = (
  name: string,
  file: string,
  seeds: () => Promise<readonly FuzzInput[]>,
  more: Partial<FuzzTarget> = {},
): FuzzTarget => ({ name, seeds, run: (folder) => readAll(folder, file), ...more });

const BLOCK = 512;

/** Checksums of all blocks that look like a header. */
function sealTar(bytes: Uint8Array): Uint8Array {
  const tar = Buffer.from(bytes);
  for (let at = 0; at + BLOCK <= tar.length; at += BLOCK) {
    const header = tar.subarray(at, at + BLOCK);
    if (header.toString("latin1", 257, 262) !== "ustar") continue;
    header.fill(" ", 148, 156);
    const sum = header.reduce((a, b) => a + b, 0);
    header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  }
  return tar;
}

export const tar = source(
  "tar",
  "x.tar",
  async () => {
    const images = await pictures();
    const members = (prefix: string) =>
      images.flatMap((image, i) => [
        [`${prefix}${i}.png`, image] as const,
        [`${prefix}${i}.txt`, `picture ${i}\nagain`] as const,
        [`${prefix}${i}.json`, JSON.stringify({ caption: `${i}`, label: i })] as const,
      ]);
    const long = "a-rather-long-folder-name/".repeat(6);
    return [tarOf(members("")), tarOf(members(long), "gnu"), tarOf(members(long), "pax")].map((bytes) => ({
      "x.tar": bytes,
    }));
  },
  {
    words: ["ustar", "././@LongLink", "30 path=a/b.png\n", "22 size=-1\n", "17 GNU.sparse.major=1\n"],
    repair: (input) => ({ ...input, "x.tar": sealTar(input["x.tar"] ?? new Uint8Array()) }),
  },
);

export const parquet = source(
  "parquet",
  "x.parquet",
  async () =>
    ["struct", "bytes", "late"].map((name) => ({
      "x.parquet": readFileSync(fixture(`data/${name}.parquet`)),
    })),
  { words: ["PAR1", "image", "caption", "huggingface"] },
);

/** A table beside its images. */
const table = async (name: string, texts: readonly string[]): Promise<readonly FuzzInput[]> => {
  const images = await pictures();
  const beside = Object.fromEntries(images.map((image, i) => [`${i}.png`, image]));
  return texts.map((text) => ({ [name]: Buffer.from(text), ...beside }));
};

/** Only the table is damaged: what is wrong with pictures is found elsewhere. */
const rows = [...Array(IMAGES).keys()];

export const csv = source(
  "csv",
  "x.csv",
  () =>
    table("x.csv", [
      `filepath,title\n${rows.map((i) => `${i}.png,"picture, ""${i}"""`).join("\n")}\n`,
      `\ufeffimage;caption;label\r\n${rows.map((i) => `${i}.png;picture ${i};${i}`).join("\r\n")}`,
      rows.map((i) => `${i}.png\tpicture ${i}`).join("\n"),
    ]),
  { words: [",", ";", "\t", '"', '""', "\n", "0.png", "filepath", "title", "https://a.example/x.png"] },
);

export const jsonl = source(
  "jsonl",
  "x.jsonl",
  async () => {
    const inline = (await pictures()).map((image, i) => ({
      image: image.toString("base64"),
      text: [`${i}`],
    }));
    return table("x.jsonl", [
      rows.map((i) => JSON.stringify({ file_name: `${i}.png`, captions: [`a ${i}`, `b ${i}`] })).join("\n"),
      rows.map((i) => JSON.stringify({ path: `${i}.png`, caption_0: `a ${i}`, label: i })).join("\r\n"),
      inline.map((row) => JSON.stringify(row)).join("\n"),
    ]);
  },
  { words: ['{"image":', '"caption":', '"0.png"', "data:image/png;base64,", ",", ":", "}"] },
);
