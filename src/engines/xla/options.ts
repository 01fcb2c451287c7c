/** Compile options as PJRT wants them: a serialized CompileOptionsProto (xla/pjrt/proto/compile_options.proto). */

import { UsageError } from "../../core/errors.js";
import { ProtoWriter } from "../../graph/emit/protobuf.js";
import type { CompilerFlags } from "../engine.js";

/** XLA's debug options by their names, e.g. `xla_gpu_autotune_level: 2`, for one compilation. */
export type XlaFlags = CompilerFlags;

// Field numbers of the messages.
const compileOptions = { buildOptions: 3, overrides: 7 } as const;
const buildOptions = { replicas: 4, partitions: 5, deviceAssignment: 9 } as const;
const deviceAssignment = { replicas: 1, computations: 2, devices: 3 } as const;
const overrideEntry = { key: 1, value: 2 } as const;
const overrideValue = { text: 1, bool: 2, int: 3, double: 4 } as const;

/** Bytes for a program that runs once on each of `devices` (their ids, in replica order). */
export function compileOptionsBytes(devices: readonly number[], flags: XlaFlags = {}): Uint8Array {
  // Without a replica count XLA ends the process.
  if (devices.length === 0) throw new UsageError("xla: a program needs at least one device; got none.");
  const column = new ProtoWriter().bytes(1, packed(devices));
  const assignment = new ProtoWriter()
    .int(deviceAssignment.replicas, devices.length)
    .int(deviceAssignment.computations, 1)
    .message(deviceAssignment.devices, column);
  const build = new ProtoWriter()
    .int(buildOptions.replicas, devices.length)
    .int(buildOptions.partitions, 1)
    .message(buildOptions.deviceAssignment, assignment);
  const options = new ProtoWriter().message(compileOptions.buildOptions, build);
  for (const [name, value] of Object.entries(flags).sort(([a], [b]) => (a < b ? -1 : 1))) {
    options.message(
      compileOptions.overrides,
      new ProtoWriter().string(overrideEntry.key, name).message(overrideEntry.value, override(value)),
    );
  }
  return options.finish();
}

function override(value: string | number | boolean): ProtoWriter {
  if (typeof value === "boolean") return new ProtoWriter().int(overrideValue.bool, value ? 1 : 0);
  if (typeof value === "string") return new ProtoWriter().string(overrideValue.text, value);
  if (!Number.isInteger(value)) return new ProtoWriter().double(overrideValue.double, value);
  return new ProtoWriter().int(overrideValue.int, value);
}

/** Small non-negative integers as varints after each other. */
function packed(values: readonly number[]): Uint8Array {
  const out: number[] = [];
  for (let value of values) {
    for (; value >= 0x80; value = Math.floor(value / 0x80)) out.push((value % 0x80) | 0x80);
    out.push(value);
  }
  return Uint8Array.from(out);
}

/**
 * The flags in `text`, as XLA_FLAGS has them (`--xla_a=1 --xla_b`). XLA itself ends the process at a flag that
 * it does not know; given per compilation, such a flag is an error.
 */
export const parseXlaFlags = (text: string): XlaFlags =>
  parseFlags(
    text.split(/\s+/).filter((word) => word !== ""),
    { what: "XLA_FLAGS", pattern: /^--([A-Za-z0-9_]+)(?:=(.*))?$/, form: "--xla_name=value" },
  );

/** The flags in `words`, each `xla_name=value` or, for true, `xla_name`; leading dashes may stay. */
export const parseXlaFlagWords = (words: readonly string[]): XlaFlags =>
  parseFlags(words, {
    what: "--xla-flag",
    pattern: /^-{0,2}(xla_[a-z0-9_]+)(?:=(.*))?$/,
    form: "xla_name=value",
  });

function parseFlags(
  words: readonly string[],
  { what, pattern, form }: { readonly what: string; readonly pattern: RegExp; readonly form: string },
): XlaFlags {
  const flags: Record<string, string> = {};
  for (const word of words) {
    const match = pattern.exec(word);
    if (match === null) throw new UsageError(`${what}: needs words like ${form}; got ${word}. Correct it.`);
    const value = match[2] ?? "true";
    // XLA reads booleans in Python's spelling only.
    flags[match[1]!] = /^(true|false)$/i.test(value)
      ? value[0]!.toUpperCase() + value.slice(1).toLowerCase()
      : value;
  }
  return flags;
}
