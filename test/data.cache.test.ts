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

  test("gives no place to two images, in whatever order several workers take their atomic steps", (t) => {
    // Each worker stands before every atomic step on the cache's fill until this thread lets it go on, so that the order is
    // forced, and is another one in each round. Large images meet small ones where little is left.
    const [WORKERS, ROUNDS, BLOCKS] = [4, 300, 6];
    const [RUNNING, WAITING, FINISHED] = [0, 1, 2];
    const blocksOf = (worker: number, turn: number) => ((worker + turn) % 2 === 0 ? 3 : 1);
    const TURNS = 3;
    const memories = Array.from({ length: ROUNDS }, () =>
      allocateImageCache(WORKERS * TURNS, BLOCKS * 64, undefined),
    );
    const state = new Int32Array(new SharedArrayBuffer(4 * WORKERS));
    const code = `
      import("${new URL("../src/data/loading/cache.js", import.meta.url).href}").then(({ ImageCache }) => {
        const { memories, buffer, me } = require("node:worker_threads").workerData;
        const state = new Int32Array(buffer);
        const { store, notify, wait, load } = { ...Object.fromEntries(
          ["store", "notify", "wait", "load"].map((name) => [name, Atomics[name]])) };
        const stand = (as) => {
          store(state, me, as);
          notify(state, me);
          while (load(state, me) === as) wait(state, me, as);
        };
        let fill;
        for (const name of ["load", "store", "add", "sub", "exchange", "compareExchange"]) {
          const own = Atomics[name];
          Atomics[name] = (array, ...rest) => {
            if (array.buffer === fill) stand(${WAITING});
            return own(array, ...rest);
          };
        }
        const blocksOf = ${blocksOf};
        for (const memory of memories) {
          const cache = new ImageCache(memory);
          fill = memory.used;
          for (let turn = 0; turn < ${TURNS}; turn++) {
            const index = me * ${TURNS} + turn;
            const data = new Uint8Array(blocksOf(me, turn) * 64).fill(index + 1);
            cache.put(index, { width: data.length / 3, height: 1, channels: 3, data });
          }
          stand(${FINISHED});
        }
      });`;
    const workers = Array.from(
      { length: WORKERS },
      (_, me) => new Worker(code, { eval: true, workerData: { memories, buffer: state.buffer, me } }),
    );
    /** Where a worker stands, once it does; one that is stuck or has died fails the test. */
    const standing = (worker: number): number => {
      while (Atomics.load(state, worker) === RUNNING)
        assert.notEqual(Atomics.wait(state, worker, RUNNING, 20_000), "timed-out");
      return Atomics.load(state, worker);
    };
    const goOn = (worker: number) => {
      Atomics.store(state, worker, RUNNING);
      Atomics.notify(state, worker);
    };
    let random = 1;
    const draw = (below: number) => {
      random = (Math.imul(random, 1664525) + 1013904223) >>> 0;
      return Math.floor((random / 2 ** 32) * below);
    };
    t.after(() => Promise.all(workers.map((worker) => worker.terminate())));
    for (const [round, memory] of memories.entries()) {
      for (;;) {
        const at = workers.map((_, worker) => standing(worker));
        const waiting = at.flatMap((each, worker) => (each === WAITING ? [worker] : []));
        if (waiting.length === 0) break;
        goOn(waiting[draw(waiting.length)]!);
      }
      const fill = new Int32Array(memory.used)[0]!;
      assert.ok(fill <= BLOCKS, `round ${round}`);
      const table = new Int32Array(memory.table);
      const owner = new Map<number, number>();
      for (let index = 0; index < WORKERS * TURNS; index++) {
        const [kept, first] = table.subarray(index * 4);
        if (kept === 0) continue;
        for (let block = 0; block < blocksOf(Math.floor(index / TURNS), index % TURNS); block++) {
          assert.equal(owner.get(first! + block), undefined, `block ${first! + block} of round ${round}`);
          owner.set(first! + block, index);
        }
      }
      for (const worker of workers.keys()) goOn(worker);
    }
  });
});
