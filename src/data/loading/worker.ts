/** A data worker: reads, decodes, resizes and augments images into shared memory. Runs on a thread of its own. */
import { createHash } from "node:crypto";
import { parentPort, workerData } from "node:worker_threads";
import { UsageError } from "../../core/errors.js";
import type { Key } from "../../core/random.js";
import { uidFrom } from "../columns/uids.js";
import { perceptualHash } from "../copies/perceptual-hash.js";
import { readImageBytes } from "../image-bytes.js";
import { measureImage } from "../pixels/measure.js";
import { drawEncoded, drawImage, keepImage, type Pipeline } from "../pixels/pipeline.js";
import { isAnimated } from "../pixels/read/animated.js";
import { decodeImage } from "../pixels/read/decode.js";
import { jpegHeader } from "../pixels/read/jpeg.js";
import { type Decoded, ON_WHITE } from "../pixels/read/reading.js";
import { imageSignature } from "../pixels/read/signature.js";
import { ImageCache } from "./cache.js";
import { viewKey } from "./chance.js";
import {
  type BrokenImage,
  type Examined,
  type ExamineTask,
  type FillTask,
  type MeasuredPicture,
  READING_WORDS,
  type Reply,
  type Task,
  type WorkerSetup,
} from "./messages.js";
import { PackedReader } from "./packed/reader.js";

const setup: WorkerSetup = workerData;
const cache = setup.cache === undefined ? undefined : new ImageCache(setup.cache);
const packed = setup.packed && new PackedReader(setup.packed, setup.images, setup.reading?.worker ?? 0);

const reading =
  setup.reading &&
  new Int32Array(setup.reading.memory, 4 * READING_WORDS * setup.reading.worker, READING_WORDS);
if (reading !== undefined) {
  Atomics.store(reading, 2, 0);
  Atomics.notify(reading, 2);
}

/** The bytes of a sample's image; says meanwhile that they are being read. */
function read(index: number): Uint8Array {
  if (reading === undefined) return readImageBytes(setup.images, index);
  Atomics.store(reading, 0, index);
  Atomics.add(reading, 1, 1);
  try {
    return readImageBytes(setup.images, index);
  } finally {
    Atomics.store(reading, 0, -1);
  }
}

const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** Draws all views of one image into their buffers. Throws `UsageError` when it cannot be read. */
async function draw(task: FillTask, index: number, place: number, pass: number): Promise<void> {
  const pipelines = setup.pipelines!;
  const view = (v: number): [Pipeline, Key, Uint8Array] => {
    const pipeline = pipelines[v]!;
    const bytes = pipeline.size ** 2 * 3;
    const out = new Uint8Array(task.buffers[v]!, place * bytes, bytes);
    return [pipeline, viewKey(task.key, index, pass, v), out];
  };
  let image = cache?.get(index);
  if (image === undefined) {
    image = packed?.get(index);
    if (image !== undefined) cache?.put(index, image);
  }
  if (image === undefined) {
    const stamp = packed?.fileStamp(index) ?? 0;
    const encoded = read(index);
    const header = jpegHeader(encoded);
    const fits = header === undefined || cache?.hasRoom(header.width * header.height * 3) === true;
    if (pipelines.length === 1 && !fits && packed === undefined) return drawEncoded(encoded, ...view(0));
    image = await keepImage(encoded, pipelines[0]!);
    cache?.put(index, image);
    packed?.put(index, image, stamp);
  }
  for (const v of pipelines.keys()) drawImage(image, ...view(v));
}

async function fill(task: FillTask): Promise<readonly BrokenImage[]> {
  const broken: BrokenImage[] = [];
  for (const [i, index] of task.indices.entries()) {
    const place = task.places[i]!;
    try {
      await draw(task, index, place, task.passes[i]!);
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      broken.push({ place, index, reason: error.message });
    }
  }
  return broken;
}

function measure(bytes: Uint8Array, image: Decoded): MeasuredPicture {
  const { width, height, data, format } = image;
  const pixels = createHash("sha256").update(`${width}×${height}:`).update(data);
  return {
    ...measureImage(image),
    animated: isAnimated(bytes, format),
    pixelSha256: pixels.digest("hex"),
  };
}

async function examine(task: ExamineTask): Promise<readonly Examined[]> {
  const found: Examined[] = [];
  for (const [i, index] of task.indices.entries()) {
    let bytes: Uint8Array;
    try {
      bytes = read(index);
    } catch (error) {
      found.push({ index, sizeBytes: 0, error: reasonOf(error) });
      continue;
    }
    const hash = createHash("sha256").update(bytes);
    const uids = task.captions?.[i]?.map((caption) => uidFrom(hash, caption));
    const file = { index, sizeBytes: bytes.length, sha256: hash.digest("hex"), ...(uids && { uids }) };
    try {
      const image = await decodeImage(bytes, ON_WHITE);
      const { width, height, format } = image;
      found.push({
        ...file,
        picture: {
          ...{ width, height, format, ...imageSignature(image) },
          ...(task.perceptual === true && { perceptual: perceptualHash(image) }),
          ...(task.measured === true && { measured: measure(bytes, image) }),
        },
      });
    } catch (error) {
      found.push({ ...file, error: reasonOf(error) });
    }
  }
  return found;
}

parentPort!.on("message", async ({ id, task }: { id: number; task: Task }) => {
  let reply: Reply;
  try {
    reply = task.kind === "fill" ? { id, broken: await fill(task) } : { id, examined: await examine(task) };
  } catch (error) {
    reply = { id, fault: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
  parentPort!.postMessage(reply);
});
