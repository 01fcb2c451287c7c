import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { keyFromSeed, Random } from "../src/core/random.js";
import { type Features, normalise } from "../src/evaluate/features/features.js";
import {
  chanceOfRecall,
  evaluateRetrieval,
  type ImagesOf,
  mergeTexts,
  retrievalRanks,
} from "../src/evaluate/tasks/retrieval.js";

/** Images with captions scattered around them, so that recall is neither 0 nor 1; captions in random order. */
function pairs(
  seed: number,
  imageCount: number,
  captionsOf: (image: number) => number,
  width = 8,
  noise = 0.5,
) {
  const random = new Random(keyFromSeed(seed));
  const images = normalise(
    Float32Array.from({ length: imageCount * width }, () => random.normal()),
    width,
    "images",
  );
  const inOrder = Array.from({ length: imageCount }, (_, i) => Array<number>(captionsOf(i)).fill(i)).flat();
  const captionImage = random.permutation(inOrder.length).map((at) => inOrder[at]!);
  const texts = Float32Array.from({ length: captionImage.length * width }, (_, at) => {
    const image = captionImage[Math.floor(at / width)]!;
    return images.data[image * width + (at % width)]! + noise * random.normal();
  });
  return { images, texts: normalise(texts, width, "texts"), captionImage };
}

/** Every caption is a text of its own image alone. */
const own = (captionImage: ArrayLike<number>): ImagesOf => Array.from(captionImage, (image) => [image]);

/**
 * CLIP_benchmark's definition, from the matrix: for each query the k best candidates; found if a positive is among them.
 * Written without ranks or tiles, to be independent of what it checks.
 */
function benchmarkRecall(
  scores: number[][],
  positive: (query: number, candidate: number) => boolean,
  k: number,
) {
  const found = scores.filter((row, query) =>
    row
      .map((score, candidate) => ({ score, candidate }))
      .sort((a, b) => b.score - a.score)
      .slice(0, k)
      .some(({ candidate }) => positive(query, candidate)),
  );
  return found.length / scores.length;
}

const matrix = (left: Features, right: Features): number[][] =>
  Array.from({ length: left.rows }, (_, i) =>
    Array.from({ length: right.rows }, (_, j) => {
      let sum = 0;
      for (let k = 0; k < left.width; k++) {
        sum += left.data[i * left.width + k]! * right.data[j * left.width + k]!;
      }
      return sum;
    }),
  );

suite("evaluateRetrieval", () => {
  for (const [seed, images, captions] of [
    [1, 150, () => 5],
    [2, 90, (i: number) => 1 + (i % 7)],
    [3, 601, () => 1],
  ] as [number, number, (image: number) => number][]) {
    test(`equals CLIP_benchmark's definition on random data (${images} images)`, () => {
      const set = pairs(seed, images, captions);
      const result = evaluateRetrieval(set.images, set.texts, own(set.captionImage));
      const imageText = matrix(set.images, set.texts);
      const textImage = matrix(set.texts, set.images);
      for (const [at, k] of [1, 5, 10].entries()) {
        const i2t = benchmarkRecall(imageText, (image, text) => set.captionImage[text] === image, k);
        const t2i = benchmarkRecall(textImage, (text, image) => set.captionImage[text] === image, k);
        assert.ok(i2t > 0.05 && t2i > 0.05, "the data must make the task possible");
        assert.equal(result.imageToText.recall[at]!.k, k);
        assert.equal(result.imageToText.recall[at]!.score.value, i2t);
        assert.equal(result.textToImage.recall[at]!.score.value, t2i);
      }
      assert.equal(result.imageToText.medianRank.n, images);
      assert.equal(result.textToImage.medianRank.n, set.captionImage.length);
    });
  }

  test("counts an image as found when any of its captions is, not only the first", () => {
    // Two images along the axes; image 0's first caption points to image 1, its second one home.
    const images = normalise(new Float32Array([1, 0, 0, 1]), 2, "images");
    const texts = normalise(new Float32Array([0.1, 1, 1, 0, 0, 1]), 2, "texts");
    const ranks = retrievalRanks(images, texts, own([0, 0, 1]));
    assert.deepEqual([...ranks.imageToText], [1, 1]);
    assert.deepEqual([...ranks.textToImage], [2, 1, 1]);
  });

  test("takes captions with the same words for one text, right for every image that bears it", () => {
    // Three drawings of a cat, all called "cat", and one dog that looks like one; "cat" lies nearest to drawing 2.
    const images = normalise(new Float32Array([1, 0, 0.9, 0.1, 0.8, 0.2, 0.79, 0.21]), 2, "images");
    const { texts, imagesOf } = mergeTexts(["cat", "cat", "dog", "cat"], [0, 1, 3, 2]);
    assert.deepEqual(
      [texts, imagesOf],
      [
        ["cat", "dog"],
        [[0, 1, 2], [3]],
      ],
    );
    const features = normalise(new Float32Array([0.8, 0.2, 0, 1]), 2, "texts");
    const ranks = retrievalRanks(images, features, imagesOf);
    assert.deepEqual([...ranks.textToImage], [1, 1]);
    // The dog's own word is the second of two: as four captions it would be the fourth.
    assert.deepEqual([...ranks.imageToText], [1, 1, 1, 2]);
    const { imageToText, textToImage } = evaluateRetrieval(images, features, imagesOf);
    assert.deepEqual([imageToText.medianRank.n, textToImage.medianRank.n], [4, 2]);
  });

  test("chance is what orders drawn at random give", () => {
    const random = new Random(keyFromSeed(5));
    for (const [n, right, k] of [
      [10, 1, 1],
      [10, 3, 5],
      [6, 2, 10],
      [7, 7, 1],
    ] as const) {
      let found = 0;
      for (let draw = 0; draw < 4000; draw++)
        if (
          random
            .permutation(n)
            .subarray(0, k)
            .some((at) => at < right)
        )
          found++;
      assert.ok(Math.abs(found / 4000 - chanceOfRecall(n, right, k)) < 0.03, `${n} ${right} ${k}`);
    }
    const set = pairs(4, 40, () => 2);
    const result = evaluateRetrieval(set.images, set.texts, own(set.captionImage));
    assert.ok(Math.abs(result.textToImage.recall[1]!.chance - 5 / 40) < 1e-12);
    assert.equal(result.textToImage.chanceRank, 20.5);
    assert.equal(result.imageToText.chanceRank, 27); // the better of two among 80
  });

  test("gives nothing to a model that scores every pair alike", () => {
    const flat = (rows: number): Features => normalise(new Float32Array(rows * 3).fill(1), 3, "flat");
    const result = evaluateRetrieval(flat(20), flat(40), own(new Uint32Array(40).map((_, t) => t >> 1)));
    assert.deepEqual(
      [...result.imageToText.recall, ...result.textToImage.recall].map(({ score }) => score.value),
      [0, 0, 0, 0, 0, 0],
    );
    assert.equal(result.textToImage.medianRank.value, 20);
    assert.equal(result.imageToText.medianRank.value, 39); // 38 foreign captions ahead
  });

  test("keeps an image without captions as a distractor that asks nothing", () => {
    const images = normalise(new Float32Array([1, 0, 0.9, 0.1]), 2, "images");
    const texts = normalise(new Float32Array([0.9, 0.1]), 2, "texts");
    const { imageToText, textToImage } = evaluateRetrieval(images, texts, own([0]));
    assert.equal(imageToText.recall[0]!.score.n, 1);
    assert.deepEqual([...textToImage.ranks], [2]);
  });

  test("gives wider intervals when the captions of an image stand or fall together", () => {
    // The same captions five times over hold no more information than once.
    const once = pairs(9, 200, () => 1);
    const five = {
      texts: normalise(
        Float32Array.from({ length: 1000 * 8 }, (_, at) => once.texts.data[at % (200 * 8)]!),
        8,
        "five",
      ),
      captionImage: Uint32Array.from({ length: 1000 }, (_, t) => once.captionImage[t % 200]!),
    };
    const widthOf = (result: ReturnType<typeof evaluateRetrieval>): number => {
      const { low, high } = result.textToImage.recall[1]!.score;
      return high - low;
    };
    const single = widthOf(evaluateRetrieval(once.images, once.texts, own(once.captionImage)));
    const repeated = widthOf(evaluateRetrieval(once.images, five.texts, own(five.captionImage)));
    assert.ok(Math.abs(repeated / single - 1) < 0.15, `${repeated} against ${single}`);
  });

  test("refuses captions of no image, counts that differ and a bad k", () => {
    const { images, texts, captionImage } = pairs(1, 4, () => 1);
    const imagesOf = own(captionImage);
    assert.throws(() => evaluateRetrieval(images, texts, imagesOf.slice(1)), /got 3 entries for 4 texts/);
    assert.throws(
      () => evaluateRetrieval(images, texts, [[0], [1], [2], [9]]),
      /imagesOf\[3\]=\[9\] with 4 images/,
    );
    assert.throws(() => evaluateRetrieval(images, texts, imagesOf, { ks: [0] }), /k=0/);
  });
});
