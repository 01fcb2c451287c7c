/** What a caption is by its characters and words alone. */

import type { CaptionFamily } from "../score.js";

/** The words of a text: what stands between blanks, as DataComp counts them. */
export const wordsOf = (text: string): string[] => text.split(/\s+/u).filter((word) => word !== "");

/** `part` of `whole`; NULL of nothing. */
const share = (part: number, whole: number): number | null => (whole === 0 ? null : part / whole);

const countOf = (text: string, pattern: RegExp): number => text.match(pattern)?.length ?? 0;

/** The longest run of one character, blanks left out. */
function longestRun(text: string): number {
  let [longest, run, last] = [0, 0, ""];
  for (const character of text) {
    run = character === last ? run + 1 : 1;
    last = character;
    if (run > longest && character.trim() !== "") longest = run;
  }
  return longest;
}

/** 1 less the share of distinct words, without regard to case. */
function repetition(words: readonly string[]): number | null {
  if (words.length === 0) return null;
  return 1 - new Set(words.map((word) => word.toLowerCase())).size / words.length;
}

export const wordsFamily: CaptionFamily = {
  name: "words",
  about: "How long a caption is, what characters it is made of, and how much it repeats itself.",
  how: "Characters are Unicode code points, words stand between blanks. Shares are of the characters that are no blanks.",
  source: "DataComp's basic filter (baselines/apply_filter.py): more than 2 words and 5 characters",
  over: "caption",
  byDefault: true,
  columns: [
    { name: "words", kind: "count", about: "Words between blanks." },
    { name: "characters", kind: "count", about: "Code points, blanks among them." },
    {
      name: "letter_share",
      kind: "number",
      unit: "share",
      better: "higher",
      about: "Letters and their marks, of the characters that are no blanks.",
    },
    {
      name: "digit_share",
      kind: "number",
      unit: "share",
      better: "lower",
      about: "Digits, of the characters that are no blanks.",
    },
    {
      name: "upper_share",
      kind: "number",
      unit: "share",
      about: "Capitals, of the letters that have a case; NULL where none has.",
    },
    {
      name: "repetition",
      kind: "number",
      unit: "share",
      better: "lower",
      about: "Words that stood there before, without regard to case: 1 - distinct words / words.",
    },
    {
      name: "longest_run",
      kind: "count",
      better: "lower",
      about: "Length of the longest run of one character, such as 4 in “wow!!!!”.",
    },
  ],
  async open() {
    return (caption) => {
      const words = wordsOf(caption);
      const visible = countOf(caption, /\S/gu);
      const upper = countOf(caption, /\p{Lu}/gu);
      return {
        words: words.length,
        characters: countOf(caption, /[\s\S]/gu),
        letter_share: share(countOf(caption, /[\p{L}\p{M}]/gu), visible),
        digit_share: share(countOf(caption, /\p{N}/gu), visible),
        upper_share: share(upper, upper + countOf(caption, /\p{Ll}/gu)),
        repetition: repetition(words),
        longest_run: longestRun(caption),
      };
    };
  },
};
