/**
 * TensorBoard's event files: records of TFRecord (length, masked CRC-32C of it, bytes, masked CRC-32C of them, all little
 * endian), each a message `Event` of protocol buffers. Source: tensorflow/core/util/event.proto, summary.proto and
 * tensorflow/core/lib/io/record_writer.h.
 */

/** What an event says beside its time. */
export interface EventContent {
  readonly step?: number;
  /** Of a file's first event. */
  readonly fileVersion?: string;
  readonly scalars?: Readonly<Record<string, number>>;
  readonly image?: { readonly tag: string; readonly png: Uint8Array };
}

/** @param wallTime seconds since 1970. */
export function eventRecord(wallTime: number, content: EventContent): Uint8Array {
  const { step, fileVersion, scalars, image } = content;
  const values = Object.entries(scalars ?? {}).map(([tag, value]) =>
    bytesField(1, bytesField(1, Buffer.from(tag)), floatField(2, value)),
  );
  if (image !== undefined) {
    const { tag, png } = image;
    const header = new DataView(png.buffer, png.byteOffset + PNG_SIZE_AT, 8);
    const [width, height] = [header.getUint32(0), header.getUint32(4)];
    const encoded = [varintField(1, height), varintField(2, width), varintField(3, RGBA), bytesField(4, png)];
    values.push(bytesField(1, bytesField(1, Buffer.from(tag)), bytesField(4, ...encoded)));
  }
  return record(
    Buffer.concat([
      doubleField(1, wallTime),
      ...(step === undefined ? [] : [varintField(2, step)]),
      ...(fileVersion === undefined ? [] : [bytesField(3, Buffer.from(fileVersion))]),
      ...(values.length === 0 ? [] : [bytesField(5, ...values)]),
    ]),
  );
}

/** What an event file begins with. */
export const FILE_VERSION = "brain.Event:2";

/** Where a PNG says its width, then its height. */
const PNG_SIZE_AT = 16;

/** `Image.colorspace`. */
const RGBA = 4;

function record(data: Uint8Array): Uint8Array {
  const out = Buffer.alloc(8 + 4 + data.length + 4);
  out.writeBigUInt64LE(BigInt(data.length), 0);
  out.writeUInt32LE(masked(crc32c(out.subarray(0, 8))), 8);
  out.set(data, 12);
  out.writeUInt32LE(masked(crc32c(data)), 12 + data.length);
  return out;
}

const masked = (crc: number): number => (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;

/** By byte, of Castagnoli's polynomial, reflected. */
const crcTable = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  return crc;
});

/** CRC-32C of `bytes`, unsigned. */
export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = (crc >>> 8) ^ crcTable[(crc ^ byte) & 0xff]!;
  return ~crc >>> 0;
}

/** A field's number and how its value is written. */
const key = (field: number, wire: 0 | 1 | 2 | 5): Buffer => varint((field << 3) | wire);

/** @param n a whole number, at least 0. */
function varint(n: number): Buffer {
  const bytes: number[] = [];
  for (; n >= 128; n = Math.floor(n / 128)) bytes.push((n % 128) | 128);
  return Buffer.from([...bytes, n]);
}

const varintField = (field: number, n: number): Buffer => Buffer.concat([key(field, 0), varint(n)]);

function bytesField(field: number, ...parts: readonly Uint8Array[]): Buffer {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  return Buffer.concat([key(field, 2), varint(length), ...parts]);
}

function doubleField(field: number, x: number): Buffer {
  const value = Buffer.alloc(8);
  value.writeDoubleLE(x);
  return Buffer.concat([key(field, 1), value]);
}

function floatField(field: number, x: number): Buffer {
  const value = Buffer.alloc(4);
  value.writeFloatLE(x);
  return Buffer.concat([key(field, 5), value]);
}
