/**
 * The `normalizer` of a tokenizer.json, as Hugging Face's Rust library computes it (tokenizers 0.23,
 * `tokenizers/src/normalizers`). What is not listed here is refused by name.
 */

import { byteCharacters } from "../byte-pairs.js";
import { type Component, componentOf, isRecord, optional } from "./component.js";
import { patternOf } from "./pattern.js";
import { readCharsmap } from "./precompiled.js";

export type Normalize = (text: string) => string;

/** Rust's `char::to_lowercase`, letter by letter: without the final sigma that JavaScript has. */
const lower: Normalize = (text) => text.replaceAll("Σ", "σ").toLowerCase();

/** White space for Rust: U+0085 is, U+FEFF is not. */
const blank = "\\p{White_Space}";
const leading = new RegExp(`^${blank}+`, "u");
const trailing = new RegExp(`${blank}+$`, "u");

const chinese =
  /[\u4e00-\u9fff\u3400-\u4dbf\u{20000}-\u{2a6df}\u{2a700}-\u{2b73f}\u{2b740}-\u{2b81f}\u{2b920}-\u{2ceaf}\uf900-\ufaff\u{2f800}-\u{2fa1f}]/gu;
/** Cc, Cf, Co and Cs, but for three that are white space; and what stands for damage. */
const controls = /[^\P{C}\p{Cn}\t\n\r]|\ufffd/gu;
const spaces = new RegExp(blank, "gu");

/** Cleaned, Chinese set apart, accents off, lower case: in this order. */
function bert(part: Component): Normalize {
  const lowercase = optional(part, "lowercase", "boolean", true);
  const cleanText = optional(part, "clean_text", "boolean", true);
  const apart = optional(part, "handle_chinese_chars", "boolean", true);
  const strip = optional(part, "strip_accents", "boolean", undefined) ?? lowercase;
  return (given) => {
    let text = given;
    if (cleanText) text = text.replace(controls, "").replace(spaces, " ");
    if (apart) text = text.replace(chinese, " $& ");
    if (strip) text = text.normalize("NFD").replace(/\p{Mn}/gu, "");
    return lowercase ? lower(text) : text;
  };
}

/** What SentencePiece drops and what it takes for a space (`nmt`). */
const nmt: Normalize = (text) =>
  text
    .replace(/[^\P{Cc}\t\n\f\r\x80-\x8e\x90-\x9e]/gu, (control) => (control === "\0" ? control : ""))
    .replace(/[\t\n\f\r\u1680\u200b-\u200f\u2028\u2029\u2581\ufeff\ufffd]/gu, " ");

const utf8 = new TextEncoder();

const kinds: Readonly<Record<string, (part: Component) => Normalize>> = {
  NFC: () => (text) => text.normalize("NFC"),
  NFD: () => (text) => text.normalize("NFD"),
  NFKC: () => (text) => text.normalize("NFKC"),
  NFKD: () => (text) => text.normalize("NFKD"),
  Lowercase: () => lower,
  StripAccents: () => (text) => text.replace(/\p{M}/gu, ""),
  BertNormalizer: bert,
  Nmt: () => nmt,
  ByteLevel: () => (text) => Array.from(utf8.encode(text), (byte) => byteCharacters[byte]!).join(""),
  Strip: (part) => {
    const left = optional(part, "strip_left", "boolean", true);
    const right = optional(part, "strip_right", "boolean", true);
    return (text) => {
      const rest = left ? text.replace(leading, "") : text;
      return right ? rest.replace(trailing, "") : rest;
    };
  },
  Prepend: (part) => {
    const prepend = optional(part, "prepend", "string", "");
    return (text) => (text === "" ? "" : prepend + text);
  },
  Replace: (part) => {
    const pattern = patternOf(part);
    const content = optional(part, "content", "string", "");
    return (text) => text.replace(pattern, () => content);
  },
  Precompiled: (part) => readCharsmap(optional(part, "precompiled_charsmap", "string", ""), part.where),
  Sequence: (part) => {
    const parts = part.json.normalizers;
    if (!Array.isArray(parts)) throw part.wrong("normalizers must be a list");
    const all = parts.map((json, i) => normalizerOf(json, part.where, `${part.key}.normalizers[${i}]`));
    return (text) => all.reduce((done, each) => each(done), text);
  },
};

/** Throws a `UsageError` naming the key for a kind that is not built, or a setting that cannot be. */
export function normalizerOf(json: unknown, where: string, key = "normalizer"): Normalize {
  if (json === null || json === undefined) return (text) => text;
  const part = componentOf(isRecord(json) ? json : {}, where, key, kinds);
  return kinds[part.kind]!(part);
}
