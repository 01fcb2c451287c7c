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

/** At most one note: how many of the `kind`, which have other words each, have the same embedding as another. */
export function twinNotes(kind: string, words: readonly string[], features: Features): string[] {
  const twins = equalRows(features);
  if (twins.length === 0) return [];
  const [a, b] = twins[0]!;
  return [
    `${twins.flat().length} ${kind} have the same embedding as another and cannot be told apart, e.g. "${words[a!]}" and "${words[b!]}"`,
  ];
}

/** Groups of rows that are equal to the bit, each of two or more, in order. */
export function equalRows({ data, rows, width }: Features): number[][] {
  const groups = new Map<string, number[]>();
  for (let row = 0; row < rows; row++) {
    const key = createHash("sha1")
      .update(data.subarray(row * width, (row + 1) * width))
      .digest("base64");
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [row]);
    else group.push(row);
  }
  return [...groups.values()].filter(({ length }) => length > 1);
}
