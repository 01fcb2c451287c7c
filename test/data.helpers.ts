/** Synthetic images and sources in a folder that is gone after the tests. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after } from "node:test";
import sharp, { type Sharp } from "sharp";
import { keyFromSeed, Random } from "../src/core/random.js";

/** A new folder, removed when the test file ends. */
export function scratchFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "clipwright-data-"));
  after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Writes `content` at a path below `folder`, making the folders between; gives the path. */
export function put(folder: string, name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
  return path;
}

/** A picture of smooth random patches, another for every seed. */
export function picture(seed: number, width = 40, height = 30): Sharp {
  const random = new Random(keyFromSeed(seed + 1));
  const cells = Uint8Array.from({ length: 5 * 4 * 3 }, () => random.integer(256));
  return sharp(cells, { raw: { width: 5, height: 4, channels: 3 } }).resize(width, height, {
    kernel: "cubic",
    fit: "fill",
  });
}

export const pngOf = (seed: number, width = 40, height = 30): Promise<Buffer> =>
  picture(seed, width, height).png().toBuffer();

export interface HeaderFields {
  /** Stated instead of the content's size. */
  readonly size?: number;
  /** The size's field as it stands. */
  readonly sizeField?: string;
  readonly link?: string;
  /** Bytes from position 386 on. */
  readonly at386?: Uint8Array;
}

/** One 512-byte ustar header and its padded content. */
export function tarMember(
  name: string,
  content: Uint8Array,
  type = "0",
  { size = content.length, sizeField, link = "", at386 }: HeaderFields = {},
): Buffer {
  const header = Buffer.alloc(512);
  header.write(name.slice(0, 100), 0);
  header.write("0000644\0", 100);
  header.write(sizeField ?? `${size.toString(8).padStart(11, "0")}\0`, 124, "latin1");
  header.write(type, 156);
  header.write(link, 157);
  header.write("ustar\0", 257);
  header.write("00", 263);
  if (at386 !== undefined) header.set(at386, 386);
  header.fill(" ", 148, 156);
  const sum = header.reduce((a, b) => a + b, 0);
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return Buffer.concat([header, content, Buffer.alloc((512 - (content.length % 512)) % 512)]);
}

/** A tar; names over 100 characters are written as GNU long names or as pax records. */
export function tarOf(
  members: readonly (readonly [name: string, content: string | Uint8Array])[],
  long: "gnu" | "pax" = "gnu",
): Buffer {
  const parts: Buffer[] = [];
  for (const [name, content] of members) {
    if (name.length > 100 && long === "gnu")
      parts.push(tarMember("././@LongLink", Buffer.from(`${name}\0`), "L"));
    if (name.length > 100 && long === "pax") {
      const body = ` path=${name}\n`;
      let length = body.length + 1;
      while (String(length).length + body.length !== length) length = String(length).length + body.length;
      parts.push(tarMember("PaxHeader", Buffer.from(`${length}${body}`), "x"));
    }
    parts.push(tarMember(name, Buffer.from(content)));
  }
  return Buffer.concat([...parts, Buffer.alloc(1024)]);
}
