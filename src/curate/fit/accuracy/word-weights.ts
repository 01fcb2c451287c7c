/** How alike captions are by their words: TF-IDF, as scikit-learn's TfidfVectorizer(sublinear_tf=True) has it. */

/** Words in small letters, of two letters or digits at least: scikit-learn's `\b\w\w+\b`. */
const WORD = /[\p{L}\p{N}\p{M}_]{2,}/gu;
const wordsOf = (text: string): string[] => text.toLowerCase().match(WORD) ?? [];

/** A caption's words and their weights, of unit length; empty where no word is known. */
export type WordVector = ReadonlyMap<number, number>;

/** Weights of words by how rare they are among some captions. Memory grows with the distinct words. */
export class WordWeights {
  private readonly ids = new Map<string, number>();
  private readonly counts: number[] = [];
  private captions = 0;

  /** Counts the words of a caption. */
  add(caption: string): void {
    this.captions++;
    for (const word of new Set(wordsOf(caption))) {
      let id = this.ids.get(word);
      if (id === undefined) {
        id = this.counts.length;
        this.ids.set(word, id);
        this.counts.push(0);
      }
      this.counts[id]!++;
    }
  }

  /** Weight (1 + ln tf) · (ln((1 + n) / (1 + df)) + 1) of each word, divided by the vector's length; unknown words count nothing. */
  vector(caption: string): WordVector {
    const times = new Map<number, number>();
    for (const word of wordsOf(caption)) {
      const id = this.ids.get(word);
      if (id !== undefined) times.set(id, (times.get(id) ?? 0) + 1);
    }
    let squares = 0;
    for (const [id, tf] of times) {
      const weight = (1 + Math.log(tf)) * (Math.log((1 + this.captions) / (1 + this.counts[id]!)) + 1);
      times.set(id, weight);
      squares += weight * weight;
    }
    for (const [id, weight] of times) times.set(id, weight / Math.sqrt(squares));
    return times;
  }
}

/** Cosine of two captions, 0 … 1; 0 where one has no known word. */
export function likeness(a: WordVector, b: WordVector): number {
  const [few, many] = a.size <= b.size ? [a, b] : [b, a];
  let sum = 0;
  for (const [id, weight] of few) sum += weight * (many.get(id) ?? 0);
  return sum;
}

/** The mean of some captions' vectors: its likeness to a caption is the mean of theirs. */
export function meanVector(captions: readonly WordVector[]): WordVector {
  const sum = new Map<number, number>();
  for (const caption of captions)
    for (const [id, weight] of caption) sum.set(id, (sum.get(id) ?? 0) + weight / captions.length);
  return sum;
}
