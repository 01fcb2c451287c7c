/** Patterns of a tokenizer.json: plain text, or a regular expression in Oniguruma's dialect, as JavaScript's. */

import { type Component, isRecord } from "./component.js";

/** What a word is made of for Rust's `\w`, without the joiners that its regex crate adds, and for Oniguruma's in a set. */
export const WORD = "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}";
/** Outside of sets Oniguruma also takes these signs of Latin-1. */
const WORD_ALONE = `${WORD}\\xb2\\xb3\\xb9\\xbc-\\xbe`;
const BEFORE = `(?<=[${WORD_ALONE}])`;
const NOT_BEFORE = `(?<![${WORD_ALONE}])`;
const AFTER = `(?=[${WORD_ALONE}])`;
const NOT_AFTER = `(?![${WORD_ALONE}])`;

/** Escapes that mean something else in JavaScript, outside of sets and within; undefined where they may not stand. */
const escapes: Readonly<Record<string, readonly [outside: string, inside?: string]>> = {
  s: ["\\p{White_Space}", "\\p{White_Space}"],
  S: ["\\P{White_Space}", "\\P{White_Space}"],
  d: ["\\p{Nd}", "\\p{Nd}"],
  D: ["\\P{Nd}", "\\P{Nd}"],
  w: [`[${WORD_ALONE}]`, WORD],
  W: [`[^${WORD_ALONE}]`],
  b: [`(?:${NOT_BEFORE}${AFTER}|${BEFORE}${NOT_AFTER})`],
  B: [`(?:${NOT_BEFORE}${NOT_AFTER}|${BEFORE}${AFTER})`],
  h: ["[0-9A-Fa-f]", "0-9A-Fa-f"],
  A: ["(?<![\\s\\S])"],
  z: ["(?![\\s\\S])"],
  Z: ["(?=\\n?(?![\\s\\S]))"],
};

/** Other letters that are one with these where case does not count. */
const folds: Readonly<Record<string, string>> = { s: "\u017f", k: "\u212a" };

/** A letter without regard to case, as a set. */
const foldCase = (letter: string): string => {
  const small = letter.toLowerCase();
  return `[${small}${letter.toUpperCase()}${folds[small] ?? ""}]`;
};

const SYNTAX = /[\^$\\.*+?()[\]{}|/]/g;
const escapeText = (text: string): string => text.replace(SYNTAX, "\\$&");

/**
 * An expression of Oniguruma as JavaScript reads it. Throws an `Error` naming what has no equal: named and atomic
 * groups, options other than `(?i:`, possessive quantifiers, sets within sets, and rare escapes.
 */
export function fromOniguruma(source: string): RegExp {
  let out = "";
  /** Of each open group: whether case counts in it. */
  const groups: boolean[] = [true];
  let inSet = false;
  let at = 0;
  const take = (text: string, length: number): void => {
    out += text;
    at += length;
  };
  while (at < source.length) {
    const rest = source.slice(at);
    const one = String.fromCodePoint(rest.codePointAt(0)!);
    const folded = groups.at(-1) === false;
    if (one === "\\") take(...escapeOf(rest, inSet));
    else if (inSet) {
      if (one === "[" || rest.startsWith("&&"))
        throw new Error(`the set within a set "${rest.slice(0, 9)}" is not read`);
      if (folded && /\p{L}/u.test(one))
        throw new Error("letters in a set without regard to case are not read");
      if (one === "]") inSet = false;
      take(one, one.length);
    } else if (one === "[") {
      inSet = true;
      take(rest[1] === "^" ? "[^" : "[", rest[1] === "^" ? 2 : 1);
    } else if (one === "(") {
      const opening = /^\((?:\?(?:i:|[:=!]|<[=!]))?/.exec(rest)![0];
      if (opening === "(" && rest[1] === "?") throw new Error(`the group "${rest.slice(0, 5)}" is not read`);
      groups.push(opening === "(?i:" ? false : groups.at(-1)!);
      take(opening === "(?i:" || opening === "(" ? "(?:" : opening, opening.length);
    } else if (one === ")") {
      groups.pop();
      take(one, 1);
    } else if (/^(?:[*+?]|\{\d*,?\d*\})\+/.test(rest)) throw new Error("a possessive quantifier is not read");
    else if (one === ".") take("[^\\n]", 1);
    else if (one === "^") take("(?<![^\\n])", 1);
    else if (one === "$") take("(?![^\\n])", 1);
    else if (folded && /\p{L}/u.test(one)) take(foldCase(one), one.length);
    else take(one, one.length);
  }
  return new RegExp(out, "gu");
}

/** What an escape at the start of `rest` is in JavaScript, and how long it is. */
function escapeOf(rest: string, inSet: boolean): [text: string, length: number] {
  const name = rest[1] ?? "";
  if (Object.hasOwn(escapes, name)) {
    const meant = escapes[name]![inSet ? 1 : 0];
    if (meant === undefined) throw new Error(`\\${name} within a set is not read`);
    return [meant, 2];
  }
  const property = /^\\[pP]\{(\w+)\}/.exec(rest);
  if (property !== null) return [propertyOf(property[0]), property[0].length];
  const code = /^\\x(?:\{([0-9A-Fa-f]{1,6})\}|([0-9A-Fa-f]{2}))|^\\u([0-9A-Fa-f]{4})/.exec(rest);
  if (code !== null) return [`\\u{${code[1] ?? code[2] ?? code[3]}}`, code[0].length];
  if (/[tnrfv]/.test(name)) return [`\\${name}`, 2];
  if (name === "" || /[\p{L}\p{N}]/u.test(name)) throw new Error(`"${rest.slice(0, 6)}" is not read`);
  const character = String.fromCodePoint(rest.codePointAt(1)!);
  return [inSet && character === "-" ? "\\-" : escapeText(character), 1 + character.length];
}

/** A script's bare name with its `Script=`. */
function propertyOf(braced: string): string {
  try {
    new RegExp(braced, "u");
    return braced;
  } catch {
    return braced.replace("{", "{Script=");
  }
}

/** The `pattern` of a part. Throws a `UsageError` naming what cannot be read. */
export function patternOf(part: Component): RegExp {
  const { pattern } = part.json;
  if (isRecord(pattern) && typeof pattern.String === "string")
    return new RegExp(escapeText(pattern.String), "gu");
  if (!isRecord(pattern) || typeof pattern.Regex !== "string") {
    throw part.wrong(`pattern must have a String or a Regex; got ${JSON.stringify(pattern)}`);
  }
  try {
    return fromOniguruma(pattern.Regex);
  } catch (error) {
    const why = (error as Error).message.split("\n")[0];
    throw part.wrong(`pattern must be an expression that JavaScript can read alike; ${why}`);
  }
}
