/** Weights by path, in whatever form they are, under open_clip's names. */

import { closeSync, openSync, readSync } from "node:fs";
import { withFileErrors } from "../../core/files.js";
import { filesOf, isIndex, joined, openSafetensors, renamed, type WeightsFile } from "./file.js";
import { areTheirs, underOurNames } from "./hugging-face.js";

/**
 * Opens safetensors, PyTorch's own files, and an index of several of them; names of Hugging Face's CLIPModel, and those
 * that several processes of PyTorch put `module.` before, become open_clip's. Throws `UsageError` naming the file.
 */
export async function openWeights(path: string): Promise<WeightsFile> {
  const file = isIndex(path) ? await openAll(path) : await openOne(path);
  try {
    return named(file);
  } catch (error) {
    file[Symbol.dispose]();
    throw error;
  }
}

async function openAll(path: string): Promise<WeightsFile> {
  const open: WeightsFile[] = [];
  try {
    for (const each of filesOf(path)) open.push(await openOne(each));
    return joined(path, open);
  } catch (error) {
    for (const file of open) file[Symbol.dispose]();
    throw error;
  }
}

async function openOne(path: string): Promise<WeightsFile> {
  const form = pytorchFormOf(path);
  if (form === undefined) return openSafetensors(path);
  const { openPyTorch } = await import("./pytorch/open.js");
  return openPyTorch(path, form);
}

/** PyTorch's form of a file, by its first bytes: an archive (since 1.6), or one pickle after the other; else undefined. */
function pytorchFormOf(path: string): "archive" | "pickles" | undefined {
  const head = Buffer.alloc(4);
  withFileErrors("read", path, () => {
    const fd = openSync(path, "r");
    try {
      readSync(fd, head, 0, head.length, 0);
    } finally {
      closeSync(fd);
    }
  });
  if (head.toString("latin1") === "PK\x03\x04") return "archive";
  return head[0] === 0x80 && head[1]! >= 2 && head[1]! <= 5 ? "pickles" : undefined;
}

/** Put before every name by PyTorch's DistributedDataParallel. */
const MODULE = "module.";

function named(file: WeightsFile): WeightsFile {
  const all = file.names.length > 0 && file.names.every((name) => name.startsWith(MODULE));
  const plain = all
    ? renamed(file, new Map(file.names.map((name) => [name.slice(MODULE.length), { from: [name] }])))
    : file;
  return areTheirs(plain.names) ? underOurNames(plain) : plain;
}
