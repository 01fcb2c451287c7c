import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { keyFromSeed, Random } from "../src/core/random.js";
import { Standing } from "../src/curate/review/log/standing.js";
import {
  entityKey,
  makeVerdict,
  type PairId,
  pairKey,
  type Verdict,
} from "../src/curate/review/log/verdict.js";
import { faultsLeft } from "../src/curate/review/order/faults-left.js";
import { type Handed, Handout, type HandoutSettings } from "../src/curate/review/order/handout.js";
import { orderOf, prioritiesOf, reviewOrders, strataOf } from "../src/curate/review/order/priority.js";

suite("prioritiesOf", () => {
  const n = 100;
  const rising = Float64Array.from({ length: n }, (_, i) => i);
  const column = (values: Float64Array, better: "higher" | "lower" = "higher") => ({
    name: "s",
    better,
    values,
  });
  const first = (order: (typeof reviewOrders)[number], priorities: ReturnType<typeof prioritiesOf>): number =>
    orderOf(order, priorities, (i) => (i * 37) % n)[0]!;

  test("the border is where the selection cuts; who lies on the wrong side of it comes first", () => {
    const keep = Array.from({ length: n }, (_, i) => i >= 30);
    const { border } = prioritiesOf({ length: n, scores: [column(rising)], keep });
    assert.equal(border.indexOf(Math.max(...border)), 29);
    assert.deepEqual([border[0], border[99]], [0, 0]);
    keep[90] = false;
    const astray = prioritiesOf({ length: n, scores: [column(rising)], keep });
    assert.equal(astray.border[90], 1);
    assert.equal(first("border", astray), 90);
  });

  test("scores disagree where one puts a pair high and another low; a better that is lower is turned", () => {
    const falling = rising.map((x) => n - x);
    const turned = prioritiesOf({ length: n, scores: [column(rising), column(falling, "lower")] });
    assert.ok(turned.disagreement.every((x) => x < 1e-12));
    const other = rising.slice();
    [other[3], other[97]] = [other[97]!, other[3]!];
    const { disagreement } = prioritiesOf({ length: n, scores: [column(rising), column(other)] });
    assert.deepEqual(
      [...disagreement.entries()].filter(([, x]) => x > 0.5).map(([i]) => i),
      [3, 97],
    );
  });

  test("influence grows with the pairs that a verdict speaks for", () => {
    const speaksFor = new Float64Array(n).fill(1);
    speaksFor[50] = 16;
    speaksFor[60] = 4;
    const priorities = prioritiesOf({ length: n, scores: [column(rising)], speaksFor });
    assert.deepEqual(
      [priorities.influence[50], priorities.influence[60], priorities.influence[0]],
      [1, 0.5, 0],
    );
    assert.equal(first("influence", priorities), 50);
  });

  test("every order is one of all items, the same each time, and unknown scores do not spoil it", () => {
    const gaps = rising.map((x, i) => (i % 3 === 0 ? Number.NaN : x));
    for (const scores of [[column(gaps)], [column(new Float64Array(n).fill(Number.NaN))], []]) {
      const priorities = prioritiesOf({ length: n, scores });
      for (const order of reviewOrders) {
        const all = orderOf(order, priorities, (i) => (i * 37) % n);
        assert.deepEqual(
          [...all].sort((a, b) => a - b),
          [...rising],
        );
      }
    }
    const { quality } = prioritiesOf({ length: n, scores: [column(gaps)] });
    assert.equal(first("worst", prioritiesOf({ length: n, scores: [column(gaps)] })), 1);
    assert.equal(quality[0], 0.5);
    assert.deepEqual(
      [...strataOf(quality, 10)]
        .sort()
        .join("")
        .match(/(.)\1*/g)!
        .map((s) => s.length),
      Array(10).fill(10),
    );
  });
});

suite("faultsLeft", () => {
  test("counts what is expected among the unseen, stratum by stratum, and joins strata of small audits", () => {
    const strata = [
      { unseen: 80, audited: 20, faults: 10 },
      { unseen: 90, audited: 10, faults: 0 },
      { unseen: 100, audited: 2, faults: 0 },
    ];
    const left = faultsLeft(strata)!;
    assert.deepEqual([left.value, left.unseen, left.audited, left.strata], [40, 270, 32, 2]);
    assert.ok(left.low > 5 && left.low < 15 && left.high > 90 && left.high < 110);
    // Of 500 without a fault at most 1 − 0.025^(1/500) = 0.74 % are, by Clopper and Pearson.
    const none = faultsLeft([{ unseen: 1e9, audited: 500, faults: 0 }])!;
    assert.ok(Math.abs(none.high / 1e9 - 0.00735) < 1e-5 && none.low === 0);
    assert.equal(faultsLeft([{ unseen: 100, audited: 4, faults: 4 }]), undefined);
    assert.deepEqual(faultsLeft([{ unseen: 0, audited: 50, faults: 5 }]), {
      value: 0,
      low: 0,
      high: 0,
      unseen: 0,
      audited: 50,
      strata: 1,
    });
  });

  test("holds the truth in 95 of 100 reviews or more, whether faults are rare or common, by score or not", () => {
    const random = new Random(keyFromSeed(5));
    // How many of each stratum's 100 are drawn: as many of each, or fewer of the worst.
    for (const drawn of [(_: number) => 12, (s: number) => 6 + 2 * s, (_: number) => 50]) {
      for (const [worst, best] of [
        [0.5, 0.01],
        [0.05, 0.05],
        [0.02, 0],
        [0.3, 0.3],
      ] as const) {
        let held = 0;
        const reviews = 400;
        for (let r = 0; r < reviews; r++) {
          let truth = 0;
          const strata = Array.from({ length: 10 }, (_, s) => {
            const share = worst + ((best - worst) * s) / 9;
            const faults = Array.from({ length: 100 }, () => random.uniform() < share);
            // Random already: the first are as good as any.
            const found = faults.slice(0, drawn(s)).filter(Boolean).length;
            truth += faults.filter(Boolean).length - found;
            return { unseen: 100 - drawn(s), audited: drawn(s), faults: found };
          });
          const { low, high } = faultsLeft(strata)!;
          if (low <= truth && truth <= high) held++;
        }
        assert.ok(held / reviews >= 0.94, `${worst} to ${best}, ${drawn(0)}: ${held} of ${reviews}`);
      }
    }
  });
});

suite("Handout", () => {
  const id = (i: number): PairId => ({ source: "s", key: `${i}`, captionIndex: 0, uid: null });

  /** Reviewers who ask for one question after the other and answer by `answer`. */
  class Review {
    readonly standing = new Standing();
    readonly judged = new Map<string, number[]>();
    readonly handout: Handout;
    now = 0;
    constructor(length: number, settings: Partial<HandoutSettings>, gold: readonly number[] = []) {
      this.handout = new Handout({
        length,
        keyOf: (i) => pairKey(id(i)),
        order: Uint32Array.from({ length }, (_, i) => i),
        strata: Uint8Array.from({ length }, (_, i) => Math.floor((10 * i) / length)),
        gold: new Set(gold),
        opinionsOf: (i) => this.standing.opinions(entityKey({ item: id(i), question: "pair" })),
        settings: { audit: 0, overlap: 0, repeats: 0, ...settings },
        now: () => this.now,
      });
    }
    next(name: string, count = 1, shown: number[] = []): Handed[] {
      const wasRepeated = (i: number): boolean =>
        this.standing.wasRepeated(entityKey({ item: id(i), question: "pair" }), name);
      return this.handout.next(
        { name, judged: this.judged.get(name) ?? [], wasRepeated },
        count,
        new Set(shown),
      );
    }
    judge(name: string, item: number, answer: Verdict["answer"] = "keep", repeat = false): void {
      this.standing.add(
        makeVerdict({
          item: id(item),
          question: "pair",
          answer,
          reviewer: name,
          tool: "test",
          ...(repeat && { repeat }),
        }),
      );
      this.handout.release(item, name);
      const own = this.judged.get(name) ?? [];
      if (!own.includes(item)) own.push(item);
      this.judged.set(name, own);
    }
    /** Until nothing is left; gives what was handed. */
    all(...names: string[]): Map<string, Handed[]> {
      const got = new Map(names.map((name) => [name, [] as Handed[]]));
      for (let idle = 0; idle < names.length; ) {
        for (const name of names) {
          const [handed] = this.next(name);
          idle = handed === undefined ? idle + 1 : 0;
          if (handed === undefined) continue;
          this.judge(name, handed.item, "keep", handed.repeat);
          got.get(name)!.push(handed);
        }
      }
      return got;
    }
  }

  test("gives every item once, the first first, however many reviewers there are", () => {
    const got = new Review(60, {}).all("Ada", "Ben", "Cem", "Dana");
    const items = [...got.values()].flat().map(({ item }) => item);
    assert.deepEqual(
      items.toSorted((a, b) => a - b),
      Array.from({ length: 60 }, (_, i) => i),
    );
    assert.deepEqual(
      [...got.values()].map((own) => own[0]!.item),
      [0, 1, 2, 3],
    );
  });

  test("keeps what one was shown from the others, for three minutes", () => {
    const review = new Review(3, {});
    assert.deepEqual(
      review.next("Ada", 2).map(({ item }) => item),
      [0, 1],
    );
    assert.deepEqual(
      review.next("Ben", 3).map(({ item }) => item),
      [2],
    );
    assert.deepEqual(review.next("Ada", 3, [0, 1]), []);
    review.now = 180_001;
    assert.deepEqual(
      review.next("Ben", 3, [2]).map(({ item }) => item),
      [0, 1],
    );
  });

  test("a tenth is given to two, and a conflict to a third", () => {
    const review = new Review(500, { overlap: 0.1 });
    const opinions = (i: number): number =>
      review.standing.opinions(entityKey({ item: id(i), question: "pair" })).size;
    review.all("Ada", "Ben", "Cem");
    const twice = Array.from({ length: 500 }, (_, i) => opinions(i)).filter((n) => n === 2).length;
    assert.ok(twice > 30 && twice < 75, `${twice}`);
    assert.ok(review.handout.isDecided(0));
    review.judge("Dana", 0, "drop");
    assert.ok(!review.handout.isDecided(0));
    const [handed] = review.next("Eve");
    assert.equal(handed?.item, 0);
  });

  test("a quarter is drawn from all strata in turn, by whoever is there", () => {
    const review = new Review(400, { audit: 0.25 });
    const got = [...Array(80).keys()].map(() => {
      const [handed] = review.next("Ada");
      review.judge("Ada", handed!.item);
      return handed!;
    });
    const audited = got.filter(({ drawn }) => drawn === "audit");
    assert.equal(audited.length, 20);
    // Priority may have come first to one of those in the first.
    for (let s = 1; s < 10; s++) {
      const drawn = audited.filter(({ item }) => Math.floor(item / 40) === s).length;
      assert.ok(drawn === 2 || drawn === 3, `${s}: ${drawn}`);
    }
  });

  test("asks one in twenty twice, only after fifteen others and once each; known ones of everybody", () => {
    const review = new Review(200, { repeats: 0.05, gold: 0.1 }, [150, 151]);
    const got = review.all("Ada", "Ben").get("Ada")!;
    const again = got.filter(({ repeat }) => repeat);
    assert.ok(again.length >= 3 && again.length <= 8, `${again.length}`);
    assert.equal(new Set(again.map(({ item }) => item)).size, again.length);
    for (const { item } of again) {
      const [first, second] = got.flatMap((handed, at) => (handed.item === item ? [at] : []));
      assert.ok(second! - first! > 15);
    }
    for (const name of ["Ada", "Ben"])
      assert.ok([150, 151].every((i) => review.judged.get(name)!.includes(i)));
  });
});
