import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { suite, test } from "node:test";
import { fileURLToPath } from "node:url";
import { keyFromSeed, Random } from "../src/core/random.js";
import { accuracyOf, dawidSkene } from "../src/curate/review/agreement/dawid-skene.js";
import {
  agreementOf,
  cohenKappa,
  countTable,
  fleissKappa,
  krippendorffAlpha,
  type Rating,
} from "../src/curate/review/agreement/measures.js";
import { majorities, truthsOf } from "../src/curate/review/agreement/truth.js";

/** Made by test/fixtures/curate/agreement.py: crowd-kit, krippendorff and statsmodels. */
const oracle = JSON.parse(
  readFileSync(fileURLToPath(new URL("../../test/fixtures/curate/agreement.json", import.meta.url)), "utf8"),
) as {
  ratings: [string, string, string][];
  alpha: number;
  complete: number[][];
  fleiss: number;
  rounds: number;
  prior: number[];
  errors: Record<string, number[][]>;
  truth: Record<string, number[]>;
};
const ratings = oracle.ratings.map(([item, rater, label]): Rating => ({ item, rater, label }));

const near = (got: number | undefined, wanted: number, by: number): void =>
  assert.ok(got !== undefined && Math.abs(got - wanted) <= by, `${got} is not ${wanted}`);

/** Each line an item, each letter what one rater after the other says; a dot is missing. */
const table = (...lines: string[]): Rating[] =>
  lines.flatMap((line, i) =>
    [...line].flatMap((label, rater) => (label === "." ? [] : [{ item: `${i}`, rater: `${rater}`, label }])),
  );
const times = (n: number, line: string): string[] => Array.from({ length: n }, () => line);

suite("agreement", () => {
  test("Cohen's kappa of a textbook table of 50 is 0.4", () => {
    const both = table(...times(20, "yy"), ...times(5, "yn"), ...times(10, "ny"), ...times(15, "nn"));
    near(cohenKappa(both), 0.4, 1e-12);
    near(agreementOf(both).raw, 0.7, 1e-12);
    assert.deepEqual(agreementOf(both).shares, { n: 0.45, y: 0.55 });
  });

  test("a kappa needs two raters, and more than one label", () => {
    assert.equal(cohenKappa(table("yyy")), undefined);
    assert.equal(cohenKappa(table("yy", "yy")), undefined);
    assert.equal(agreementOf(table("y.", ".n")).raw, undefined);
  });

  test("Fleiss' kappa and Krippendorff's alpha are those of statsmodels and krippendorff", () => {
    near(fleissKappa(oracle.complete), oracle.fleiss, 1e-12);
    near(krippendorffAlpha(countTable(ratings).counts), oracle.alpha, 1e-12);
    near(agreementOf(ratings).alpha, oracle.alpha, 1e-12);
  });

  test("alpha of Krippendorff's own example with gaps is 0.743", () => {
    // Four observers, twelve units (Krippendorff 2011, Computing Krippendorff's Alpha-Reliability).
    const observers = ["123321412...", "1233224125.3", ".3332342251.", "12332441251."];
    const data = table(...Array.from({ length: 12 }, (_, u) => observers.map((line) => line[u]).join("")));
    near(agreementOf(data).alpha, 0.743, 5e-4);
    assert.equal(countTable(data).counts.length, 11);
  });

  test("full agreement is 1, chance about 0, and no variety says nothing", () => {
    near(agreementOf(table("aa", "bb", "aa")).alpha, 1, 0);
    const random = new Random(keyFromSeed(1));
    const guesses = table(...Array.from({ length: 3000 }, () => `${random.integer(2)}${random.integer(2)}`));
    near(agreementOf(guesses).alpha, 0, 0.05);
    assert.equal(agreementOf(table("aa", "aa")).alpha, undefined);
  });
});

suite("dawidSkene", () => {
  test("gives crowd-kit's truth, prior and tables after as many rounds", () => {
    const { rounds, prior, errors, truth } = oracle;
    const got = dawidSkene(ratings, { rounds, tolerance: Number.NEGATIVE_INFINITY });
    assert.equal(got.rounds, rounds);
    for (const [k, p] of prior.entries()) near(got.prior[k], p, 1e-9);
    for (const [item, chances] of Object.entries(truth)) {
      for (const [k, p] of chances.entries()) near(got.truth.get(item)![k], p, 1e-8);
    }
    for (const [rater, rows] of Object.entries(errors)) {
      for (const [k, row] of rows.entries()) {
        for (const [t, p] of row.entries()) near(got.errors.get(rater)![k]![t], p, 1e-8);
      }
    }
    assert.ok(accuracyOf(got, "Ada") > accuracyOf(got, "Eve"));
  });

  test("follows one who is always right against four who often are not", () => {
    const random = new Random(keyFromSeed(2));
    const truth = Array.from({ length: 400 }, () => "yn"[random.integer(2)]!);
    const wrong = (label: string): string => (label === "y" ? "n" : "y");
    const mostly = (label: string, right: number): string =>
      random.uniform() < right ? label : wrong(label);
    const skills = [0.6, 0.6, 0.75, 0.75];
    const data = table(...truth.map((t) => t + skills.map((skill) => mostly(t, skill)).join("")));
    const model = dawidSkene(data);
    assert.ok(model.rounds < 100);
    near(accuracyOf(model, "0"), 1, 0.03);
    near(accuracyOf(model, "1"), 0.6, 0.07);
    const right = truth.filter((t, i) => truthsOf(data).of.get(`${i}`)?.label === t).length;
    assert.ok(right >= 396, `${right} of 400`);
    const byMajority = truth.filter((t, i) => majorities(data).get(`${i}`)?.label === t).length;
    assert.ok(byMajority < right);
  });

  test("of nothing is nothing", () => {
    assert.equal(dawidSkene([]).truth.size, 0);
    assert.equal(truthsOf([]).of.size, 0);
  });
});

suite("truthsOf", () => {
  test("is the majority while raters or shared items are few, and nothing where votes are level", () => {
    const { method, of } = truthsOf(table("yyn", "yn.", "n.."));
    assert.equal(method, "majority");
    assert.deepEqual(
      [...of].map(([item, { label, confidence }]) => [item, label, confidence.toFixed(2)]),
      [
        ["0", "y", "0.67"],
        ["2", "n", "1.00"],
      ],
    );
    assert.equal(truthsOf(table(...times(300, "yy"))).method, "majority");
    assert.equal(truthsOf(table(...times(150, "yyy"), ...times(60, "nny"))).method, "dawid-skene");
  });
});
