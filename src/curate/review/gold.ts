/** Questions whose answer is known, mixed among the others to see how good each reviewer is. */

import { z } from "zod";
import { UsageError } from "../../core/errors.js";
import { readJsonLines } from "../../core/files.js";
import type { Category } from "./log/verdict.js";
import type { ItemIndex } from "./set.js";

const goldSchema = z.object({
  source: z.string().default(""),
  key: z.string().default(""),
  caption_index: z.int().min(0).default(0),
  uid: z.string().nullable().default(null),
  verdict: z.enum(["keep", "drop", "correct"]),
});

/**
 * The known answers in a JSON Lines file, by item: `{"key": …, "verdict": "keep" | "drop" | "correct"}` with the names that
 * score tables have (`source`, `key`, `caption_index`, `uid`), so that lines of a review's log serve as they are.
 * Throws a `UsageError` for a line that is none, and where no line names an item.
 * @param onlySource what `source` is where a line does not say it.
 */
export function readGold(path: string, index: ItemIndex, onlySource: string): ReadonlyMap<number, Category> {
  const gold = new Map<number, Category>();
  for (const [i, value] of readJsonLines(path).entries()) {
    const read = goldSchema.safeParse(value);
    if (!read.success) {
      throw new UsageError(
        `--gold ${path}: record ${i + 1} must be {"key": …, "verdict": "keep", "drop" or "correct"}; got ${JSON.stringify(value).slice(0, 60)}. Correct the line.`,
        { file: path, line: i + 1 },
      );
    }
    const { source, key, caption_index, uid, verdict } = read.data;
    const item = index.find({ source: source || onlySource, key, captionIndex: caption_index, uid });
    if (item !== undefined) gold.set(item, verdict);
  }
  if (gold.size === 0) {
    throw new UsageError(
      `--gold ${path}: must name pairs that are reviewed; none of its lines does. Check source, key and caption_index.`,
      { file: path },
    );
  }
  return gold;
}
