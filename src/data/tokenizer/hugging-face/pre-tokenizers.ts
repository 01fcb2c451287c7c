/**
 * The `pre_tokenizer` of a tokenizer.json, as Hugging Face's Rust library computes it (tokenizers 0.23,
 * `tokenizers/src/pre_tokenizers`). What is not listed here is refused by name.
 */

import { byteCharacters } from "../byte-pairs.js";
import { type Component, componentOf, isRecord, optional } from "./component.js";
import { patternOf, WORD } from "./pattern.js";

/** The pieces of a text; `first` says that it begins what was given. */
export type PreTokenize = (text: string, first: boolean) => string[];

/** What becomes of the matches that a text is split at. */
const behaviors = ["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"] as const;
type Behavior = (typeof behaviors)[number];

interface Span {
  readonly text: string;
  readonly match: boolean;
}

/** A text as matches and what lies between. */
function spansOf(text: string, pattern: RegExp): Span[] {
  const spans: Span[] = [];
  let at = 0;
  for (const { 0: found, index } of text.matchAll(pattern)) {
    if (index > at) spans.push({ text: text.slice(at, index), match: false });
    spans.push({ text: found, match: true });
    at = index + found.length;
  }
  if (at < text.length) spans.push({ text: text.slice(at), match: false });
  return spans;
}

/** `text` split at the matches of `pattern`, or, inverted, at what lies between them. */
function split(text: string, pattern: RegExp, behavior: Behavior, invert = false): string[] {
  const spans = spansOf(text, pattern).map(({ text, match }) => ({ text, match: match !== invert }));
  return joined(spans, behavior).filter((piece) => piece !== "");
}

function joined(spans: readonly Span[], behavior: Behavior): string[] {
  switch (behavior) {
    case "Removed":
      return spans.filter(({ match }) => !match).map(({ text }) => text);
    case "Isolated":
      return spans.map(({ text }) => text);
    case "Contiguous":
      return join(spans, (span, before) => span.match === before?.match);
    case "MergedWithPrevious":
      return join(spans, (span, before) => span.match && before?.match === false);
    case "MergedWithNext":
      return join(spans, (span, before) => before?.match === true && !span.match);
  }
}

/** Each span put to the one before it where `together` says so. */
function join(spans: readonly Span[], together: (span: Span, before: Span | undefined) => boolean): string[] {
  const pieces: string[] = [];
  spans.forEach((span, i) => {
    if (pieces.length > 0 && together(span, spans[i - 1])) pieces[pieces.length - 1] += span.text;
    else pieces.push(span.text);
  });
  return pieces;
}

function behaviorOf(part: Component, fallback: Behavior): Behavior {
  const name = optional(part, "behavior", "string", fallback);
  const found = behaviors.find((each) => each === name);
  if (found === undefined) throw part.wrong(`behavior must be one of ${behaviors.join(", ")}; got "${name}"`);
  return found;
}

const spaces = /\p{White_Space}/gu;
const punctuation = /[\p{P}!-/:-@[-`{-~]/gu;
/** Of the regex crate, whose `\w` has the joiners. */
const words = new RegExp(`[${WORD}\\p{Join_Control}]+|[^${WORD}\\p{Join_Control}\\p{White_Space}]+`, "gu");
const gpt2 = new RegExp(
  "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"
    .replaceAll("\\s", "\\p{White_Space}")
    .replaceAll("\\S", "\\P{White_Space}"),
  "gu",
);
const utf8 = new TextEncoder();
const asBytes = (text: string): string =>
  Array.from(utf8.encode(text), (byte) => byteCharacters[byte]!).join("");

function byteLevel(part: Component): PreTokenize {
  const prefix = optional(part, "add_prefix_space", "boolean", true);
  const useRegex = optional(part, "use_regex", "boolean", true);
  return (given) => {
    const text = prefix && !given.startsWith(" ") ? ` ${given}` : given;
    return (useRegex ? split(text, gpt2, "Isolated") : [text]).map(asBytes);
  };
}

function metaspace(part: Component): PreTokenize {
  const mark = optional(part, "replacement", "string", "▁");
  if ([...mark].length !== 1) throw part.wrong(`replacement must be one character; got "${mark}"`);
  const prefix = optional(part, "add_prefix_space", "boolean", true) ? "always" : "never";
  const scheme = optional(part, "prepend_scheme", "string", prefix);
  if (!["always", "first", "never"].includes(scheme)) {
    throw part.wrong(`prepend_scheme must be always, first or never; got "${scheme}"`);
  }
  const apart = optional(part, "split", "boolean", true);
  const marks = new RegExp(mark.replace(/[\^$\\.*+?()[\]{}|/]/, "\\$&"), "gu");
  return (given, first) => {
    let text = given.replaceAll(" ", () => mark);
    const wanted = scheme === "always" || (scheme === "first" && first);
    if (wanted && !text.startsWith(mark)) text = mark + text;
    return apart ? split(text, marks, "MergedWithNext") : [text];
  };
}

const kinds: Readonly<Record<string, (part: Component) => PreTokenize>> = {
  BertPreTokenizer: () => (text) =>
    split(text, spaces, "Removed").flatMap((piece) => split(piece, punctuation, "Isolated")),
  ByteLevel: byteLevel,
  CharDelimiterSplit: (part) => {
    const delimiter = optional(part, "delimiter", "string", "");
    if ([...delimiter].length !== 1) throw part.wrong(`delimiter must be one character; got "${delimiter}"`);
    return (text) => text.split(delimiter).filter((piece) => piece !== "");
  },
  Digits: (part) => {
    const behavior = optional(part, "individual_digits", "boolean", false) ? "Isolated" : "Contiguous";
    return (text) => split(text, /\p{N}/gu, behavior);
  },
  FixedLength: (part) => {
    const length = optional(part, "length", "number", 5);
    if (!Number.isInteger(length) || length < 1) throw part.wrong(`length must be at least 1; got ${length}`);
    return (text) => text.match(new RegExp(`[\\s\\S]{1,${length}}`, "gu")) ?? [];
  },
  Metaspace: metaspace,
  Punctuation: (part) => {
    const behavior = behaviorOf(part, "Isolated");
    return (text) => split(text, punctuation, behavior);
  },
  Split: (part) => {
    const pattern = patternOf(part);
    const behavior = behaviorOf(part, "Removed");
    const invert = optional(part, "invert", "boolean", false);
    return (text) => split(text, pattern, behavior, invert);
  },
  Whitespace: () => (text) => split(text, words, "Removed", true),
  WhitespaceSplit: () => (text) => split(text, spaces, "Removed"),
  Sequence: (part) => {
    const parts = part.json.pretokenizers;
    if (!Array.isArray(parts)) throw part.wrong("pretokenizers must be a list");
    const all = parts.map((json, i) => preTokenizerOf(json, part.where, `${part.key}.pretokenizers[${i}]`));
    return (text, first) =>
      all.reduce<string[]>(
        (pieces, each) =>
          // What was taken off the start leaves no piece that begins the text.
          pieces.flatMap((piece, i) => each(piece, first && i === 0 && text.startsWith(piece))),
        [text],
      );
  },
};

/** Throws a `UsageError` naming the key for a kind that is not built, or a setting that cannot be. */
export function preTokenizerOf(json: unknown, where: string, key = "pre_tokenizer"): PreTokenize {
  if (json === null || json === undefined) return (text) => [text];
  const part = componentOf(isRecord(json) ? json : {}, where, key, kinds);
  return kinds[part.kind]!(part);
}
