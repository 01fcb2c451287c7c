import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { parseHTML } from "linkedom";
import type { Browser } from "playwright-core";
import { reportCommand } from "../src/cli/commands/report.js";
import { overlayOf, paperOverlay, unitFor } from "../src/report/studies/overlay.js";
import { studiesPage, writeStudiesPage } from "../src/report/studies/page.js";
import { measuresOf } from "../src/report/study/measures.js";
import { type Findings, readStudies, writeFindings } from "../src/study/answer/findings.js";
import { paperCurves } from "../src/study/paper/curves.js";
import { frontierPoints } from "../src/study/together/frontier.js";
import { sharedScores } from "../src/study/together/shared.js";
import { scratchFolder } from "./data.helpers.js";
import { sampleFindings } from "./report.study-sample.js";
import {
  accessibilityFaults,
  coveredLabels,
  isTooWide,
  noBrowser,
  openBrowser,
  openPage,
} from "./support/browser.js";
import { runWords } from "./support/command-line.js";
import { assertFigure } from "./support/figure.js";

const kinds = ["encoders", "quality", "quantity", "strategies"];
let studies: readonly Findings[];
before(async () => {
  studies = await Promise.all(kinds.map(sampleFindings));
});

suite("the figures of several studies", () => {
  test("are drawn byte for byte: every combination of two studies", () => {
    const two = studies.slice(1, 3);
    const [shared] = sharedScores(two);
    const unit = unitFor(two.flatMap(({ cells }) => cells.map(({ gmacs }) => gmacs)));
    const [measure] = measuresOf(two[0]!);
    assertFigure("studies-overlay", overlayOf(shared!, frontierPoints(shared!), measure!, unit));
  });

  test("lay all zero-shot errors of the paper over each other, at what they cost", () => {
    const { lines, x, table } = paperOverlay();
    const count = paperCurves
      .filter(({ metric }) => metric === "zero-shot")
      .reduce((sum, { points }) => sum + points.length, 0);
    assert.deepEqual([lines.flatMap(({ points }) => points).length, table.rows.length], [count, count]);
    assert.match(x.label, /10¹⁸/);
    const place = (words: RegExp) =>
      lines
        .flatMap(({ points }) => points)
        .find((point) => words.test(point.words))
        ?.x.toPrecision(3);
    // Multiply-adds a sample times samples: L/16 of figure 8b, a fifth of the pairs once, and SLIP at twice CLIP's cost.
    assert.equal(place(/ViT-L\/16, 3\.4G samples: 28\.6/), ((63.07 * 3.4e9) / 1e9).toPrecision(3));
    assert.equal(place(/data quality.* 680M samples: 43\.4/), ((5.76 * 0.68e9) / 1e9).toPrecision(3));
    assert.equal(place(/strategies, SLIP, 3\.4G/), ((11.52 * 3.4e9) / 1e9).toPrecision(3));
  });

  test("tell compute as the terminal does, and in larger units where all took more", () => {
    assert.deepEqual(
      [[6, 705], [2999], [5e6], [2e10]].map((gmacs) => unitFor(gmacs).name),
      ["10¹²", "10¹²", "10¹⁵", "10¹⁸"],
    );
  });
});

suite("the page of several studies", () => {
  test("tells what to take for how much, what is sure of it, which level to take, and what each study came to", () => {
    const page = studiesPage(studies, {
      command: "clipwright report studies",
      links: { quality: "quality/index.html" },
    });
    assert.match(page, /<h1>What 4 studies came to<\/h1>/);
    assert.match(
      page,
      /With <b>[\d.]+ · 10¹²<\/b> multiply-adds take <b>[^<]+<\/b> <span class="quiet">\((encoders|quality|quantity|strategies)\)<\/span>: top-1 on concepts [\d.]+ % \([\d.]+ to [\d.]+\)/,
    );
    assert.match(page, /<b>Yes<\/b>: better than that for [\d.]+ by [\d.]+ points \([\d.−]+ to [\d.]+\)/);
    assert.match(
      page,
      /The frontier is the best of \d+ looks at one test set, and winners of many looks are partly lucky/,
    );
    assert.match(page, /trained on icons\//);
    const { document } = parseHTML(page);
    const headings = [...document.querySelectorAll(".choice h3")].map((one) => one.textContent);
    assert.deepEqual(headings, [
      ...["encoder", "kept", "part", "strategy", "passes", "part and passes"],
      "part, at a like cost",
    ]);
    const told = studies.flatMap(({ panels }) =>
      panels.flatMap(({ pairs }) => pairs.map(({ words }) => words)),
    );
    const rows = [...document.querySelectorAll("#decisions tbody tr")].map((row) => row.textContent ?? "");
    assert(
      rows.some((row) => told.some((words) => row.includes(words))),
      "the terminal's own sentences",
    );
    assert.equal(document.querySelector("#studies a")?.getAttribute("href"), "quality/index.html");
    assert.equal(document.querySelectorAll("#studies .study").length, 4);
    const ids = [...document.querySelectorAll("[id]")].map((one) => one.id);
    assert.equal(new Set(ids).size, ids.length);
    assert.match(page, /default-src 'none'/);
    assert.doesNotMatch(page, /<link|@import|url\(|<script src|NaN|undefined|Infinity|\[object/);
  });

  test("has a figure for each score where studies are decided by different ones", () => {
    const [first, second] = studies as [Findings, Findings];
    const other = { ...second, score: { set: "concepts", metric: "text_retrieval_recall@1" } };
    const { document } = parseHTML(studiesPage([first, other]));
    const figures = [...document.querySelectorAll("figure.chart")].map(({ id }) => id);
    assert.deepEqual(figures, [
      ...["overlay-concepts-acc1-300", "overlay-paper"],
      "overlay-concepts-text-retrieval-recall-1-300",
    ]);
    // A set of the same name with another number of items is another set; the paper's figure stands once.
    const cells = second.cells.map((cell) => ({
      ...cell,
      scores: cell.scores.map((score) => ({ ...score, n: 200 })),
    }));
    const apart = parseHTML(studiesPage([first, { ...second, cells }])).document;
    assert.deepEqual(
      [...apart.querySelectorAll("figure.chart")].map(({ id }) => id),
      ["overlay-concepts-acc1-300", "overlay-paper", "overlay-concepts-acc1-200"],
    );
    const heads = [...document.querySelectorAll("section > h2")].map((one) => one.textContent);
    assert.equal(heads[1], "What to take for how much: image → text R@1 on concepts");
  });

  test("warns where studies were trained on other data, or do not tell on which", () => {
    const [first, second] = studies as [Findings, Findings];
    const page = studiesPage([first, { ...second, trainData: ["photos/"] }]);
    assert.match(page, /trained on different data: icons\/ \(encoders\); photos\/ \(quality\)/);
    const { trainData: _, ...silent } = second;
    assert.match(studiesPage([first, silent]), /What they were trained on is not told by quality/);
    assert.doesNotMatch(studiesPage([first, second]), /trained on different data|not told by/);
  });

  test("escapes every text that comes from outside", () => {
    const evil = `</script><script>alert(1)</script><img src=x onerror='alert(2)'>"&`;
    const text = JSON.stringify(studies)
      .replaceAll('"ViT"', JSON.stringify(evil))
      .replaceAll('"one pass"', JSON.stringify(evil))
      .replaceAll('"kept"', JSON.stringify(`${evil}2`))
      .replaceAll('"quality"', JSON.stringify(evil));
    const page = studiesPage(JSON.parse(text) as Findings[], { links: { [evil]: evil }, command: evil });
    assert.equal([...page.matchAll(/<script/g)].length, 1);
    assert.doesNotMatch(page, /<img/);
  });

  test("is the same from the studies' folder, whoever writes it; links pages that are there", async () => {
    const folder = scratchFolder();
    for (const [at, one] of studies.entries()) {
      const own = join(folder, `${kinds[at]!} 1`);
      mkdirSync(own);
      writeFindings(own, one);
    }
    mkdirSync(join(folder, "empty"));
    writeFileSync(join(folder, "encoders 1", "index.html"), "");
    assert.deepEqual(
      readStudies(folder).map(({ name }) => name),
      kinds.map((kind) => `${kind} 1`),
    );
    const file = writeStudiesPage(folder);
    assert.equal(file, join(folder, "index.html"));
    const first = readFileSync(file, "utf8");
    assert.deepEqual(
      [...first.matchAll(/<a href="([^"]+\.html)">/g)].map(([, link]) => link),
      ["encoders%201/index.html"],
    );
    const { code, out, err } = await runWords([reportCommand], ["report", folder]);
    assert.deepEqual([code, out], [0, `${file}\n`], err);
    assert.equal(readFileSync(file, "utf8"), first);
    const refused = await runWords([reportCommand], ["report", folder, "--pictures", "4"]);
    assert.equal(refused.code, 2, refused.err);
    assert.match(refused.err, /pictures is for pages of runs; got studies/);
    writeFileSync(join(folder, "quality 1", "findings.json"), '{"format": 1}');
    const damaged = await runWords([reportCommand], ["report", folder]);
    assert.match(damaged.err, /quality 1\/findings\.json: name: must be what a study wrote/);
    assert.throws(() => readStudies(join(folder, "empty")), /no folder in it has a findings\.json/);
  });
});

suite("the page of several studies in a browser", { skip: noBrowser() }, () => {
  let browser: Browser;
  let page: string;
  const server = createServer((request, response) => {
    response.writeHead(request.url === "/studies" ? 200 : 204, {
      "content-type": "text/html; charset=utf-8",
    });
    response.end(request.url === "/studies" ? page : undefined);
  });
  before(async () => {
    page = studiesPage(studies, { command: "clipwright report studies" });
    browser = await openBrowser();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  });
  after(async () => {
    await browser.close();
    server.close();
  });

  for (const colorScheme of ["light", "dark"] as const)
    test(`no trouble, nothing serious for axe-core, no wider than a phone, ${colorScheme}`, async () => {
      const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}/studies`;
      const opened = await openPage(browser, address, {
        colorScheme,
        reducedMotion: "reduce",
        viewport: { width: 360, height: 740 },
      });
      await opened.page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true");
      assert.equal(await isTooWide(opened.page), false);
      assert.deepEqual(await accessibilityFaults(opened.page), []);
      assert.deepEqual(await coveredLabels(opened.page), []);
      assert.deepEqual(opened.troubles, []);
      await opened.context.close();
    });
});
