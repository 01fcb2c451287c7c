/** Rows as aligned columns: the first to the left, the others, which are numbers, to the right. */
export function alignColumns(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)));
  return rows
    .map((row) =>
      row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join("  "),
    )
    .map((line) => `${line.trimEnd()}\n`)
    .join("");
}

/**
 * Rows of which the first `texts` cells are texts and the others numbers, as aligned columns within `width` signs: texts are broken at
 * blanks, those of the widest column first, as far as that helps.
 */
export function alignWithin(rows: readonly (readonly string[])[], texts: number, width: number): string {
  const widest = (rows[0] ?? []).map((_, c) => Math.max(...rows.map((row) => row[c]!.length)));
  const least = widest.map((_, c) =>
    Math.max(...rows.flatMap((row) => row[c]!.split(" ").map(({ length }) => length))),
  );
  const all = (): number => widest.reduce((sum, each) => sum + each + 2, -2);
  for (;;) {
    const breakable = [...widest.keys()].filter((c) => c < texts && widest[c]! > least[c]!);
    if (all() <= width || breakable.length === 0) break;
    const at = breakable.reduce((a, b) => (widest[b]! > widest[a]! ? b : a));
    widest[at]!--;
  }
  return rows
    .flatMap((row) => {
      const cells = row.map((cell, c) => (c < texts ? broken(cell, widest[c]!) : [cell]));
      const height = Math.max(...cells.map(({ length }) => length));
      return Array.from({ length: height }, (_, line) =>
        cells
          .map((own, c) =>
            c < texts ? (own[line] ?? "").padEnd(widest[c]!) : (own[line] ?? "").padStart(widest[c]!),
          )
          .join("  "),
      );
    })
    .map((line) => `${line.trimEnd()}\n`)
    .join("");
}

/** A text in lines of at most `width` signs, broken at blanks. */
function broken(text: string, width: number): readonly string[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= width)
      lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}
