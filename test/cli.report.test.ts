import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { suite, test } from "node:test";
import { reportCommand } from "../src/cli/commands/report.js";
import { pngOf, put, scratchFolder } from "./data.helpers.js";
import { runWords } from "./support/command-line.js";
import { makeRun } from "./support/run-folder.js";

suite("clipwright report", () => {
  const folder = scratchFolder();
  const recipe = { model: "ViT-B-32", trainData: join(folder, "pairs"), steps: 3, batchSize: 4 };

  async function page(run: string, ...words: string[]): Promise<string> {
    const all = ["report", run, ...words, "--threads", "1", "--workers", "1"];
    const { code, err, out } = await runWords([reportCommand], all);
    assert.equal(code, 0, err);
    assert.equal(out, `${join(run, "report.html")}\n`);
    return readFileSync(join(run, "report.html"), "utf8");
  }

  test("captioned photos: captions for pictures, pictures for captions, and for queries, without labels", async () => {
    for (let i = 0; i < 12; i++) {
      put(folder, `pairs/${i}.png`, await pngOf(i));
      put(folder, `pairs/${i}.txt`, `thing ${i}\nthe same thing`);
    }
    const run = makeRun(join(folder, "runs/captions"), recipe);
    const html = await page(
      run,
      "--data",
      join(folder, "pairs"),
      "--queries",
      "a dog;two people",
      "--pictures",
      "5",
    );
    for (const title of ["Picture finds caption", "Caption finds picture", "Text finds picture"])
      assert.match(html, new RegExp(`<h2>${title}</h2>`));
    assert.match(html, /“two people”/);
    assert.match(html, /5 of 12 pictures of pairs, drawn at random, .* nearest of 13 captions/);
    assert.match(html, /The model was trained on 12 of these 12\./);
    assert.match(html, /pairs: 12 of its pictures were trained on/);
    assert.doesNotMatch(html, /never seen/);
    const [own] = html.split("Pictures that do not find their caption");
    assert.equal(own!.split('class="picture ').length - 1, 5);
    // Each caption that is lost shows its own picture first, with the place that it has among twelve.
    const lost = html.split("Captions that do not find their picture</h2>")[1]!;
    const places = [...lost.matchAll(/>its own, in place (\d+)/g)].map(([, place]) => Number(place));
    assert.equal(places.length, 6);
    assert.deepEqual(
      places,
      places.toSorted((a, b) => b - a),
    );
    assert.ok(places.every((place) => place > 1 && place <= 12));
  });

  test("what was held out is shown by itself, and only that counts as never seen", async () => {
    for (const label of ["tabby_cat", "dog"])
      for (let i = 0; i < 6; i++)
        put(folder, `classes/${label}/${i}.png`, await pngOf(10 * i + label.length));
    const run = makeRun(join(folder, "runs/classes"), {
      ...recipe,
      trainData: join(folder, "classes"),
      valSplit: 0.5,
    });
    const html = await page(run);
    assert.match(html, /<h2>Names for pictures never seen<\/h2>/);
    // The truth is the class's name, as prompts and captions have it.
    assert.match(html, /<h4 title="tabby cat">tabby cat<\/h4>/);
    assert.match(html, /(\d) of 6<\/b> first guesses are right; for 6 the true one/);
    // What is taken for what adds up to the wrong first guesses, and each of them stands among the surest errors.
    const [, right] = /(\d) of 6<\/b> first guesses/.exec(html)!;
    const taken = /What is taken for what<\/h2>[\s\S]*?<\/table>/.exec(html)![0];
    const times = [...taken.matchAll(/<td class="number">(\d+)<\/td><td class="number">(\d+)<\/td>/g)];
    assert.equal(
      times.reduce((sum, [, count]) => sum + Number(count), 0),
      6 - Number(right),
    );
    const errors = html.split("The surest errors</h2>")[1]!;
    assert.equal(errors.split('class="picture ').length - 1, 6 - Number(right));
    assert.doesNotMatch(errors, /first guesses are right/);
    assert.match(html, /Names that are missed<\/h2>/);
    for (const fact of ["page made", "trained on", "command", "Node"])
      assert.match(html, new RegExp(`<dt>${fact}</dt>`));
    assert.match(html, /clipwright report .*runs\/classes --threads 1/);
    assert.match(html, /Some scores rest on 6 items only/);
  });

  test("a run that held nothing out has its curves, and queries ask for pictures", async () => {
    const run = makeRun(join(folder, "runs/bare"), recipe);
    assert.doesNotMatch(await page(run), /class="picture/);
    const { code, err } = await runWords([reportCommand], ["report", run, "--queries", "a dog"]);
    assert.equal(code, 2);
    assert.match(err, /queries look among pictures; got no --data/);
  });
});
