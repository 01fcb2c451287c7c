/**
 * The image loader beside torchvision's and timm's on Pillow, in turns, each in a process of its own: decode a JPEG
 * whose shorter side is 256 pixels, random resized crop to 224 (bilinear), flip, two operations of RandAugment, and
 * normalization to f32. Images per second of processor time (all threads, user and system), and the ratio round by
 * round.
 *
 *     npx tsc -p . && node dist/bench/loader.js --rounds 3 --images FOLDER
 *
 * Without --images it draws its own JPEGs: smooth patches and noise, about 30 kB each. Ours goes through the loader
 * and its worker thread; the peers run in their own process without workers, which spares them the copies. Needs a
 * Python with torch, torchvision, timm and Pillow (`--python PATH`); without it, ours is measured alone.
 */

import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import sharp from "sharp";
import { keyFromSeed, Random } from "../src/core/random.js";
import { samplesOf } from "../src/data/columns/samples.js";
import { textsOf } from "../src/data/columns/texts.js";
import { makeDataset } from "../src/data/dataset.js";
import { createLoader, normalizations, trainingPipeline } from "../src/data/index.js";

const { values } = parseArgs({
  options: {
    images: { type: "string" },
    count: { type: "string", default: "192" },
    rounds: { type: "string", default: "3" },
    policy: { type: "string", default: "randaugment:2,9" },
    python: { type: "string", default: "python3" },
    json: { type: "boolean", default: false },
    /** Of a child: measures ours, `decode` every image anew, keep them in `memory`, or on `disk` at 256 pixels. */
    child: { type: "string" },
  },
});

const SIZE = 224;
const BATCH = 32;
/** Passes over the images that are timed; as many in the peers' script. */
const PASSES = 6;

interface Measured {
  readonly imagesPerCpuSecond: number;
  readonly imagesPerSecond: number;
}

/** JPEGs of a folder as a data set. */
function datasetOf(folder: string) {
  const paths = readdirSync(folder)
    .filter((name) => /\.jpe?g$/i.test(name))
    .sort()
    .slice(0, Number(values.count))
    .map((name) => join(folder, name));
  const samples = paths.map((path, i) => ({ key: path, captions: ["x"], container: 0, offset: i, size: -1 }));
  return makeDataset("bench", [{ kind: "files", paths: textsOf(paths) }], samplesOf(samples), {
    source: folder,
    kind: "image-text folder",
    files: paths.length,
    imagesFrom: "",
    captionsFrom: "",
    notes: [],
  });
}

/** [B, S, S, 3] u8 to [B, 3, S, S] f32, by tables: what the graph does on the device in training. */
function normalizer(): (images: Uint8Array, out: Float32Array) => void {
  const { mean, std } = normalizations.openai;
  const [red, green, blue] = mean.map((m, c) =>
    Float32Array.from({ length: 256 }, (_, x) => (x / 255 - m) / std[c]!),
  );
  const plane = SIZE * SIZE;
  return (images, out) => {
    // Four pixels at a time, from three words.
    const words = new Uint32Array(images.buffer, images.byteOffset, images.length / 4);
    for (let start = 0; start < images.length; start += plane * 3) {
      const [second, third] = [start + plane, start + 2 * plane];
      for (let i = 0, from = start >> 2; i < plane; i += 4, from += 3) {
        const [x, y, z] = [words[from]!, words[from + 1]!, words[from + 2]!];
        out[start + i] = red![x & 255]!;
        out[second + i] = green![(x >>> 8) & 255]!;
        out[third + i] = blue![(x >>> 16) & 255]!;
        out[start + i + 1] = red![x >>> 24]!;
        out[second + i + 1] = green![y & 255]!;
        out[third + i + 1] = blue![(y >>> 8) & 255]!;
        out[start + i + 2] = red![(y >>> 16) & 255]!;
        out[second + i + 2] = green![y >>> 24]!;
        out[third + i + 2] = blue![z & 255]!;
        out[start + i + 3] = red![(z >>> 8) & 255]!;
        out[second + i + 3] = green![(z >>> 16) & 255]!;
        out[third + i + 3] = blue![z >>> 24]!;
      }
    }
  };
}

async function measureOurs(folder: string, mode: string): Promise<Measured> {
  const dataset = datasetOf(folder);
  const root = mkdtempSync(join(tmpdir(), "clipwright-packed-"));
  process.on("exit", () => rmSync(root, { recursive: true }));
  await using loader = createLoader({
    dataset,
    batchSize: BATCH,
    seed: 1,
    pipeline: trainingPipeline(SIZE, {
      policy: values.policy,
      filter: "bilinear",
      ...(mode === "disk" ? { keepSize: 256 } : {}),
    }),
    workers: 1,
    ...(mode === "memory" ? {} : { memoryLimitBytes: 0 }),
    ...(mode === "disk" ? { packed: { root, limitBytes: 2 ** 30 } } : {}),
  });
  const normalize = normalizer();
  const out = new Float32Array(BATCH * SIZE * SIZE * 3);
  const steps = Math.max(1, Math.floor(dataset.length / BATCH));
  let cpu = process.cpuUsage();
  let start = performance.now();
  // One pass to warm up (and to fill the memory), then those that count.
  for (let step = 0; step < (1 + PASSES) * steps; step++) {
    if (step === steps) {
      cpu = process.cpuUsage();
      start = performance.now();
    }
    const batch = await loader.batch(step);
    normalize(batch.images, out);
    batch.release();
  }
  const images = PASSES * steps * BATCH;
  const { user, system } = process.cpuUsage(cpu);
  return {
    imagesPerCpuSecond: (images / (user + system)) * 1e6,
    imagesPerSecond: (images / (performance.now() - start)) * 1000,
  };
}

/** Smooth patches under noise, as hard to decode as a photograph of that size. */
async function drawJpegs(folder: string, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    const random = new Random(keyFromSeed(i));
    const cells = Uint8Array.from({ length: 12 * 9 * 3 }, () => random.integer(256));
    const [width, height] = i % 2 === 0 ? [341, 256] : [256, 341];
    const noise = Buffer.from(
      Uint8Array.from({ length: width * height * 3 }, () => 108 + random.integer(40)),
    );
    const grain = await sharp(noise, { raw: { width, height, channels: 3 } })
      .blur(0.8)
      .png()
      .toBuffer();
    const picture = await sharp(cells, { raw: { width: 12, height: 9, channels: 3 } })
      .resize(width, height, { kernel: "cubic", fit: "fill" })
      .composite([{ input: grain, blend: "overlay" }])
      .jpeg({ quality: 90 })
      .toBuffer();
    writeFileSync(join(folder, `${String(i).padStart(4, "0")}.jpg`), picture);
  }
}

const PEER = fileURLToPath(new URL("../../bench/torchvision_loader.py", import.meta.url));
const median = (list: readonly number[]): number =>
  [...list].sort((a, b) => a - b)[list.length >> 1] ?? Number.NaN;

function measure(command: string, words: readonly string[]): Measured | undefined {
  const { status, stdout, stderr } = spawnSync(command, words, { encoding: "utf8" });
  if (status === 0) return JSON.parse(stdout.slice(stdout.indexOf("{")));
  process.stderr.write(`${command} ${words.join(" ")}\n${(stderr ?? "not found").slice(-400)}\n`);
  return undefined;
}

async function main(): Promise<void> {
  const own = values.images === undefined ? mkdtempSync(join(tmpdir(), "clipwright-bench-")) : undefined;
  try {
    const folder = values.images ?? own!;
    if (own !== undefined) await drawJpegs(own, Number(values.count));
    const self = fileURLToPath(import.meta.url);
    const common = ["--images", folder, "--count", values.count];
    const ours = (mode: string) => () =>
      measure(process.execPath, [self, "--child", mode, "--policy", values.policy, ...common]);
    const peer = (name: string) => () => measure(values.python, [PEER, "--pipeline", name, ...common]);
    const kinds = {
      "ours, decoding every time": ours("decode"),
      "ours, from memory": ours("memory"),
      "ours, from disk": ours("disk"),
      torchvision: peer("torchvision"),
      timm: peer("timm"),
    };
    const rounds: Record<string, Measured | undefined>[] = [];
    const before = loadavg()[0]!;
    for (let round = 0; round < Number(values.rounds); round++) {
      rounds.push(Object.fromEntries(Object.entries(kinds).map(([name, run]) => [name, run()])));
    }
    if (values.json) {
      process.stdout.write(`${JSON.stringify(rounds, null, 2)}\n`);
      return;
    }
    const of = (name: string): number[] =>
      rounds.flatMap((round) => (round[name] === undefined ? [] : [round[name].imagesPerCpuSecond]));
    const ratio = (name: string, peerName: string): string => {
      const each = rounds.flatMap((round) => {
        const [mine, theirs] = [round[name], round[peerName]];
        return mine && theirs ? [mine.imagesPerCpuSecond / theirs.imagesPerCpuSecond] : [];
      });
      return `${median(each).toFixed(2)} (${each.map((x) => x.toFixed(2)).join(", ")})`;
    };
    const lines = Object.keys(kinds).map(
      (name) =>
        `| ${name} | ${median(of(name)).toFixed(0)} | ${ratio(name, "torchvision")} | ${ratio(name, "timm")} |`,
    );
    process.stdout.write(
      `load ${before.toFixed(1)} before, ${loadavg()[0]!.toFixed(1)} after\n\n| loader | images/s of one core | × torchvision (rounds) | × timm (rounds) |\n| --- | --- | --- | --- |\n${lines.join("\n")}\n`,
    );
  } finally {
    if (own !== undefined) rmSync(own, { recursive: true });
  }
}

if (values.child !== undefined) {
  process.stdout.write(`${JSON.stringify(await measureOurs(values.images!, values.child))}\n`);
} else await main();
