import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { keyFromSeed, Random } from "../src/core/random.js";
import { reviewerRow, reviewReport } from "../src/curate/review/agreement/report.js";
import type { ReadVerdicts } from "../src/curate/review/log/log.js";
import type { Verdict } from "../src/curate/review/log/verdict.js";
import { ReviewSession, type SessionSettings } from "../src/curate/review/session.js";
import { type SampleOptions, sampleSet } from "./support/review-set.js";

/** A log in memory. */
function memory() {
  const fresh: Verdict[] = [];
  return {
    append: (...verdicts: readonly Verdict[]) => void fresh.push(...verdicts),
    read: (): ReadVerdicts => ({ verdicts: fresh.splice(0), damaged: [] }),
  };
}

const sessionOf = (options: SampleOptions, settings?: SessionSettings): ReviewSession =>
  new ReviewSession(sampleSet(options), memory(), settings);

/** Answers the next question by `truth`; false when there is none. */
function answer(session: ReviewSession, who: string, truth: (item: number) => "keep" | "drop"): boolean {
  const [asked] = session.items(who, { status: "next", count: 1 }).items;
  if (asked === undefined) return false;
  const { item, drawn, repeat } = asked;
  session.judge(who, { item, answer: truth(item), drawn, repeat });
  return true;
}

suite("ReviewSession", () => {
  test("says how many faults are left, however priority draws the bad ones first", () => {
    const random = new Random(keyFromSeed(11));
    let held = 0;
    let asked = 0;
    const reviews = 60;
    for (let r = 0; r < reviews; r++) {
      const n = 200;
      // The lower the score, the likelier a fault.
      const faults = Array.from({ length: n }, (_, i) => random.uniform() < 0.5 * (1 - i / n) ** 2);
      const settings = { order: "worst", handout: { overlap: 0.1, repeats: 0, audit: 0.5 } } as const;
      const session = sessionOf({ items: n, key: (i) => `review ${r}, ${i}` }, settings);
      for (let v = 0; v < 60; v++) {
        assert.ok(answer(session, `reviewer ${v % 2}`, (i) => (faults[i] ? "drop" : "keep")));
      }
      const unseen = faults.filter((_, i) => session.opinions(i).size === 0);
      const left = session.left()!;
      assert.equal(left.unseen, unseen.length);
      const truth = unseen.filter(Boolean).length;
      if (left.low <= truth && truth <= left.high) held++;
      asked += left.audited;
    }
    assert.ok(held >= 0.93 * reviews, `${held} of ${reviews}`);
    assert.ok(asked > 10 * reviews);
  });

  test("is over when nearly nothing can be left, and not before", () => {
    const session = sessionOf(
      { items: 150 },
      { stopAt: 0.05, handout: { overlap: 0, repeats: 0, audit: 1 } },
    );
    assert.deepEqual([session.progress().left, session.progress().over], [null, false]);
    for (let v = 0; v < 20; v++) answer(session, "Ada", () => "keep");
    const { left, over } = session.progress();
    assert.ok(left!.value === 0 && left!.high > 0.05 * left!.unseen && !over);
    while (answer(session, "Ada", () => "keep"));
    assert.deepEqual([session.progress().over, session.progress().decided], [true, 150]);
  });

  test("measures each reviewer by known questions, by questions asked twice, and by the others", () => {
    const gold = new Map(
      Array.from({ length: 8 }, (_, i) => [i * 10, i % 2 === 0 ? "keep" : "drop"] as const),
    );
    const truth = (i: number): "keep" | "drop" => (i % 20 === 10 ? "drop" : "keep");
    const settings = { gold, handout: { opinions: 2, repeats: 0.2, audit: 0, gold: 0.2 } };
    const session = sessionOf({ items: 100 }, settings);
    const random = new Random(keyFromSeed(4));
    const guess = (): "keep" | "drop" => (random.integer(2) === 0 ? "keep" : "drop");
    let going = true;
    while (going) {
      const ada = answer(session, "Ada", truth);
      const ben = answer(session, "Ben", truth);
      const guesser = answer(session, "Gus", guess);
      going = ada || ben || guesser;
    }
    const report = reviewReport(session);
    const [ada, , gus] = report.reviewers;
    assert.deepEqual([ada!.gold.n, ada!.gold.right, gus!.gold.n], [8, 8, 8]);
    assert.ok(ada!.gold.low > 0.6 && ada!.gold.high === 1 && gus!.gold.right < 8);
    assert.ok(ada!.repeats.n > 5 && ada!.repeats.alike === ada!.repeats.n);
    assert.ok(gus!.repeats.n > 5 && gus!.repeats.alike < gus!.repeats.n);
    assert.ok(ada!.accuracy! > gus!.accuracy!);
    assert.equal(report.method, "majority");
    assert.match(reviewerRow(ada!)[3]!, /^8 of 8 right \(63 % to 100 %\)$/);
  });

  test("finds a pair by its uid when its name has changed, and passes over what is not reviewed", () => {
    const set = sampleSet({ items: 3 });
    const uid = "0123456789abcdef0123456789abcdef";
    const items = set.items.map((item, i) => (i === 1 ? { ...item, id: { ...item.id, uid } } : item));
    const log = memory();
    const verdict = (key: string, id: string | null): Verdict => ({
      id: key,
      item: { source: "old", key, captionIndex: 3, uid: id },
      question: "pair",
      answer: "drop",
      reviewer: "Ada",
      time: "2026-01-01T00:00:00.000Z",
      tool: "test",
    });
    log.append(verdict("moved.png", uid), verdict("gone.png", null));
    const session = new ReviewSession({ ...set, items }, log);
    assert.equal(session.opinions(1).get("Ada")!.answer, "drop");
    assert.deepEqual([session.foreign, session.opinions(0).size], [1, 0]);
  });
});
