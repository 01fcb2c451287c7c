/**
 * What an icon set draws, under names that all sets share. The sets of `@iconify-json` disagree: one says
 * `hugging-face`, another `smiling-face-with-open-hands`; one `flag-for-flag-mali`, another `flag-mali`. Where
 * a set has `chars.json` (Unicode sequence → icon) the sequence is what the sets agree on; where it has not,
 * its names and aliases are looked up among those of the sets that have.
 */
import type { IconSet } from "../drawings/iconify.js";

/** One thing: what all its drawings are drawings of. */
export interface Thing {
  /** The name most training sets use, lower case: `hugging face`, `flag: mali`. No two things share one. */
  readonly name: string;
  /** The other names that the training sets know it by. */
  readonly aliases: readonly string[];
  /** `smileys & emotion`, `people & body`, …; `other` where no set says. */
  readonly category: string;
}

/** One picture to render: an icon of a set, of a thing. */
export interface Drawing {
  readonly set: IconSet;
  /** Name in the set; a key of `icons`, or of `aliases` where the alias is mirrored or turned. */
  readonly icon: string;
  readonly thing: Thing;
}

export interface Catalogue {
  readonly things: readonly Thing[];
  /** Drawings of the training sets, in the order of the sets. */
  readonly training: readonly Drawing[];
  /** Drawings of the held-out sets whose thing occurs in training. */
  readonly heldOut: readonly Drawing[];
  /** Held-out icons left out because no training set names such a thing: `prefix:icon`. */
  readonly unknown: readonly string[];
}

const TONES = new Set(["1f3fb", "1f3fc", "1f3fd", "1f3fe", "1f3ff"]);
const TONE_IN_NAME = /(^|-)((medium-)?(light|dark)|medium)-skin-tone(-|$)|-tone[1-5](-|$)/;
const TEXT_STYLE = /^fe0[ef]$/;

/**
 * The human form of an icon's name: hyphens become blanks, and the four spellings of a flag
 * (`flag-mali`, `flag-for-mali`, `flag-for-flag-mali`, category Flags) one: `flag: mali`.
 */
export function humanName(icon: string, category = ""): string {
  const text = icon.replaceAll("-", " ").trim();
  const country =
    /^flag for (?:flag )?(.+)$/.exec(text) ?? (category === "flags" ? /^flag (.+)$/.exec(text) : null);
  if (country === null) return text;
  const rest = country[1]!;
  return /\bflags?$/.test(rest) ? rest : `flag: ${rest}`;
}

/** Whether an icon is one of the five skin-tone versions (or a swatch of a tone), by sequence or by name. */
export function hasSkinTone(icon: string, sequence?: string): boolean {
  if (sequence?.split("-").some((part) => TONES.has(part)) === true) return true;
  return TONE_IN_NAME.test(icon);
}

/** One spelling of a category: `Animals & Nature`, `Animals Nature` and `Nature` are `animals & nature`. */
export function categoryName(category: string): string {
  const words = category.toLowerCase().replaceAll("&", " ").trim().split(/\s+/);
  const known = CATEGORIES.find((name) => words.every((word) => name.split(" ").includes(word)));
  return known ?? words.join(" ");
}

const CATEGORIES = [
  "smileys & emotion",
  "people & body",
  "animals & nature",
  "food & drink",
  "travel & places",
  "activities",
  "objects",
  "symbols",
  "flags",
];

/** Names, categories and drawings of `training` sets; the `heldOut` sets add drawings of things already named. */
export function catalogue(training: readonly IconSet[], heldOut: readonly IconSet[]): Catalogue {
  const known = training.map(readSet);
  const sequences = sequencesByName(known);
  const members = new Map<string, Entry[]>();
  for (const entry of known.flat()) {
    const identity = identify(entry, sequences);
    members.set(identity, [...(members.get(identity) ?? []), entry]);
  }
  const things = nameThings(members);
  const identityOfName = new Map<string, string>();
  for (const [identity, entries] of members)
    for (const name of entries.flatMap((entry) => entry.names))
      if (!identityOfName.has(name)) identityOfName.set(name, identity);

  const unknown: string[] = [];
  const drawings = (entries: readonly Entry[]): Drawing[] =>
    entries.flatMap((entry) => {
      const identity = [
        identify(entry, sequences),
        ...entry.names.map((name) => identityOfName.get(name) ?? ""),
      ].find((candidate) => things.has(candidate));
      if (identity !== undefined) return [{ set: entry.set, icon: entry.icon, thing: things.get(identity)! }];
      unknown.push(`${entry.set.prefix}:${entry.icon}`);
      return [];
    });
  return {
    things: [...new Set(things.values())].sort((a, b) => (a.name < b.name ? -1 : 1)),
    training: drawings(known.flat()),
    heldOut: drawings(heldOut.flatMap(readSet)),
    unknown,
  };
}

/** An icon with everything its own set says of it. */
interface Entry {
  readonly set: IconSet;
  readonly icon: string;
  /** Human names: the icon's own, then its aliases. */
  readonly names: readonly string[];
  /** Unicode sequence without variation selectors, where the set tells. */
  readonly sequence?: string;
  readonly category?: string;
}

/** The icons of a set that are drawings of ours: visible and without a skin tone. */
function readSet(set: IconSet): Entry[] {
  const categories = new Map<string, string>();
  for (const [category, icons] of Object.entries(set.categories))
    for (const icon of icons) if (!categories.has(icon)) categories.set(icon, categoryName(category));

  const aliases = new Map<string, string[]>();
  const transformed: string[] = [];
  for (const [alias, { parent, hFlip, vFlip, rotate }] of Object.entries(set.aliases)) {
    if (hFlip === true || vFlip === true || rotate !== undefined) transformed.push(alias);
    else aliases.set(parent, [...(aliases.get(parent) ?? []), alias]);
  }

  const sequences = new Map<string, string>();
  for (const [sequence, name] of Object.entries(set.chars)) {
    const plain = sequence
      .toLowerCase()
      .split("-")
      .filter((part) => !TEXT_STYLE.test(part))
      .join("-");
    const alias = set.aliases[name];
    const icon = alias === undefined || transformed.includes(name) ? name : alias.parent;
    // A set may give a drawing a private sequence too (OpenMoji: e000 to f8ff); the public one is what others know.
    if (!sequences.has(icon) || isPrivate(sequences.get(icon)!)) sequences.set(icon, plain);
  }

  const icons = Object.keys(set.icons).filter((icon) => set.icons[icon]!.hidden !== true);
  return [...icons, ...transformed].flatMap((icon) => {
    const sequence = sequences.get(icon);
    const parent = set.icons[icon] === undefined ? set.aliases[icon]!.parent : icon;
    if (hasSkinTone(icon, sequence) || hasSkinTone(parent, sequences.get(parent))) return [];
    const own = [icon, ...(aliases.get(icon) ?? [])];
    const category = own.map((name) => categories.get(name)).find((found) => found !== undefined);
    const names = [...new Set(own.map((name) => humanName(name, category)))];
    return [
      {
        set,
        icon,
        names,
        ...(sequence !== undefined && { sequence }),
        ...(category !== undefined && { category }),
      },
    ];
  });
}

const isPrivate = (sequence: string): boolean => {
  const code = Number.parseInt(sequence, 16);
  return code >= 0xe000 && code <= 0xf8ff;
};

/** Human name → sequence, from the sets that tell sequences; an icon's own name before another's alias. */
function sequencesByName(sets: readonly (readonly Entry[])[]): Map<string, string> {
  const found = new Map<string, string>();
  const note = (name: string, sequence: string) => {
    if (!found.has(name)) found.set(name, sequence);
  };
  const entries = sets.flat().filter((entry) => entry.sequence !== undefined);
  for (const { names, sequence } of entries) note(names[0]!, sequence!);
  for (const { names, sequence } of entries) for (const name of names) note(name, sequence!);
  return found;
}

/** What makes two icons drawings of one thing: the same sequence, else the same name. */
function identify(entry: Entry, sequences: ReadonlyMap<string, string>): string {
  if (entry.sequence !== undefined) return entry.sequence;
  return (
    entry.names.map((name) => sequences.get(name)).find((found) => found !== undefined) ?? entry.names[0]!
  );
}

/** Each identity's thing. The most frequent name wins, the earlier set's in a tie; equal names are one thing. */
function nameThings(members: ReadonlyMap<string, readonly Entry[]>): Map<string, Thing> {
  const byName = new Map<string, { identities: string[]; aliases: Set<string>; categories: string[] }>();
  for (const [identity, entries] of members) {
    const name = mostFrequent(entries.map((entry) => entry.names[0]!));
    const group = byName.get(name) ?? { identities: [], aliases: new Set<string>(), categories: [] };
    group.identities.push(identity);
    for (const entry of entries) {
      for (const alias of entry.names) if (alias !== name) group.aliases.add(alias);
      if (entry.category !== undefined) group.categories.push(entry.category);
    }
    byName.set(name, group);
  }
  const things = new Map<string, Thing>();
  for (const [name, { identities, aliases, categories }] of byName) {
    const category = categories.length === 0 ? "other" : mostFrequent(categories);
    const thing = { name, aliases: [...aliases], category };
    for (const identity of identities) things.set(identity, thing);
  }
  return things;
}

function mostFrequent(values: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].reduce((best, next) => (next[1] > best[1] ? next : best))[0];
}
