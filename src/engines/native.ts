/**
 * What engines in shared libraries are loaded and read with, through koffi: no native code of ours. Pointers are
 * bigints; memory is not copied unless a function says so.
 */

import type { KoffiFunc, LibraryHandle } from "koffi";
import { UsageError } from "../core/errors.js";
import koffi from "../core/native.js";

export type Pointer = bigint;

const RTLD_NOW = 2;
const RTLD_NODELETE = process.platform === "darwin" ? 0x80 : 0x1000;

/** What compiled programs of one engine may take on disk. */
export const PROGRAMS_LIMIT_BYTES = 4 * 2 ** 30;

export const cLibrary = (): LibraryHandle =>
  koffi.load(process.platform === "darwin" ? "libSystem.B.dylib" : "libc.so.6");

/**
 * Loads a shared library that stays until the process ends: an engine's threads outlive whoever unloads it, and a
 * process that unloads it at its end crashes there. Throws `UsageError` with `remedy`, the command that brings it.
 */
export function loadForever(path: string, engine: string, remedy: string): LibraryHandle {
  const libc = cLibrary();
  const dlopen = libc.func("void *dlopen(const char *path, int flags)");
  const dlerror = libc.func("const char *dlerror()");
  if (dlopen(path, RTLD_NOW | RTLD_NODELETE) === null) {
    throw new UsageError(
      `${engine}: the plugin's libraries must load; got ${dlerror()} for ${path}. Install it with its libraries: ${remedy}.`,
    );
  }
  return koffi.load(path);
}

/**
 * Gives the system back what was freed, which glibc keeps for what comes next; on a thread of libuv's pool. Nothing
 * where the C library has no such call.
 */
export function returnFreedMemory(): Promise<void> {
  trim ??= findTrim();
  const { async: call } = trim ?? {};
  return new Promise((resolve) => (call === undefined ? resolve() : call(0, () => resolve())));
}

let trim: KoffiFunc<(pad: number) => number> | null | undefined;

function findTrim() {
  try {
    return cLibrary().func("malloc_trim", "int", ["size_t"]) as KoffiFunc<(pad: number) => number>;
  } catch {
    return null;
  }
}

/** The address of a memory block, 0 for an empty one. */
export const addressOf = (block: ArrayBuffer | ArrayBufferView): Pointer =>
  block.byteLength === 0 ? 0n : koffi.address(block);

/** The memory at `pointer`, not copied. */
export const memoryAt = (pointer: Pointer, sizeBytes: number): ArrayBuffer => koffi.view(pointer, sizeBytes);

/** A copy of the text at `pointer`. */
export const textAt = (pointer: Pointer, sizeBytes: number): string =>
  sizeBytes === 0 ? "" : Buffer.from(new Uint8Array(memoryAt(pointer, sizeBytes))).toString("utf8");
