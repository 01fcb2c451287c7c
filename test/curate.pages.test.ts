/** The pages of `curate watch` and `curate select` as a person sees them: files without a server of their own. */

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, suite, test } from "node:test";
import type { Browser } from "playwright-core";
import { selectionPage } from "../src/report/data/selection.js";
import { type WatchedCheck, watchPage } from "../src/report/data/watch.js";
import { accessibilityFaults, isTooWide, noBrowser, openBrowser, openPage } from "./support/browser.js";

/** What a caption may hold and must not become. */
const HOSTILE = "</script><script>document.title='hacked'</script><img src=x onerror=alert(1)>";

const score = (name: string, psi: number, more: object = {}) => ({
  ...{ name, about: `What ${name} says.`, was: 0.5, is: 0.5 + psi / 4, psi, ks: psi / 2 },
  ...{ adjusted: psi > 0.1 ? 0.0004 : 0.7, drifted: psi > 0.1, ...more },
});
const check = (day: number, drift: number): WatchedCheck => ({
  ...{ time: `2026-01-0${day}T04:00:00.000Z`, sources: ["photos"], pictures: 300 + day },
  ...{ tooFew: false, drifted: drift > 0.1, selected: { pairs: 300, kept: 290 - 30 * day } },
  columns: [
    score("words", drift, { better: "higher" }),
    score("language", drift / 2, { class: "en", ks: undefined }),
    score("a_score_of_a_rather_long_name", 0.02, { better: "lower", about: HOSTILE }),
  ],
  spaces: [
    {
      ...{ name: "captions", auc: 0.5 + drift / 2, mmd2: drift / 20, aucAdjusted: 0.04 },
      ...{ mmdAdjusted: 0.3, drifted: drift > 0.1 },
    },
    { name: "images", auc: 0.51, mmd2: 0.0001, aucAdjusted: 0.8, mmdAdjusted: 0.9, drifted: false },
  ],
});

const pages: Readonly<Record<string, () => Promise<string> | string>> = {
  watch: () =>
    watchPage({
      profile: { made: "2026-01-01T04:00:00.000Z", sources: ["photos", HOSTILE], pictures: 2056 },
      checks: [check(2, 0.01), check(3, 0.08), check(4, 0.31)],
      thresholds: { psi: 0.1, auc: 0.55, mmd: 0.015 },
    }),
  "watch, its first check with too few": () =>
    watchPage({
      profile: { made: "2026-01-01T04:00:00.000Z", sources: ["photos"], pictures: 2056 },
      checks: [
        { ...check(2, 0), tooFew: true, drifted: false, columns: [], spaces: [], selected: undefined },
      ],
      thresholds: { psi: 0.1, auc: 0.55, mmd: 0.015 },
    }),
  select: () =>
    selectionPage({
      title: "Pairs that were chosen",
      rows: 1200,
      kept: 500,
      rules: [
        { name: "words > 2", dropsAlone: 300, drops: 300, left: 900 },
        { name: HOSTILE, dropsAlone: 700, drops: 400, left: 500 },
      ],
      groups: [
        {
          title: "The best",
          about: "By score.",
          pairs: [0, 1, 2].map((i) => ({
            ...{ key: `k${i}`, caption: `${HOSTILE} ${"long ".repeat(30)}` },
            ...{ score: 0.9 - i / 10, keep: i < 2, sample: undefined },
          })),
        },
      ],
      notes: ["clipwright curate select scores.parquet"],
      dataset: undefined,
    }),
};

suite("the pages of curate", { skip: noBrowser() }, () => {
  let browser: Browser;
  before(async () => {
    browser = await openBrowser();
  });
  after(() => browser.close());

  for (const [name, make] of Object.entries(pages))
    test(`${name}: fits a phone, says nothing to the console, and has no serious fault for axe-core, light and dark`, async () => {
      const body = await make();
      const server = createServer((request, response) => {
        const found = request.url === "/";
        response.writeHead(found ? 200 : 204, { "content-type": "text/html; charset=utf-8" });
        response.end(found ? body : undefined);
      });
      server.listen(0, "127.0.0.1");
      await once(server, "listening");
      try {
        const { port } = server.address() as AddressInfo;
        const phone = { viewport: { width: 360, height: 720 }, isMobile: true, hasTouch: true };
        for (const look of [{ colorScheme: "light", ...phone }, { colorScheme: "dark" }] as const) {
          const { context, page, troubles } = await openPage(browser, `http://127.0.0.1:${port}/`, look);
          assert.deepEqual(await accessibilityFaults(page), [], look.colorScheme);
          assert.ok(!(await isTooWide(page)), "it is too wide");
          assert.doesNotMatch(await page.title(), /^hacked/);
          assert.deepEqual(troubles, []);
          await context.close();
        }
      } finally {
        server.close();
      }
    });
});
