/** What tells one data set from another, or from itself after somebody changed it: cheap, and plain JSON. */
import { createHash, type Hash } from "node:crypto";
import { type Stats, statSync } from "node:fs";
import type { Dataset } from "../dataset.js";
import { readImageHead } from "../image-bytes.js";
import { filePath, type ImageIndex } from "../image-index.js";

/** Hashes are the first 16 hex digits of a SHA-256. None holds a path: data may be moved or copied. */
export interface DataFingerprint {
  readonly samples: number;
  /** Of every sample's captions and label, in order. */
  readonly captions: string;
  /** Of the images' sizes in bytes, in order. */
  readonly sizes: string;
  /** Of the first bytes of some images, spread over the set. */
  readonly content: string;
  /** Of the times at which the files with the images were last written. */
  readonly times: string;
  /** What was chosen of the data; absent: nothing was. */
  readonly selection?: string | undefined;
}

/** How two fingerprints differ. */
export interface DataChange {
  /** What is surely not the same, in words; empty when nothing is. */
  readonly changed: readonly string[];
  /** Files have other times than before, as copied ones have. Without `changed` nothing else was seen. */
  readonly touched: boolean;
}

/** Files that are asked for size and time; of more, as many spread over the set. */
const STATTED = 65_536;
/** Images whose content is looked at, and how many bytes of each. */
const SAMPLED = 64;
const SAMPLED_BYTES = 65_536;

/** Numbers hashed at a time: a buffer of 2 GiB is refused. */
const HASHED = 2 ** 24;

/** Up to `most` of 0 … n-1, evenly spread, the last among them. */
function spread(n: number, most: number): number[] {
  const count = Math.min(n, most);
  return Array.from({ length: count }, (_, i) => Math.floor(((i + 1) * n) / count) - 1);
}

const short = (hash: Hash): string => hash.digest("hex").slice(0, 16);

/**
 * The fingerprint of `dataset` as it is on the disk now. Reads at most 64 × 64 KiB and asks for the size and time of at
 * most 65,536 files; what cannot be read counts as something of its own and throws nothing.
 */
export function fingerprintOf(dataset: Dataset): DataFingerprint {
  const captions = createHash("sha256");
  for (let i = 0; i < dataset.length; i++) {
    const { captions: own, label } = dataset.sample(i);
    captions.update(JSON.stringify(label === undefined ? own : [own, label]));
  }
  const { samples, ...images } = fingerprintOfImages(dataset.images);
  return {
    samples,
    captions: short(captions),
    ...images,
    ...(dataset.selection === undefined ? {} : { selection: dataset.selection }),
  };
}

/** The part of a fingerprint that tells of images alone. */
export type ImagesFingerprint = Omit<DataFingerprint, "captions" | "selection">;

/** As `fingerprintOf`, of the images alone. */
export function fingerprintOfImages(images: ImageIndex): ImagesFingerprint {
  const samples = images.container.length;
  const sizes = createHash("sha256").update(`${samples}`);
  const times = createHash("sha256");
  const asked = new Map<string, Stats | undefined>();
  const ask = (path: string): Stats | undefined => {
    if (!asked.has(path)) asked.set(path, statsOf(path));
    return asked.get(path);
  };
  for (const i of spread(samples, STATTED)) {
    const container = images.containers[images.container[i]!]!;
    const path = container.kind === "files" ? filePath(container, images.offset[i]!) : container.path;
    if (container.kind === "files") sizes.update(`/${ask(path)?.size}`);
    else ask(container.kind === "range" ? (container.origin ?? path) : path);
  }
  for (let start = 0; start < samples; start += HASHED)
    sizes.update(images.size.subarray(start, start + HASHED));
  for (const stats of asked.values()) times.update(`/${stats?.mtimeMs}`);
  const content = createHash("sha256");
  for (const i of spread(samples, SAMPLED)) {
    const head = readImageHead(images, i, SAMPLED_BYTES);
    content.update(head === undefined ? "unreadable" : `${head.length}:`).update(head ?? "");
  }
  return { samples, sizes: short(sizes), content: short(content), times: short(times) };
}

function statsOf(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch {
    return undefined;
  }
}

const selectionChange = (before: DataFingerprint, now: DataFingerprint): string =>
  now.selection === undefined
    ? "no selection, was one"
    : before.selection === undefined
      ? "a selection, was none"
      : "another selection";

/** What changed from `before` to `now`. */
export function changeOfData(before: DataFingerprint, now: DataFingerprint): DataChange {
  const changed: string[] = [];
  if (before.selection !== now.selection) changed.push(selectionChange(before, now));
  if (before.samples !== now.samples) changed.push(`${now.samples} samples, was ${before.samples}`);
  else {
    if (before.captions !== now.captions) changed.push("other captions or labels");
    if (before.sizes !== now.sizes) changed.push("images of other sizes in bytes");
    else if (before.content !== now.content) changed.push("other images");
  }
  return { changed, touched: before.times !== now.times };
}
