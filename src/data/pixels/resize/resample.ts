/**
 * Pillow's resize, to the bit: separable, widened for downscaling (antialias), 8-bit intermediate, 22-bit fixed-point
 * weights. Semantics of `src/libImaging/Resample.c` (Pillow): models were trained behind these very pixels, and a
 * resize without the antialias moves CLIP embeddings to cosine 0.94.
 */
import type { Box, RawImage } from "../read/image.js";
import { HALF, PRECISION_BITS, resizeWindow, type Taps } from "./kernels.js";

export type Filter = "bicubic" | "bilinear";

/** Also means over boxes, which no model's file asks for. */
type AnyFilter = Filter | "box";

interface Kernel {
  readonly support: number;
  weight(x: number): number;
}

/** Keys' cubic with a = -0.5. */
const A = -0.5;

const KERNELS: Readonly<Record<AnyFilter, Kernel>> = {
  bicubic: {
    support: 2,
    weight(signed) {
      const x = Math.abs(signed);
      if (x < 1) return ((A + 2) * x - (A + 3)) * x * x + 1;
      if (x < 2) return (((x - 5) * x + 8) * x - 4) * A;
      return 0;
    },
  },
  bilinear: {
    support: 1,
    weight(signed) {
      const x = Math.abs(signed);
      return x < 1 ? 1 - x : 0;
    },
  },
  box: {
    support: 0.5,
    weight: (x) => (x > -0.5 && x <= 0.5 ? 1 : 0),
  },
};

const MAX_KNOWN_TAPS = 512;
const knownTaps = new Map<string, Taps>();

/** With `mirrored` the first output position reads the end of the input. */
function tapsFor(input: number, output: number, filter: AnyFilter, mirrored = false): Taps {
  const id = `${filter}${input}>${output}${mirrored}`;
  const known = knownTaps.get(id);
  if (known !== undefined) return known;
  const kernel = KERNELS[filter];
  const scale = input / output;
  const filterScale = Math.max(scale, 1);
  const support = kernel.support * filterScale;
  const size = Math.ceil(support) * 2 + 1;
  const start = new Int32Array(output);
  const count = new Int32Array(output);
  const weights = new Int32Array(output * size);
  const exact = new Float64Array(size);
  for (let o = 0; o < output; o++) {
    const to = mirrored ? output - 1 - o : o;
    const center = (o + 0.5) * scale;
    const inverse = 1 / filterScale;
    const low = Math.max(0, Math.trunc(center - support + 0.5));
    const high = Math.min(input, Math.trunc(center + support + 0.5));
    let sum = 0;
    for (let k = 0; k < high - low; k++) {
      exact[k] = kernel.weight((k + low - center + 0.5) * inverse);
      sum += exact[k]!;
    }
    for (let k = 0; k < high - low; k++) {
      const weight = sum === 0 ? exact[k]! : exact[k]! / sum;
      weights[to * size + k] = Math.trunc((weight < 0 ? -0.5 : 0.5) + weight * (1 << PRECISION_BITS));
    }
    start[to] = low;
    count[to] = high - low;
  }
  const taps = { size, start, count, weights };
  if (knownTaps.size >= MAX_KNOWN_TAPS) knownTaps.delete(knownTaps.keys().next().value!);
  knownTaps.set(id, taps);
  return taps;
}

const clip8 = (sum: number): number => {
  const value = sum >> PRECISION_BITS;
  return value < 0 ? 0 : Math.min(value, 255);
};

/**
 * Which pass comes first shows in the rounding between them. Pillow before 13 always starts with the rows; since 13
 * with the columns when height shrinks by more than twice what width does (python-pillow/Pillow#9549).
 */
const columnsFirst = (box: Box, width: number, height: number): boolean =>
  height < box.height && box.height - height > 2 * (box.width - width);

let scratch = new Uint8Array(0);

function scratchOf(length: number): Uint8Array {
  if (scratch.length < length) scratch = new Uint8Array(length);
  return scratch;
}

/** The kernels keep their memory, so a giant among the images goes through the plain loops. */
const MAX_VECTOR_PIXELS = 2 ** 24;

/**
 * `image` inside `box` (default: all) resized to `width` × `height`, equal to Pillow's `crop(box).resize(…)` on the
 * same pixels. Written into `out` ([height, width, channels]) when given; left to right when `mirrored`.
 */
export function resample(
  image: RawImage,
  width: number,
  height: number,
  filter: AnyFilter,
  box: Box = { x: 0, y: 0, width: image.width, height: image.height },
  out: Uint8Array = new Uint8Array(width * height * image.channels),
  mirrored = false,
): RawImage {
  const C = image.channels;
  const stride = image.width * C;
  const origin = box.y * stride + box.x * C;
  const across = width === box.width && !mirrored ? undefined : tapsFor(box.width, width, filter, mirrored);
  const down = height === box.height ? undefined : tapsFor(box.height, height, filter);
  if (across === undefined && down === undefined) {
    for (let y = 0; y < height; y++) {
      const from = origin + y * stride;
      out.set(image.data.subarray(from, from + width * C), y * width * C);
    }
  } else if (down === undefined) {
    horizontal(image.data, origin, stride, height, C, across!, out, width);
  } else if (across === undefined) {
    vertical(image.data, origin, stride, width * C, down, out, height);
  } else if (C === 3 && box.width * box.height <= MAX_VECTOR_PIXELS) {
    // Rows that no output row reads are not touched.
    const first = down.start[0]!;
    const rows = down.start[height - 1]! + down.count[height - 1]! - first;
    const window = image.data.subarray(origin + first * stride);
    const shifted = { ...down, start: first === 0 ? down.start : down.start.map((row) => row - first) };
    resizeWindow(window, stride, rows, box.width, across, shifted, columnsFirst(box, width, height), out);
  } else if (columnsFirst(box, width, height)) {
    const between = scratchOf(height * box.width * C);
    vertical(image.data, origin, stride, box.width * C, down, between, height);
    horizontal(between, 0, box.width * C, height, C, across, out, width);
  } else {
    // Rows that no output row reads are not computed.
    const first = down.start[0]!;
    const rows = down.start[height - 1]! + down.count[height - 1]! - first;
    const between = scratchOf(rows * width * C);
    horizontal(image.data, origin + first * stride, stride, rows, C, across, between, width);
    vertical(between, -first * width * C, width * C, width * C, down, out, height);
  }
  return { width, height, channels: C, data: out };
}

function vertical(
  source: Uint8Array,
  origin: number,
  stride: number,
  rowBytes: number,
  taps: Taps,
  out: Uint8Array,
  height: number,
): void {
  const { start, count, weights, size } = taps;
  for (let y = 0; y < height; y++) {
    const n = count[y]!;
    const at = y * size;
    const top = origin + start[y]! * stride;
    const to = y * rowBytes;
    for (let i = 0; i < rowBytes; i++) {
      let sum = HALF;
      let from = top + i;
      for (let k = 0; k < n; k++) {
        sum = (sum + Math.imul(source[from]!, weights[at + k]!)) | 0;
        from += stride;
      }
      out[to + i] = clip8(sum);
    }
  }
}

function horizontal(
  source: Uint8Array,
  origin: number,
  stride: number,
  rows: number,
  C: number,
  taps: Taps,
  out: Uint8Array,
  width: number,
): void {
  const { start, count, weights, size } = taps;
  for (let y = 0; y < rows; y++) {
    const row = origin + y * stride;
    let to = y * width * C;
    for (let x = 0; x < width; x++) {
      const n = count[x]!;
      const at = x * size;
      let from = row + start[x]! * C;
      if (C === 3) {
        let r = HALF;
        let g = HALF;
        let b = HALF;
        for (let k = 0; k < n; k++) {
          const weight = weights[at + k]!;
          r = (r + Math.imul(source[from]!, weight)) | 0;
          g = (g + Math.imul(source[from + 1]!, weight)) | 0;
          b = (b + Math.imul(source[from + 2]!, weight)) | 0;
          from += 3;
        }
        out[to] = clip8(r);
        out[to + 1] = clip8(g);
        out[to + 2] = clip8(b);
      } else {
        for (let c = 0; c < C; c++) {
          let sum = HALF;
          for (let k = 0; k < n; k++)
            sum = (sum + Math.imul(source[from + k * C + c]!, weights[at + k]!)) | 0;
          out[to + c] = clip8(sum);
        }
      }
      to += C;
    }
  }
}

/** Pillow's NEAREST, which it takes for palette and one-bit images whatever the filter asked for. */
export function resampleNearest(image: RawImage, width: number, height: number): RawImage {
  const { channels: C } = image;
  const positions = (input: number, output: number): Int32Array => {
    const step = input / output;
    const found = new Int32Array(output);
    let at = step * 0.5;
    for (let o = 0; o < output; o++) {
      found[o] = Math.trunc(at);
      at += step;
    }
    return found;
  };
  const columns = positions(image.width, width);
  const rows = positions(image.height, height);
  const data = new Uint8Array(width * height * C);
  let to = 0;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const from = (rows[y]! * image.width + columns[x]!) * C;
      for (let c = 0; c < C; c++) data[to++] = image.data[from + c]!;
    }
  }
  return { width, height, channels: C, data };
}
