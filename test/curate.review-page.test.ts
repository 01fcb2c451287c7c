import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import type { Browser, Page } from "playwright-core";
import { readReviewLog } from "../src/curate/review/log/log.js";
import { Standing } from "../src/curate/review/log/standing.js";
import { serveReview } from "../src/curate/review/server/app.js";
import type { SessionSettings } from "../src/curate/review/session.js";
import { scratchFolder } from "./data.helpers.js";
import { accessibilityFaults, isTooWide, noBrowser, openBrowser, openPage } from "./support/browser.js";
import { type SampleOptions, sampleSession, sampleSet } from "./support/review-set.js";

const plain: SessionSettings = { order: "worst", handout: { audit: 0, overlap: 0, repeats: 0 } };

async function review(options: SampleOptions, settings = plain, serving = {}) {
  const folder = scratchFolder();
  const set = sampleSet(options);
  // By one score alone the worst comes first: item 0, then 1.
  const inOrder = { ...set, scores: set.scores.slice(0, 1) };
  const server = await serveReview(sampleSession(folder, inOrder, settings), serving);
  return { server, url: server.urls[0]!, verdicts: () => readReviewLog(`${folder}/review.jsonl`).verdicts };
}

/** Gives the name, by keys, and waits for the first pair. */
async function begin(page: Page, name: string): Promise<void> {
  await page.locator("#who[open]").waitFor();
  await page.keyboard.type(name);
  await page.keyboard.press("Enter");
  await page.locator("#single:not([hidden]), #nothing:not([hidden])").first().waitFor();
}

const caption = (page: Page): Promise<string | null> => page.locator("#caption").textContent();
/** Presses a key and waits until the pair `then` is there. */
async function press(page: Page, key: string, then: string): Promise<void> {
  await page.keyboard.press(key);
  await page.locator("#caption", { hasText: new RegExp(`^${then}$`) }).waitFor();
}

suite("the review's page", { skip: noBrowser() }, () => {
  let browser: Browser;
  before(async () => {
    browser = await openBrowser();
  });
  after(() => browser.close());

  test("everything can be done by the keyboard alone, and the log says so", async () => {
    const classes = ["cat", "dog"];
    const { server, url, verdicts } = await review({
      items: 9,
      classes,
      group: (i) => (i >= 6 ? 1 : undefined),
    });
    await using _ = server;
    const { context, page, troubles } = await openPage(browser, url);
    await begin(page, "Ada");
    assert.equal(await page.locator("#scores").isVisible(), false);
    assert.equal(await caption(page), "caption 0");
    await press(page, "k", "caption 1");
    await press(page, "d", "caption 2");
    await page.keyboard.press("e");
    await page.keyboard.press("Control+a");
    await page.keyboard.type("kdeu 1 ?"); // letters that are keys elsewhere
    await press(page, "Control+Enter", "caption 3");
    await page.keyboard.press("e");
    await page.keyboard.press("Escape");
    await page.keyboard.press("s");
    assert.match((await page.locator("#scores").textContent())!, /clip_score0\.3333/);
    await press(page, "1", "caption 4");
    await page.keyboard.press("s");
    await page.keyboard.press("c");
    await page.keyboard.type("horse");
    await press(page, "Enter", "caption 5");
    await page.keyboard.press("Escape");
    await press(page, "ArrowLeft", "caption 4");
    assert.match((await page.locator("#said").textContent())!, /You: keep, class horse/);
    await press(page, "ArrowRight", "caption 5");
    await press(page, "u", "caption 4");
    assert.equal(await page.locator("#said").isVisible(), false);
    await press(page, "Control+z", "caption 3");
    await press(page, "d", "caption 4");
    await page.keyboard.press("?");
    await page.locator("#help[open]").waitFor();
    await page.keyboard.press("k"); // judges nothing while the help is open
    await page.keyboard.press("Escape");
    await page.keyboard.press("f");
    await page.keyboard.press("Tab");
    await page.keyboard.type("caption 7");
    await press(page, "Enter", "caption 7");
    assert.equal(await page.locator("#found").textContent(), "1 pairs");
    await page.keyboard.press("Escape");
    await page.keyboard.press("g");
    await page.locator(".member.first").waitFor();
    await page.locator("[data-answers]:focus").waitFor();
    await page.keyboard.press("s");
    await page.locator(".member.same").waitFor();
    await page.keyboard.press("d");
    await page.locator(".member.different").waitFor();
    await page.keyboard.press("u");
    await page.locator(".member.different").waitFor({ state: "detached" });
    await page.keyboard.press("g");
    await page.keyboard.press("a");
    await page.locator("#agreement[open]").waitFor();
    assert.match((await page.locator("#reviewers").textContent())!, /Ada4/);
    await page.keyboard.press("Escape");
    // Every control that Tab reaches shows where it is.
    for (let i = 0; i < 25; i++) {
      await page.keyboard.press("Tab");
      const ring = await page.evaluate(
        "document.activeElement === document.body || getComputedStyle(document.activeElement).outlineStyle !== 'none'",
      );
      assert.ok(ring, await page.evaluate("document.activeElement.outerHTML"));
    }
    assert.deepEqual(troubles, []);
    const said = verdicts().map(({ item, other, answer, correctedCaption, correctedLabel, shownScores }) =>
      [item.key, other?.key, answer, correctedCaption ?? correctedLabel, shownScores !== undefined].join(" "),
    );
    assert.deepEqual(said, [
      "0.png  keep  false",
      "1.png  drop  false",
      "2.png  keep kdeu 1 ? false",
      "3.png  keep cat true",
      "4.png  keep horse false",
      "4.png  undecided  false",
      "3.png  undecided  false",
      "3.png  drop  false",
      "6.png 7.png same  false",
      "6.png 8.png different  false",
      "6.png 8.png undecided  false",
    ]);
    await context.close();
  });

  test("four reviewers at once share the work, see each other and their conflicts", async () => {
    const items = 20;
    const settings = { order: "worst", handout: { audit: 0.25, overlap: 0.3, repeats: 0.1 } } as const;
    const { server, url, verdicts } = await review({ items }, settings);
    await using _ = server;
    const names = ["Ada", "Ben", "Cem", "Dana"];
    const people = await Promise.all(
      names.map(async (name) => {
        const opened = await openPage(browser, url);
        await begin(opened.page, name);
        return opened;
      }),
    );
    const work = async (page: Page, key: string): Promise<void> => {
      const nothing = page.locator("#nothing");
      while (!(await nothing.isVisible())) {
        await page.keyboard.press(key);
        await page.waitForTimeout(40);
      }
    };
    // Dana sees everything the other way.
    await Promise.all(people.map(({ page }, i) => work(page, i === 3 ? "d" : "k")));
    // Conflicts that came up meanwhile wait for a third opinion.
    for (const [i, { page }] of people.entries()) {
      await page.locator("#again").click();
      await page.waitForTimeout(100);
      await work(page, i === 3 ? "d" : "k");
    }
    const log = verdicts();
    const standing = new Standing(log);
    const opinions = [...standing.all()].map(([, each]) => each);
    assert.equal(opinions.length, items);
    assert.ok(opinions.some(({ size }) => size >= 2));
    const first = log.filter(({ repeat }) => repeat !== true);
    assert.equal(new Set(first.map(({ reviewer, item }) => `${reviewer} ${item.key}`)).size, first.length);
    assert.ok(new Set(log.map(({ reviewer }) => reviewer)).size === 4);
    const [{ page }] = people as [(typeof people)[0]];
    await page.locator("#progress", { hasText: /Ben \d+, Cem \d+, Dana \d+/ }).waitFor();
    const conflicts = opinions.filter(
      (each) => new Set([...each.values()].map(({ answer }) => answer)).size > 1,
    );
    if (conflicts.length > 0) {
      await page.keyboard.press("a");
      await page.locator("#conflicts li").first().waitFor();
      assert.equal(await page.locator("#conflicts li").count(), conflicts.length);
      assert.match((await page.locator("#conflicts").textContent())!, /Dana: drop/);
    }
    for (const { troubles, context } of people) {
      assert.deepEqual(troubles, []);
      await context.close();
    }
  });

  test("no caption, key, class, reason or name is ever more than text", async () => {
    const evil = (i: number): string =>
      [
        `<img src=x onerror="window.hacked=${i}">`,
        `</script><script>window.hacked=${i}</script>`,
        `javascript:window.hacked=${i}`,
        `"><svg onload=window.hacked=${i}>`,
        "{{constructor.constructor('window.hacked=1')()}}",
        `\u202eevil\u0000${"x".repeat(3000)}`,
      ][i % 6]!;
    const classes = [0, 1, 3].map(evil);
    const { server, url, verdicts } = await review({
      items: 12,
      caption: evil,
      key: (i) => `../../${evil(i)}`,
      classes,
      group: (i) => i % 2,
      keep: (i) => i % 2 === 0,
    });
    await using _ = server;
    const { context, page, troubles } = await openPage(browser, url);
    await begin(page, '<b onclick="window.hacked=9">Eve</b>');
    assert.equal(await caption(page), evil(0));
    assert.equal(await page.locator("#caption *").count(), 0);
    await page.keyboard.press("k");
    await page.locator("#where", { hasText: "script" }).waitFor();
    await page.keyboard.press("s");
    await page.keyboard.press("1");
    await page.keyboard.press("g");
    await page.locator(".member").first().waitFor();
    await page.keyboard.press("s");
    await page.locator(".member.same").waitFor();
    await page.keyboard.press("g");
    const other = await openPage(browser, url);
    await begin(other.page, "<script>window.hacked=8</script>");
    await other.page.keyboard.press("f");
    await other.page.locator("#filter select").first().selectOption("all");
    await other.page.locator("#found", { hasText: "12 pairs" }).waitFor();
    await other.page.keyboard.press("Escape");
    await other.page.keyboard.press("d");
    await other.page.locator("#progress", { hasText: "you 1, <b onclick" }).waitFor();
    await other.page.keyboard.press("a");
    await other.page.locator("#agreement[open]").waitFor();
    for (const each of [page, other.page]) {
      assert.equal(await each.evaluate("window.hacked"), undefined);
      assert.ok(!(await isTooWide(each)));
    }
    assert.deepEqual([...troubles, ...other.troubles], []);
    assert.equal(verdicts()[0]!.reviewer, '<b onclick="window.hacked=9">Eve</b>');
    // Even script that got into the page would not run.
    const refused = page.evaluate("document.body.innerHTML = '<img src=x onerror=window.hacked=7>'");
    await assert.rejects(refused, /TrustedHTML/);
    await context.close();
    await other.context.close();
  });

  test("fits a phone and has no serious fault for axe-core: every view, light and dark", async () => {
    const { server, url } = await review({
      items: 12,
      caption: (i) => `a caption that is ${"rather ".repeat(i)}long`,
      classes: ["a class of a long name", "b", "c"],
      group: (i) => (i < 6 ? i % 2 : undefined),
      keep: (i) => i > 5,
    });
    await using _ = server;
    const phone = { viewport: { width: 360, height: 720 }, isMobile: true, hasTouch: true };
    const looks = [{ colorScheme: "light", ...phone }, { colorScheme: "dark" }] as const;
    for (const look of looks) {
      const { context, page, troubles } = await openPage(browser, url, look);
      const check = async (view: string): Promise<void> => {
        assert.deepEqual(await accessibilityFaults(page), [], `${view}, ${look.colorScheme}`);
        assert.ok(!(await isTooWide(page)), `${view} is too wide`);
      };
      await page.locator("#who[open]").waitFor();
      await check("name");
      await begin(page, `Ada ${look.colorScheme}`);
      await check("pair");
      for (const id of ["keep", "drop", "correct", "undo"]) {
        const box = (await page.locator(`#${id}`).boundingBox())!;
        assert.ok(box.height >= 44 && box.y + box.height <= 820, id);
      }
      await page.locator("#keep").click();
      await page.locator("#told.on", { hasText: "Kept" }).waitFor();
      await page.locator("#scores-shown").check();
      await page.locator("#show-filter").click();
      await page.locator("#correct").click();
      await check("everything open");
      await page.locator("#cancel").click();
      await page.locator("#show-agreement").click();
      await page.locator("#agreement[open]").waitFor();
      await check("agreement");
      await page.keyboard.press("Escape");
      await page.locator("#show-help").click();
      await check("help");
      await page.keyboard.press("Escape");
      await page.locator("#show-copies").click();
      await page.locator(".member.first").first().waitFor();
      await check("copies");
      assert.deepEqual(troubles, []);
      await context.close();
    }
  });

  test("says when the server is gone and takes nothing for judged; names come back after a reload", async () => {
    const { server, url, verdicts } = await review({ items: 5 });
    const { context, page } = await openPage(browser, url);
    await begin(page, "Ada");
    await press(page, "k", "caption 1");
    await page.reload();
    await page.locator("#who[open]").waitFor();
    assert.equal(await page.locator("#name").inputValue(), "Ada");
    await page.keyboard.press("Enter");
    await page.locator("#single:not([hidden])").waitFor();
    // What was shown before the reload is kept for the same person.
    assert.equal(await caption(page), "caption 1");
    await server.close();
    await page.keyboard.press("d");
    await page.locator("#trouble", { hasText: "The server does not answer" }).waitFor();
    assert.equal(await caption(page), "caption 1");
    assert.equal(verdicts().length, 1);
    await context.close();
  });

  test("another address lets in with the token of its link, and not without", async () => {
    const { server } = await review({ items: 3 }, plain, { host: "0.0.0.0" });
    await using _ = server;
    const bare = await openPage(browser, `http://127.0.0.1:${server.port}/`);
    assert.match((await bare.page.locator("body").textContent())!, /a token is needed/);
    await bare.context.close();
    const { context, page, troubles } = await openPage(
      browser,
      `http://127.0.0.1:${server.port}/?token=${server.token}`,
    );
    await begin(page, "Ada");
    assert.equal(page.url(), `http://127.0.0.1:${server.port}/`);
    assert.deepEqual(await page.evaluate("document.cookie"), "");
    await press(page, "k", "caption 1");
    assert.deepEqual(troubles, []);
    await context.close();
  });
});
