/**
 * How the rows of a batch are shared among devices. Any batch of at least one row a device can be: the first devices
 * take one row more than the others, and what the others lack is padding, which counts for nothing in the loss.
 */

import type { TypedArray } from "../../core/dtype.js";
import { UsageError } from "../../core/errors.js";

/** The devices of one process among the replicas that share a batch. */
export interface DeviceRows {
  /** Its rows of the batch, from `start` to before `end`. */
  readonly start: number;
  readonly end: number;
  /** Rows of each of its devices; they add up to end − start. */
  readonly counts: readonly number[];
  /** Rows that each device computes, padding included. */
  readonly height: number;
}

/** Rows of the replicas before `replica`. */
const rowsBefore = (batchSize: number, replicas: number, replica: number): number =>
  Math.floor(batchSize / replicas) * replica + Math.min(replica, batchSize % replicas);

/**
 * The share of `devices` replicas from `first` on. Throws `UsageError` when the batch has fewer rows than there are
 * replicas.
 */
export function rowsOfDevices(
  batchSize: number,
  replicas: number,
  { first = 0, devices = replicas }: { readonly first?: number; readonly devices?: number } = {},
): DeviceRows {
  if (batchSize < replicas) {
    throw new UsageError(
      `batchSize: every device needs a row; got batchSize=${batchSize}, devices=${replicas}. Raise --batch-size, or lower --devices.`,
    );
  }
  const before = (replica: number) => rowsBefore(batchSize, replicas, first + replica);
  return {
    start: before(0),
    end: before(devices),
    counts: Array.from({ length: devices }, (_, d) => before(d + 1) - before(d)),
    height: Math.ceil(batchSize / replicas),
  };
}

/**
 * The rows of a share, `width` numbers each, as its devices take them: `height` rows a device. Padding is `fill`, or
 * the device's first row once more: what is true of real rows is then true of it.
 */
export function spread<T extends TypedArray>(
  data: T,
  width: number,
  { counts, height }: DeviceRows,
  fill?: number,
): T {
  if (counts.every((count) => count === height)) return data;
  const out = new (data.constructor as new (length: number) => T)(counts.length * height * width);
  let from = 0;
  counts.forEach((count, d) => {
    const rows = data.subarray(from * width, (from + count) * width);
    out.set(rows as never, d * height * width);
    const padding = out.subarray((d * height + count) * width, (d + 1) * height * width);
    for (let at = 0; at < padding.length; at += width) {
      if (fill === undefined) padding.set(rows.subarray(0, width) as never, at);
      else padding.fill(fill as never, at, at + width);
    }
    from += count;
  });
  return out;
}

/** 1 for each row that counts and 0 for padding, as the share's devices take them. */
export const weightsOf = (share: DeviceRows): Float32Array =>
  spread(new Float32Array(share.end - share.start).fill(1), 1, share, 0);
