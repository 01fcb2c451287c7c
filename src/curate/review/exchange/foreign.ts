/** What the formats of other programs have in common: pairs by their names, reviewers, and verdicts that are not taken in twice. */

import { createHash } from "node:crypto";
import { z } from "zod";
import { UsageError } from "../../../core/errors.js";
import { MOST_CAPTION, MOST_NAME, type PairId, reviewerName, type Verdict } from "../log/verdict.js";

/** The names of a pair as they stand in other programs' files. */
export const foreignId = z.object({
  source: z.string(),
  key: z.string(),
  caption_index: z.coerce.number().int().min(0),
  uid: z.string().nullish(),
});

export const idToFields = ({ source, key, captionIndex, uid }: PairId) => ({
  source,
  key,
  caption_index: captionIndex,
  ...(uid !== null && { uid }),
});

export const idFromFields = ({ source, key, caption_index, uid }: z.infer<typeof foreignId>): PairId => ({
  source,
  key,
  captionIndex: caption_index,
  uid: uid ?? null,
});

/** An id that is the same for the same words, so that what is imported twice is there once. */
export const idOfWords = (...words: readonly string[]): string => {
  const hex = createHash("sha256").update(words.join("\0")).digest("hex");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20, 32)].join(
    "-",
  );
};

/** What was answered, as a verdict may have it; undefined where nothing can be made of it. */
export interface ForeignAnswer {
  readonly item: PairId;
  readonly answer: string | undefined;
  readonly caption: string | undefined;
  readonly label: string | undefined;
  readonly reviewer: string;
  readonly time: string | undefined;
  readonly tool: string;
  readonly id: string | undefined;
}

export function verdictOfAnswer(given: ForeignAnswer): Verdict | undefined {
  const { item, answer, caption, label, tool } = given;
  if (answer !== "keep" && answer !== "drop") return undefined;
  const name = reviewerName.safeParse(given.reviewer.slice(0, MOST_NAME));
  if (!name.success) return undefined;
  const text = (words: string | undefined): string | undefined =>
    words === undefined || words.trim() === "" ? undefined : words.trim().slice(0, MOST_CAPTION);
  const [correctedCaption, correctedLabel] = answer === "keep" ? [text(caption), text(label)] : [];
  const at = given.time === undefined ? Number.NaN : Date.parse(given.time);
  const { source, key, captionIndex } = item;
  const words = [
    tool,
    source,
    key,
    String(captionIndex),
    name.data,
    answer,
    correctedCaption ?? "",
    correctedLabel ?? "",
  ];
  return {
    id: given.id ?? idOfWords(...words),
    item,
    question: "pair",
    answer,
    ...(correctedCaption !== undefined && { correctedCaption }),
    ...(correctedLabel !== undefined && { correctedLabel }),
    reviewer: name.data,
    time: new Date(Number.isNaN(at) ? Date.now() : at).toISOString(),
    tool,
  };
}

/** Of a list, each record as the schema wants it; another one is a `UsageError` that names its place. */
export function checkRecords<T>(
  path: string,
  records: readonly unknown[],
  schema: z.ZodType<T>,
  what: string,
): T[] {
  return records.map((record, i) => {
    const read = schema.safeParse(record);
    if (read.success) return read.data;
    const [issue] = read.error.issues;
    throw new UsageError(
      `import ${path}: record ${i + 1} must be ${what}; ${issue?.path.join(".")}: ${issue?.message}. Export it from clipwright curate review first.`,
      { file: path },
    );
  });
}
