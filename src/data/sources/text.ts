/** Text from bytes: a byte order mark tells the encoding, else the caller, else it is UTF-8. */
import { closeSync, openSync, readSync } from "node:fs";
import { TextDecoder } from "node:util";
import { UsageError } from "../../core/errors.js";

const MARKS: readonly (readonly [mark: readonly number[], encoding: string])[] = [
  [[0xef, 0xbb, 0xbf], "utf-8"],
  [[0xff, 0xfe], "utf-16le"],
  [[0xfe, 0xff], "utf-16be"],
];

/** Bytes read at once. */
const CHUNK = 2 ** 20;

/** Decodes by `encoding` (default UTF-8) what has no byte order mark. Throws `UsageError` for an unknown name. */
export class TextReader {
  readonly encoding: string;

  constructor(encoding = "utf-8") {
    this.encoding = encoding;
    try {
      new TextDecoder(encoding);
    } catch {
      throw new UsageError(
        `encoding: must be a known text encoding; got encoding="${encoding}". Write utf-8, latin1, windows-1252, utf-16le, shift_jis, gb18030 or another of the web's names (--encoding).`,
      );
    }
  }

  /** A decoder for what begins with `head`. */
  decoderOf(head: Uint8Array): TextDecoder {
    const marked = MARKS.find(([mark]) => mark.every((byte, i) => head[i] === byte));
    return new TextDecoder(marked?.[1] ?? this.encoding);
  }

  decode(bytes: Uint8Array): string {
    return this.decoderOf(bytes).decode(bytes);
  }

  /** The text of a file of any size, piece by piece. */
  *pieces(path: string): Generator<string> {
    const fd = openSync(path, "r");
    try {
      const bytes = new Uint8Array(CHUNK);
      let decoder: TextDecoder | undefined;
      for (;;) {
        const got = bytes.subarray(0, readSync(fd, bytes));
        decoder ??= this.decoderOf(got);
        const text = decoder.decode(got, { stream: got.length > 0 });
        if (text !== "") yield text;
        if (got.length === 0) return;
      }
    } finally {
      closeSync(fd);
    }
  }
}

/** What stands for bytes that are none in the encoding; and NUL, as UTF-16 read as UTF-8 is full of. */
export const GARBLED = ["\ufffd", "\0"] as const;

export const isGarbled = (text: string): boolean => GARBLED.some((part) => text.includes(part));
