/** A data worker: reads, decodes, resizes and augments images into shared memory. Runs on a thread of its own. */
import { createHash } from "node:crypto";
import { parentPort, workerData } from "node:worker_threads";
import { readImageBytes } from "../image-bytes.js";
import { decodeImage } from "../pixels/decode.js";
import type { RawImage } from "../pixels/image.js";
import { drawImage, keepImage, type Pipeline } from "../pixels/pipeline.js";
import { imageSignature } from "../pixels/signature.js";
import { ImageCache } from "./cache.js";
import { viewKey } from "./chance.js";
import type { BrokenImage, Examined, ExamineTask, FillTask, Reply, Task, WorkerSetup } from "./messages.js";

const setup: WorkerSetup = workerData;
const cache = setup.cache === undefined ? undefined : new ImageCache(setup.cache);

const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

async function kept(index: number, pipeline: Pipeline): Promise<RawImage> {
  const known = cache?.get(index);
  if (known !== undefined) return known;
  const image = await keepImage(readImageBytes(setup.images, index), pipeline);
  cache?.put(index, image);
  return image;
}

async function fill(task: FillTask): Promise<readonly BrokenImage[]> {
  const pipelines = setup.pipelines!;
  const broken: BrokenImage[] = [];
  for (const [i, index] of task.indices.entries()) {
    const place = task.places[i]!;
    let image: RawImage;
    try {
      image = await kept(index, pipelines[0]!);
    } catch (error) {
      broken.push({ place, index, reason: reasonOf(error) });
      continue;
    }
    for (const [view, pipeline] of pipelines.entries()) {
      const bytes = pipeline.size ** 2 * 3;
      const out = new Uint8Array(task.buffers[view]!, place * bytes, bytes);
      drawImage(image, pipeline, viewKey(task.key, index, task.passes[i]!, view), out);
    }
  }
  return broken;
}

async function examine(task: ExamineTask): Promise<readonly Examined[]> {
  const found: Examined[] = [];
  for (const index of task.indices) {
    let bytes: Uint8Array;
    try {
      bytes = readImageBytes(setup.images, index);
    } catch (error) {
      found.push({ index, sizeBytes: 0, error: reasonOf(error) });
      continue;
    }
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    try {
      const image = await decodeImage(bytes, [255, 255, 255]);
      const { width, height, format } = image;
      found.push({
        index,
        sizeBytes: bytes.length,
        sha256,
        picture: { width, height, format, ...imageSignature(image) },
      });
    } catch (error) {
      found.push({ index, sizeBytes: bytes.length, sha256, error: reasonOf(error) });
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
