import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import { HELD_OUT_STYLES, prepare, TRAINING_STYLES } from "../examples/emoji/prepare.js";

const LEFT_HALF_RED = { body: '<rect width="8" height="16" fill="#f00"/>' };

describe("prepare", () => {
  let folder: string;

  before(async () => {
    folder = await mkdtemp(path.join(os.tmpdir(), "clipwright-emoji-"));
    for (const style of [...TRAINING_STYLES, ...HELD_OUT_STYLES]) {
      const home = path.join(folder, "node_modules", "@iconify-json", style);
      await mkdir(home, { recursive: true });
      const icons = {
        fox: LEFT_HALF_RED,
        [style.startsWith("fluent") ? "monster" : "red-half"]: LEFT_HALF_RED,
      };
      await writeFile(path.join(home, "icons.json"), JSON.stringify({ prefix: style, icons }));
      await writeFile(path.join(home, "metadata.json"), JSON.stringify({ categories: { Nature: ["fox"] } }));
      await writeFile(path.join(home, "package.json"), JSON.stringify({ version: "1.0.0" }));
      const info = {
        name: `The ${style} set`,
        author: { name: "A. Painter", url: "https://example.org" },
        license: { title: "MIT", spdx: "MIT", url: "https://example.org/licence" },
      };
      await writeFile(path.join(home, "info.json"), JSON.stringify(info));
    }
  });
  after(() => rm(folder, { recursive: true }));

  it("writes tars, class names, templates and licences, and the second time nothing", async () => {
    const output = path.join(folder, "data");
    const progress: number[] = [];
    const options = { size: 16, packages: folder, output, onProgress: (done: number) => progress.push(done) };
    const summary = await prepare(options);
    // Two drawings a training style; of the held-out ones only the fox, since nothing taught "monster" and the
    // classes are the names of fluent-emoji-flat.
    assert.deepEqual([summary.trainingNames, summary.classes, summary.classesInTraining], [2, 1, 1]);
    assert.deepEqual(
      summary.styles.map(({ drawings }) => drawings),
      [2, 2, 2, 2, 2, 2, 1, 1, 1],
    );
    assert.deepEqual(summary.unknown, ["fluent-emoji-flat:monster", "fluent-emoji-high-contrast:monster"]);
    assert.equal(progress.at(-1), 15);

    execFileSync("tar", ["xf", "train/noto.tar"], { cwd: output });
    assert.equal(await readFile(path.join(output, "noto_red-half.txt"), "utf8"), "red half\n");
    assert.deepEqual(JSON.parse(await readFile(path.join(output, "noto_fox.json"), "utf8")), {
      key: "noto_fox",
      style: "noto",
      category: "animals & nature",
      name: "fox",
      licence: "MIT",
    });
    const unseen = path.join(output, "emojione-monotone");
    assert.equal(await readFile(path.join(unseen, "classnames.txt"), "utf8"), "fox\n");
    assert.equal(await readFile(path.join(unseen, "zeroshot_classification_templates.txt"), "utf8"), "{c}\n");
    execFileSync("tar", ["xf", "test/0.tar"], { cwd: unseen });
    assert.equal(await readFile(path.join(unseen, "emojione-monotone_fox.cls"), "utf8"), "0");
    assert.match(
      await readFile(path.join(output, "LICENCES.md"), "utf8"),
      /\[A\. Painter\]\(https:\/\/example\.org\) \| \[MIT\]/,
    );

    progress.length = 0;
    assert.deepEqual(await prepare(options), summary);
    assert.deepEqual(progress, []);
  });

  it("renders again at another size", async () => {
    const output = path.join(folder, "data");
    assert.equal((await prepare({ size: 32, packages: folder, output })).size, 32);
  });

  it("names the package that is missing", async () => {
    await assert.rejects(prepare({ packages: path.join(folder, "nowhere") }), {
      name: "UsageError",
      message: /got none named @iconify-json\/noto\. Run `npm ci`/,
    });
  });

  it("does not replace a folder that it did not write", async () => {
    const output = path.join(folder, "node_modules");
    await assert.rejects(prepare({ packages: folder, output }), {
      name: "UsageError",
      message: /no file "stamp"/,
    });
  });

  it("refuses a size that is not a sensible number of pixels", async () => {
    await assert.rejects(prepare({ size: 8, packages: folder }), {
      name: "UsageError",
      message: /got size=8/,
    });
  });
});
