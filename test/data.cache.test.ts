import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Worker } from "node:worker_threads";
import { allocateImageCache, ImageCache } from "../src/data/loading/cache.js";

/** A grey row of pixels, so many bytes long, all of one value. */
const plain = (width: number, value: number) => ({
  width,
  height: 1,
  channels: 3,
  data: new Uint8Array(width * 3).fill(value),
});

describe("ImageCache", () => {
  test("keeps what fits, and nothing twice", () => {
    const cache = new ImageCache(allocateImageCache(3, 128, undefined));
    cache.put(0, plain(20, 1));
    cache.put(0, plain(20, 9));
    cache.put(1, plain(30, 2));
    assert.equal(cache.get(1), undefined, "90 bytes are two blocks of 64, and one is left");
    cache.put(2, plain(21, 3));
    assert.deepEqual([cache.get(0)?.data[59], cache.get(2)?.data[62]], [1, 3]);
    assert.deepEqual([cache.count, cache.sizeBytes, cache.hasRoom(1)], [2, 128, false]);
  });

  test("gives no place to two images when several workers fill it up at once", async () => {
    const [IMAGES, ROUNDS, WORKERS] = [16, 2000, 4];
    // Large images meet small ones where little is left: the large one does not fit, the small ones do.
    const widthOf = (i: number) => (i % 3 === 0 ? 120 : 20);
    const memories = Array.from({ length: ROUNDS }, () => allocateImageCache(IMAGES, 21 * 64, undefined));
    const gate = new SharedArrayBuffer(4 * (ROUNDS + 1));
    const code = `
      import("${new URL("../src/data/loading/cache.js", import.meta.url).href}").then(({ ImageCache }) => {
        const { workerData, parentPort } = require("node:worker_threads");
        const { memories, gate, first } = workerData;
        const widthOf = ${widthOf};
        const images = Array.from({ length: ${IMAGES} }, (_, i) => (
          { width: widthOf(i), height: 1, channels: 3, data: new Uint8Array(widthOf(i) * 3).fill(i + 1) }
        ));
        const arrived = new Int32Array(gate);
        for (const [round, memory] of memories.entries()) {
          const cache = new ImageCache(memory);
          Atomics.add(arrived, round, 1);
          for (let turns = 0; Atomics.load(arrived, round) < ${WORKERS} && turns < 2000; turns++);
          for (let i = 0; i < ${IMAGES}; i++) {
            const index = (i * 7 + first * 4) % ${IMAGES};
            cache.put(index, images[index]);
          }
        }
        parentPort.postMessage("done");
      });`;
    const workers = Array.from(
      { length: WORKERS },
      (_, first) => new Worker(code, { eval: true, workerData: { memories, gate, first } }),
    );
    await Promise.all(
      workers.map(
        (worker) => new Promise((done, failed) => worker.once("message", done).once("error", failed)),
      ),
    );
    for (const [round, memory] of memories.entries()) {
      const cache = new ImageCache(memory);
      for (let i = 0; i < IMAGES; i++) {
        const { data } = cache.get(i) ?? {};
        if (data !== undefined)
          assert.ok(
            data.every((x) => x === i + 1),
            `image ${i} of round ${round}`,
          );
      }
      assert.ok(cache.sizeBytes <= 21 * 64);
    }
  });
});
