/** What a reviewer said of a pair, or of two pairs taken for copies: one line of the log. */

import { randomUUID } from "node:crypto";
import { z } from "zod";

/** Names a pair as score tables do. */
export interface PairId {
  /** The source's name in its data set. */
  readonly source: string;
  /** The sample's key in its source. */
  readonly key: string;
  /** From 0. */
  readonly captionIndex: number;
  /** 32 hex digits; null where pictures were not read. */
  readonly uid: string | null;
}

/**
 * `pair`: does this caption belong to this picture? keep or drop; with a corrected caption or class the pair is kept so.
 * `duplicate`: are the pictures of these two pairs copies of each other? same or different. `undecided` takes back what was said.
 */
export type Question = "pair" | "duplicate";
export type Answer = "keep" | "drop" | "same" | "different" | "undecided";

const answersOf: Readonly<Record<Question, readonly Answer[]>> = {
  pair: ["keep", "drop", "undecided"],
  duplicate: ["same", "different", "undecided"],
};

/** How a verdict came about: `audit` drawn at random, `order` by what is worth a look, `gold` a known one, `free` as the reviewer liked. */
export type Drawn = "audit" | "order" | "gold" | "free";

export interface Verdict {
  readonly id: string;
  readonly item: PairId;
  /** The second of two that may be copies; `item` is the one that sorts first. */
  readonly other?: PairId;
  readonly question: Question;
  readonly answer: Answer;
  readonly correctedCaption?: string;
  readonly correctedLabel?: string;
  readonly reviewer: string;
  /** ISO 8601, UTC. */
  readonly time: string;
  /** The version of Clipwright, or what the verdict was imported from. */
  readonly tool: string;
  /** Scores that the reviewer saw when deciding; absent when they were hidden. */
  readonly shownScores?: Readonly<Record<string, number>>;
  readonly drawn?: Drawn;
  /** Asked of the same reviewer before, without a word of it. */
  readonly repeat?: boolean;
  /** The verdict that this one takes back; it says what held before. */
  readonly undoes?: string;
}

/** Letters of a caption that a line may hold, and of a name or class. */
export const MOST_CAPTION = 10_000;
export const MOST_NAME = 80;

const name = z
  .string()
  .trim()
  .min(1)
  .max(MOST_NAME)
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is refused
  .regex(/^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$/);

/** A reviewer's name: 1 to 80 characters without controls. Throws zod's error. */
export const reviewerName = name;

const identity = z.object({
  source: z.string(),
  key: z.string(),
  caption_index: z.int().min(0),
  uid: z.string().nullable().default(null),
});

const lineSchema = identity
  .extend({
    v: z.literal(1),
    id: z.string().min(1),
    other: identity.optional(),
    question: z.enum(["pair", "duplicate"]),
    verdict: z.enum(["keep", "drop", "same", "different", "undecided"]),
    corrected_caption: z.string().min(1).max(MOST_CAPTION).optional(),
    corrected_label: z.string().min(1).max(MOST_CAPTION).optional(),
    reviewer: name,
    time: z.iso.datetime(),
    tool_version: z.string(),
    shown_scores: z.record(z.string(), z.number()).optional(),
    drawn: z.enum(["audit", "order", "gold", "free"]).optional(),
    repeat: z.boolean().optional(),
    undoes: z.string().optional(),
  })
  .refine(({ question, verdict }) => answersOf[question].includes(verdict))
  .refine(({ question, other }) => (question === "duplicate") === (other !== undefined));

type LineValue = z.infer<typeof lineSchema>;

const idOf = ({ source, key, caption_index, uid }: z.infer<typeof identity>): PairId => ({
  source,
  key,
  captionIndex: caption_index,
  uid,
});

const idFields = ({ source, key, captionIndex, uid }: PairId) => ({
  source,
  key,
  caption_index: captionIndex,
  uid,
});

/** How every line begins. No text within a line can hold these characters, since quotes are escaped there. */
export const LINE_START = '{"v":1,';

/** The verdict as a line of JSON, without its newline. */
export function verdictLine(verdict: Verdict): string {
  const { item, other, answer, correctedCaption, correctedLabel, shownScores, tool, ...rest } = verdict;
  const line: LineValue = {
    v: 1,
    ...idFields(item),
    ...(other !== undefined && { other: idFields(other) }),
    id: rest.id,
    question: rest.question,
    verdict: answer,
    ...(correctedCaption !== undefined && { corrected_caption: correctedCaption }),
    ...(correctedLabel !== undefined && { corrected_label: correctedLabel }),
    reviewer: rest.reviewer,
    time: rest.time,
    tool_version: tool,
    ...(shownScores !== undefined && { shown_scores: { ...shownScores } }),
    ...(rest.drawn !== undefined && { drawn: rest.drawn }),
    ...(rest.repeat !== undefined && { repeat: rest.repeat }),
    ...(rest.undoes !== undefined && { undoes: rest.undoes }),
  };
  return JSON.stringify(line);
}

/** The verdict in a line, or undefined where it holds none. */
export function verdictOfLine(text: string): Verdict | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const read = lineSchema.safeParse(value);
  if (!read.success) return undefined;
  const line = read.data;
  return {
    id: line.id,
    item: idOf(line),
    ...(line.other !== undefined && { other: idOf(line.other) }),
    question: line.question,
    answer: line.verdict,
    ...(line.corrected_caption !== undefined && { correctedCaption: line.corrected_caption }),
    ...(line.corrected_label !== undefined && { correctedLabel: line.corrected_label }),
    reviewer: line.reviewer,
    time: line.time,
    tool: line.tool_version,
    ...(line.shown_scores !== undefined && { shownScores: line.shown_scores }),
    ...(line.drawn !== undefined && { drawn: line.drawn }),
    ...(line.repeat !== undefined && { repeat: line.repeat }),
    ...(line.undoes !== undefined && { undoes: line.undoes }),
  };
}

/** A verdict of now, with an id of its own. The two of a duplicate are put in order, so that (a, b) is (b, a). */
export function makeVerdict(given: Omit<Verdict, "id" | "time"> & { readonly time?: string }): Verdict {
  const { item, other } = given;
  const swap = other !== undefined && pairKey(other) < pairKey(item);
  return {
    ...given,
    ...(swap && { item: other, other: item }),
    id: randomUUID(),
    time: given.time ?? new Date().toISOString(),
  };
}

/** A text that is the same for the same pair, whatever is known of its uid. */
export const pairKey = ({ source, key, captionIndex }: PairId): string =>
  `${source}\0${key}\0${captionIndex}`;

const pictureKey = ({ source, key }: PairId): string => `${source}\0${key}`;

/** A text that is the same for what is asked of the same thing: a pair, or two pictures as an entity of their own. */
export const entityKey = ({ item, other, question }: Pick<Verdict, "item" | "other" | "question">): string =>
  other === undefined
    ? `${question}\0${pairKey(item)}`
    : `${question}\0${[pictureKey(item), pictureKey(other)].sort().join("\0\0")}`;

/** What raters are compared by: a pair that is kept with a correction is neither kept nor dropped as it is. */
export type Category = "keep" | "drop" | "correct" | "same" | "different";

/** Undefined for a verdict that was taken back. */
export function categoryOf({ answer, correctedCaption, correctedLabel }: Verdict): Category | undefined {
  if (answer === "undecided") return undefined;
  const corrected = correctedCaption !== undefined || correctedLabel !== undefined;
  return answer === "keep" && corrected ? "correct" : answer;
}
