import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import type { Browser, Page } from "playwright-core";
import type { Training } from "../src/serve/page/source.js";
import { pngOf, scratchFolder } from "./data.helpers.js";
import { accessibilityFaults, isTooWide, noBrowser, openBrowser, openPage } from "./support/browser.js";
import { HOSTILE, servedPictures } from "./support/served.js";

const cards = (page: Page) => page.locator(".card");
const count = (page: Page, words: RegExp) => page.locator("#told-count", { hasText: words }).waitFor();
const focused = (page: Page): Promise<string | null> =>
  page.evaluate(
    "document.activeElement.querySelector('.words')?.textContent ?? document.activeElement.id",
  ) as Promise<string | null>;

suite("the page of pictures", { skip: noBrowser() }, () => {
  let browser: Browser;
  let served: Awaited<ReturnType<typeof servedPictures>>;
  const folder = scratchFolder();
  before(async () => {
    [browser, served] = await Promise.all([openBrowser(), servedPictures(folder)]);
  });
  after(async () => {
    await browser.close();
    await served[Symbol.asyncDispose]();
  });

  test("by the keyboard alone: search, walk, open, similar, map, classes and back", async () => {
    const { context, page, troubles } = await openPage(browser, served.url);
    await count(page, /^60 of 70 pictures$/);
    assert.equal(await cards(page).count(), 60);
    await page.keyboard.press("/");
    await page.keyboard.type("m c ? s"); // letters that are keys elsewhere
    await page.keyboard.press("Enter");
    await count(page, /^The 60 nearest$/);
    assert.match(page.url(), /#text=m\+c/);
    const first = await cards(page).first().locator(".words").textContent();
    await page.locator("#pictures").focus();
    await page.keyboard.press("Tab");
    assert.equal(await focused(page), first);
    await page.keyboard.press("ArrowRight");
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("Home");
    assert.equal(await focused(page), first);
    await page.keyboard.press("ArrowRight");
    const second = await focused(page);
    await page.keyboard.press("Enter");
    await page.locator("#detail:not([hidden])").waitFor();
    assert.equal(await page.locator("#detail .caption").textContent(), second);
    await page.keyboard.press("s");
    await page.locator("#about-query", { hasText: `Like ${second}` }).waitFor();
    assert.equal(await cards(page).first().locator(".words").textContent(), second, "itself is nearest");
    assert.match((await cards(page).first().locator(".score").textContent())!, /^(1\.000|0\.999)$/);
    await page.keyboard.press("Escape");
    assert.ok(await page.locator("#detail").isHidden());
    await page.keyboard.press("Escape");
    await count(page, /^60 of 70 pictures$/);
    await page.keyboard.press("m");
    await page.locator("#map-view:not([hidden])").waitFor();
    for (const key of ["+", "ArrowLeft", "-", "0"]) await page.keyboard.press(key);
    await page.locator("#map[aria-busy=false]").waitFor({ timeout: 30_000 });
    await page.keyboard.press("Enter");
    await page.locator("#detail:not([hidden])").waitFor();
    await page.keyboard.press("m");
    await page.keyboard.press("c");
    await page.keyboard.type("red, green,");
    await page.locator(".badge:not([hidden])").first().waitFor();
    await page.keyboard.type(" blue");
    await page.locator("#class-shares button", { hasText: "blue" }).waitFor();
    assert.deepEqual(
      await page
        .locator("#detail .bars .class")
        .allTextContents()
        .then((names) => names.sort()),
      ["blue", "green", "red"],
    );
    const shares = (await page.locator("#class-shares button .quiet").allTextContents()).map((text) =>
      Number.parseFloat(text),
    );
    assert.ok(Math.abs(shares.reduce((a, b) => a + b, 0) - 100) <= 2, String(shares));
    assert.deepEqual(troubles, []);
    await context.close();
  });

  test("filters leave what they say; more shows the rest", async () => {
    const { context, page, troubles } = await openPage(browser, served.url);
    await count(page, /^60 of 70/);
    await page.click("#more");
    await count(page, /^70 of 70/);
    assert.ok(await page.locator("#more").isHidden());
    await page.selectOption("#label", "odd");
    await count(page, /^35 of 35/);
    await page.fill("#holds", "CAPTION 3");
    await count(page, /^11 of 11/); // every word, in the name or the caption: 3, 13, …, 63, 31, 35, 37, 39
    await page.fill("#words", "anything");
    await page.press("#words", "Enter");
    await count(page, /^The 11 nearest$/);
    await page.fill("#holds", "nowhere");
    await count(page, /^No picture passes the filter/);
    assert.deepEqual(troubles, []);
    await context.close();
  });

  test("a picture that is given finds itself, dropped or chosen; what is none is told", async () => {
    const { context, page, troubles } = await openPage(browser, served.url);
    await count(page, /^60 of 70/);
    await page.setInputFiles("#file", { name: "a.png", mimeType: "image/png", buffer: await pngOf(8) });
    await page.locator("#about-query canvas").waitFor();
    await count(page, /^The 60 nearest$/);
    assert.equal(await cards(page).first().locator(".words").textContent(), "caption 8");
    const bytes = [...(await pngOf(13))];
    await page.evaluate(`(() => {
      const data = new DataTransfer();
      data.items.add(new File([new Uint8Array(${JSON.stringify(bytes)})], "b.png", { type: "image/png" }));
      for (const type of ["dragover", "drop"])
        document.body.dispatchEvent(new DragEvent(type, { dataTransfer: data, bubbles: true, cancelable: true }));
    })()`);
    await page
      .locator(".card .words")
      .first()
      .filter({ hasText: /^caption 13$/ })
      .waitFor();
    assert.deepEqual(troubles, []);
    await page.setInputFiles("#file", {
      name: "c.png",
      mimeType: "image/png",
      buffer: Buffer.from("no picture"),
    });
    await page.locator("#trouble", { hasText: /image/ }).waitFor();
    await context.close();
  });

  test("captions that would be markup are text, and run nothing", async () => {
    const { context, page, troubles } = await openPage(browser, served.url);
    await page.fill("#holds", "onerror");
    await count(page, /^1 of 1/);
    assert.equal(await cards(page).first().locator(".words").textContent(), HOSTILE);
    await cards(page).first().click();
    assert.equal(await page.locator("#detail .caption").textContent(), HOSTILE);
    assert.equal(await page.locator("#detail img").getAttribute("alt"), HOSTILE);
    await page.click("#class-part summary");
    await page.fill("#classes", `${HOSTILE}, dog`);
    await page.locator("#class-shares button").first().waitFor();
    assert.equal(await page.locator("script, #pictures script, #detail script").count(), 1, "the page's own");
    assert.deepEqual(troubles, []);
    await context.close();
  });

  for (const [name, options] of Object.entries({
    "a phone": { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true },
    "a dark screen": { colorScheme: "dark" },
    "a light screen, with little motion": { reducedMotion: "reduce" },
  } as const)) {
    test(`${name}: nothing serious by axe-core, nothing too wide, in every view`, async () => {
      const { context, page, troubles } = await openPage(browser, served.url, options);
      await count(page, /^60 of 70/);
      const look = async () => {
        assert.deepEqual(await accessibilityFaults(page), []);
        assert.equal(await isTooWide(page), false);
      };
      await look();
      await page.click("#class-part summary");
      await page.fill("#classes", "red, green");
      await page.locator(".badge:not([hidden])").first().waitFor();
      await cards(page).first().click();
      await page.locator("#detail .bars").waitFor();
      await look();
      await page.keyboard.press("Escape");
      await page.click("#show-map");
      await look();
      await page.click("#show-help");
      await look();
      assert.deepEqual(troubles, []);
      await context.close();
    });
  }

  test("a training that is followed is told, and newer pictures come by themselves", async () => {
    const training: Training = {
      state: "running",
      step: 120,
      steps: 1000,
      seconds: 75,
      secondsLeft: 700,
      dataWait: 0.31,
      samplesPerSecond: 1234,
      curves: [
        {
          title: "Loss",
          unit: "",
          points: [
            [10, 4.1],
            [60, 3.2],
            [120, 2.5],
          ],
        },
      ],
      warnings: [{ step: 90, text: `waits for data ${HOSTILE}` }],
      shown: 100,
      embedding: true,
    };
    await using live = await servedPictures(scratchFolder(), { count: 6, training: () => training });
    const { context, page, troubles } = await openPage(browser, live.url);
    await page.locator("#training:not([hidden])").waitFor();
    const told = (await page.locator("#training").textContent())!;
    for (const words of ["Step120 of 1,000", "Waiting for data31 %", "100, a newer one is coming", HOSTILE]) {
      assert.ok(told.includes(words), `${words} in ${told}`);
    }
    assert.equal(await page.locator("#training svg").getAttribute("aria-label"), "Loss: from 4.1 to 2.5");
    assert.deepEqual(await accessibilityFaults(page), []);
    live.change("fixture, step 120");
    await page.locator("#model", { hasText: "step 120" }).waitFor();
    assert.deepEqual(troubles, []);
    await context.close();
  });
});
