import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { closeSync, openSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import type { Worker } from "node:worker_threads";
import { type ImageIndex, openDataset } from "../src/data/index.js";
import { WorkerPool } from "../src/data/loading/pool.js";
import { pngOf, put, scratchFolder } from "./data.helpers.js";

const folder = scratchFolder();
const pipe = join(folder, "pipe.png");
execFileSync("mkfifo", [pipe]);
const oneImage = (path: string): ImageIndex => ({
  containers: [{ kind: "range", path }],
  container: Uint32Array.of(0),
  offset: Float64Array.of(0),
  size: Float64Array.of(100),
});

describe("pipes and devices", () => {
  for (const [what, path] of [
    ["a pipe", pipe],
    ["a device", "/dev/zero"],
  ] as const) {
    test(`${what} is refused by name as a source, as a link, as a table's image and in a folder`, async () => {
      const name = what.slice(2);
      await assert.rejects(
        openDataset(path),
        new RegExp(`data ${path}: must be a file or a folder; got ${what}`),
      );
      symlinkSync(path, join(folder, `${name}.tar`));
      await assert.rejects(openDataset(join(folder, `${name}.tar`)), new RegExp(`got ${what}`));
      symlinkSync(path, put(folder, `${name}s/0.png`, await pngOf(0)).replace("0.png", "1.png"));
      for (const i of [0, 1]) put(folder, `${name}s/${i}.txt`, "words");
      symlinkSync(path, join(folder, `${name}s/2.txt`));
      put(folder, `${name}s/2.png`, await pngOf(2));
      const dataset = await openDataset(join(folder, `${name}s`));
      assert.match(dataset.description[0]!.problems.join(), new RegExp(`2\\.txt.*it is ${what}, not a file`));
      assert.ok((await dataset.readBytes(0)).length > 0);
      await assert.rejects(dataset.readBytes(1), new RegExp(`1\\.png.*it is ${what}, not a file`));
      symlinkSync(path, put(folder, `tars-${name}/x.txt`, "").replace("x.txt", "x.tar"));
      await assert.rejects(openDataset(join(folder, `tars-${name}`)), new RegExp(`x\\.tar: .*got ${what}`));
    });
  }
});

describe("a worker", () => {
  test("that is stuck is told by the image's name, once, and does not keep the pool from closing", async () => {
    const told: string[] = [];
    const onSlow = (line: string) => void told.push(line);
    const pool = new WorkerPool({ images: oneImage(pipe) }, 1, { slowMs: 100, onSlow });
    const work = pool.run({ kind: "examine", indices: [0] });
    work.catch(() => undefined);
    for (let tries = 0; told.length === 0 && tries < 300; tries++) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    assert.match(told[0]!, /data worker 0: has waited 0 s for .*pipe\.png at byte 0/);
    await new Promise((resolve) => setTimeout(resolve, 400));
    assert.equal(told.length, 1);
    await pool.close();
    await assert.rejects(work, /is closed/);
    closeSync(openSync(pipe, "r+")); // frees the thread
  });

  test("names an image that is larger than memory", async () => {
    const images = oneImage("/dev/zero");
    const pool = new WorkerPool({ images: { ...images, size: Float64Array.of(2 ** 40) } }, 1);
    try {
      const { examined } = await pool.hold(pool.run({ kind: "examine", indices: [0] }));
      assert.match(examined![0]!.error!, /cannot be read/);
    } finally {
      await pool.close();
    }
  });

  test("that ends by itself is told with what it read, in one line", async () => {
    const pool = new WorkerPool({ images: oneImage(join(folder, "none")) }, 1);
    const work = pool.run({ kind: "examine", indices: [0] });
    const { members } = pool as unknown as { members: { worker: Worker }[] };
    await Promise.all([
      assert.rejects(work, {
        name: "UsageError",
        message: /data worker 0: ended with code \d. Use fewer workers/,
      }),
      members[0]!.worker.terminate(),
    ]);
    await pool.close();
  });
});
