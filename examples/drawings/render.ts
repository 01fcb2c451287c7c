/** From an icon to a square PNG, and from many to WebDataset tars. */
import sharp from "sharp";
import type { IconSet } from "./iconify.js";

/** An icon of a set: a key of its `icons`, or of `aliases` where it is turned or mirrored. */
export interface IconOfSet {
  readonly set: Pick<IconSet, "icons" | "aliases" | "width" | "height">;
  readonly icon: string;
  /** Behind the drawing; white. */
  readonly ground?: string;
  /** What is drawn in the text's colour; black. */
  readonly ink?: string;
}

/** RGB of a drawing, [height, width, 3] bytes. */
export interface Pixels {
  readonly data: Uint8Array;
  readonly width: number;
  readonly height: number;
}

/** The icon as an SVG document of `size` × `size` pixels; a box that is not square keeps its proportions. */
export function svgOf({ set, icon, ink = "#000" }: IconOfSet, size: number): string {
  const alias = set.icons[icon] === undefined ? set.aliases?.[icon] : undefined;
  const source = set.icons[alias?.parent ?? icon]!;
  const left = source.left ?? 0;
  const top = source.top ?? 0;
  const width = source.width ?? set.width ?? 16;
  const height = source.height ?? set.height ?? 16;
  const centre = `${left + width / 2} ${top + height / 2}`;
  const turns = [
    alias?.rotate !== undefined && `rotate(${alias.rotate * 90} ${centre})`,
    (alias?.hFlip === true || alias?.vFlip === true) &&
      `translate(${centre}) scale(${alias.hFlip === true ? -1 : 1} ${alias.vFlip === true ? -1 : 1}) translate(${-(left + width / 2)} ${-(top + height / 2)})`,
  ].filter((turn) => turn !== false);
  const body = turns.length === 0 ? source.body : `<g transform="${turns.join(" ")}">${source.body}</g>`;
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" color="${ink}" ` +
    `width="${size}" height="${size}" viewBox="${left} ${top} ${width} ${height}">${body}</svg>`
  );
}

export interface RenderOptions {
  readonly onDone?: (count: number) => void;
  /** Called with the pixels of each drawing that could be rendered. */
  readonly onPixels?: (index: number, pixels: Pixels) => void;
}

/** PNG (8-bit RGB) of each drawing, `size` pixels a side, in order; `null` where an SVG is broken. */
export async function renderAll(
  drawings: readonly IconOfSet[],
  size: number,
  { onDone, onPixels }: RenderOptions = {},
): Promise<(Buffer | null)[]> {
  const pngs: (Buffer | null)[] = new Array(drawings.length).fill(null);
  const before = sharp.concurrency();
  // Images this small gain from many at once (libuv's four threads), not from threads within one.
  sharp.concurrency(1);
  let next = 0;
  let done = 0;
  const work = async () => {
    while (next < drawings.length) {
      const index = next++;
      const pixels = await pixelsOf(drawings[index]!, size).catch(() => undefined);
      if (pixels !== undefined) {
        onPixels?.(index, pixels);
        const { data, width, height } = pixels;
        pngs[index] = await sharp(data, { raw: { width, height, channels: 3 } })
          .png()
          .toBuffer();
      }
      onDone?.(++done);
    }
  };
  await Promise.all([work(), work(), work(), work()]);
  sharp.concurrency(before);
  return pngs;
}

async function pixelsOf(drawing: IconOfSet, size: number): Promise<Pixels> {
  const { data, info } = await sharp(Buffer.from(svgOf(drawing, size)))
    .flatten({ background: drawing.ground ?? "#fff" })
    .toColourspace("srgb")
    .raw()
    .toBuffer({ resolveWithObject: true });
  return { data, width: info.width, height: info.height };
}

/** A tar archive (POSIX ustar, mode 644, time 0, so that equal members give equal bytes) of small named files. */
export function tar(members: Iterable<readonly [name: string, data: Uint8Array]>): Buffer {
  const blocks: Uint8Array[] = [];
  for (const [name, data] of members) {
    const header = Buffer.alloc(512);
    header.write(name, 0, 100);
    header.write("0000644\0", 100);
    header.write("0000000\0", 108);
    header.write("0000000\0", 116);
    header.write(`${data.length.toString(8).padStart(11, "0")}\0`, 124);
    header.write("00000000000\0", 136);
    header.write("        ", 148); // the checksum counts as blanks in itself
    header.write("0", 156);
    header.write("ustar\x0000", 257);
    const sum = header.reduce((total, byte) => total + byte, 0);
    header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
    blocks.push(header, data, new Uint8Array((512 - (data.length % 512)) % 512));
  }
  blocks.push(new Uint8Array(1024));
  return Buffer.concat(blocks);
}
