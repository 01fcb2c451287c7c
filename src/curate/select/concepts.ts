/** Which entries of a list stand in a text, as whole words; letters' case apart. */

/** As MetaCLIP's `spacing`: marks stand alone, blanks are one. */
const wordsOf = (text: string): string[] =>
  text
    .toLowerCase()
    .replace(/[,.;:?!`]/g, " $& ")
    .split(/\s+/)
    .filter((word) => word !== "");

/** Finds entries in texts. */
export class ConceptMatcher {
  /** Of entries without marks or blanks too many; the position is that of `counts`. */
  readonly entries: readonly string[];
  private readonly positions = new Map<string, number>();
  /** Of a first word the words of the longest entry that begins with it. */
  private readonly longest = new Map<string, number>();

  constructor(entries: Iterable<string>) {
    for (const entry of entries) {
      const words = wordsOf(entry);
      const [first] = words;
      const phrase = words.join(" ");
      if (first === undefined || this.positions.has(phrase)) continue;
      this.positions.set(phrase, this.positions.size);
      this.longest.set(first, Math.max(words.length, this.longest.get(first) ?? 0));
    }
    this.entries = [...this.positions.keys()];
  }

  /** Positions of the entries in a text, each once. */
  find(text: string): number[] {
    const words = wordsOf(text);
    const found = new Set<number>();
    for (let i = 0; i < words.length; i++) {
      const most = Math.min(this.longest.get(words[i]!) ?? 0, words.length - i);
      let phrase = "";
      for (let n = 0; n < most; n++) {
        phrase = n === 0 ? words[i]! : `${phrase} ${words[i + n]}`;
        const position = this.positions.get(phrase);
        if (position !== undefined) found.add(position);
      }
    }
    return [...found];
  }
}
