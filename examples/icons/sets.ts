/**
 * Which icon sets are trained on, and which are the six shifted test sets: chosen by their style, their hand and the number of
 * things that they share with the others, before anything was trained.
 */

/** What `collections.json` of `@iconify/json` says of a set. */
export interface Collection {
  readonly name: string;
  readonly author: { readonly name: string; readonly url?: string };
  readonly license: { readonly title: string; readonly spdx?: string; readonly url?: string };
  readonly category?: string;
  readonly version?: string;
}

/** A style that is never trained on, and the set that stands for it in the tests. */
export interface ShiftedStyle {
  readonly name: string;
  readonly about: string;
  /** The set that is tested on. */
  readonly set: string;
  /** The sets that are left out of training: those of the same hand or the same style. */
  readonly family: RegExp;
  readonly ground?: string;
  readonly ink?: string;
}

export const SHIFTED_STYLES: readonly ShiftedStyle[] = [
  {
    name: "silhouettes",
    about: "white silhouettes on black, as of a woodcut",
    set: "game-icons",
    family: /^game-icons$/,
    ground: "#000",
    ink: "#fff",
  },
  {
    name: "pixel-art",
    about: "drawn in squares of a coarse grid",
    set: "pixelarticons",
    family: /^(?:pixelarticons|pixel|streamline-pixel|memory|dinkie-icons)$/,
  },
  { name: "pencil", about: "thin strokes with open ends", set: "pepicons-pencil", family: /^pepicons/ },
  { name: "two-tone", about: "outlines with a grey area", set: "icon-park-twotone", family: /^icon-park/ },
  { name: "flat-colour", about: "areas of colour without outlines", set: "glyphs-poly", family: /^glyphs/ },
  { name: "emoji-lines", about: "emoji as black drawings", set: "emojione-monotone", family: /^emojione/ },
];

/** Logos and flags name what they stand for, not what they show. */
const LEFT_OUT = new Set(["Logos", "Flags / Maps"]);

/** Whether a set may be used: its licence lets everybody use it for anything, and it draws things. */
export const isUsable = ({ license, category }: Collection): boolean =>
  license.spdx !== undefined && !/NC|GPL/.test(license.spdx) && !LEFT_OUT.has(category ?? "");

/** The style that a set is kept for, if it is not trained on. */
export const shiftedStyleOf = (prefix: string): ShiftedStyle | undefined =>
  SHIFTED_STYLES.find(({ family }) => family.test(prefix));
