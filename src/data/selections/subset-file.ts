/**
 * DataComp's subset files: `.npy` of `u8,u8`, one record a pair, its uid's first and last 16 hex digits as numbers, ascending.
 * A uid that stands there twice is trained on twice. Source: mlfoundations/datacomp, baselines/apply_filter.py, resharder.py.
 */
import { closeSync, fstatSync, openSync } from "node:fs";
import { AtomicFile } from "../../core/atomic-file.js";
import { readExactly } from "../../core/disk.js";
import { UsageError } from "../../core/errors.js";
import { withFileErrors } from "../../core/files.js";
import { npyHeader, readNpyHeader } from "../../core/npy.js";

const RECORD = "[('f0', '<u8'), ('f1', '<u8')]";
const RECORD_BYTES = 16;
/** Records read or written at once. */
const PIECE = 2 ** 16;

/**
 * The uids of the subset at `path`, some thousand at a time: [4 · n] words, valid until the next. Throws `UsageError` naming the
 * file that is none.
 */
export function* readSubset(path: string): Generator<Uint32Array> {
  const file = withFileErrors("read", path, () => openSync(path, "r"));
  try {
    const { descr, shape, dataStart } = readNpyHeader(file, path);
    if (
      !/^\[\(\s*'[^']*',\s*'<u8'\s*\),\s*\(\s*'[^']*',\s*'<u8'\s*\)\s*,?\s*\]$/.test(descr) ||
      shape.length !== 1
    ) {
      throw new UsageError(
        `subset ${path}: must be .npy of uids, records of two u8 each; got ${descr} of shape (${shape.join(", ")}). Save numpy.array(uids, dtype="u8,u8").`,
        { file: path },
      );
    }
    const [n = 0] = shape;
    if (fstatSync(file).size < dataStart + RECORD_BYTES * n)
      throw new UsageError(`subset ${path}: ends before its last uid. Fetch or make it again.`, {
        file: path,
      });
    const room = new Uint32Array(4 * Math.min(PIECE, n));
    for (let at = 0; at < n; at += PIECE) {
      const words = room.subarray(0, 4 * Math.min(PIECE, n - at));
      const bytes = new Uint8Array(words.buffer, 0, words.byteLength);
      readExactly(file, bytes, dataStart + RECORD_BYTES * at);
      swapHalves(words);
      yield words;
    }
  } finally {
    closeSync(file);
  }
}

/** Little-endian numbers of 64 bits have their last digits first. */
function swapHalves(words: Uint32Array): void {
  for (let w = 0; w < words.length; w += 2) {
    const last = words[w]!;
    words[w] = words[w + 1]!;
    words[w + 1] = last;
  }
}

/**
 * Writes `n` uids, which come in pieces of [4 · k] words and ascend, as a subset: whole or not at all. The pieces are changed.
 */
export async function writeSubset(
  path: string,
  n: number,
  pieces: AsyncIterable<Uint32Array> | Iterable<Uint32Array>,
): Promise<void> {
  using out = new AtomicFile(path);
  out.write(npyHeader(RECORD, [n]));
  for await (const words of pieces) {
    swapHalves(words);
    out.write(new Uint8Array(words.buffer, words.byteOffset, words.byteLength));
  }
  out.commit();
}
