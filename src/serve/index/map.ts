/** The map of an index: its pictures in a plane, computed once and kept in the index's files. */

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { InternalError, UsageError } from "../../core/errors.js";
import { withFileErrors, writeFileAtomic } from "../../core/files.js";
import type { Progress } from "../../evaluate/features/source.js";
import { fileNames, type PictureMap, writeMap } from "../search/layout.js";
import type { MapTask } from "./map-worker.js";
import type { PictureIndex } from "./open.js";

/** Pictures of a map: as many as a person can look at; of more, as many spread over the index. */
const MOST_POINTS = 5000;
/** Fewer have no shape. */
const FEWEST_POINTS = 5;

/** The bytes of the index's map, as `readMap` takes them; undefined of an index of fewer than five pictures. */
export async function mapOf(
  index: PictureIndex,
  onProgress?: (progress: Progress) => void,
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  if (index.rows < FEWEST_POINTS) return undefined;
  const path = join(index.folder, index.info.files, fileNames.map);
  if (existsSync(path)) return withFileErrors("read", path, () => new Uint8Array(readFileSync(path)));
  const bytes = writeMap(await makeMap(index, onProgress));
  try {
    writeFileAtomic(path, bytes);
  } catch (error) {
    // An index that cannot be written to is looked at all the same.
    if (!(error instanceof UsageError)) throw error;
  }
  return bytes;
}

async function makeMap(index: PictureIndex, onProgress?: (progress: Progress) => void): Promise<PictureMap> {
  const { width, info } = index;
  const n = Math.min(MOST_POINTS, index.rows);
  const rows = Uint32Array.from({ length: n }, (_, i) => Math.floor((i * index.rows) / n));
  const vectors = new Float32Array(n * width);
  for (const [i, row] of rows.entries()) vectors.set(index.vectorOf(row), i * width);
  const places = fitted(await layOut({ vectors, width }, onProgress));
  const known = new Map(info.data.labels.map((label, at) => [label, at]));
  const labels = Int32Array.from(rows, (row) => known.get(index.name(row).label ?? "") ?? -1);
  return { rows, places, labels };
}

function layOut(task: MapTask, onProgress?: (progress: Progress) => void): Promise<Float32Array> {
  const worker = new Worker(new URL("./map-worker.js", import.meta.url), {
    workerData: task,
    name: "map",
    execArgv: [], // the process's own, such as --input-type, may not hold for a file
  });
  worker.unref();
  return new Promise((resolve, reject) => {
    worker.on("message", (told: { done: number; total: number } | { places: Float32Array }) => {
      if ("places" in told) resolve(told.places);
      else onProgress?.({ what: "Laying the map out", ...told });
    });
    worker.on("error", reject);
    worker.on("exit", (code) => reject(new InternalError(`map: its thread ended with code ${code}`)));
  });
}

/** Places from 0 to 1, in the middle of a square, with their proportions. */
function fitted(places: Float32Array): Float32Array {
  const low = [Infinity, Infinity];
  const high = [-Infinity, -Infinity];
  for (const [i, x] of places.entries()) {
    low[i % 2] = Math.min(low[i % 2]!, x);
    high[i % 2] = Math.max(high[i % 2]!, x);
  }
  const side = Math.max(high[0]! - low[0]!, high[1]! - low[1]!) || 1;
  return places.map((x, i) => 0.5 + (x - (low[i % 2]! + high[i % 2]!) / 2) / side);
}
