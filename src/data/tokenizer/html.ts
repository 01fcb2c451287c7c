/** HTML character references in captions, decoded as the HTML standard says and as ftfy does. */

import { htmlEntityTable } from "./html-entities.js";

/** Text by name; names end in a semicolon except those that HTML also takes without one. */
const named = new Map<string, string>();
for (const word of htmlEntityTable.trimEnd().split(" ")) {
  const [name, codes] = word.split("=") as [string, string];
  const text = String.fromCodePoint(...codes.split("+").map((code) => Number.parseInt(code, 16)));
  const bare = name.replace("!", "");
  named.set(`${bare};`, text);
  if (name !== bare) named.set(bare, text);
}

/** Windows-1252's characters for bytes 80 to 9F; its five holes are controls. Node's own decoder gives Latin-1 here. */
const upperControls = "€\x81‚ƒ„…†‡ˆ‰Š‹Œ\x8dŽ\x8f\x90‘’“”•–—˜™š›œ\x9džŸ";

/** The character of a byte in Windows-1252, as HTML and browsers have it. */
export const windows1252 = (byte: number): string =>
  byte >= 0x80 && byte <= 0x9f ? upperControls[byte - 0x80]! : String.fromCharCode(byte);

const isNoncharacter = (code: number): boolean =>
  (code & 0xfffe) === 0xfffe || (code >= 0xfdd0 && code <= 0xfdef);

const isControl = (code: number): boolean =>
  (code < 0x20 && code !== 9 && code !== 10 && code !== 12) || code === 127;

/** What a numeric reference stands for: HTML's rules for code points that are not characters. */
function fromCode(code: number): string {
  if (code === 0) return "\ufffd";
  if (code === 0x0d) return "\r";
  if (code >= 0x80 && code <= 0x9f) return windows1252(code);
  if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return "\ufffd";
  return isControl(code) || isNoncharacter(code) ? "" : String.fromCodePoint(code);
}

function fromNumeric(reference: string): string {
  const digits = reference.replace(/;$/, "");
  return fromCode(
    /^#x/i.test(digits) ? Number.parseInt(digits.slice(2), 16) : Number.parseInt(digits.slice(1), 10),
  );
}

function fromName(name: string): string {
  const whole = named.get(name);
  if (whole !== undefined) return whole;
  for (let end = name.length - 1; end > 1; end--) {
    const text = named.get(name.slice(0, end));
    if (text !== undefined) return text + name.slice(end);
  }
  return `&${name}`;
}

/**
 * `text` with its character references decoded once, equal to Python's `html.unescape`: named ones with or
 * without a semicolon where HTML allows that, by longest match, and numeric ones.
 */
export function unescapeHtml(text: string): string {
  if (!text.includes("&")) return text;
  return text.replace(/&(#[0-9]+;?|#[xX][0-9a-fA-F]+;?|[^\t\n\f <&#;]{1,32};?)/gu, (_, reference: string) =>
    reference.startsWith("#") ? fromNumeric(reference) : fromName(reference),
  );
}

/** Names in capitals, such as `EACUTE;`, that HTML does not know but databases hold. */
const capitals = new Map<string, string>();
for (const [name, text] of named) {
  const upper = name.toUpperCase();
  if (!name.endsWith(";") || name !== name.toLowerCase()) continue;
  if (unescapeHtml(`&${upper}`) === `&${upper}`) capitals.set(upper, text.toUpperCase());
}

/** As `unescapeHtml`, but only references that end in a semicolon, and all-capital names too (ftfy's rule). */
export function unescapeCertainHtml(text: string): string {
  if (!text.includes("&")) return text;
  return text.replace(/&(#?[0-9A-Za-z]{1,24};)/g, (match, reference: string) => {
    if (!reference.startsWith("#")) return named.get(reference) ?? capitals.get(reference) ?? match;
    if (!/^#(x[0-9a-f]+|[0-9]+);$/i.test(reference)) return match;
    return fromNumeric(reference);
  });
}
