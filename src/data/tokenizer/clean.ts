/**
 * Cleaning of captions before OpenAI CLIP's byte pairs, after open_clip's `basic_clean` and `whitespace_clean`:
 * ftfy's repairs, HTML references decoded twice, white space joined, lower case.
 *
 * Of ftfy (https://ftfy.readthedocs.io) all fixes are here, but its mojibake repair only for UTF-8 that was read as
 * Windows-1252 or Latin-1, once or several times, by far the most frequent case. Text that went through other encodings
 * (Windows-1250 to 1257, Mac Roman, DOS), or lost bytes on the way, keeps its garbled letters; nothing fails.
 */

import { unescapeCertainHtml, unescapeHtml, windows1252 } from "./html.js";

/** What Python's `str.split` and `str.strip` take for white space. */
const SPACE = "\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
const spaces = new RegExp(`[${SPACE}]+`, "gu");
const outerSpaces = new RegExp(`^[${SPACE}]+|[${SPACE}]+$`, "gu");

/** `text` without white space at its ends. */
const strip = (text: string): string => text.replace(outerSpaces, "");

/** Runs of white space as one space, none at the ends. */
export const joinWhitespace = (text: string): string => strip(text.replace(spaces, " "));

/** Latin digraphs and ligatures that are one character. */
const ligatures = new Map(
  (
    "Ĳ IJ ĳ ij ŉ ʼn Ǳ DZ ǲ Dz ǳ dz Ǆ DŽ ǅ Dž ǆ dž Ǉ LJ ǈ Lj ǉ lj Ǌ NJ ǋ Nj ǌ nj " +
    "ﬀ ff ﬁ fi ﬂ fl ﬃ ffi ﬄ ffl ﬅ ſt ﬆ st"
  )
    .match(/\S+ \S+/g)!
    .map((pair) => pair.split(" ") as [string, string]),
);

const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The byte that Windows-1252, with Latin-1 for its holes and controls, gives for a character. */
const byteOf = new Map<number, number>();
for (let byte = 0; byte < 256; byte++) {
  byteOf.set(byte, byte);
  byteOf.set(windows1252(byte).codePointAt(0)!, byte);
}

/** `text` as the UTF-8 that it is if its characters are bytes, or undefined. */
function asUtf8(text: string): string | undefined {
  const bytes: number[] = [];
  for (const character of text) {
    const byte = byteOf.get(character.codePointAt(0)!);
    if (byte === undefined) return undefined;
    bytes.push(byte);
  }
  try {
    return strictUtf8.decode(Uint8Array.from(bytes));
  } catch {
    return undefined;
  }
}

/** Characters that Windows-1252 gives for the continuation bytes 80 to BF of UTF-8. */
const CONTINUATION = Array.from({ length: 64 }, (_, i) => {
  const byte = 0x80 + i;
  const codes = new Set([byte, windows1252(byte).codePointAt(0)!]);
  return [...codes].map((code) => `\\u{${code.toString(16)}}`).join("");
}).join("");

/** UTF-8 sequences that were read as Windows-1252: lead byte, then its continuation bytes. */
const sequences = new RegExp(
  `(?:[\\xc2-\\xdf][${CONTINUATION}]|[\\xe0-\\xef][${CONTINUATION}]{2}|[\\xf0-\\xf3][${CONTINUATION}]{3})+`,
  "gu",
);

/** Signs that nobody writes behind a small letter. */
const ODD = "€ƒ†‡ˆ‰ŠŒŽ˜œŸ¢£¤¥¦¨ª¬¯¸º";
/** What may well stand behind one. */
const MILD = "…’–—\\xa0\\xad°´·";

/** Single sequences that are not meant as they stand, found out by asking ftfy of every sequence by itself. */
const odd = new RegExp(
  [
    "^\\xc2[\\xa0-¤¦-¿]",
    "^[\\xc3\\xce\\xd0](?![…Ž’Œ¥])",
    "^[\\xc4-\\xcd\\xcf\\xd1\\xd8\\xdc\\xdd][ƒ†‡ˆ‰˜¤¦§¨ª¬¯°±²³µ¶¸¹º¼½¾]",
    "^\\xd7[‚ƒ„†‡ˆ‰Š‹ŒŽ‘“•˜šœžŸ¡¤¦¨-¬¯²³¸º¿]",
    "^\\xdf[€ƒ†‡ˆ‰ŠŒŽ˜Ÿ¢-¦¨ª¬¯¸º]",
    `^[\\xe0-\\xef](?:[${ODD}]|[^${MILD}][${ODD}])`,
    "^\\xc5“|^\\xe2[€‚œš˜]|^\\xf0Ÿ|^\\xef[¸»]",
  ].join("|"),
  "u",
);

/** Whether a run of such sequences is not meant as it stands: it holds controls, or two sequences, or an odd one. */
const isConvincing = (run: string): boolean =>
  /[\x80-\x9f]/.test(run) || run.match(/[\xc2-\xf3]/g)!.length > 1 || odd.test(run);

/** Text that was UTF-8 and read as Windows-1252 or Latin-1, as it was meant: `cafÃ©` is `café`. */
function repairMojibake(text: string): string {
  const runs = text.match(sequences) ?? [];
  if (runs.length === 0 && !text.includes("\xc3 ")) return text;
  // A no-break space that became a space: "voilÃ le" is "voilà le"; in Portuguese "Ã s" is "às".
  const spaced = text.replace(/(^|[a-z]\s?)\xc3 (?=( |quele|quela|quilo|s )?)/g, (_, before, joined) =>
    joined === undefined ? `${before}à ` : `${before}à`,
  );
  if (spaced !== text) return spaced;
  if (!runs.some(isConvincing)) return text;
  const whole = asUtf8(text);
  if (whole !== undefined) return whole;
  return text.replace(sequences, (run) => (isConvincing(run) ? (asUtf8(run) ?? run) : run));
}

/** Characters of the control ranges, interlinear marks and byte order marks that ftfy removes. */
const controls = /[^\P{Cc}\t\n\f\r\x80-\x9f]|[\u206a-\u206f\ufeff\ufff9-\ufffc]/gu;
const ESCAPE = String.fromCodePoint(0x1b);
const terminalEscapes = new RegExp(`${ESCAPE}\\[[\\d;]*[a-zA-Z]`, "gu");

/** Text that went wrong several times is repaired as often, before what the letters in between stand for is touched. */
function repairEncoding(text: string): string {
  for (let current = text; ; ) {
    const next = repairMojibake(current);
    if (next === current) return current;
    current = next;
  }
}

function repairOnce(text: string): string {
  return repairEncoding(text)
    .replace(/[\x80-\x9f]/gu, (c) => windows1252(c.charCodeAt(0)))
    .replace(/[ĲĳŉǱǲǳǄ-ǌﬀ-ﬆ]/gu, (c) => ligatures.get(c) ?? c)
    .replace(/[\u3000\uff01-\uffef]/gu, (c) => c.normalize("NFKC"))
    .replace(/[“-‟]/gu, '"')
    .replace(/[ʼ‘-‛]/gu, "'")
    .replace(/\r\n|[\r\u2028\u2029\x85]/gu, "\n")
    .replace(/\p{Surrogate}/gu, "\ufffd")
    .replace(terminalEscapes, "")
    .replace(controls, "")
    .normalize("NFC");
}

/** Printable ASCII holds nothing to repair, but for references. */
const plain = /^[\n\t\x20-\x7e]*$/;

/** ftfy's `fix_text` (but see the head of this file). References are left alone from the first line that has a `<`. */
export function repairText(text: string): string {
  if (plain.test(text) && !text.includes("&")) return text;
  let decode = true;
  return text.replace(/[^\n]*\n|[^\n]+$/g, (line) => {
    decode &&= !line.includes("<");
    for (let current = line; ; ) {
      // Each line stops decoding once it has shown a "<" itself, as it was given.
      const next = repairOnce(decode ? unescapeCertainHtml(current) : current);
      if (next === current) return current;
      current = next;
    }
  });
}

/** How a caption is cleaned before it is tokenized, by open_clip's names. */
export const cleanings = {
  /** As it is. */
  none: (text: string): string => text,
  /** Repaired, references decoded, white space joined: open_clip for Hugging Face tokenizers. */
  whitespace: (text: string): string => joinWhitespace(unescapeHtml(unescapeHtml(repairText(text)))),
  /** The same in lower case: open_clip for CLIP's own vocabulary. */
  lower: (text: string): string => cleanings.whitespace(text).toLowerCase(),
  /** Lower case without ASCII punctuation: open_clip for SigLIP. */
  canonicalize: (text: string): string =>
    joinWhitespace(
      strip(unescapeHtml(unescapeHtml(repairText(text))))
        .replace(/_/g, " ")
        .replace(/[!-/:-@[-`{-~]/g, "")
        .toLowerCase(),
    ),
} as const;

export type Cleaning = keyof typeof cleanings;
