/** A site of files, as a person without Node sees it: Chromium runs the model, from below any address. */

import assert from "node:assert/strict";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import type { Browser } from "playwright-core";
import { commands } from "../src/cli/commands.js";
import { OnnxRuntime } from "../src/engines/onnxruntime.js";
import { loadModel } from "../src/evaluate/model/load-model.js";
import { makeIndex, openDataset, openIndex, search } from "../src/index.js";
import { pngOf, scratchFolder } from "./data.helpers.js";
import { accessibilityFaults, isTooWide, noBrowser, openBrowser, openPage } from "./support/browser.js";
import { runWords } from "./support/command-line.js";
import { exportFamilies, familyRun } from "./support/export-run.js";
import { servePages } from "./support/pages.js";

const folder = scratchFolder();
const WORDS = "two cats on a mat";
const HOSTILE = `<img src=x onerror="document.title='owned'">`;

suite("clipwright site", { skip: noBrowser() }, () => {
  let browser: Browser;
  let server: { readonly address: string; close(): void };
  let nearest: string[];
  let weights: string;

  before(async () => {
    weights = familyRun(join(folder, "run"), exportFamilies.ViT!);
    mkdirSync(join(folder, "pictures", "a"), { recursive: true });
    mkdirSync(join(folder, "pictures", "b"), { recursive: true });
    for (let i = 0; i < 30; i++) {
      const path = join(folder, "pictures", i % 2 === 0 ? "a" : "b", `${i}`);
      writeFileSync(`${path}.png`, await pngOf(i, 30 + i, 40));
      writeFileSync(`${path}.txt`, i === 4 ? HOSTILE : `picture ${i}`);
    }
    await using engine = new OnnxRuntime();
    using model = await loadModel(engine, { path: weights });
    const dataset = await openDataset([join(folder, "pictures")], { captionsOptional: true });
    await makeIndex(model, dataset, { out: join(folder, "index"), modelPath: weights, type: "f32" });
    using index = openIndex(join(folder, "index"));
    nearest = (await search(index, model, WORDS, { k: 8 })).map(({ key }) => key);
    const line = [
      "site",
      join(folder, "index"),
      "--out",
      join(folder, "site"),
      "--dtype",
      "fp32",
      "--with",
      weights,
    ];
    for (let round = 0; round < 2; round++) {
      const { code, out, err } = await runWords(commands, line);
      assert.equal(code, 0, err);
      assert.match(out, /a first search by words fetches 1\d MB/);
    }
    server = await servePages({ below: join(folder, "site") });
    browser = await openBrowser();
  });

  after(async () => {
    await browser?.close();
    server?.close();
  });

  test("holds what the page needs, and no more", () => {
    const files = readdirSync(join(folder, "site")).sort();
    assert.deepEqual(files, [
      "icon.svg",
      "index",
      "index.html",
      "model",
      "page.js",
      "runtime",
      "site.json",
      "style.css",
    ]);
    assert.deepEqual(readdirSync(join(folder, "site", "model", "onnx")).sort(), [
      "text_model.onnx",
      "variants.json",
      "vision_model.onnx",
    ]);
  });

  test("finds by words what Node finds, and by a dropped picture itself; classes, filter and map work", async () => {
    const { page, troubles, context } = await openPage(browser, `${server.address}/below/index.html`);
    const cards = page.locator(".card");
    const count = (words: RegExp) => page.locator("#told-count", { hasText: words }).waitFor();
    await count(/^30 of 30 pictures$/);
    await page.fill("#words", WORDS);
    await page.press("#words", "Enter");
    await count(/^The 30 nearest$/);
    const found = await cards.allTextContents();
    for (const [i, key] of nearest.entries()) {
      const name = key.split("/").at(-1)!;
      const caption = name === "4" ? HOSTILE : `picture ${name}`;
      assert(found[i]!.includes(caption), `${i}: ${found[i]} is not ${caption}`);
    }
    await page.setInputFiles("#file", join(folder, "pictures", "b", "7.png"));
    await page.locator("#about-query canvas").waitFor();
    await cards.first().getByText("picture 7").waitFor();
    await page.fill("#holds", "PICTURE 2");
    await count(/^The 12 nearest$/); // 2, 12, 20 to 29
    await page.click("#show-map");
    await page.locator("#map[aria-busy=false]").waitFor();
    assert.notEqual(await page.title(), "owned");
    assert.deepEqual(troubles, []);
    await context.close();
  });

  for (const [name, options] of Object.entries({
    "at a desk": {},
    "on a phone, dark": { viewport: { width: 375, height: 720 }, colorScheme: "dark" },
  } as const)) {
    test(`${name}: nobody is kept out, and nothing lies beside the screen`, async () => {
      const { page, troubles, context } = await openPage(
        browser,
        `${server.address}/below/index.html`,
        options,
      );
      await page.locator(".card img").first().waitFor();
      assert.deepEqual(await accessibilityFaults(page), []);
      assert.equal(await isTooWide(page), false);
      assert.deepEqual(troubles, []);
      await context.close();
    });
  }

  test("replaces a site, and nothing else", async () => {
    const line = ["site", join(folder, "index"), "--out", join(folder, "pictures"), "--with", weights];
    const { code, err } = await runWords(commands, line);
    assert.equal(code, 2);
    assert.match(err, /must be a new folder; it holds files/);
  });
});
