/**
 * SentencePiece's compiled table of replacements (`precompiled_charsmap`): the length of a double-array trie in bytes
 * (u32), the trie (u32 each), then the replacements, each ended by a zero. Source: sentencepiece's normalizer.cc and
 * darts.h; Hugging Face's spm_precompiled.
 */

import { UsageError } from "../../../core/errors.js";

const graphemes = new Intl.Segmenter("en", { granularity: "grapheme" });
const utf8 = new TextEncoder();
const decoder = new TextDecoder();

const hasLeaf = (unit: number): boolean => (unit & 0x100) !== 0;
const labelOf = (unit: number): number => unit & 0x800000ff;
const offsetOf = (unit: number): number => (unit >>> 10) << ((unit & 0x200) >>> 6);
const placeOf = (unit: number): number => unit & 0x7fffffff;

/** Throws a `UsageError` naming the file when the table is not whole. */
export function readCharsmap(base64: string, where: string): (text: string) => string {
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  const size = bytes.length < 4 ? -1 : view.getUint32(0, true);
  if (size < 4 || size % 4 !== 0 || 4 + size > bytes.length) {
    throw new UsageError(
      `${where}: normalizer.precompiled_charsmap must be whole; it is cut. Get the file again.`,
    );
  }
  const trie = Uint32Array.from({ length: size / 4 }, (_, i) => view.getUint32(4 + 4 * i, true));
  const replacements = bytes.subarray(4 + size);
  const known = new Map<string, string | undefined>();

  /** The replacement of the shortest beginning of `chunk` that has one. */
  const find = (chunk: string): string | undefined => {
    let at = offsetOf(trie[0]!);
    for (const byte of utf8.encode(chunk)) {
      if (byte === 0) return undefined;
      at ^= byte;
      const unit = trie[at];
      if (unit === undefined || labelOf(unit) !== byte) return undefined;
      at ^= offsetOf(unit);
      if (!hasLeaf(unit)) continue;
      const start = placeOf(trie[at] ?? 0);
      const end = replacements.indexOf(0, start);
      return decoder.decode(replacements.subarray(start, end < 0 ? undefined : end));
    }
    return undefined;
  };
  const replacementOf = (chunk: string): string | undefined => {
    if (!known.has(chunk)) known.set(chunk, find(chunk));
    return known.get(chunk);
  };
  return (text) => {
    let out = "";
    for (const { segment } of graphemes.segment(text)) {
      const whole = utf8.encode(segment).length < 6 ? replacementOf(segment) : undefined;
      if (whole !== undefined) out += whole;
      else for (const character of segment) out += replacementOf(character) ?? character;
    }
    return out;
  };
}
