import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { describe, it } from "node:test";
import sharp from "sharp";
import type { IconSet } from "../examples/drawings/iconify.js";
import { renderAll, tar } from "../examples/drawings/render.js";

const LEFT_HALF_RED = { body: '<rect width="8" height="16" fill="#f00"/>' };
const set: IconSet = {
  prefix: "halves",
  icons: {
    half: LEFT_HALF_RED,
    ink: { body: '<rect width="8" height="16" fill="currentColor"/>' },
    wide: { body: '<rect width="32" height="16" fill="#f00"/>', width: 32 },
    broken: { body: "<rect" },
  },
  aliases: {
    mirrored: { parent: "half", hFlip: true },
    turned: { parent: "half", rotate: 1 },
  },
  chars: {},
  categories: {},
};

/** Colours at the middle of the left, right, top and bottom edge, as six hexadecimal digits. */
async function edges(icon: string, size = 16): Promise<string[]> {
  const [png] = await renderAll([{ set, icon }], size);
  const { data, info } = await sharp(png!).raw().toBuffer({ resolveWithObject: true });
  assert.deepEqual([info.width, info.height, info.channels], [size, size, 3]);
  const middle = size / 2;
  const at = (x: number, y: number) =>
    data.subarray((y * size + x) * 3, (y * size + x) * 3 + 3).toString("hex");
  return [at(1, middle), at(size - 2, middle), at(middle - 2, 1), at(middle - 2, size - 2)];
}

describe("renderAll", () => {
  it("puts the drawing on white", async () => {
    assert.deepEqual(await edges("half"), ["ff0000", "ffffff", "ff0000", "ff0000"]);
  });

  it("scales the vector, not a picture of it", async () => {
    assert.deepEqual(await edges("half", 128), ["ff0000", "ffffff", "ff0000", "ff0000"]);
  });

  it("draws in black what takes the text's colour", async () => {
    assert.deepEqual(await edges("ink"), ["000000", "ffffff", "000000", "000000"]);
  });

  it("mirrors and turns as the alias says", async () => {
    assert.deepEqual((await edges("mirrored")).slice(0, 2), ["ffffff", "ff0000"]);
    assert.deepEqual((await edges("turned")).slice(2), ["ff0000", "ffffff"]);
  });

  it("fits a wide drawing into the square without stretching it", async () => {
    assert.deepEqual(await edges("wide"), ["ff0000", "ff0000", "ffffff", "ffffff"]);
  });

  it("gives null for a broken drawing and goes on with the others", async () => {
    const pngs = await renderAll(
      ["broken", "half"].map((icon) => ({ set, icon })),
      16,
    );
    assert.deepEqual(
      pngs.map((png) => png === null),
      [true, false],
    );
  });
});

describe("tar", () => {
  it("is read by the system's tar", async () => {
    const folder = await mkdtemp(path.join(os.tmpdir(), "clipwright-tar-"));
    const members = new Map([
      ["a.txt", "grinning face\nsmile\n"],
      ["b.json", "x".repeat(512)],
      ["c.empty", ""],
    ]);
    await writeFile(
      path.join(folder, "x.tar"),
      tar([...members].map(([name, text]) => [name, Buffer.from(text)])),
    );
    execFileSync("tar", ["xf", "x.tar"], { cwd: folder });
    for (const [name, text] of members) assert.equal(await readFile(path.join(folder, name), "utf8"), text);
    await rm(folder, { recursive: true });
  });
});
