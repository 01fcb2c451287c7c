/** Tokens that are found in a text before all else, as Hugging Face's Rust library finds them. */

import { UsageError } from "../../../core/errors.js";
import { MAX_IDS } from "../byte-pairs.js";
import { isRecord } from "./component.js";
import { WORD } from "./pattern.js";

export interface AddedToken {
  readonly content: string;
  readonly id: number;
  /** Only where no letters or digits touch it. */
  readonly singleWord: boolean;
  /** Takes the white space before it, or after it, too. */
  readonly left: boolean;
  readonly right: boolean;
  /** Found in normalized text, by its own normalized form. */
  readonly normalized: boolean;
}

/** `added_tokens` of a file. Throws a `UsageError` naming the place of one that is not whole. */
export function addedTokensIn(list: unknown, where: string): AddedToken[] {
  if (list === undefined || list === null) return [];
  if (!Array.isArray(list))
    throw new UsageError(`${where}: added_tokens must be a list. Give a whole tokenizer.json.`);
  return list.map((token, i) => {
    const { content, id, single_word, lstrip, rstrip, special, normalized } = isRecord(token) ? token : {};
    const isId = Number.isInteger(id) && (id as number) >= 0 && (id as number) < MAX_IDS;
    if (typeof content !== "string" || !isId) {
      throw new UsageError(
        `${where}: added_tokens[${i}] must have content and an id; got ${JSON.stringify(token)}. Give a whole tokenizer.json.`,
      );
    }
    return {
      content,
      id: id as number,
      singleWord: single_word === true,
      left: lstrip === true,
      right: rstrip === true,
      normalized: (normalized ?? special !== true) === true,
    };
  });
}

/** A part of a text: an id, or text between. */
export type Section = number | string;

const escapeText = (text: string): string => text.replace(/[\^$\\.*+?()[\]{}|/]/g, "\\$&");
const BLANK = "\\p{White_Space}*";

/**
 * Cuts a text at tokens: the leftmost first, the longest of several. `contentOf` gives what each is found by.
 */
export function splitterOf(
  tokens: readonly AddedToken[],
  contentOf: (token: AddedToken) => string,
): (text: string) => Section[] {
  const found = tokens
    .map((token) => ({ token, content: contentOf(token) }))
    .filter(({ content }) => content !== "")
    .sort((a, b) => b.content.length - a.content.length);
  if (found.length === 0) return (text) => (text === "" ? [] : [text]);
  const byContent = new Map<string, number>();
  for (const { token, content } of found) if (!byContent.has(content)) byContent.set(content, token.id);
  const alternatives = found.map(({ token, content }, i) => {
    const bare = `(?<t${i}>${escapeText(content)})`;
    const alone = token.singleWord ? `(?<![${WORD}])${bare}(?![${WORD}])` : bare;
    return `${token.left ? BLANK : ""}${alone}${token.right ? BLANK : ""}`;
  });
  const pattern = new RegExp(alternatives.join("|"), "gu");
  return (text) => {
    const sections: Section[] = [];
    let at = 0;
    for (const match of text.matchAll(pattern)) {
      if (match.index > at) sections.push(text.slice(at, match.index));
      const content = Object.values(match.groups!).find((group) => group !== undefined)!;
      sections.push(byContent.get(content)!);
      at = match.index + match[0].length;
    }
    if (at < text.length) sections.push(text.slice(at));
    return sections;
  };
}
