/** What is wrong with embedded texts, in words: texts that were cut, and texts that the model cannot tell apart. */

import { createHash } from "node:crypto";
import type { Features } from "../features/features.js";

/** At most one note: how many of the `kind` (`prompts`, `captions`) were cut; `cut` are their positions. */
export function cutNotes(kind: string, texts: readonly string[], cut: readonly number[]): string[] {
  const [first] = cut;
  if (first === undefined) return [];
  return [
    `${cut.length} of ${texts.length} ${kind} are longer than the model reads and were cut, e.g. "${texts[first]}"`,
  ];
}

/** At most one note: how many of the `kind` have the same embedding as another with other words. */
export function twinNotes(kind: string, words: readonly string[], features: Features): string[] {
  const twins = new Twins();
  twins.add(words, features.data, features.width);
  return twins.notes(kind);
}

/** Finds texts of other words and an embedding that is the same to the bit, while they go by in batches. */
export class Twins {
  /** The first text of each embedding, and whether another has come. */
  private readonly first = new Map<string, { readonly text: string; others: Set<string> | undefined }>();

  /** Texts with their vectors [texts.length, width], flat. */
  add(texts: readonly string[], vectors: Float32Array, width: number): void {
    for (const [i, text] of texts.entries()) {
      const row = vectors.subarray(i * width, (i + 1) * width);
      const key = createHash("sha1").update(row).digest("base64");
      const known = this.first.get(key);
      if (known === undefined) this.first.set(key, { text, others: undefined });
      else if (known.text !== text) {
        known.others ??= new Set();
        known.others.add(text);
      }
    }
  }

  /** At most one note; `kind` says what the texts are. */
  notes(kind: string): string[] {
    const groups = [...this.first.values()].filter(({ others }) => others !== undefined);
    const [example] = groups;
    if (example === undefined) return [];
    const count = groups.reduce((sum, { others }) => sum + 1 + others!.size, 0);
    const [other] = example.others!;
    return [
      `${count} ${kind} have the same embedding as another and cannot be told apart, e.g. "${example.text}" and "${other}"`,
    ];
  }
}
