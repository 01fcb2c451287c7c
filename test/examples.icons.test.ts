import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import { prepared } from "../examples/drawings/output.js";
import { drawingsOf, thingWords } from "../examples/icons/names.js";
import { prepare } from "../examples/icons/prepare.js";
import { isUsable, shiftedStyleOf } from "../examples/icons/sets.js";
import { type Candidate, splitDrawings } from "../examples/icons/split.js";
import { openDataset } from "../src/data/index.js";
import { loadSuite } from "../src/evaluate/suites/suite.js";

const bare = (...names: string[]) => Object.fromEntries(names.map((name) => [name, { body: "" }]));
const words = (icon: string, set: Partial<Parameters<typeof thingWords>[1]> = {}): string =>
  thingWords(icon, { icons: {}, ...set }).join(" ");

describe("names of drawings", () => {
  it("leaves out how a thing is drawn", () => {
    assert.equal(words("home-outline"), "home");
    assert.equal(words("home-outline-24px"), "home");
    assert.equal(words("arrow-up-filled"), "arrow up");
    assert.equal(words("home-01"), "home");
    assert.equal(words("outline"), "outline");
    assert.equal(words("24"), "24");
  });

  it("takes off what the set's author calls a version", () => {
    assert.equal(
      words("boat-bold-duotone", { suffixes: { "": "Plain", "bold-duotone": "", bold: "" } }),
      "boat",
    );
    assert.equal(words("baseline-boat", { prefixes: { baseline: "" } }), "boat");
  });

  it("keeps a word that may belong to the thing unless the set has the name without it", () => {
    assert.equal(words("traffic-light"), "traffic light");
    assert.equal(words("moon-light", { icons: bare("moon") }), "moon");
    assert.equal(words("bank3"), "bank3");
    assert.equal(words("bank3", { icons: bare("bank") }), "bank");
  });

  it("gives one drawing a thing, with the names that the set knows it by", () => {
    const set = {
      prefix: "x",
      icons: { ...bare("home-fill", "home", "boat-2"), ghost: { body: "", hidden: true } },
      aliases: { house: { parent: "home-fill" }, turned: { parent: "boat-2", rotate: 1 } },
      chars: {},
      categories: {},
    };
    assert.deepEqual(
      drawingsOf(set).map(({ icon, name, aliases }) => ({ icon, name, aliases })),
      [
        { icon: "home", name: "home", aliases: ["house"] },
        { icon: "boat-2", name: "boat", aliases: [] },
      ],
    );
  });
});

describe("icon sets", () => {
  const of = (spdx: string | undefined, category = "General") =>
    isUsable({ name: "x", author: { name: "y" }, license: { title: "z", ...(spdx && { spdx }) }, category });

  it("uses those that everybody may use for anything", () => {
    assert.deepEqual(
      ["MIT", "CC-BY-SA-4.0", "CC-BY-NC-4.0", "GPL-3.0", undefined].map((spdx) => of(spdx)),
      [true, true, false, false, false],
    );
    assert.equal(of("MIT", "Logos"), false);
  });

  it("keeps the whole family of a shifted style out of training", () => {
    assert.equal(shiftedStyleOf("icon-park-solid")?.name, "two-tone");
    assert.equal(shiftedStyleOf("pixel")?.name, "pixel-art");
    assert.equal(shiftedStyleOf("lucide"), undefined);
  });
});

describe("the split of drawings", () => {
  const names = ["anchor", "boat", "cup"];
  const all: Candidate[] = Array.from({ length: 12 }, (_, author) =>
    names.map((name, n) => ({
      key: `s${author}_${name}`,
      name,
      author: `a${author}`,
      // The first two authors' anchors are copies of each other.
      group: name === "anchor" && author < 2 ? 1000 : 3 * author + n,
    })),
  ).flat();
  all.push({ key: "p_anchor", name: "anchor", author: "p", style: "pencil", group: 2000 });
  all.push({ key: "p_boat", name: "boat", author: "p", style: "pencil", group: 2001 });
  all.push({ key: "p_comb", name: "comb", author: "p", style: "pencil", group: 2002 });
  const options = { authors: 10, testEach: 3, probeEach: 5, validation: 0.1 };
  const split = splitDrawings(all, options);
  const groupsOf = (indices: readonly number[]) => new Set(indices.map((at) => all[at]!.group));

  it("takes as classes what enough authors draw", () => {
    assert.deepEqual(split.classes, names);
    assert.deepEqual(splitDrawings(all, { ...options, authors: 13 }).classes, []);
  });

  it("keeps copies on one side", () => {
    const train = groupsOf(split.train);
    for (const group of [...groupsOf(split.test), ...groupsOf(split.validation)])
      assert.ok(!train.has(group));
    assert.equal(split.test.length, 9);
  });

  it("tests on every drawing of a shifted style that shows a class, copies of training drawings apart", () => {
    assert.deepEqual(
      split.shifted.get("pencil")!.map((at) => all[at]!.key),
      ["p_anchor", "p_boat"],
    );
    const copied = all.map((one) => (one.key === "p_boat" ? { ...one, group: split.train[0]! } : one));
    const trained = copied[split.train[0]!]!;
    const other = splitDrawings(
      copied.map((one) => (one.key === "p_boat" ? { ...one, group: trained.group } : one)),
      { ...options, validation: 0, testEach: 0 },
    );
    assert.equal(other.copies, 1);
    assert.deepEqual(
      other.shifted.get("pencil")!.map((at) => copied[at]!.key),
      ["p_anchor"],
    );
  });

  it("lets probes learn from training drawings alone", () => {
    assert.equal(split.probe.length, 15);
    assert.ok(split.probe.every((at) => split.train.includes(at)));
  });

  it("does not depend on the order of the drawings", () => {
    const turned = [...all].reverse();
    const again = splitDrawings(turned, options);
    assert.deepEqual(
      again.test.map((at) => turned[at]!.key).sort(),
      split.test.map((at) => all[at]!.key).sort(),
    );
  });
});

describe("the icons study set", () => {
  let folder: string;
  const output = () => path.join(folder, "data");

  before(async () => {
    folder = await mkdtemp(path.join(os.tmpdir(), "clipwright-icons-"));
    const home = path.join(folder, "node_modules", "@iconify", "json");
    await mkdir(path.join(home, "json"), { recursive: true });
    const collections: Record<string, unknown> = {};
    const sets = ["one", "two", "three", "game-icons", "pepicons", "secret"];
    for (const [at, prefix] of sets.entries()) {
      const spdx = prefix === "secret" ? "CC-BY-NC-4.0" : "MIT";
      collections[prefix] = {
        name: `The ${prefix} set`,
        author: { name: `Author ${at}`, url: "https://example.org" },
        license: { title: spdx, spdx },
      };
      const box = (x: number, y: number) =>
        `<rect x="${x}" y="${y}" width="${3 + at}" height="${9 - at}" fill="currentColor"/>`;
      const icons = {
        "boat-outline": { body: box(1 + at, 2) },
        cup: { body: box(5, 1 + at) },
        nothing: { body: "" },
        broken: { body: "<rect" },
      };
      await writeFile(
        path.join(home, "json", `${prefix}.json`),
        JSON.stringify({ prefix, icons, aliases: {} }),
      );
    }
    await writeFile(path.join(home, "collections.json"), JSON.stringify(collections));
    await writeFile(path.join(home, "package.json"), JSON.stringify({ version: "1.0.0" }));
  });
  after(() => rm(folder, { recursive: true }));

  it("makes training tars, tests and a suite that the commands read", async () => {
    const summary = await prepare({ size: 16, packages: folder, output: output(), authors: 3 });
    assert.equal(summary.classes, 2);
    assert.equal(summary.sets, 4);
    assert.equal(summary.tests.silhouettes, 2);
    assert.equal(summary.broken, 8);
    // Three drawings a class, all of which may leave for the test: what is left is trained on.
    assert.equal(summary.trainingPairs + summary.validationPairs + summary.tests.concepts!, 6);
    const test = await openDataset(path.join(output(), "silhouettes", "test", "0.tar"));
    assert.deepEqual(Array.from({ length: test.length }, (_, i) => test.sample(i).captions[0]).sort(), [
      "boat",
      "cup",
    ]);
    const suite = await loadSuite(path.join(output(), "suite.json"));
    assert.deepEqual(
      suite.sets.map(({ name, role }) => [name, role]),
      [
        ["concepts", "reference"],
        ["silhouettes", "shift"],
        ["validation", "test"],
      ],
    );
    const licences = await readFile(path.join(output(), "LICENCES.md"), "utf8");
    assert.match(licences, /game-icons \| The game-icons set .* held out: silhouettes/);
    assert.doesNotMatch(licences, /secret|pepicons/);
  });

  it("draws silhouettes in white on black", async () => {
    const test = await openDataset(path.join(output(), "silhouettes", "test", "0.tar"));
    const { default: sharp } = await import("sharp");
    const pixels = await sharp(await test.readBytes(0))
      .raw()
      .toBuffer();
    assert.deepEqual([pixels[0], Math.max(...pixels)], [0, 255]);
  });

  it("does nothing the second time", async () => {
    const seen: number[] = [];
    await prepare({
      size: 16,
      packages: folder,
      output: output(),
      authors: 3,
      onProgress: (n) => seen.push(n),
    });
    assert.deepEqual(seen, []);
  });

  it("goes on from what was drawn before it was interrupted, as long as the input is the same", async () => {
    const place = path.join(folder, "interrupted");
    const made: string[] = [];
    const draw = (input: unknown, stopAt?: string) =>
      prepared(place, input, async (write, keep) => {
        let whole = "";
        for (const name of ["a", "b"]) {
          if (name === stopAt) throw new Error("killed");
          const { bytes } = await keep(name, async () => {
            made.push(`${input}${name}`);
            return { bytes: Buffer.from(`${input}${name}`) };
          });
          whole += Buffer.from(bytes).toString();
        }
        await write("whole", whole);
        return { whole };
      });
    await assert.rejects(draw(1, "b"), /killed/);
    await assert.rejects(draw(2, "b"), /killed/);
    // Half of a part, as a machine that loses power leaves it beside its place; and one that cannot be read.
    const [first] = (await readdir(`${place}.kept`)).sort();
    await writeFile(path.join(`${place}.kept`, first!, "b.tmp"), "half");
    await writeFile(path.join(`${place}.kept`, first!, "b"), "");
    assert.deepEqual(await draw(1), { whole: "1a1b" });
    assert.deepEqual(made, ["1a", "2a", "1b"]);
    await assert.rejects(readdir(`${place}.kept`), { code: "ENOENT" });
  });

  it("names the package that is missing", async () => {
    await assert.rejects(prepare({ packages: path.join(folder, "nowhere") }), {
      name: "UsageError",
      message: /@iconify\/json; got no .*package\.json\. Run `npm ci`/,
    });
  });
});
