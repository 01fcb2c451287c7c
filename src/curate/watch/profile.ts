/**
 * A profile of a set of pairs: how its scores, its captions and its embeddings are distributed, in one JSON file, with samples that new
 * pairs can be compared with. It does not grow with the set.
 */

import { z } from "zod";
import { UsageError } from "../../core/errors.js";
import { writeJsonAtomic } from "../../core/files.js";
import { version } from "../../core/version.js";
import type { Rows } from "../../evaluate/linear/cholesky.js";
import { readCheckedJson } from "../../settings/json.js";
import type { ThresholdRule, UniqueRule, WhereRule } from "../select/rules.js";
import type { Basis } from "./vectors.js";

/** One score: numbers by a sample, classes by their counts. */
export type ColumnProfile = {
  readonly name: string;
  /** What it says of a pair. */
  readonly about?: string | undefined;
  readonly better?: "higher" | "lower" | undefined;
  /** Pictures that were looked at, and those of them that have the score. */
  readonly pictures: number;
  readonly known: number;
} & (
  | { readonly kind: "numbers"; readonly mean: number; readonly sample: readonly number[] }
  | { readonly kind: "classes"; readonly counts: Readonly<Record<string, number>> }
);

/** One kind of vectors: main directions, and a sample along them. */
export interface SpaceProfile {
  /** `captions` by their words; `images` and `texts` by a model. */
  readonly name: "captions" | "images" | "texts";
  readonly basis: Basis;
  /** f32[n,count] */
  readonly sample: Rows;
}

/** A rule that pairs to come are selected by as those before were: it asks for no share of the set. */
export type FrozenRule = WhereRule | ThresholdRule | UniqueRule;

export interface DataProfile {
  readonly made: string;
  readonly clipwright: string;
  readonly sources: readonly string[];
  /** Rows of the table of scores when it was made: those after are new. */
  readonly rows: number;
  /** Pictures of the set. */
  readonly pictures: number;
  /** What embeds, where something does; `key` tells it from every other model. */
  readonly model?: { readonly path: string; readonly key: string } | undefined;
  /** What pairs are selected by, new ones too. */
  readonly rules?: readonly FrozenRule[] | undefined;
  readonly columns: readonly ColumnProfile[];
  readonly spaces: readonly SpaceProfile[];
}

const FORMAT = 1;

const floats = z.string().transform((text, context) => {
  const bytes = Buffer.from(text, "base64");
  if (bytes.length % 4 === 0) return new Float32Array(Uint8Array.from(bytes).buffer);
  context.addIssue({ code: "custom", message: "must be f32 numbers in base64" });
  return z.NEVER;
});

const common = {
  name: z.string(),
  about: z.string().optional(),
  better: z.enum(["higher", "lower"]).optional(),
  pictures: z.int().min(0),
  known: z.int().min(0),
};

const schema = z.object({
  format: z.literal(FORMAT),
  made: z.string(),
  clipwright: z.string(),
  sources: z.array(z.string()),
  rows: z.int().min(1),
  pictures: z.int().min(1),
  model: z.object({ path: z.string(), key: z.string() }).optional(),
  rules: z
    .array(
      z.discriminatedUnion("kind", [
        z.object({ kind: z.literal("where"), sql: z.string(), name: z.string().optional() }),
        z.object({ kind: z.literal("threshold"), score: z.string(), value: z.number() }),
        z.object({ kind: z.literal("unique"), group: z.string(), best: z.string().optional() }),
      ]),
    )
    .optional(),
  columns: z.array(
    z.discriminatedUnion("kind", [
      z.object({
        ...common,
        kind: z.literal("numbers"),
        mean: z.number(),
        sample: z.array(z.number()).min(1),
      }),
      z.object({ ...common, kind: z.literal("classes"), counts: z.record(z.string(), z.int().min(0)) }),
    ]),
  ),
  spaces: z.array(
    z.object({
      name: z.enum(["captions", "images", "texts"]),
      width: z.int().min(1),
      directions: z.int().min(1),
      mean: floats,
      basis: floats,
      sample: floats,
    }),
  ),
});

/** Reads the profile at `path`. Throws `UsageError` where it is none, or not whole. */
export function readProfile(path: string): DataProfile {
  const remedy = "Make it again: clipwright curate watch SOURCE --profile FILE --make.";
  const { format: _, spaces, ...rest } = readCheckedJson(path, schema, remedy);
  return {
    ...rest,
    spaces: spaces.map(({ name, width, directions: count, mean, basis, sample }) => {
      if (mean.length !== width || basis.length !== width * count || sample.length % count !== 0)
        throw new UsageError(
          `${path}: the vectors of ${name} must be whole; got ${mean.length}, ${basis.length} and ${sample.length} numbers. ${remedy}`,
          { file: path },
        );
      return {
        name,
        basis: { mean, directions: basis, count },
        sample: { data: sample, rows: sample.length / count, width: count },
      };
    }),
  };
}

export function writeProfile(path: string, { spaces, ...rest }: DataProfile): void {
  const text = (values: Float32Array) =>
    Buffer.from(values.buffer, values.byteOffset, values.byteLength).toString("base64");
  writeJsonAtomic(path, {
    format: FORMAT,
    ...rest,
    spaces: spaces.map(({ name, basis, sample }) => ({
      name,
      ...{ width: basis.mean.length, directions: basis.count, mean: text(basis.mean) },
      ...{ basis: text(basis.directions), sample: text(sample.data) },
    })),
  });
}

/** What a new profile says of itself. */
export const profileNow = (): Pick<DataProfile, "made" | "clipwright"> => ({
  made: new Date().toISOString(),
  clipwright: version(),
});
