import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { UsageError } from "../src/core/errors.js";
import { keyFromSeed, Random } from "../src/core/random.js";
import { findCopies } from "../src/data/copies/find.js";
import { HashIndex } from "../src/data/copies/hash-index.js";
import { type Hash, perceptualHash } from "../src/data/copies/perceptual-hash.js";
import { type COPY_KINDS, syntheticCopy } from "../src/data/copies/synthetic.js";
import { openDataset } from "../src/data/index.js";
import { hashDistance } from "../src/data/look/duplicates.js";
import { picture, put, scratchFolder } from "./data.helpers.js";
import { fixture } from "./support/fixture.js";

const bitsOf = (hash: Hash): string => hash.map((word) => word.toString(2).padStart(32, "0")).join("");

/** From SciPy: fixtures/copies/hashes.py. */
const wanted = JSON.parse(readFileSync(fixture("copies/hashes.json"), "utf8")) as {
  grey: number[];
  hash: string;
  mirrored: string;
}[];

test("perceptualHash and that of the mirror image equal SciPy's", () => {
  for (const { grey, hash, mirrored } of wanted) {
    const data = Uint8Array.from(grey.flatMap((value) => [value, value, value]));
    const found = perceptualHash({ width: 32, height: 32, channels: 3, data });
    assert.equal(bitsOf(found.hash), hash);
    assert.equal(bitsOf(found.mirrored), mirrored);
  }
});

describe("HashIndex", () => {
  const random = new Random(keyFromSeed(1));
  const drawn = (): Hash => [random.integer(2 ** 32), random.integer(2 ** 32)];
  const hashes = Array.from({ length: 400 }, drawn);

  for (const most of [0, 3, 8, 15]) {
    test(`finds what comparing all finds, within ${most} bits`, () => {
      const index = new HashIndex(Uint32Array.from(hashes.flat()), most);
      for (let q = 0; q < 60; q++) {
        // A known hash with some bits turned, so that there is something to find.
        let [high, low] = hashes[q]!;
        for (let i = 0; i < q % 18; i++)
          if (random.integer(2) === 0) high = (high ^ (1 << random.integer(32))) >>> 0;
          else low = (low ^ (1 << random.integer(32))) >>> 0;
        const found: [number, number][] = [];
        index.search([high, low], (at, distance) => found.push([at, distance]));
        const all = hashes.flatMap((hash, at): [number, number][] => {
          const distance = hashDistance([high, low], hash);
          return distance <= most ? [[at, distance]] : [];
        });
        assert.deepEqual(
          found.sort((a, b) => a[0] - b[0]),
          all,
        );
      }
    });
  }

  test("refuses more bits than it can search", () => {
    assert.throws(() => new HashIndex(new Uint32Array(2), 16), UsageError);
  });
});

test("findCopies finds equal files, pictures that were saved again, resized or mirrored, and no others", async () => {
  const folder = scratchFolder();
  const png = (seed: number) => picture(seed, 64, 48).png().toBuffer();
  for (let i = 0; i < 12; i++) put(folder, `train/${i}.png`, await png(100 + i));
  const copy = async (seed: number, kind: (typeof COPY_KINDS)[number]) =>
    syntheticCopy(await png(seed), kind);
  const made = {
    a: await png(103),
    b: await copy(105, "re-encoded"),
    c: await copy(106, "resized"),
    d: await copy(107, "mirrored"),
    e: await png(200),
    f: await png(201),
    g: await copy(201, "re-encoded"),
  };
  for (const [name, bytes] of Object.entries(made)) put(folder, `test/${name}.png`, bytes);
  put(folder, "test/z.png", "no picture");
  const [train, scored] = await Promise.all(
    ["train", "test"].map((name) => openDataset(join(folder, name), { captionsOptional: true })),
  );
  const { copies, repeated } = await findCopies(scored!, train!, { workers: 1 });
  const named = copies.map(({ index, other, kind, mirrored }) => [
    scored!.sample(index).key,
    train!.sample(other).key,
    kind,
    mirrored,
  ]);
  assert.deepEqual(named, [
    ["a", "3", "exact", false],
    ["b", "5", "perceptual", false],
    ["c", "6", "perceptual", false],
    ["d", "7", "perceptual", true],
  ]);
  assert.deepEqual(
    repeated.map((index) => scored!.sample(index).key),
    ["f", "g"],
  );
});
