/** What engines say when a device gives up, so that whoever runs them can tell it from a mistake in a call. */

import { InternalError, UsageError } from "../core/errors.js";

/** Stands as the `cause` of the error. */
export class DeviceTrouble {
  constructor(
    readonly engine: string,
    /** `memory`: the device has too little; `execution`: anything else that stops a device. */
    readonly kind: "memory" | "execution",
    /** In the engine's own words. */
    readonly detail: string,
  ) {}
}

/** The error for memory that a device, or the machine, does not have. */
export const outOfMemory = (engine: string, doing: string, detail: string): UsageError =>
  new UsageError(
    `${engine}: the device's memory must suffice; got "${detail}" from ${doing}. ` +
      "Use a smaller batch, rematerialization or another device.",
    { cause: new DeviceTrouble(engine, "memory", detail) },
  );

/** The error for a device that fails at what it was given. */
export const deviceFailed = (engine: string, doing: string, detail: string): InternalError =>
  new InternalError(`${engine}: ${doing} failed: ${detail}`, {
    cause: new DeviceTrouble(engine, "execution", detail),
  });

/** What a device had; undefined for errors of another kind. */
export function troubleOf(error: unknown): DeviceTrouble | undefined {
  const first = firstError(error);
  if (!(first instanceof Error)) return undefined;
  // V8's words for memory of its own that the machine does not have.
  if (first instanceof RangeError && /allocation failed/.test(first.message)) {
    return new DeviceTrouble("the machine", "memory", first.message);
  }
  return first.cause instanceof DeviceTrouble ? first.cause : undefined;
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
