/**
 * What a drawing of an icon set shows, in words: the icon's name without the words that say how it is drawn.
 * `home-outline-24px`, `home-01`, `baseline-home` are all drawings of `home`.
 */
import type { IconSet } from "../drawings/iconify.js";

/** A set as packed by Iconify: with the endings and beginnings that its author gives to versions of one drawing. */
export interface ThemedSet extends IconSet {
  readonly suffixes?: Readonly<Record<string, string>>;
  readonly prefixes?: Readonly<Record<string, string>>;
}

/** One drawing: a thing as a set shows it. */
export interface NamedDrawing {
  readonly set: ThemedSet;
  /** A key of the set's `icons`. */
  readonly icon: string;
  /** Blanks between words, lower case. */
  readonly name: string;
  /** Other names that the set knows the drawing by. */
  readonly aliases: readonly string[];
}

/** Words that say how something is drawn, whatever the set. */
const STYLE = new Set(
  "outline outlined outlines filled fill linear lined duotone duo twotone baseline remix 24px 16px 20px 32px".split(
    " ",
  ),
);

/** Words that may belong to the thing (`traffic light`): taken off only where the set has the name without them too. */
const PERHAPS_STYLE = new Set(
  "light thin regular bold solid sharp round rounded line broken flat print small large mini alt stroke color colored colour square circle big tone".split(
    " ",
  ),
);

const isNumber = (word: string): boolean => /^\d{1,3}$/.test(word);

/** The words of an icon's name that say what it shows; at least one. */
export function thingWords(
  icon: string,
  { icons, suffixes = {}, prefixes = {} }: Pick<ThemedSet, "icons" | "suffixes" | "prefixes">,
): readonly string[] {
  let rest = icon.toLowerCase();
  for (const prefix of byLength(prefixes)) {
    if (rest.startsWith(`${prefix}-`)) rest = rest.slice(prefix.length + 1);
  }
  for (let before = ""; before !== rest; ) {
    before = rest;
    for (const suffix of byLength(suffixes)) {
      if (rest.endsWith(`-${suffix}`)) rest = rest.slice(0, -suffix.length - 1);
    }
    const words = rest.split("-");
    const last = words.at(-1)!;
    if (words.length === 1) break;
    const shorter = words.slice(0, -1).join("-");
    if (STYLE.has(last) || isNumber(last) || (PERHAPS_STYLE.has(last) && shorter in icons)) rest = shorter;
  }
  // A version's number may be glued to the last word: `bank3` beside `bank`.
  const bare = rest.replace(/\d$/, "");
  if (bare !== rest && bare !== "" && bare in icons) rest = bare;
  const words = rest.split("-").filter((word) => word !== "");
  const named = words.filter((word, at) => !STYLE.has(word) || (at === 0 && words.length === 1));
  return named.length === 0 ? [icon] : named;
}

/** The drawings of a set, one a thing: of several versions the one with the shortest name, the earliest of equals. */
export function drawingsOf(set: ThemedSet): readonly NamedDrawing[] {
  const aliases = new Map<string, string[]>();
  for (const [alias, { parent, hFlip, vFlip, rotate }] of Object.entries(set.aliases ?? {})) {
    if (hFlip === true || vFlip === true || rotate !== undefined) continue;
    aliases.set(parent, [...(aliases.get(parent) ?? []), thingWords(alias, set).join(" ")]);
  }
  const byName = new Map<string, { icon: string; aliases: Set<string> }>();
  for (const [icon, { hidden }] of Object.entries(set.icons)) {
    if (hidden === true) continue;
    const name = thingWords(icon, set).join(" ");
    const known = byName.get(name);
    const others = aliases.get(icon) ?? [];
    if (known === undefined) byName.set(name, { icon, aliases: new Set(others) });
    else {
      for (const other of others) known.aliases.add(other);
      if (icon.length < known.icon.length) known.icon = icon;
    }
  }
  return [...byName].map(([name, { icon, aliases: others }]) => {
    others.delete(name);
    return { set, icon, name, aliases: [...others] };
  });
}

const byLength = (themes: Readonly<Record<string, string>>): readonly string[] =>
  Object.keys(themes)
    .filter((theme) => theme !== "")
    .sort((a, b) => b.length - a.length);
