/** How deep in a tower a parameter lies: what partial unfreezing and layer-wise learning rates go by. */

/** The groups of a tower's parameters and statistics, in the order in which an input passes them. */
export interface Depth {
  /** Embeddings or stem, each block, and what follows the last: the final norm and the projection. */
  readonly count: number;
  /** Group, from 0, of what has this name in the tower. */
  of(name: string): number;
}

/**
 * The groups of a tower of blocks: its blocks are groups 1, 2, …, what is in none comes before them.
 * @param blocks of each block the names that it has its parameters under.
 * @param last names under which lies what follows the last block.
 */
export function depthByBlocks(blocks: readonly (readonly string[])[], last: readonly string[]): Depth {
  const groups = new Map<string, number>(last.map((name) => [name, blocks.length + 1]));
  blocks.forEach((names, i) => {
    for (const name of names) groups.set(name, i + 1);
  });
  return {
    count: blocks.length + 2,
    of(name) {
      for (let at = name.length; at > 0; at = name.lastIndexOf(".", at - 1)) {
        const group = groups.get(name.slice(0, at));
        if (group !== undefined) return group;
      }
      return 0;
    },
  };
}
