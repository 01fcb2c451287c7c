import assert from "node:assert/strict";
import { copyFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { suite, test } from "node:test";
import { scorePairs } from "../src/curate/scores/run/score-pairs.js";
import type { Rule } from "../src/curate/select/rules.js";
import { makeSelection } from "../src/curate/select/select.js";
import { openDataset } from "../src/data/index.js";
import type { PastRun } from "../src/study/past/past-run.js";
import { selectionOf } from "../src/study/past/selection.js";
import { adviceOn } from "../src/study/plan/advice.js";
import { filterEvidence } from "../src/study/plan/filtering.js";
import { pngOf, put, scratchFolder } from "./data.helpers.js";

const folder = scratchFolder();

suite("what a run's selection kept", () => {
  test("is its share and what chose, by the reasons that the selection tells", async () => {
    for (let i = 0; i < 10; i++) {
      put(folder, `photos/${i}.png`, await pngOf(i, 8, 8));
      put(folder, `photos/${i}.txt`, Array.from({ length: i + 1 }, (_, k) => `word${k}`).join(" "));
    }
    const scores = join(folder, "scores.parquet");
    await scorePairs(await openDataset(join(folder, "photos")), { out: scores, scores: ["words"] });
    const made = async (name: string, ...rules: readonly Rule[]) => {
      const path = join(folder, `${name}.parquet`);
      await makeSelection(scores, path, { rules });
      return selectionOf("runs/a", path);
    };
    // A share takes the pair at its end as well.
    const top: Rule = { kind: "top", score: "words", share: 0.4 };
    assert.deepEqual(await made("top", top), { kept: 0.5, keptBy: "words" });
    assert.deepEqual(await made("random", { kind: "random", share: 0.5, seed: 0 }), {
      kept: 0.6,
      keptBy: "random",
    });
    assert.deepEqual(await made("where", { kind: "where", sql: "words > 3" }), { kept: 0.7 });
    assert.deepEqual(await made("two", { kind: "where", sql: "words > 3" }, top), { kept: 0.5 });
    assert.equal(await selectionOf("runs/a", join(folder, "gone.parquet")), undefined);
    // A study that was moved has its parts beside its runs.
    mkdirSync(join(folder, "study", "parts"), { recursive: true });
    copyFileSync(join(folder, "top.parquet"), join(folder, "study", "parts", "moved.parquet"));
    const moved = await selectionOf(join(folder, "study", "runs", "a"), "studies/old/parts/moved.parquet");
    assert.deepEqual(moved, { kept: 0.5, keptBy: "words" });
  });
});

const N = 5000;
function run(value: number, more: Partial<PastRun> = {}): PastRun {
  const score = { dataset: "photos", metric: "acc1", value, low: 0, high: 1, n: N, chance: 0.01 };
  return {
    ...{ run: "", data: "photos/", kept: 1, unique: 1000, samples: 10_000, gmacs: 1, seconds: 1, model: "m" },
    ...{ family: "vit", gmacsPerPair: 1, strategy: "clip", batchSize: 64, lr: 1e-3, seed: 0 },
    scores: [score],
    ...more,
  };
}
const best = (value: number, kept: number, more: Partial<PastRun> = {}): PastRun =>
  run(value, { kept, keptBy: "clip_score", unique: 1000 * kept, ...more });

const question = { data: "photos/", asked: { dataset: "photos", metric: "acc1" } };
const all = [run(0.2), run(0.21), run(0.19)];

suite("filtering by one's own runs", () => {
  test("is the best share at equal samples, with the difference's interval over seeds", () => {
    const past = [...all, best(0.3, 0.4), best(0.31, 0.4), best(0.29, 0.4), best(0.25, 0.8), best(0.25, 0.8)];
    const found = filterEvidence(past, question)!;
    assert.deepEqual([found.share, found.seeds, found.tried, found.own], [0.4, 3, 2, true]);
    assert(Math.abs(found.best - 0.3) < 1e-12 && Math.abs(found.whole - 0.2) < 1e-12);
    // Welch: error √(2 · 10⁻⁴ / 3), 4 degrees of freedom, t = 3.495 at 97.5 % on both sides together.
    assert(Math.abs(found.high - (0.1 + 3.495 * Math.sqrt(2e-4 / 3))) < 1e-4, String(found.high));
  });

  test("has an interval over items where there is one seed", () => {
    const { low, high, seeds } = filterEvidence([run(0.2), best(0.22, 0.5)], question)!;
    assert.equal(seeds, 1);
    const half = 1.96 * Math.sqrt((0.2 * 0.8 + 0.22 * 0.78) / N);
    assert(Math.abs(high - low - 2 * half) < 1e-4);
  });

  test("compares like with like: data, model, strategy, batch, and samples or passes", () => {
    const others: Partial<PastRun>[] = [
      { model: "n" },
      { strategy: "slip" },
      { batchSize: 128 },
      { data: "x" },
    ];
    for (const more of [...others, { samples: 20_000 }])
      assert.equal(filterEvidence([...all, best(0.3, 0.5, more)], question), undefined);
    assert.equal(filterEvidence([...all, run(0.3, { kept: 0.5, keptBy: "random" })], question), undefined);
    assert.equal(filterEvidence([...all, best(0.3, 0.5, { pretrained: "w" })], question), undefined);
    const onePass = best(0.3, 0.5, { samples: 5000 });
    assert.equal(filterEvidence([...all, onePass], question)!.regime, "equal passes");
    assert.equal(filterEvidence([...all, onePass, best(0.2, 0.5)], question)!.regime, "equal samples");
  });

  test("takes the data's own runs before those of others", () => {
    const elsewhere = [run(0.1, { data: "x" }), best(0.5, 0.5, { data: "x" })];
    assert.deepEqual(
      [filterEvidence(elsewhere, question)!.own, filterEvidence(elsewhere, question)!.best],
      [false, 0.5],
    );
    assert.equal(filterEvidence([...elsewhere, ...all, best(0.15, 0.5)], question)!.best, 0.15);
  });
});

suite("a plan's advice on filtering", () => {
  const facts = {
    ...{ name: "photos", pairs: 1000, captionsPerImage: 1, looked: 1000, captionWords: 8 },
    ...{ faulty: 0, alike: 0, side: 500 },
    ...{ faults: { "unreadable image": 0, "empty caption": 0, "too small": 0, duplicate: 0 } },
  };
  const option = { samples: 10_000, unique: 1000 } as Parameters<typeof adviceOn>[1];
  const asked = { ...question.asked, n: N, chance: 0.01 };
  const advice = (past: readonly PastRun[], samples = 10_000, data = "photos/") =>
    adviceOn(facts, { ...option, samples }, { asked, past, data });

  test("names one's own evidence, and needs the paper no more", () => {
    const [own, ...more] = advice([...all, best(0.3, 0.4), best(0.31, 0.4), best(0.29, 0.4)], 500);
    assert.deepEqual(more, []);
    assert.equal(own!.what, "Keep the best 40 % by clip_score: 30.0 % with them, 20.0 % with all pairs.");
    assert.match(
      own!.why,
      /^your runs, photos\/acc1: 10\.0 points \(95 %: 7\.\d to 12\.\d; 3 seeds\), 10,000 samples each$/,
    );
    assert(own!.commands.some((line) => line.includes("--top clip_score=40%")));
  });

  test("says that all are better, or that it cannot be told, and then what the paper says", () => {
    const [worse, none] = advice([...all, best(0.1, 0.4), best(0.11, 0.4)], 500);
    assert.match(
      worse!.what,
      /^Keep all pairs: the best 40 % by clip_score were worse, 10\.5 % against 20\.0 %/,
    );
    assert.equal(none, undefined);
    const [open, paper] = advice([...all, best(0.2, 0.4), best(0.22, 0.4)], 500);
    assert.match(open!.what, /cannot be told from your runs/);
    assert.deepEqual(open!.commands, []);
    assert.match(paper!.why, /^paper, figures 5 to 7/);
    assert.equal(
      advice([...all, best(0.2, 0.4), best(0.22, 0.4)]).length,
      1,
      "the paper has no rule for many passes",
    );
  });

  test("tells of other data as such, beside the paper, and is silent where a selection is given", () => {
    const past = [...all, best(0.3, 0.4), best(0.31, 0.4), best(0.29, 0.4)];
    const [own, paper] = advice(past, 500, "drawings/");
    assert.match(own!.what, /if these data are alike: 30\.0 % with them on other data \(photos\/\)/);
    assert.match(paper!.why, /^paper/);
    assert.deepEqual(adviceOn(facts, option, { asked, past, data: "photos/", selected: true }), []);
  });
});
