import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { suite, test } from "node:test";
import { UsageError } from "../src/core/errors.js";
import { keyFromSeed, Random } from "../src/core/random.js";
import { findLabelFaults } from "../src/curate/fit/accuracy/confident-learning.js";
import { neighbourAgreement } from "../src/curate/fit/accuracy/neighbours.js";
import { siblingsFamily } from "../src/curate/fit/accuracy/siblings.js";
import { likeness, WordWeights } from "../src/curate/fit/accuracy/word-weights.js";
import { combine, foundColumns, standardised, worstPairs } from "../src/curate/fit/crossfit/combine.js";
import { dealFolds } from "../src/curate/fit/crossfit/folds.js";
import { planCrossfit } from "../src/curate/fit/crossfit/plan.js";
import { nearestTargets, vendiScore } from "../src/curate/fit/diversity/coverage.js";
import { densityOf } from "../src/curate/fit/diversity/density.js";
import { sphericalKMeans } from "../src/curate/fit/diversity/kmeans.js";
import { type Agreement, agreementOf } from "../src/curate/fit/relevance/agreement.js";
import { OnnxRuntime } from "../src/engines/onnxruntime.js";
import { type Features, normalise } from "../src/evaluate/features/features.js";
import { rowsInMemory } from "../src/evaluate/features/source.js";
import { fixture } from "./support/fixture.js";

/** Made by test/fixtures/curate/oracles.py, with NumPy, scikit-learn and cleanlab. */
const oracle = JSON.parse(readFileSync(fixture("curate/oracles.json"), "utf8"));

/** Features are f32; the oracles count in f64. */
const F32 = 2e-6;

const close = (found: ArrayLike<number>, expected: readonly number[], tolerance: number, what: string) => {
  assert.equal(found.length, expected.length, what);
  for (const [i, value] of expected.entries())
    assert(Math.abs(found[i]! - value) <= tolerance, `${what}[${i}]: ${found[i]} is not ${value}`);
};

/** sin(a·(i+1)·(e+1) + b·i), [rows, width]. */
const waves = (rows: number, width: number, a: number, b: number): Float64Array =>
  Float64Array.from({ length: rows * width }, (_, n) => {
    const [i, e] = [Math.floor(n / width), n % width];
    return Math.sin(a * (i + 1) * (e + 1) + b * i);
  });
const unitWaves = (rows: number, width: number, a: number, b: number): Features =>
  normalise(Float32Array.from(waves(rows, width, a, b)), width, "waves");

const key = keyFromSeed(3);

suite("agreementOf", () => {
  const pairs = {
    images: unitWaves(6, 5, 0.7, 1.1),
    texts: unitWaves(9, 5, 0.4, 2.3),
    imageOf: [0, 0, 1, 2, 2, 2, 3, 4, 5],
  };
  const { temperature, ...expected } = oracle.agreement as { temperature: number } & Record<
    keyof Agreement,
    number[]
  >;

  test("is what NumPy makes of cosines, s-CLIPLoss, ranks and margins, in JavaScript and on an engine", async () => {
    await using engine = new OnnxRuntime();
    for (const on of [undefined, engine]) {
      const found = await agreementOf(pairs, { temperature, key, engine: on });
      for (const name of Object.keys(expected) as (keyof Agreement)[])
        close(found[name], expected[name], F32, name);
    }
  });

  test("orders pairs as their cosines do where the temperature is high", async () => {
    const texts = unitWaves(6, 5, 0.4, 2.3);
    const own = { images: pairs.images, texts, imageOf: [0, 1, 2, 3, 4, 5] };
    // cos - τ/2 · 2 · (log P + mean cosine / τ + …): what differs beside the cosine goes with the means of row and column.
    const found = await agreementOf(own, { temperature: 1e6, key });
    const expected = Array.from(found.cosine, (cosine, i) => {
      const mean = (of: (j: number) => number) => [0, 1, 2, 3, 4, 5].reduce((sum, j) => sum + of(j), 0) / 6;
      const dot = (x: number, y: number) =>
        [0, 1, 2, 3, 4].reduce((s, e) => s + pairs.images.data[5 * x + e]! * texts.data[5 * y + e]!, 0);
      return cosine - (mean((j) => dot(i, j)) + mean((j) => dot(j, i))) / 2;
    });
    const constant = found.corrected[0]! - expected[0]!;
    close(
      found.corrected,
      expected.map((value) => value + constant),
      1e-3,
      "corrected",
    );
    assert(Math.abs(constant + 1e6 * Math.log(6)) < 1, "the constant is τ log P");
  });

  test("compares within pools of equal size where there are more pairs, the same for every order of work", async () => {
    const [rows, width] = [60, 8];
    const images = unitWaves(rows, width, 0.37, 0.9);
    const imageOf = Uint32Array.from({ length: rows }, (_, i) => i);
    const same = { images, texts: images, imageOf };
    const found = await agreementOf(same, { temperature: 0.05, pool: 25, partitions: 4, key });
    assert.deepEqual(found, await agreementOf(same, { temperature: 0.05, pool: 25, partitions: 4, key }));
    assert(
      found.captionRank.every((rank) => rank === 0),
      "nothing is nearer than itself",
    );
    const whole = await agreementOf(same, { temperature: 0.05, key });
    for (const [i, value] of whole.corrected.entries())
      assert(found.corrected[i]! >= value - F32, "fewer others, less to be near to");
  });

  test("refuses temperatures that sums of exponentials cannot bear", async () => {
    await assert.rejects(agreementOf(pairs, { temperature: 0.001, key }), UsageError);
    await assert.rejects(agreementOf(pairs, { temperature: 0.1, pool: 1, key }), UsageError);
  });
});

suite("folds of cross-fitting", () => {
  test("keep copies together, are of nearly one size, and are dealt anew by another key", () => {
    const groups = Int32Array.from({ length: 100 }, (_, i) => (i < 90 ? i : i % 7));
    const folds = dealFolds(groups, 4, key);
    for (const [i, group] of groups.entries()) assert.equal(folds[i], folds[group]);
    const sizes = [0, 1, 2, 3].map((fold) => folds.filter((f) => f === fold).length);
    assert(Math.max(...sizes) - Math.min(...sizes) <= 3, String(sizes));
    assert.deepEqual(folds, dealFolds(groups, 4, key));
    // Whenever a large group comes, the single ones fill up the others.
    const large = Int32Array.from({ length: 100 }, (_, i) => Math.min(i, 80));
    for (const seed of [1, 2, 3]) {
      const dealt = dealFolds(large, 4, keyFromSeed(seed));
      for (const fold of [0, 1, 2, 3]) assert.equal(dealt.filter((f) => f === fold).length, 25);
    }
    assert.notDeepEqual(folds, dealFolds(groups, 4, keyFromSeed(4)));
  });

  test("are as many as time allows: five three times where there is plenty, with fewer passes the more pictures", async () => {
    await using engine = new OnnxRuntime();
    const recipe = {
      model: {
        embed_dim: 8,
        vision_cfg: { image_size: 16, patch_size: 8, width: 16, layers: 1, head_width: 16 },
        text_cfg: { context_length: 8, vocab_size: 300, width: 16, heads: 1, layers: 0, pool_type: "mean" },
      },
      batchSize: 8,
    } as const;
    const plan = (pictures: number, more: object = {}) =>
      planCrossfit(engine, pictures, { seconds: 1e9, recipe, ...more });
    const { folds, repeats, epochs, batchSize } = await plan(1000);
    assert.deepEqual([folds, repeats, epochs, batchSize], [5, 3, 6, 8]);
    assert.equal((await plan(500_000)).epochs, 4);
    const wished = await plan(1000, { folds: 3, repeats: 4, recipe: { ...recipe, epochs: 2 } });
    assert.deepEqual([wished.folds, wished.repeats, wished.epochs], [3, 4, 2]);
    const short = plan(1000, { seconds: 1e-3 });
    await assert.rejects(
      short,
      (error: Error) => error instanceof UsageError && /^time: /.test(error.message),
    );
  });

  test("are combined in standard deviations; what has no picture has no score", () => {
    const columns = (values: readonly number[], scale: number) => {
      const one = foundColumns(values.length + 1);
      const numbers = Float64Array.from(values, (value) => scale * value);
      one.set(Uint32Array.from(values.keys()), {
        cosine: numbers,
        corrected: numbers,
        captionRank: numbers,
        pictureRank: numbers,
        margin: numbers,
      });
      const losses = [0, 1].map((more) =>
        Float64Array.from([...numbers, Number.NaN], (value) => more - value),
      );
      one.setCourse(
        losses,
        losses.map((loss) => loss.map((value) => -value)),
      );
      const put = foundColumns(values.length + 1);
      put.put(
        Uint32Array.from({ length: values.length + 1 }, (_, i) => i),
        one.flat(),
      );
      return put.columns;
    };
    const found = [columns([1, 2, 3, 6], 1), columns([1, 2, 6, 3], 100)];
    const { score, spread, forgotten, lossOverTime } = combine(found);
    close(
      standardised(Float64Array.of(1, 2, 3, 6, Number.NaN)).subarray(0, 4),
      [-2, -1, 0, 3].map((x) => x / Math.sqrt(3.5)),
      1e-12,
      "standardised",
    );
    close(
      score.subarray(0, 4),
      [-2, -1, 2, 1].map((x) => x / Math.sqrt(3.5)),
      1e-6,
      "score",
    );
    close(
      spread.subarray(0, 4),
      [0, 0, Math.SQRT2, Math.SQRT2].map((x) => x / Math.sqrt(3.5)),
      1e-6,
      "spread",
    );
    assert(Number.isNaN(score[4]!));
    assert.equal(forgotten[0], 1, "the loss was lower before");
    assert.equal(lossOverTime[0], (0.5 * -0.5 - 99.5) / 1.5, "the first repeat counts half");
    assert.deepEqual(worstPairs(found, 0.5), Uint8Array.of(1, 1, 0, 0, 1));
  });
});

suite("accuracy", () => {
  test("label faults are cleanlab's", () => {
    const [rows, classes] = [60, 5];
    const logits = waves(rows, classes, 0.9, 0.3).map((x) => 1.5 * x);
    const labels = Int32Array.from({ length: rows }, (_, i) => (7 * i) % 4);
    const probabilities = new Float64Array(rows * classes);
    for (let i = 0; i < rows; i++) {
      logits[i * classes + labels[i]!]! += i % 5 === 0 ? -1 : 1.5;
      const terms = logits.subarray(i * classes, (i + 1) * classes).map(Math.exp);
      const sum = terms.reduce((a, b) => a + b, 0);
      probabilities.set(
        terms.map((term) => term / sum),
        i * classes,
      );
    }
    const { joint, fault, selfConfidence, margin } = findLabelFaults(probabilities, labels, classes);
    assert.deepEqual(Array.from(joint), oracle.labels.joint.flat());
    assert.deepEqual(
      Array.from(fault.keys()).filter((i) => fault[i]),
      oracle.labels.faults,
    );
    close(selfConfidence, oracle.labels.selfConfidence, 1e-12, "self-confidence");
    close(margin, oracle.labels.margin, 1e-12, "margin");
    assert.throws(() => findLabelFaults(probabilities, labels, 4), UsageError);
    assert.throws(() => findLabelFaults([0.5, 0.5], [2], 2), UsageError);
  });

  test("captions are as alike as scikit-learn's TF-IDF has it", () => {
    const { captions, cosines } = oracle.wording as { captions: string[]; cosines: number[][] };
    const weights = new WordWeights();
    for (const caption of captions) weights.add(caption);
    const vectors = captions.map((caption) => weights.vector(caption));
    for (const [i, row] of cosines.entries())
      close(
        vectors.map((other) => likeness(vectors[i]!, other)),
        row,
        1e-12,
        captions[i]!,
      );
  });

  test("the caption that does not fit its picture's others is the least alike; one alone has no score", async () => {
    const table = [
      ["a", "A dog runs over grass"],
      ["a", "the dog on green grass"],
      ["a", "two children in a boat"],
      ["b", "a boat"],
      ["c", null],
    ];
    const found = await siblingsFamily.score({
      settings: {},
      length: table.length,
      // Pieces end within a picture.
      async *scan(columns) {
        for (let start = 0; start < table.length; start += 2) {
          const rows = table.slice(start, start + 2);
          const all = {
            source: rows.map(() => "s"),
            key: rows.map(([key]) => key!),
            caption: rows.map(([, caption]) => caption!),
          };
          yield { start, length: rows.length, columns: all };
          assert(columns.every((name) => name in all));
        }
      },
    });
    const [dog, grass, boat, alone, none] = found.sibling_agreement as Float64Array;
    assert(dog! > 0.1 && grass! > 0.1 && boat! < 0.02, `${dog} ${grass} ${boat}`);
    assert(Number.isNaN(alone!) && Number.isNaN(none!));
  });

  test("a caption that says what look-alikes' captions say agrees with them; copies are not asked", async () => {
    await using engine = new OnnxRuntime();
    // Two kinds of pictures, around two directions; picture 0 has the other kind's caption, and a copy with that caption.
    const images = normalise(
      Float32Array.from([1, 0, 1, 0.2, 1, 0.4, 1, 0.6, 0, 1, 0.2, 1, 0.4, 1, 1, 0]),
      2,
      "images",
    );
    const captions = [
      "round cup",
      "red apple",
      "red apple",
      "green apple",
      "round cup",
      "blue cup",
      "cup",
      "round cup",
    ];
    const weights = new WordWeights();
    for (const caption of captions) weights.add(caption);
    const found = await neighbourAgreement(
      engine,
      images,
      captions.map((caption) => weights.vector(caption)),
      Uint32Array.from(captions.keys()),
      { neighbours: 3 },
    );
    assert.equal(found[0], found[7], "of a copy the same is said");
    for (const other of [1, 2, 3, 4, 5, 6]) assert(found[0]! < found[other]! - 0.3, String(found));
  });
});

suite("diversity", () => {
  const random = new Random(keyFromSeed(8));
  /** `count` rows near each of three directions; the first of each direction is there twice. */
  const [count, width] = [20, 6];
  const rows = normalise(
    Float32Array.from({ length: 3 * count * width }, (_, n) => {
      const [row, e] = [Math.floor(n / width), n % width];
      return (e === Math.floor(row / count) ? 1 : 0) + 0.1 * random.normal();
    }),
    width,
    "rows",
  );
  for (let c = 0; c < 3; c++)
    rows.data.copyWithin((c * count + 7) * width, c * count * width, (c * count + 1) * width);
  const kind = (row: number) => Math.floor(row / count);

  test("k-means finds planted clusters, the same for one key", async () => {
    await using engine = new OnnxRuntime();
    const options = { clusters: 3, key: keyFromSeed(1) };
    const { cluster, sizes, cosine } = await sphericalKMeans(engine, rowsInMemory(rows), options);
    for (let row = 0; row < 3 * count; row++) assert.equal(cluster[row], cluster[kind(row) * count]);
    assert.deepEqual(Array.from(sizes), [count, count, count]);
    assert(cosine.every((value) => value > 0.9));
    assert.deepEqual((await sphericalKMeans(engine, rowsInMemory(rows), options)).cluster, cluster);
    await assert.rejects(sphericalKMeans(engine, rowsInMemory(rows), { clusters: 61, key }), UsageError);
  });

  test("finds exactly the planted copies, in all and within clusters, and more with a lower threshold", async () => {
    await using engine = new OnnxRuntime();
    const cluster = Uint32Array.from({ length: 3 * count }, (_, row) => kind(row));
    for (const within of [undefined, cluster]) {
      const { group, nearest, density } = await densityOf(engine, rowsInMemory(rows), {
        threshold: 0.9999,
        neighbours: 4,
        cluster: within,
      });
      const joined = Array.from(group.keys()).filter((row) => group[row] !== row);
      assert.deepEqual(joined, [7, 27, 47]);
      assert(nearest[0]! > 0.9999 && nearest[1]! < 0.9999);
      assert(density.every((value, row) => value <= nearest[row]!));
    }
    const loose = await densityOf(engine, rowsInMemory(rows), { threshold: 0.98 });
    assert(loose.group.filter((first, row) => first !== row).length > 3);
  });

  test("the Vendi score is NumPy's, 1 of equals and the dimension of what is spread evenly", async () => {
    const close = async (features: Features, expected: number) =>
      assert(Math.abs((await vendiScore(rowsInMemory(features))) - expected) < 1e-5);
    await close(unitWaves(40, 6, 0.31, 0.7), oracle.vendi);
    await close(normalise(Float32Array.from([1, 2, 1, 2, 1, 2]), 2, "equal"), 1);
    await close(normalise(Float32Array.from([1, 0, 0, 0, 1, 0, 0, 0, 1]), 3, "axes"), 3);
  });

  test("every row has its nearest target", async () => {
    await using engine = new OnnxRuntime();
    const targets = normalise(Float32Array.from([0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0]), width, "targets");
    const { index, cosine } = await nearestTargets(engine, rowsInMemory(rows), targets);
    assert.deepEqual(
      Array.from(index.subarray(0, 2 * count)),
      Array.from({ length: 2 * count }, (_, row) => (kind(row) === 0 ? 1 : 0)),
    );
    assert(cosine.subarray(0, 2 * count).every((value) => value > 0.8));
  });
});
