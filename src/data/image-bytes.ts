/** Reading one image's encoded bytes from its place: a file, a range of a tar, or base64 in a JSONL line. */
import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { readExactly, specialFile } from "../core/disk.js";
import { UsageError } from "../core/errors.js";
import { readRegularFile } from "../core/files.js";
import { filePath, type ImageIndex } from "./image-index.js";
import { parseJson } from "./sources/tables/json.js";

const MAX_OPEN_FILES = 64;
const openFiles = new Map<string, number>();

/** A descriptor of `path` for reading, kept open; the least recently used is closed when there are more than 64. */
export function descriptor(path: string): number {
  const known = openFiles.get(path);
  if (known !== undefined) {
    openFiles.delete(path);
    openFiles.set(path, known);
    return known;
  }
  if (openFiles.size >= MAX_OPEN_FILES) {
    const [oldest, fd] = openFiles.entries().next().value!;
    openFiles.delete(oldest);
    closeSync(fd);
  }
  const fd = openSync(path, "r");
  openFiles.set(path, fd);
  return fd;
}

function readRange(path: string, offset: number, size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  if (!readExactly(descriptor(path), bytes, offset)) throw new Error("the file ends early");
  return bytes;
}

/** Where image `i` lies, in words for messages: `photos/a.jpg`, `train.tar at byte 1536`. */
export function describePlace(images: ImageIndex, i: number): string {
  const container = images.containers[images.container[i]!]!;
  if (container.kind === "files") return filePath(container, images.offset[i]!);
  if (container.kind === "range" && container.origin !== undefined)
    return `image ${i} of ${container.origin}`;
  return `${container.path} at byte ${images.offset[i]}`;
}

/** At most `most` bytes from where image `i` begins, as they are stored; undefined when they cannot be read. */
export function readImageHead(images: ImageIndex, i: number, most: number): Uint8Array | undefined {
  const container = images.containers[images.container[i]!]!;
  try {
    if (container.kind !== "files") {
      const offset = container.kind === "pieces" ? container.pieces[0]?.offset : images.offset[i]!;
      return readRange(container.path, offset ?? 0, Math.min(most, images.size[i]!));
    }
    const file = openSync(filePath(container, images.offset[i]!), constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      if (specialFile(fstatSync(file)) !== undefined) return undefined;
      const head = new Uint8Array(most);
      return head.subarray(0, readSync(file, head));
    } finally {
      closeSync(file);
    }
  } catch {
    return undefined;
  }
}

/** The encoded bytes of image `i`. Throws `UsageError` naming the file. */
export function readImageBytes(images: ImageIndex, i: number): Uint8Array {
  const container = images.containers[images.container[i]!]!;
  const offset = images.offset[i]!;
  const size = images.size[i]!;
  try {
    switch (container.kind) {
      case "files":
        return readRegularFile(filePath(container, offset));
      case "range":
        return readRange(container.path, offset, size);
      case "pieces": {
        const bytes = new Uint8Array(size);
        for (const piece of container.pieces) {
          bytes.set(readRange(container.path, piece.offset, piece.size), piece.at);
        }
        return bytes;
      }
      case "base64": {
        const row = parseJson(new TextDecoder().decode(readRange(container.path, offset, size)));
        const text = String((row as Record<string, unknown>)[container.column]);
        return Buffer.from(text.startsWith("data:") ? text.slice(text.indexOf(",") + 1) : text, "base64");
      }
    }
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new UsageError(`image: cannot be read; got ${describePlace(images, i)} (${reason}).`);
  }
}
