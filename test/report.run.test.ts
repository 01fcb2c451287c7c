import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { runInNewContext } from "node:vm";
import { pageScript } from "../src/report/page/style.js";
import { writeRunReport } from "../src/report/run/run.js";
import { sampleReport } from "./report.sample.js";

const page = writeRunReport(sampleReport());

/** Start tags that are still open at the end of `markup`, or closed out of order. */
function unbalanced(markup: string): string[] {
  const open: string[] = [];
  const body = markup.replace(/<(script|style)[^>]*>[\s\S]*?<\/\1>/g, "");
  for (const [, slash, name, rest] of body.matchAll(/<(\/?)([a-z][a-z0-9]*)((?:[^>"]|"[^"]*")*)>/gi)) {
    if (["meta", "img", "!doctype"].includes(name!.toLowerCase()) || rest!.endsWith("/")) continue;
    if (slash === "") open.push(name!);
    else if (open.pop() !== name) return [...open, `</${name}>`];
  }
  return open;
}

suite("writeRunReport", () => {
  test("is one well-formed document that loads nothing", () => {
    assert.ok(page.startsWith("<!doctype html>"));
    assert.deepEqual(unbalanced(page), []);
    assert.match(page, /default-src 'none'/);
    for (const [, address] of page.matchAll(/(?:src|data|poster|srcset)="([^"]*)"/g)) {
      assert.match(address!, /^data:image\//);
    }
    assert.doesNotMatch(page, /<link|@import|url\(|NaN|undefined|\[object/);
  });

  test("shows every part of a run, each chart with its sentence", () => {
    for (const heading of [
      "Loss",
      "Logit scale",
      "Learning rate",
      "Gradient norm",
      "Speed",
      "Waiting for data",
    ]) {
      assert.match(page, new RegExp(`<figure class="chart">\\s*<figcaption><h3>${heading}</h3>`));
    }
    const figures = page.match(/<figure class="chart">/g)!.length;
    assert.equal(page.match(/<\/div>\n<p>[^<]{40,}<\/p>\n<\/figure>/g)!.length, figures);
    assert.match(page, /ln\(256\) = 5\.55/);
    assert.match(page, /27\.0 %/);
    assert.match(page, /Scores on fluent-emoji-flat/);
    assert.match(page, /mantelpiece clock/);
    assert.match(page, /OpenMoji/);
  });

  test("marks right, near and wrong guesses and counts them", () => {
    assert.match(page, /<b>10 of 16<\/b> first guesses are right; for 13 the true one/);
    const cards = (mark: string): number => page.split(`class="picture ${mark}"`).length - 1;
    assert.deepEqual([cards("right"), cards("near"), cards("wrong")], [10, 3, 3]);
  });

  test("says what guessing would get, and which scores are no better", () => {
    const score = { dataset: "d", task: "t", metric: "acc1", value: 0.3, low: 0.2, high: 0.4, n: 48 };
    const of = (more: object) => writeRunReport({ title: "t", scores: [{ ...score, ...more }] });
    assert.match(of({ chance: 0.25 }), /n 48 · chance 25\.0 % <em>not distinguishable from guessing<\/em>/);
    assert.match(of({ chance: 0.5 }), /<em>worse than guessing<\/em>/);
    assert.doesNotMatch(of({ chance: 0.0006 }), /<em>/);
    assert.match(of({ seen: 12 }), /class="caution">d: 12 of its pictures were trained on; /);
    const guess = (name: string, right?: boolean) => ({ name, score: 0.2, ...(right && { right }) });
    const items = [
      { image: "data:image/png;base64,", truth: "a", predictions: [guess("b"), guess("c", true)] },
    ];
    const grid = writeRunReport({ title: "t", grids: [{ title: "g", sentence: "s.", items, chance: 0.25 }] });
    assert.match(grid, /<b>0 of 1<\/b> first guesses are right; for 1 .* Guessing would get 0\.25 right\./);
    assert.match(grid, /Numbers are cosines between picture and text, not probabilities/);
  });

  test("shows the last score of each kind, not the first", () => {
    const score = (step: number, value: number) => ({
      dataset: "d",
      task: "t",
      metric: "acc1",
      value,
      low: value,
      high: value,
      n: 10,
      step,
    });
    const report = writeRunReport({ title: "t", scores: [score(1, 0.1), score(3, 0.3), score(2, 0.2)] });
    assert.match(report, /<b role="cell">30\.0 %<\/b>/);
    assert.doesNotMatch(report, /<b role="cell">[12]0\.0 %/);
  });

  test("leaves out what it was not given", () => {
    const bare = writeRunReport({ title: "Bare", metrics: [{ step: 1, loss: 3 }] });
    assert.deepEqual(unbalanced(bare), []);
    assert.doesNotMatch(bare, /<section|<figure/);
  });

  test("escapes every text that comes from outside", () => {
    const evil = `</script><script>alert("1")</script><img src=x onerror='alert(2)'>&`;
    const image = new TextEncoder().encode("<svg xmlns='http://www.w3.org/2000/svg'/>");
    const report = writeRunReport({
      title: evil,
      summary: evil,
      headline: [{ value: evil, label: evil, detail: evil }],
      facts: [{ name: evil, value: evil }],
      metrics: [
        { step: 1, own: 1 },
        { step: 2, own: 2 },
      ],
      curves: [
        { title: evil, keys: ["own"], sentence: evil, unit: evil, references: [{ value: 1.5, label: evil }] },
      ],
      scores: [1, 2].map((step) => ({
        dataset: evil,
        split: evil,
        task: evil,
        metric: evil,
        value: 0.5,
        low: 0.4,
        high: 0.6,
        n: 9,
        step,
      })),
      grids: [
        {
          title: evil,
          sentence: evil,
          items: [{ image, truth: evil, predictions: [{ name: evil, score: 1 }] }],
        },
      ],
      searches: [
        { title: evil, sentence: evil, queries: [{ text: evil, results: [{ image, name: evil }] }] },
      ],
      tables: [{ title: evil, sentence: evil, columns: [evil], rows: [[evil]] }],
      notes: [evil],
      licences: [
        { name: evil, licence: evil, source: evil },
        { name: "a", licence: "b", source: "javascript:alert(3)" },
        { name: "a", licence: "b", source: `https://x/"onclick="alert(4)` },
      ],
    });
    assert.deepEqual(unbalanced(report), []);
    const scripts = [...report.matchAll(/<script( type="application\/json")?>/g)];
    assert.equal(scripts.filter(([, data]) => data === undefined).length, 1);
    assert.doesNotMatch(report, /<img src=x|href="javascript|"onclick/);
    for (const [, json] of report.matchAll(/<script type="application\/json">([\s\S]*?)<\/script>/g)) {
      assert.ok(JSON.parse(json!).lines.length > 0);
    }
  });

  test("refuses an image that would have to be loaded, and bytes that are none", () => {
    const grid = (image: string | Uint8Array) => () =>
      writeRunReport({
        title: "t",
        grids: [{ title: "Grid", sentence: "s", items: [{ image, truth: "cat", predictions: [] }] }],
      });
    assert.throws(grid("https://example.org/cat.png"), /Grid, "cat": a report holds its images/);
    assert.throws(grid("data:text/html,<script>"), /holds its images/);
    assert.throws(grid(new Uint8Array(40)), /got 40 bytes of something else/);
  });

  test("draws what is left of a run whose loss was lost", () => {
    const report = writeRunReport({
      title: "t",
      batchSize: 8,
      metrics: [
        { step: 1, loss: 2 },
        { step: 2, loss: null },
        { step: 3, loss: Number.NaN },
        { step: 4, loss: 1.5 },
      ],
    });
    assert.doesNotMatch(report, /NaN/);
    assert.match(report, /<h3>Loss<\/h3>/);
  });

  test("stays small: 2,400 steps and seven charts under 200 kB", () => {
    assert.ok(page.length < 200_000, `${page.length}`);
  });

  test("has a script that parses", () => {
    runInNewContext(pageScript, { document: { querySelectorAll: () => [] } });
  });
});
