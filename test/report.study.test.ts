import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { parseHTML } from "linkedom";
import type { Browser } from "playwright-core";
import { reportCommand } from "../src/cli/commands/report.js";
import { costsOf, courseOf, frontierOf, paperCourse, Styles } from "../src/report/study/figures.js";
import { errorIn, measuresOf } from "../src/report/study/measures.js";
import { studyPage, writeStudyPage } from "../src/report/study/page.js";
import { inks } from "../src/report/study/style.js";
import { experimentOf, viewsOf } from "../src/report/study/views.js";
import { type Findings, readFindings, writeFindings } from "../src/study/answer/findings.js";
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

const kinds = ["encoders", "quantity", "quality", "strategies"] as const;
const all = new Map<string, Findings>();
before(async () => {
  for (const kind of kinds) all.set(kind, await sampleFindings(kind));
});
const stylesOf = ({ factors, question }: Findings): Styles =>
  new Styles(factors.find(({ name }) => name === question.factor)!.levels.map(({ name }) => name));

suite("the figures of a study", () => {
  test("are drawn byte for byte: a course with its laws and their crossing, the paper's, frontier, costs", () => {
    const findings = all.get("encoders")!;
    const [measure] = measuresOf(findings);
    const styles = stylesOf(findings);
    assertFigure("study-course", courseOf(findings, measure!, viewsOf(findings)[0]!, styles));
    assertFigure("study-paper", paperCourse("encoders", "equal samples", "zero-shot", styles));
    assertFigure("study-frontier", frontierOf(findings, measure!, styles));
    assertFigure("study-costs", costsOf(findings, styles));
  });

  test("lie along what the study varies, and beside the paper's experiment", () => {
    const told = kinds.map((kind) => {
      const findings = all.get(kind)!;
      const views = viewsOf(findings).map(
        ({ title, along, lines, paper }) =>
          `${title}: ${lines.map(({ name }) => name).join(", ")} along ${along.key}; ${paper ?? "not in the paper"}`,
      );
      return [kind, experimentOf(findings), ...views];
    });
    assert.deepEqual(told, [
      [
        "encoders",
        "encoders",
        "one pass: ViT, ResNet-50 along samples; one pass",
        "equal samples: ViT, ResNet-50 along pairs; equal samples",
      ],
      ["quantity", "data quantity", ": 5 %, 10 %, 20 %, 40 %, 100 % along epochs; passes"],
      [
        "quality",
        "data quality",
        "one pass: the best, random ones along share; one pass",
        "equal samples: the best, random ones along share; equal samples",
      ],
      [
        "strategies",
        "strategies",
        "equal samples: clip, slip, flip, clip-aug along pairs; equal samples",
        "equal compute: clip, slip, flip, clip-aug along pairs; not in the paper",
      ],
    ]);
  });

  test("show errors: shares turned round where higher is better, with their intervals", () => {
    const findings = all.get("encoders")!;
    const measures = measuresOf(findings);
    assert.deepEqual(
      measures.map(({ title, paper }) => [title, paper]),
      [
        ["Zero-shot: top-1 on concepts", "zero-shot"],
        ["Shifted sets: top-1 on mean of 2 shifts", "shifts"],
        ["Few-shot: 5-shot on concepts", "5-shot"],
        ["Linear probe: linear probe top-1 on concepts", "linear probe"],
        ["Retrieval: image → text R@1 on concepts", "image → text"],
        ["Retrieval: text → image R@1 on concepts", "text → image"],
      ],
    );
    const cell = findings.cells[0]!;
    const score = cell.scores.find(({ metric }) => metric === "acc1")!;
    const error = errorIn(cell, measures[0]!)!;
    assert.deepEqual(error, {
      value: 100 - 100 * score.value,
      low: 100 - 100 * score.high,
      high: 100 - 100 * score.low,
    });
    assert(error.low < error.value && error.value < error.high);
  });

  test("give what is called alike, or is alone of its family, one look here and in the paper", () => {
    const own = new Styles(["ViT", "ResNet", "Swin"]);
    const paper = own.for(["ResNet-50", "Swin-T", "ViT-B/32", "Mixer-B/32"]);
    assert.deepEqual(
      ["ResNet-50", "Swin-T", "ViT-B/32", "Mixer-B/32"].map((name) => paper.of(name)),
      [1, 2, 0, 3],
    );
    // Several of one family are not told apart by it.
    const sizes = new Styles(["ViT"]).for(["ViT-S/16", "ViT-B/16"]);
    assert.deepEqual(
      ["ViT-S/16", "ViT-B/16"].map((name) => sizes.of(name)),
      [0, 1],
    );
    const strategies = new Styles(["slip", "clip"]).for(["CLIP", "CLIP + augmentation", "SLIP"]);
    assert.deepEqual(
      ["CLIP", "CLIP + augmentation", "SLIP"].map((name) => strategies.of(name)),
      [1, 2, 0],
    );
  });

  test("have a title, a description and a table of the numbers, each with its own id", () => {
    for (const findings of all.values()) {
      const { document } = parseHTML(studyPage(findings));
      const figures = [...document.querySelectorAll("figure.chart")];
      assert(figures.length >= 8, findings.name);
      const ids = [...document.querySelectorAll("[id]")].map((one) => one.id);
      assert.equal(new Set(ids).size, ids.length, findings.name);
      for (const figure of figures) {
        const svg = figure.querySelector("svg[role=img]")!;
        for (const id of svg.getAttribute("aria-labelledby")!.split(" "))
          assert((document.getElementById(id)!.textContent ?? "").length > 3, id);
        // Every point of the chart stands in the table, unless the table tells the best alone.
        const rows = figure.querySelectorAll("tbody tr").length;
        const points = [...svg.querySelectorAll("title")].length - 1;
        assert(
          rows === points || /frontier$/.test(figure.id),
          `${figure.id}: ${rows} rows, ${points} points`,
        );
      }
    }
  });
});

suite("the page of a study", () => {
  test("tells answer, curves, crossing, costs and what is missing, and loads nothing", () => {
    const page = studyPage(all.get("encoders")!, { command: "clipwright report studies/encoders" });
    assert.match(page, /<h1>Which encoder, for how much data\?<\/h1>/);
    assert.match(page, /ViT overtakes ResNet-50 at [\d.]+k samples \([\d.]+k to [\d.]+k\), one pass\./);
    assert.match(page, /cannot be told apart/);
    const { document } = parseHTML(page);
    const heads = [...document.querySelectorAll("#curves th[scope=col]")].map((one) => one.textContent);
    assert.deepEqual(heads, ["", "β", "E", "B", "R²", "largest run foretold", "it came to"]);
    const rows = [...document.querySelectorAll("#curves tbody tr")].map((row) => row.textContent);
    assert.equal(rows.length, 2);
    for (const row of rows) assert.match(row!, /^(ViT|ResNet-50), one pass.* at 130k/);
    assert.match(page, /No curve<\/b> for ViT, equal samples: .*needs at least 5 runs/);
    assert.match(page, /ResNet-50, 30 %; equal samples; seed 1<\/b> failed: train: the loss is not a number/);
    assert.match(page, /2 runs are in no figure of this page\. 1 is not done yet/);
    assert.match(
      page,
      /Of \d+ runs in one sitting each, beginning, training and scoring: [\d.]+ \w+ were foretold when they began; they took/,
    );
    assert.match(page, /What the paper found: encoders/);
    assert.match(page, /default-src 'none'/);
    assert.doesNotMatch(page, /<link|@import|url\(|<script src|NaN|undefined|Infinity|\[object/);
    assert(page.length < 500_000, `${page.length}`);
  });

  test("tells what samples are worth that are seen again: a line for each set, and the law's numbers", () => {
    const { document } = parseHTML(studyPage(all.get("quantity")!));
    const chart = document.querySelector("#again-every-part")!;
    assert.deepEqual(
      [...chart.querySelectorAll(".keys li")].map((one) => one.textContent),
      ["6.5k pairs", "13k pairs", "26k pairs", "52k pairs", "130k pairs"],
    );
    assert.equal(chart.querySelectorAll("tbody tr").length, 25);
    const section = chart.closest("section")!;
    assert.deepEqual(
      [...section.querySelectorAll(".laws th")].map((one) => one.textContent),
      ["", "β", "R", "E", "B", "R²", "largest run foretold", "it came to", "every part"],
    );
    // A law that is not known is not told as if it were.
    const [law] = all.get("quantity")!.repetitions;
    assert.ok(law!.parameters!.some(({ unknown }) => unknown === undefined));
    const unknown = {
      ...law!,
      parameters: law!.parameters!.map((one) => ({ ...one, unknown: "too few runs" })),
    };
    const page = studyPage({ ...all.get("quantity")!, repetitions: [unknown] });
    assert.match(page, /<b>Not known<\/b>: β, R, E, B of every part: too few runs\./);
    // Findings of before there was this.
    const folder = scratchFolder();
    const { repetitions: _, ...before } = all.get("quantity")!;
    writeFindings(folder, before as Findings);
    assert.deepEqual(readFindings(folder).repetitions, []);
  });

  test("escapes every text that comes from outside", () => {
    const evil = `</script><script>alert(1)</script><img src=x onerror='alert(2)'>"&`;
    const findings = all.get("encoders")!;
    const text = JSON.stringify(findings).replaceAll('"ViT"', JSON.stringify(evil));
    const page = studyPage({
      ...(JSON.parse(text) as Findings),
      question: { ...findings.question, text: evil },
    });
    assert.equal([...page.matchAll(/<script/g)].length, 1);
    assert.doesNotMatch(page, /<img/);
  });

  test("is the same from the study's folder, whoever writes it", async () => {
    const folder = scratchFolder();
    writeFindings(folder, all.get("strategies")!);
    assert.deepEqual(readFindings(folder), JSON.parse(JSON.stringify(all.get("strategies"))));
    const file = writeStudyPage(folder);
    assert.equal(file, join(folder, "index.html"));
    const first = readFileSync(file, "utf8");
    const { code, out, err } = await runWords([reportCommand], ["report", folder]);
    assert.deepEqual([code, out], [0, `${file}\n`], err);
    assert.equal(readFileSync(file, "utf8"), first);
    const refused = await runWords([reportCommand], ["report", folder, "--pictures", "4"]);
    assert.equal(refused.code, 2, refused.err);
    assert.match(refused.err, /pictures is for pages of runs; got a study/);
    writeFileSync(join(folder, "findings.json"), first.length > 0 ? '{"format": 1}' : "");
    assert.throws(() => readFindings(folder), /findings\.json: name: must be what a study wrote/);
  });
});

/** Linear light of a colour of six hexadecimal digits. */
const lightOf = (hex: string): number[] =>
  [1, 3, 5].map((at) => {
    const c = Number.parseInt(hex.slice(at, at + 2), 16) / 255;
    return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  });

/** WCAG's contrast of two colours. */
function contrast(a: string, b: string): number {
  const [light, dark] = [a, b]
    .map((colour) => {
      const [red, green, blue] = lightOf(colour) as [number, number, number];
      return 0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05;
    })
    .sort((x, y) => y - x) as [number, number];
  return light / dark;
}

/** How people who lack a kind of cones see linear light (Machado, Oliveira, Fernandes 2009, severity 1). */
const BLINDNESS = {
  protanopia: [
    [0.152286, 1.052583, -0.204868],
    [0.114503, 0.786281, 0.099216],
    [-0.003882, -0.048116, 1.051998],
  ],
  deuteranopia: [
    [0.367322, 0.860646, -0.227968],
    [0.280085, 0.672501, 0.047413],
    [-0.01182, 0.04294, 0.968881],
  ],
} as const;

/** CIE L*a*b* of linear sRGB, D65. */
function labOf([r, g, b]: readonly number[]): number[] {
  const f = (t: number): number => (t > 0.008856 ? Math.cbrt(t) : 7.787 * t + 16 / 116);
  const x = f((0.4124 * r! + 0.3576 * g! + 0.1805 * b!) / 0.9505);
  const y = f(0.2126 * r! + 0.7152 * g! + 0.0722 * b!);
  const z = f((0.0193 * r! + 0.1192 * g! + 0.9505 * b!) / 1.089);
  return [116 * y - 16, 500 * (x - y), 200 * (y - z)];
}

suite("the colours of lines", () => {
  for (const [mode, card] of [
    [0, "#ffffff"],
    [1, "#1c1f25"],
  ] as const) {
    test(`stand out and are told apart by colour-blind people, ${mode === 0 ? "light" : "dark"}`, () => {
      const colours = inks.map((ink) => ink[mode]);
      for (const colour of colours) assert(contrast(colour, card) >= 3, `${colour} on ${card}`);
      for (const [kind, matrix] of Object.entries(BLINDNESS)) {
        const seen = colours.map((colour) =>
          labOf(
            matrix.map((row) => {
              const light = lightOf(colour);
              return Math.min(1, Math.max(0, row[0] * light[0]! + row[1] * light[1]! + row[2] * light[2]!));
            }),
          ),
        );
        // The first four, which most studies need; 2.3 is just noticed (ΔE 1976). Beyond, shapes help.
        for (let a = 0; a < 4; a++)
          for (let b = 0; b < a; b++) {
            const apart = Math.hypot(...seen[a]!.map((v, i) => v - seen[b]![i]!));
            assert(apart > 25, `${kind}: ${colours[a]} and ${colours[b]} differ by ${apart.toFixed(1)}`);
          }
      }
    });
  }
});

suite("the page of a study in a browser", { skip: noBrowser() }, () => {
  let browser: Browser;
  const pages = new Map<string, string>();
  const server = createServer((request, response) => {
    const page = pages.get(request.url!.slice(1));
    response.writeHead(page === undefined ? 204 : 200, { "content-type": "text/html; charset=utf-8" });
    response.end(page);
  });
  before(async () => {
    for (const [kind, findings] of all) pages.set(kind, studyPage(findings));
    browser = await openBrowser();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  });
  after(async () => {
    await browser.close();
    server.close();
  });

  for (const kind of kinds)
    test(`${kind}: no trouble, nothing serious for axe-core, no wider than a phone; light and dark`, async () => {
      const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}/${kind}`;
      for (const colorScheme of ["light", "dark"] as const) {
        const { context, page, troubles } = await openPage(browser, address, {
          colorScheme,
          reducedMotion: "reduce",
          viewport: { width: 360, height: 740 },
        });
        assert.equal(await isTooWide(page), false);
        await page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true");
        assert.equal(await isTooWide(page), false, "with all tables open");
        assert.deepEqual(await accessibilityFaults(page), []);
        // Labels of one chart lie apart: none covers another.
        assert.deepEqual(await coveredLabels(page), []);
        assert.deepEqual(troubles, []);
        await context.close();
      }
    });
});
