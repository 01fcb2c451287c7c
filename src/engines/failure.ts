/** What engines say when a device gives up, so that whoever runs them can tell it from a mistake in a call. */

import { UsageError } from "../core/errors.js";

/** Stands as the `cause` of the error. */
class MemoryShortage {
  constructor(
    /** Engine and, in its own words, what it could not have. */
    readonly engine: string,
    readonly detail: string,
  ) {}
}

/** The error for memory that a device, or the machine, does not have. */
export const outOfMemory = (engine: string, doing: string, detail: string): UsageError =>
  new UsageError(
    `${engine}: the device's memory must suffice; got "${detail}" from ${doing}. ` +
      "Use a smaller batch, rematerialization or another device.",
    { cause: new MemoryShortage(engine, detail) },
  );

/** What `outOfMemory` said of an error; undefined for others. */
export function memoryShortage(error: unknown): { readonly engine: string; readonly detail: string } | undefined {
  const cause = error instanceof Error ? error.cause : undefined;
  return cause instanceof MemoryShortage ? cause : undefined;
}

/** The error that began it, where cleaning up after it failed as well. */
export function firstError(error: unknown): unknown {
  let first = error;
  // Made by `using`, natively or as compiled.
  while (first instanceof Error && first.name === "SuppressedError") {
    first = (first as Error & { suppressed?: unknown }).suppressed;
  }
  return first;
}
