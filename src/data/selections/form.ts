/**
 * The form of the tables that curation makes beside the data: `scores` has a row a pair and a column a score, `selection`
 * a row a pair and what was decided of it. Both are Parquet; what made them stands as JSON under `clipwright` in the file's
 * metadata.
 */
import type { FileMetaData } from "hyparquet";
import { z } from "zod";
import { UsageError } from "../../core/errors.js";
import type { DataFingerprint } from "../look/fingerprint.js";

/** `text` is VARCHAR, `number` DOUBLE, `count` INTEGER, `flag` BOOLEAN; unknown is NULL, never NaN. */
export type ColumnKind = "text" | "number" | "count" | "flag";

/** What a column holds. */
export interface TableColumn {
  /** In snake_case; unique in its table. */
  readonly name: string;
  readonly kind: ColumnKind;
  /** One sentence. */
  readonly about: string;
  /** Of numbers that have one, e.g. `px`. */
  readonly unit?: string | undefined;
  /** Which way a pair is better; absent where neither is. */
  readonly better?: "higher" | "lower" | undefined;
  /** Paper or program that it is from. */
  readonly source?: string | undefined;
}

/** A source of pairs, as it was when the table was made. */
export interface TableSource {
  /** As in `dataset.sources`: rows name it. */
  readonly name: string;
  /** As the caller wrote it. */
  readonly source: string;
  readonly samples: number;
}

export type TableKind = "scores" | "selection";

/** What made a table. */
export interface TableInfo {
  readonly format: 1;
  readonly kind: TableKind;
  readonly sources: readonly TableSource[];
  /** Of all sources together; absent where they were not at hand. */
  readonly data?: DataFingerprint | undefined;
  /** Version of Clipwright. */
  readonly clipwright: string;
  /** The command line, as it was typed. */
  readonly command?: string | undefined;
  /** ISO 8601, UTC. */
  readonly made: string;
  readonly columns: readonly TableColumn[];
}

/** The columns that every table begins with: which pair a row is about. */
export const identityColumns = [
  { name: "source", kind: "text", about: "Name of the source." },
  { name: "key", kind: "text", about: "The sample's key in its source." },
  { name: "caption_index", kind: "count", about: "Which of the sample's captions, from 0." },
  {
    name: "uid",
    kind: "text",
    about: "32 hex digits: the data's own, or of the image's bytes and the caption.",
    source: "DataComp",
  },
] as const satisfies readonly TableColumn[];

/** The columns of scores before the scores. */
export const pairColumns = [
  ...identityColumns,
  { name: "caption", kind: "text", about: "As it is stored." },
  { name: "label", kind: "text", about: "The sample's class." },
] as const satisfies readonly TableColumn[];

/** The columns of a selection. */
export const selectionColumns = [
  ...identityColumns,
  { name: "keep", kind: "flag", about: "Whether the pair is trained on." },
  { name: "reason", kind: "text", about: "The rule that dropped it." },
  { name: "weight", kind: "number", about: "Of the pair in the loss; 1 by default." },
  { name: "corrected_caption", kind: "text", about: "Stands in the caption's place." },
  { name: "corrected_label", kind: "text", about: "Stands in the label's place." },
] as const satisfies readonly TableColumn[];

/** Where the JSON stands in a file's metadata. */
export const INFO_KEY = "clipwright";

export const dataFingerprintSchema = z.object({
  samples: z.number(),
  captions: z.string(),
  sizes: z.string(),
  content: z.string(),
  times: z.string(),
  selection: z.string().optional(),
});

const infoSchema = z.object({
  format: z.literal(1),
  kind: z.enum(["scores", "selection"]),
  sources: z.array(z.object({ name: z.string(), source: z.string(), samples: z.number() })),
  data: dataFingerprintSchema.optional(),
  clipwright: z.string(),
  command: z.string().optional(),
  made: z.string(),
  columns: z.array(
    z.object({
      name: z.string(),
      kind: z.enum(["text", "number", "count", "flag"]),
      about: z.string(),
      unit: z.string().optional(),
      better: z.enum(["higher", "lower"]).optional(),
      source: z.string().optional(),
    }),
  ),
});

/** What made the table at `path`; undefined of a file of another program. Throws `UsageError` where it cannot be understood. */
export function tableInfo(
  path: string,
  metadata: Pick<FileMetaData, "key_value_metadata">,
): TableInfo | undefined {
  const written = metadata.key_value_metadata?.find(({ key }) => key === INFO_KEY)?.value;
  return written === undefined ? undefined : parseTableInfo(path, written);
}

/** Reads the JSON that stands in a table's metadata. */
export function parseTableInfo(path: string, written: string): TableInfo {
  let problem = "it is no JSON";
  try {
    const result = infoSchema.safeParse(JSON.parse(written));
    if (result.success) return result.data;
    const [issue] = result.error.issues;
    problem = `${issue?.path.join(".")}: ${issue?.message}`;
  } catch {}
  throw new UsageError(
    `table ${path}: its metadata "${INFO_KEY}" cannot be understood (${problem}). Make it anew, with this version.`,
    { file: path },
  );
}
