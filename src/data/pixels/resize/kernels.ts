/**
 * Weighted sums along columns and rows, in WebAssembly with 128-bit vectors, assembled here from their instructions:
 * the two passes of a resize and of a box blur. Whole numbers only, so the results are Pillow's.
 */

/** One position's window of the source, for every output position. */
export interface Taps {
  /** Most weights of one position. */
  readonly size: number;
  readonly start: Int32Array;
  readonly count: Int32Array;
  /** [out, size], in fixed point. */
  readonly weights: Int32Array;
}

/** 32 bits less 8 of the pixel and 2 of headroom for overshoot. */
export const PRECISION_BITS = 22;
export const HALF = 1 << (PRECISION_BITS - 1);

/** How a sum becomes a byte: fixed point of so many bits, rounded half up. */
interface Rounding {
  readonly bits: number;
  /** Sums below 0 or past 255 occur, and are cut off; else they fill all 32 bits. */
  readonly overshoots: boolean;
}

/** A resize's: 22 bits, since bicubic weights overshoot. */
const RESIZE: Rounding = { bits: PRECISION_BITS, overshoots: true };
/** A box blur's: 24 bits. */
const BLUR: Rounding = { bits: 24, overshoots: false };

// Encodings: https://webassembly.github.io/spec/core/binary/
type Code = readonly number[];
type Part = number | Code;

const code = (...parts: readonly Part[]): Code => parts.flat();

/** LEB128 of a whole number ≥ 0. */
function unsigned(value: number): Code {
  const bytes: number[] = [];
  let rest = value;
  do {
    bytes.push((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0));
    rest >>>= 7;
  } while (rest > 0);
  return bytes;
}

/** LEB128 of a whole number of either sign. */
function signed(value: number): Code {
  const bytes: number[] = [];
  let rest = value;
  for (;;) {
    const low = rest & 0x7f;
    rest >>= 7;
    const last = (rest === 0 && (low & 0x40) === 0) || (rest === -1 && (low & 0x40) !== 0);
    bytes.push(last ? low : low | 0x80);
    if (last) return bytes;
  }
}

const I32 = 0x7f;
const V128 = 0x7b;
const get = (local: number): Code => code(0x20, unsigned(local));
const set = (local: number): Code => code(0x21, unsigned(local));
const number = (value: number): Code => code(0x41, signed(value));
const ADD = 0x6a;
const MULTIPLY = 0x6c;
const LESS = 0x48;
/** What an address on the stack points at, `offset` bytes on. */
const load = (offset = 0): Code => code(0x28, 2, unsigned(offset));
const vector = (opcode: number, ...rest: readonly Part[]): Code => code(0xfd, unsigned(opcode), ...rest);
/** Eight bytes as eight 16-bit numbers. */
const load8x8 = (offset: number): Code => vector(0x02, 0, unsigned(offset));
/** Four bytes, the rest nothing. */
const load4 = vector(0x5c, 0, 0);
/** One 32-bit number in all four lanes. */
const loadSplat = vector(0x09, 2, 0);
const SPLAT = vector(0x11);
const WIDEN_8_LOW = vector(0x89);
const WIDEN_16_LOW = vector(0xa9);
const WIDEN_16_HIGH = vector(0xaa);
const ADD_4 = vector(0xae);
const MULTIPLY_4 = vector(0xb5);
const shiftRight4 = ({ bits, overshoots }: Rounding): Code =>
  code(number(bits), vector(overshoots ? 0xac : 0xad));
/** Two of four 32-bit, to eight 16-bit, to 8-bit numbers from 0 to 255, what is beyond cut off. */
const NARROW_32 = vector(0x85);
const NARROW_16 = vector(0x66);
const store16 = vector(0x0b, 0, 0);
const store4 = vector(0x5a, 0, 0, 0);

const increase = (local: number, by: Code): Code => code(get(local), by, ADD, set(local));

/** Runs `body` for local = 0, step, 2 · step … below the limit; at least once. */
const repeat = (local: number, step: number, limit: Code, body: Code): Code =>
  code(
    number(0),
    set(local),
    0x03,
    0x40,
    body,
    increase(local, number(step)),
    get(local),
    limit,
    LESS,
    0x0d,
    0,
    0x0b,
  );

/** A function of `parameters` i32, with further locals. */
interface Routine {
  readonly name: string;
  readonly parameters: number;
  readonly integers: number;
  readonly vectors: number;
  readonly body: Code;
}

/** vertical(source, stride, rowBytes, out, start, count, weights, tapSize, height) */
function verticalRoutine(name: string, rounding: Rounding): Routine {
  const [source, stride, rowBytes, out, start, count, weights, tapSize, height] = [
    0, 1, 2, 3, 4, 5, 6, 7, 8,
  ] as const;
  const [y, i, k, top, from, at] = [9, 10, 11, 12, 13, 14] as const;
  const sums = [15, 16, 17, 18] as const;
  const [pixels, weight] = [19, 20] as const;
  const entry = (table: number): Code => code(get(table), get(y), number(4), MULTIPLY, ADD, load());
  const addHalf = (offset: number, low: number, high: number): Code =>
    code(
      ...[get(from), load8x8(offset), set(pixels)],
      ...[get(low), get(pixels), WIDEN_16_LOW, get(weight), MULTIPLY_4, ADD_4, set(low)],
      ...[get(high), get(pixels), WIDEN_16_HIGH, get(weight), MULTIPLY_4, ADD_4, set(high)],
    );
  const settled = (sum: number): Code => code(get(sum), shiftRight4(rounding));
  const sixteen = code(
    ...sums.map((sum) => code(number(2 ** (rounding.bits - 1)), SPLAT, set(sum))),
    ...[get(top), get(i), ADD, set(from)],
    ...[get(weights), get(y), get(tapSize), MULTIPLY, number(4), MULTIPLY, ADD, set(at)],
    repeat(
      k,
      1,
      entry(count),
      code(
        ...[get(at), loadSplat, set(weight)],
        addHalf(0, sums[0], sums[1]),
        addHalf(8, sums[2], sums[3]),
        increase(from, get(stride)),
        increase(at, number(4)),
      ),
    ),
    ...[get(out), get(i), ADD],
    ...[
      settled(sums[0]),
      settled(sums[1]),
      NARROW_32,
      settled(sums[2]),
      settled(sums[3]),
      NARROW_32,
      NARROW_16,
    ],
    store16,
  );
  const body = repeat(
    y,
    1,
    get(height),
    code(
      ...[get(source), entry(start), get(stride), MULTIPLY, ADD, set(top)],
      repeat(i, 16, get(rowBytes), sixteen),
      increase(out, get(rowBytes)),
    ),
  );
  return { name, parameters: 9, integers: 6, vectors: 6, body };
}

/** horizontal(source, stride, rows, out, start, count, weights, tapSize, width), three channels */
function horizontalRoutine(name: string, rounding: Rounding): Routine {
  const [source, stride, rows, out, start, count, weights, tapSize, width] = [
    0, 1, 2, 3, 4, 5, 6, 7, 8,
  ] as const;
  const [y, x, k, from, at, limit] = [9, 10, 11, 12, 13, 14] as const;
  const sum = 15;
  const entry = (table: number): Code => code(get(table), get(x), number(4), MULTIPLY, ADD, load());
  const pixel = code(
    ...[number(2 ** (rounding.bits - 1)), SPLAT, set(sum)],
    ...[get(source), entry(start), number(3), MULTIPLY, ADD, set(from)],
    ...[get(weights), get(x), get(tapSize), MULTIPLY, number(4), MULTIPLY, ADD, set(at)],
    ...[entry(count), set(limit)],
    repeat(
      k,
      1,
      get(limit),
      code(
        ...[
          get(sum),
          get(from),
          load4,
          WIDEN_8_LOW,
          WIDEN_16_LOW,
          get(at),
          loadSplat,
          MULTIPLY_4,
          ADD_4,
          set(sum),
        ],
        increase(from, number(3)),
        increase(at, number(4)),
      ),
    ),
    // Four bytes for three: the fourth is the next pixel's, which is written after it.
    ...[get(out), get(sum), shiftRight4(rounding), set(sum)],
    ...[get(sum), get(sum), NARROW_32, set(sum), get(sum), get(sum), NARROW_16, store4],
    increase(out, number(3)),
  );
  const body = repeat(y, 1, get(rows), code(repeat(x, 1, get(width), pixel), increase(source, get(stride))));
  return { name, parameters: 9, integers: 6, vectors: 1, body };
}

const section = (id: number, content: Code): Code => code(id, unsigned(content.length), content);
const list = (items: readonly Code[]): Code => code(unsigned(items.length), ...items);
const text = (words: string): Code => {
  const bytes = [...new TextEncoder().encode(words)];
  return code(unsigned(bytes.length), bytes);
};

function assemble(routines: readonly Routine[]): Uint8Array<ArrayBuffer> {
  const bodies = routines.map(({ integers, vectors, body }) => {
    const locals = list([code(unsigned(integers), I32), code(unsigned(vectors), V128)]);
    const whole = code(locals, body, 0x0b);
    return code(unsigned(whole.length), whole);
  });
  return Uint8Array.from(
    code(
      [0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
      section(1, list(routines.map(({ parameters }) => code(0x60, list(Array(parameters).fill([I32])), 0)))),
      section(3, list(routines.map((_, i) => unsigned(i)))),
      section(5, list([code(0, unsigned(1))])),
      section(
        7,
        list([
          ...routines.map(({ name }, i) => code(text(name), 0, unsigned(i))),
          code(text("memory"), 2, 0),
        ]),
      ),
      section(10, list(bodies)),
    ),
  );
}

/** The part of the interface that is used here; the compiler's own description of it is for browsers only. */
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array<ArrayBuffer>) => object;
  readonly Instance: new (module: object) => { readonly exports: Readonly<Record<string, unknown>> };
};

interface Memory {
  readonly buffer: ArrayBuffer;
  grow(pages: number): number;
}

type Pass = (
  source: number,
  stride: number,
  extent: number,
  out: number,
  start: number,
  count: number,
  weights: number,
  tapSize: number,
  length: number,
) => void;

const PAGE = 65536;
/** Vectors may read and write this far past the end of their rows. */
const SLACK = 32;

/** The kernels with their memory. One a thread; buffers are laid one after the other from `reset` on. */
class Kernels {
  private readonly memory: Memory;
  readonly resizeRows: Pass;
  readonly resizeColumns: Pass;
  readonly blurRows: Pass;
  readonly blurColumns: Pass;
  private top = 0;

  constructor() {
    const routines = [
      horizontalRoutine("resizeRows", RESIZE),
      verticalRoutine("resizeColumns", RESIZE),
      horizontalRoutine("blurRows", BLUR),
      verticalRoutine("blurColumns", BLUR),
    ];
    const module = new WebAssembly.Module(assemble(routines));
    const { memory, resizeRows, resizeColumns, blurRows, blurColumns } = new WebAssembly.Instance(module)
      .exports;
    this.memory = memory as Memory;
    this.resizeRows = resizeRows as Pass;
    this.resizeColumns = resizeColumns as Pass;
    this.blurRows = blurRows as Pass;
    this.blurColumns = blurColumns as Pass;
  }

  /** Forgets all buffers, and makes room for `bytes`. */
  reset(bytes: number): void {
    this.top = 0;
    const missing = bytes - this.memory.buffer.byteLength;
    if (missing > 0) this.memory.grow(Math.ceil(missing / PAGE));
  }

  /** The address of a new buffer. */
  allocate(bytes: number): number {
    const at = this.top;
    this.top = (at + bytes + SLACK + 15) & ~15;
    return at;
  }

  bytes(at: number, length: number): Uint8Array {
    return new Uint8Array(this.memory.buffer, at, length);
  }

  /** Copies taps in; the addresses of start, count and weights. */
  place({ start, count, weights }: Taps): readonly [start: number, count: number, weights: number] {
    const copy = (numbers: Int32Array): number => {
      const at = this.allocate(numbers.byteLength);
      new Int32Array(this.memory.buffer, at, numbers.length).set(numbers);
      return at;
    };
    return [copy(start), copy(count), copy(weights)];
  }

  /** Bytes that `place` takes. */
  static sizeOf({ start, count, weights }: Taps): number {
    return start.byteLength + count.byteLength + weights.byteLength + 3 * (SLACK + 16);
  }
}

let kernels: Kernels | undefined;

/**
 * Rows `from` of three channels, each `stride` bytes after the one before, to `width` × `height`, rows first or
 * columns first. `source` starts at the window's first byte; `rows` and `columns` are the window's size in pixels.
 */
export function resizeWindow(
  source: Uint8Array,
  stride: number,
  rows: number,
  columns: number,
  across: Taps,
  down: Taps,
  columnsFirst: boolean,
  out: Uint8Array,
): void {
  kernels ??= new Kernels();
  const width = across.start.length;
  const height = down.start.length;
  const rowBytes = columns * 3;
  const betweenBytes = columnsFirst ? height * rowBytes : rows * width * 3;
  const outBytes = width * height * 3;
  const room = 3 * (SLACK + 16);
  kernels.reset(
    rows * rowBytes + betweenBytes + outBytes + Kernels.sizeOf(across) + Kernels.sizeOf(down) + room,
  );
  const image = kernels.allocate(rows * rowBytes);
  const between = kernels.allocate(betweenBytes);
  const result = kernels.allocate(outBytes);
  const right = kernels.place(across);
  const below = kernels.place(down);
  const copy = kernels.bytes(image, rows * rowBytes);
  if (stride === rowBytes) copy.set(source.subarray(0, rows * rowBytes));
  else {
    for (let y = 0; y < rows; y++) copy.set(source.subarray(y * stride, y * stride + rowBytes), y * rowBytes);
  }
  if (columnsFirst) {
    kernels.resizeColumns(image, rowBytes, rowBytes, between, ...below, down.size, height);
    kernels.resizeRows(between, rowBytes, height, result, ...right, across.size, width);
  } else {
    kernels.resizeRows(image, rowBytes, rows, between, ...right, across.size, width);
    kernels.resizeColumns(between, width * 3, width * 3, result, ...below, down.size, height);
  }
  out.set(kernels.bytes(result, outBytes));
}

/**
 * `passes` sums along the rows of `pixels` ([height, width, 3]) by `across`, then as many along its columns by `down`;
 * weights of 24 bits, none below 0, none of whose sums exceeds 2²⁴. In place.
 */
export function blurImage(pixels: Uint8Array, across: Taps, down: Taps, passes: number): void {
  kernels ??= new Kernels();
  const width = across.start.length;
  const height = down.start.length;
  const row = width * 3;
  const room = 2 * (SLACK + 16);
  kernels.reset(2 * pixels.length + Kernels.sizeOf(across) + Kernels.sizeOf(down) + room);
  let from = kernels.allocate(pixels.length);
  let to = kernels.allocate(pixels.length);
  const right = kernels.place(across);
  const below = kernels.place(down);
  kernels.bytes(from, pixels.length).set(pixels);
  for (let pass = 0; pass < 2 * passes; pass++) {
    if (pass < passes) kernels.blurRows(from, row, height, to, ...right, across.size, width);
    else kernels.blurColumns(from, row, row, to, ...below, down.size, height);
    [from, to] = [to, from];
  }
  pixels.set(kernels.bytes(from, pixels.length));
}
