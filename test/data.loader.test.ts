import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { describe, test } from "node:test";
import {
  type Batch,
  createLoader,
  evaluationBatches,
  evaluationPipeline,
  type LoaderOptions,
  openDataset,
  type Pipeline,
  preprocessImage,
  trainingPipeline,
  viewPipeline,
} from "../src/data/index.js";
import { dropWords } from "../src/data/loading/chance.js";
import { SampleOrder } from "../src/data/loading/order.js";
import { WorkerPool } from "../src/data/loading/pool.js";
import { pngOf, put, scratchFolder } from "./data.helpers.js";

const folder = scratchFolder();
const N = 10;
for (let i = 0; i < N; i++) {
  put(folder, `good/${i}.png`, await pngOf(i, 30 + i, 40 - i));
  put(folder, `good/${i}.txt`, `${i} one\n${i} two\n${i} three`);
  put(folder, `holed/${i}.png`, i % 3 === 1 ? "not an image" : await pngOf(i));
  put(folder, `holed/${i}.txt`, i === 0 ? "" : `${i}`);
  put(folder, `broken/${i}.png`, "not an image");
  put(folder, `broken/${i}.txt`, "text");
}
const good = await openDataset(join(folder, "good"));
const holed = await openDataset(join(folder, "holed"));
const broken = await openDataset(join(folder, "broken"));

const jitter = { brightness: 0.3, contrast: 0.3, saturation: 0.3, hue: 0.1, probability: 0.7 };
const everything = trainingPipeline(16, { scale: [0.3, 1], flip: 0.5, jitter, grayscale: 0.3 });
const shift = trainingPipeline(16, { keepSize: 20, resize: "squash", crop: "shift", flip: 0.5 });
const base = { dataset: good, batchSize: 7, seed: 3, workers: 1 } as const;

type Content = Pick<Batch, "step" | "epoch" | "captions" | "texts"> & {
  images: string;
  views: string[];
  indices: number[];
  captionIndices: number[];
  skipped: string[];
};

const contentOf = (batch: Batch): Content => ({
  step: batch.step,
  epoch: batch.epoch,
  captions: batch.captions,
  texts: batch.texts,
  views: batch.views.map((view) => Buffer.from(view).toString("base64")),
  images: Buffer.from(batch.images).toString("base64"),
  indices: [...batch.indices],
  captionIndices: [...batch.captionIndices],
  skipped: batch.skipped.map((s) => s.key),
});

async function contents(
  options: Omit<LoaderOptions, "pipeline"> & { pipeline?: Pipeline },
  steps: number[],
): Promise<Content[]> {
  await using loader = createLoader({ pipeline: everything, ...options });
  const found = [];
  for (const step of steps) {
    const batch = await loader.batch(step);
    found.push(contentOf(batch));
    batch.release();
  }
  return found;
}

describe("createLoader", () => {
  test("gives batches that depend on seed and step alone, not on workers, memory, prefetch or earlier steps", async () => {
    for (const pipeline of [everything, shift]) {
      const one = await contents({ ...base, pipeline }, [0, 1, 2, 3]);
      assert.deepEqual(
        await contents({ ...base, pipeline, workers: 3, memoryLimitBytes: 0, prefetch: 0 }, [0, 1, 2, 3]),
        one,
      );
      assert.deepEqual(
        await contents({ ...base, pipeline, memoryLimitBytes: 9000, prefetch: 5 }, [2, 3, 0]),
        [one[2], one[3], one[0]],
      );
      const other = await contents({ ...base, pipeline, seed: 4 }, [0]);
      assert.notDeepEqual(other[0]!.images, one[0]!.images);
    }
  });

  test("parts of a batch's rows, made apart, are the whole batch, broken images or not", async () => {
    for (const dataset of [good, holed]) {
      const options = { ...base, pipeline: everything, dataset };
      const bounds = [0, 3, 3, 7];
      await using whole = createLoader(options);
      for (const step of [0, 2]) {
        const expected = await whole.batch(step);
        const parts: Batch[] = [];
        for (const [i, start] of bounds.slice(0, -1).entries()) {
          await using loader = createLoader({ ...options, rows: { start, end: bounds[i + 1]! } });
          parts.push(await loader.batch(step));
        }
        for (const key of ["images", "indices", "captionIndices", "captions"] as const)
          assert.deepEqual(
            parts.flatMap((part) => [...part[key]]),
            [...expected[key]],
            key,
          );
        for (const { planned, epoch } of parts) {
          assert.deepEqual(planned, expected.planned);
          assert.equal(epoch, expected.epoch);
        }
      }
    }
    assert.throws(
      () => createLoader({ ...base, pipeline: everything, rows: { start: 2, end: 8 } }),
      /rows must lie/,
    );
  });

  test("goes over batches several times where a step asks for them again, with the same rows", async () => {
    const options = { ...base, batchSize: 3, pipeline: everything };
    await using once = createLoader(options);
    await using twice = createLoader({ ...options, revisit: { batches: 2, times: 2 } });
    const visits: number[] = [];
    for (let visit = 0; visit < 8; visit++) {
      const batch = await twice.batch(visit);
      visits.push(batch.step);
      const plain = await once.batch(batch.step);
      assert.deepEqual(contentOf(batch), contentOf(plain));
      batch.release();
      plain.release();
    }
    assert.deepEqual(visits, [0, 1, 0, 1, 2, 3, 2, 3]);
  });

  test("draws a sample's pixels, views and words from seed, sample and epoch, whatever batch they are in", async () => {
    const pipeline = trainingPipeline(16, { policy: "stacked-randaugment" });
    const options = { pipeline, views: [viewPipeline(pipeline, "simclr")], captionDropout: 0.4 };
    /** What each (epoch, sample) was given over three epochs of ten. */
    const visits = async (
      batchSize: number,
      workers: number,
      dataset = good,
    ): Promise<Map<string, string>> => {
      await using loader = createLoader({ ...base, ...options, dataset, batchSize, workers });
      const found = new Map<string, string>();
      for (let step = 0; step * batchSize < 3 * N; step++) {
        const batch = await loader.batch(step);
        for (const [b, index] of batch.indices.entries()) {
          const rows = [batch.images, ...batch.views].map((all) => all.subarray(b * 768, (b + 1) * 768));
          const epoch = Math.floor((step * batchSize + b) / N);
          found.set(`${epoch} ${index}`, `${Buffer.concat(rows).toString("base64")} ${batch.texts[b]}`);
        }
        batch.release();
      }
      return found;
    };
    const one = await visits(5, 1);
    assert.equal(one.size, 3 * N);
    assert.equal(new Set(one.values()).size, 3 * N);
    for (const other of [await visits(5, 3), await visits(3, 2), await visits(10, 2)]) {
      for (const [visit, content] of one) assert.equal(other.get(visit), content, visit);
    }
  });

  test("gives further views of each image, decoded once, each with chance of its own", async () => {
    const pipeline = trainingPipeline(16, { policy: "none" });
    const views = [viewPipeline(pipeline, "simclr"), viewPipeline(pipeline, "simclr")];
    const [alone] = await contents({ ...base, pipeline }, [0]);
    const [batch] = await contents({ ...base, pipeline, views }, [0]);
    assert.equal(batch!.images, alone!.images); // asking for views leaves the image as it was
    assert.equal(batch!.views.length, 2);
    assert.notEqual(batch!.views[0], batch!.views[1]);
    // A run that goes on from a later step draws the same.
    const later = await contents({ ...base, pipeline, views, workers: 3 }, [2]);
    const through = await contents({ ...base, pipeline, views, prefetch: 0 }, [0, 1, 2]);
    assert.deepEqual(later[0], through[2]);
    await using loader = createLoader({ ...base, pipeline, views });
    await loader.batch(0);
    assert.ok(loader.stats().cachedImages <= N);
    assert.throws(
      () => createLoader({ ...base, pipeline: shift, views }),
      /views start from the same training image; got views\[0\] with another keepSize.* viewPipeline/,
    );
    assert.throws(
      () => createLoader({ ...base, pipeline: evaluationPipeline(16), views: [evaluationPipeline(16)] }),
      /without augmentation/,
    );
  });

  test("leaves words out of the texts, and keeps the captions", async () => {
    const [batch] = await contents({ ...base, captionDropout: 0.5 }, [0]);
    const [whole] = await contents(base, [0]);
    assert.deepEqual(batch!.captions, whole!.captions);
    assert.deepEqual(whole!.texts, whole!.captions);
    assert.notDeepEqual(batch!.texts, batch!.captions);
    for (const [b, text] of batch!.texts.entries()) {
      assert.ok(text.length > 0 && ` ${batch!.captions[b]} `.includes(` ${text} `), text);
    }
    assert.throws(
      () => createLoader({ ...base, pipeline: shift, captionDropout: 1 }),
      /captionDropout is a share/,
    );
  });

  test("sees every sample once an epoch, across batches that straddle epochs", async () => {
    const batches = await contents({ ...base, batchSize: 4 }, [0, 1, 2, 3, 4]);
    const order = batches.flatMap((b) => b.indices);
    const all = Array.from({ length: N }, (_, i) => i);
    assert.deepEqual(
      order.slice(0, N).sort((a, b) => a - b),
      all,
    );
    assert.deepEqual(
      order.slice(N).sort((a, b) => a - b),
      all,
    );
    assert.notDeepEqual(order.slice(0, N), order.slice(N));
    assert.deepEqual(
      batches.map((b) => b.epoch),
      [0, 0, 0, 1, 1],
    );
  });

  test("gives each image with one of its own captions", async () => {
    const batches = await contents(base, [0, 1, 2, 3, 4, 5]);
    const chosen = new Set<number>();
    for (const { indices, captionIndices, captions } of batches) {
      for (const [b, caption] of captions.entries()) {
        assert.equal(caption, good.sample(indices[b]!).captions[captionIndices[b]!]);
        chosen.add(captionIndices[b]!);
      }
    }
    assert.deepEqual([...chosen].sort(), [0, 1, 2]);
    const first = await contents({ ...base, captions: "first" }, [0]);
    assert.ok(first[0]!.captionIndices.every((c) => c === 0));
  });

  test("draws evaluation pixels as preprocessImage does", async () => {
    const pipeline = evaluationPipeline(16);
    await using loader = createLoader({ ...base, pipeline });
    const batch = await loader.batch(0);
    for (const [b, index] of batch.indices.entries()) {
      const expected = await preprocessImage(await good.readBytes(index), pipeline);
      assert.deepEqual(batch.images.subarray(b * 768, (b + 1) * 768), expected);
    }
  });

  test("replaces unreadable images by the next in order, lists them, and leaves out samples without caption", async () => {
    await using loader = createLoader({ ...base, dataset: holed, pipeline: shift });
    assert.equal(loader.samplesPerEpoch, N - 1);
    const batches = [];
    for (const step of [0, 1, 2]) batches.push(contentOf(await loader.batch(step)));
    for (const { indices } of batches)
      for (const i of indices) assert.ok(i !== 0 && i % 3 !== 1, `sample ${i}`);
    assert.deepEqual(
      loader.stats().broken.map((s) => s.index),
      [1, 4, 7],
    );
    assert.match(loader.stats().broken[0]!.reason, /cannot be decoded/);
    assert.ok(batches.some((b) => b.skipped.length > 0));
    // A loader that starts later, and so met the broken ones at other times, gives the same.
    assert.deepEqual(await contents({ ...base, dataset: holed, pipeline: shift, workers: 2 }, [2, 1]), [
      batches[2],
      batches[1],
    ]);
  });

  test("stops when no image can be read, or no sample has a caption", async () => {
    await using loader = createLoader({ ...base, dataset: broken, pipeline: shift });
    await assert.rejects(
      loader.batch(0),
      /no image of "broken" can be read; the last is \d: image: cannot be decoded/,
    );
    put(folder, "mute/a.png", await pngOf(1));
    put(folder, "mute/a.txt", " \n");
    const mute = await openDataset(join(folder, "mute"));
    assert.throws(
      () => createLoader({ ...base, dataset: mute, pipeline: shift }),
      /no sample of "mute" has a caption/,
    );
  });

  test("keeps decoded images within the limit and then reads none again", async () => {
    await using loader = createLoader({ ...base, pipeline: shift, memoryLimitBytes: 6 * 1216 });
    for (const step of [0, 1, 2, 3]) (await loader.batch(step)).release();
    assert.equal(loader.stats().cachedImages, 6);
    assert.ok(loader.stats().cachedBytes <= 6 * 1216);
  });

  test("uses released memory again, and never memory that is still held", async () => {
    await using loader = createLoader({ ...base, pipeline: shift, prefetch: 1 });
    const held = await loader.batch(0);
    const before = contentOf(held);
    const buffers = new Set<ArrayBufferLike>();
    for (let step = 1; step < 12; step++) {
      const batch = await loader.batch(step);
      assert.notEqual(batch.images.buffer, held.images.buffer);
      buffers.add(batch.images.buffer);
      batch.release();
    }
    assert.ok(buffers.size <= 3, `${buffers.size} buffers`);
    assert.deepEqual(contentOf(held), before);
  });

  test("refuses options out of range", () => {
    const bad =
      (options: Partial<LoaderOptions>): (() => unknown) =>
      () =>
        createLoader({ ...base, pipeline: shift, ...options });
    assert.throws(bad({ batchSize: 0 }), /batchSize is a whole number ≥ 1; got batchSize=0/);
    assert.throws(bad({ workers: 0 }), /workers is a whole number/);
    assert.throws(bad({ seed: -1 }), /seed is a whole number ≥ 0/);
    assert.throws(() => trainingPipeline(16, { crop: "shift" }), /got no keepSize/);
    assert.throws(() => trainingPipeline(16, { scale: [0.9, 0.1] }), /scale is a range/);
    assert.throws(() => trainingPipeline(16, { flip: 2 }), /flip is a share 0 … 1; got flip=2/);
  });

  test("fails what is asked of it after close, at once", async () => {
    const loader = createLoader({ ...base, pipeline: shift });
    const pending = assert.rejects(loader.batch(0), /loader: is closed/);
    await loader.close();
    await pending;
    await assert.rejects(loader.batch(1), /loader: is closed/);
  });

  test("fails, and does not wait for ever, when a worker ends", async () => {
    const pool = new WorkerPool({ images: good.images, cache: null as never }, 2); // ends at its start
    await assert.rejects(
      pool.hold(pool.run({ kind: "examine", indices: [0] })),
      /data worker \d: stopped \(/,
    );
    await assert.rejects(
      pool.hold(pool.run({ kind: "examine", indices: [0] })),
      /data worker \d: stopped \(/,
    );
    await pool.close();
  });

  test("does not keep a process alive that has what it wanted", () => {
    const program = `
      const { createLoader, openDataset, evaluationPipeline } = await import(${JSON.stringify(new URL("../src/data/index.js", import.meta.url).href)});
      const dataset = await openDataset(${JSON.stringify(join(folder, "good"))});
      const loader = createLoader({ dataset, batchSize: 4, seed: 1, pipeline: evaluationPipeline(8), workers: 2 });
      process.stdout.write(String((await loader.batch(0)).indices.length));`;
    const { stdout, status } = spawnSync(process.execPath, ["--input-type=module", "-e", program], {
      encoding: "utf8",
      timeout: 20_000,
    });
    assert.deepEqual({ stdout, status }, { stdout: "4", status: 0 });
  });
});

describe("evaluationBatches", () => {
  test("goes through all images in order, the last batch shorter, unreadable ones left out and named", async () => {
    const pipeline = evaluationPipeline(8);
    const seen: number[] = [];
    const skipped: string[] = [];
    const lengths: number[] = [];
    for await (const batch of evaluationBatches(holed, { batchSize: 4, pipeline, workers: 2 })) {
      lengths.push(batch.indices.length);
      seen.push(...batch.indices);
      skipped.push(...batch.skipped.map((s) => s.key));
      assert.equal(batch.images.length, batch.indices.length * 192);
      for (const [b, index] of batch.indices.entries()) {
        const expected = await preprocessImage(await holed.readBytes(index), pipeline);
        assert.deepEqual(batch.images.subarray(b * 192, (b + 1) * 192), expected);
      }
    }
    assert.deepEqual(seen, [0, 2, 3, 5, 6, 8, 9]);
    assert.deepEqual(skipped, ["1", "4", "7"]);
    assert.deepEqual(lengths, [3, 2, 2]);
  });

  test("may be left early, and takes a list of samples", async () => {
    for await (const batch of evaluationBatches(good, {
      batchSize: 3,
      pipeline: everything,
      indices: [9, 2, 5, 1],
      workers: 1,
    })) {
      assert.deepEqual([...batch.indices], [9, 2, 5]);
      break;
    }
  });
});

test("SampleOrder deals positions by weight, and walks each source epoch by epoch", () => {
  const a = Uint32Array.from({ length: 5 }, (_, i) => i);
  const b = Uint32Array.from({ length: 3 }, (_, i) => 10 + i);
  const c = Uint32Array.from([20]);
  const order = new SampleOrder(
    [
      { indices: a, weight: 2 },
      { indices: b, weight: 1 },
      { indices: c, weight: 1 },
    ],
    { hi: 0, lo: 9 },
  );
  const drawn = Array.from({ length: 60 }, (_, p) => {
    const { source, nth } = order.locate(p);
    return order.draw(source, nth);
  });
  const of = (from: number): number[] => drawn.filter((i) => i >= from && i < from + 10);
  assert.deepEqual([of(0).length, of(10).length, of(20).length], [30, 15, 15]);
  for (let epoch = 0; epoch < 6; epoch++)
    assert.deepEqual(
      of(0)
        .slice(epoch * 5, epoch * 5 + 5)
        .sort(),
      [0, 1, 2, 3, 4],
    );
  for (let epoch = 0; epoch < 5; epoch++)
    assert.deepEqual(
      of(10)
        .slice(epoch * 3, epoch * 3 + 3)
        .sort(),
      [10, 11, 12],
    );
});

test("dropWords leaves out its share, never all, and keeps the order", () => {
  const key = { hi: 0, lo: 4 };
  const caption = "a  small dog runs on wet sand";
  assert.equal(dropWords(caption, 0, key, 1, 1), caption);
  let left = 0;
  for (let sample = 0; sample < 500; sample++) {
    const words = dropWords(caption, 0.3, key, sample, 0).split(/\s+/);
    left += words.length;
    let at = -1;
    for (const word of words) {
      const next = caption.split(/\s+/).indexOf(word, at + 1);
      assert.ok(next > at);
      at = next;
    }
  }
  assert.ok(Math.abs(left / 500 - 0.7 * 7) < 0.2, `${left / 500}`); // 4.5 deviations
  const single = new Set(Array.from({ length: 60 }, (_, s) => dropWords("one two", 0.999, key, s, 0)));
  assert.deepEqual([...single].sort(), ["one", "two"]);
});
