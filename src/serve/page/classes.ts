/** Classes that a visitor names, and how likely each is for the pictures. */

import { probabilities } from "../search/probabilities.js";
import type { PictureSource } from "./source.js";

export interface Guess {
  readonly name: string;
  /** 0 … 1 */
  readonly probability: number;
}

/** The names in a text, separated by commas or lines, each once. */
export const namesIn = (text: string): string[] => [
  ...new Set(
    text
      .split(/[,\n]/)
      .map((name) => name.trim())
      .filter(Boolean),
  ),
];

export class Classes {
  /** Of each name its class's vector. */
  private classes: { readonly name: string; readonly vector: Float32Array }[] = [];
  private readonly vectors = new Map<number, Float32Array>();

  constructor(
    private readonly source: Pick<PictureSource, "embedTexts" | "vectors">,
    private readonly scale: () => number,
  ) {}

  get names(): readonly string[] {
    return this.classes.map(({ name }) => name);
  }

  vectorOf = (name: string): Float32Array | undefined =>
    this.classes.find((each) => each.name === name)?.vector;

  /** Takes other classes; fewer than two are none. */
  async set(names: readonly string[], template: string): Promise<void> {
    if (names.length < 2) {
      this.classes = [];
      return;
    }
    const sentence = /\{c?\}/.test(template) ? template : `${template} {c}`;
    const vectors = await this.source.embedTexts(
      names.map((name) => sentence.replace(/\{c?\}/g, () => name)),
    );
    this.classes = names.map((name, i) => ({ name, vector: vectors[i]! }));
  }

  /** Forgets the pictures' vectors: they are others now. */
  clear(): void {
    this.vectors.clear();
  }

  /** Fetches the vectors of rows that are not there yet. */
  async know(rows: readonly number[]): Promise<void> {
    const missing = rows.filter((row) => !this.vectors.has(row));
    if (missing.length === 0 || this.classes.length === 0) return;
    const vectors = await this.source.vectors(missing);
    for (const [i, row] of missing.entries()) this.vectors.set(row, vectors[i]!);
  }

  /** The classes of a row that is known, the likeliest first; none without classes. */
  guesses(row: number): Guess[] {
    const vector = this.vectors.get(row);
    if (vector === undefined || this.classes.length === 0) return [];
    const cosines = this.classes.map((each) => {
      let sum = 0;
      for (let k = 0; k < vector.length; k++) sum += each.vector[k]! * vector[k]!;
      return sum;
    });
    const likely = probabilities(cosines, this.scale());
    return this.classes
      .map(({ name }, c) => ({ name, probability: likely[c]! }))
      .sort((a, b) => b.probability - a.probability);
  }
}
