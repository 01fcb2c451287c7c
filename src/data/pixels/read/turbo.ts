/**
 * Plain JPEGs through libjpeg-turbo itself, in the calling thread: what takes sharp 1.4 ms, most of it for setting up a
 * pipeline, takes 0.3. The library is the one that `@julusian/jpeg-turbo` brings prebuilt, an optional dependency,
 * called by TurboJPEG 3's interface (https://libjpeg-turbo.org, "turbojpeg.h"): the package's own functions take the
 * fast transform, whose pixels are not Pillow's. Where there is none (Windows, whose build keeps it to itself), or it
 * does not take a file, the caller has sharp.
 */
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import koffi from "../../../core/native.js";
import type { Box, RawImage } from "./image.js";

const TJINIT_DECOMPRESS = 1;
const TJPF_RGB = 0;
const PARAMETER = { width: 5, height: 6, fastUpsample: 9, fastTransform: 10, scanLimit: 13 } as const;
/** As libvips has it: a small file with more scans is made to take long. */
const MAX_SCANS = 100;
/** Pixels of a block of the widest kind (4:1:1): cuts begin at a multiple of it. */
const BLOCK = 32;

/**
 * Pixels around the box that was asked for, and where it lies in them: valid until the next part is decoded. Without
 * `box`, pixels of the whole image.
 */
export interface DecodedPart extends RawImage {
  readonly box?: Box;
}

type Decode = (bytes: Uint8Array, box: Box | undefined) => DecodedPart | undefined;

/** Where the package's library for a platform would lie: one for glibc and one for musl on Linux. */
export function turboLibraries(platform: string, arch: string): readonly string[] {
  const file = { linux: "libturbojpeg.so.0", darwin: "node-napi-v7.node" }[platform];
  if (file === undefined) return [];
  const kinds = platform === "linux" ? [arch, `${arch}-musl`] : [arch];
  return kinds.map((kind) => join("prebuilds", `jpeg-turbo-${platform}-${kind}`, file));
}

function openLibrary(): Decode | undefined {
  try {
    const root = dirname(createRequire(import.meta.url).resolve("@julusian/jpeg-turbo/package.json"));
    for (const path of turboLibraries(process.platform, process.arch)) {
      const decode = bind(join(root, path));
      if (decode !== undefined) return decode;
    }
  } catch {
    // Not installed.
  }
  return undefined;
}

/** The decoder of the library at `path`; undefined where it does not load, or is older than TurboJPEG 3. */
function bind(path: string): Decode | undefined {
  try {
    const library = koffi.load(path);
    const set = library.func("int tj3Set(void *, int, int)");
    const get = library.func("int tj3Get(void *, int)");
    const readHeader = library.func("int tj3DecompressHeader(void *, const uint8_t *, size_t)");
    const region = koffi.struct({ x: "int", y: "int", w: "int", h: "int" });
    const setRegion = library.func("tj3SetCroppingRegion", "int", ["void *", region]);
    const decompress = library.func(
      "int tj3Decompress8(void *, const uint8_t *, size_t, uint8_t *, int, int)",
    );
    const decoder: unknown = library.func("void *tj3Init(int)")(TJINIT_DECOMPRESS);
    if (decoder === null) return undefined;
    // The accurate transform, and colours interpolated: as Pillow, and as libvips.
    set(decoder, PARAMETER.fastTransform, 0);
    set(decoder, PARAMETER.fastUpsample, 0);
    set(decoder, PARAMETER.scanLimit, MAX_SCANS);
    return (bytes, box) => {
      if (readHeader(decoder, bytes, bytes.length) !== 0) return undefined;
      const size = { width: get(decoder, PARAMETER.width), height: get(decoder, PARAMETER.height) };
      const part = box === undefined ? { x: 0, y: 0, ...size } : around(box, size);
      if (setRegion(decoder, { x: part.x, y: part.y, w: part.width, h: part.height }) !== 0) return undefined;
      const { width, height } = part;
      const length = width * height * 3;
      const data =
        box === undefined ? new Uint8Array(Buffer.allocUnsafeSlow(length).buffer) : scratchOf(length);
      const image = { width, height, channels: 3, data };
      // A warning fails, too: what of a broken file is accepted is not decided here.
      if (decompress(decoder, bytes, bytes.length, image.data, 0, TJPF_RGB) !== 0) return undefined;
      return box === undefined ? image : { ...image, box: { ...box, x: box.x - part.x, y: box.y - part.y } };
    };
  } catch {
    return undefined;
  }
}

let scratch = new Uint8Array(0);

function scratchOf(length: number): Uint8Array {
  if (scratch.length < length) scratch = new Uint8Array(length);
  return scratch.subarray(0, length);
}

/** `box` with a block more on all sides, since colours are interpolated from neighbours, beginning at a block. */
function around(box: Box, size: { readonly width: number; readonly height: number }): Box {
  const x = Math.max(0, Math.floor(box.x / BLOCK) - 1) * BLOCK;
  const y = Math.max(0, Math.floor(box.y / BLOCK) - 1) * BLOCK;
  const right = Math.min(size.width, box.x + box.width + BLOCK);
  const bottom = Math.min(size.height, box.y + box.height + BLOCK);
  return { x, y, width: right - x, height: bottom - y };
}

let decoder: Decode | undefined;
let opened = false;

/**
 * Pixels (RGB) of a JPEG of one or three components, or of the part of it around `box`; undefined where no library is
 * there, or where it finds the least thing wrong with the file.
 */
export function decodeTurbo(bytes: Uint8Array, box?: Box): DecodedPart | undefined {
  if (!opened) {
    opened = true;
    decoder = openLibrary();
  }
  return decoder?.(bytes, box);
}
