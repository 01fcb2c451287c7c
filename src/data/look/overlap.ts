/** Images of one data set that stand in another, byte for byte. */
import { createHash } from "node:crypto";
import { statSync } from "node:fs";
import type { Dataset } from "../dataset.js";
import { filePath } from "../image-index.js";

/**
 * Samples of `dataset` whose image stands in `other` too, ascending. Only images of equal size in bytes are read, so data
 * that share none cost no more than their sizes. What cannot be read is in no overlap; the same picture saved anew is not
 * found either.
 */
export async function overlapWith(dataset: Dataset, other: Dataset): Promise<number[]> {
  const bySize = new Map<number, number[]>();
  for (let i = 0; i < other.length; i++) {
    const size = sizeOf(other, i);
    if (size === undefined) continue;
    const group = bySize.get(size);
    if (group === undefined) bySize.set(size, [i]);
    else group.push(i);
  }
  const digests = new Map<number, string | undefined>();
  const overlap: number[] = [];
  for (let i = 0; i < dataset.length; i++) {
    const rivals = bySize.get(sizeOf(dataset, i) ?? -1);
    if (rivals === undefined) continue;
    const own = await digestOf(dataset, i);
    if (own === undefined) continue;
    for (const rival of rivals) {
      if (!digests.has(rival)) digests.set(rival, await digestOf(other, rival));
      if (digests.get(rival) !== own) continue;
      overlap.push(i);
      break;
    }
  }
  return overlap;
}

/** Bytes of an image as it is stored; undefined where there is none. */
function sizeOf({ images }: Dataset, i: number): number | undefined {
  const container = images.containers[images.container[i]!]!;
  if (container.kind !== "files") return container.kind === "range" ? images.size[i] : undefined;
  return statSync(filePath(container, images.offset[i]!), { throwIfNoEntry: false })?.size;
}

const digestOf = (dataset: Dataset, i: number): Promise<string | undefined> =>
  dataset.readBytes(i).then(
    (bytes) => createHash("sha256").update(bytes).digest("base64"),
    () => undefined,
  );
