/**
 * Settings that change in the course of a run, in one vocabulary: values, each for a share of the run's samples, as
 * `112:0.6,160:0.3`. What the shares leave is as the model is: whole images, whole texts. A last value without a share
 * takes all that is left, so that one value alone is for the whole run.
 */

import { z } from "zod";
import type { Kind } from "../../settings/fields.js";

/** A value for a share of the run's samples, in (0, 1]. */
export interface Stage {
  readonly value: number;
  readonly share: number;
}

/** In order; the shares add up to at most 1. */
export type Stages = readonly Stage[];

/** One value for the whole run. */
export const constantly = (value: number): Stages => [{ value, share: 1 }];

/** Shares are written by people, and compared as they wrote them. */
const rounded = (share: number): number => Number(share.toPrecision(12));

/** Where each stretch ends, as a share of the run. */
export function endsOf(stages: Stages): number[] {
  let end = 0;
  return stages.map(({ share }) => {
    end = rounded(end + share);
    return end;
  });
}

/** The value after the share `done` of the run; undefined where it is as the model is. */
export function valueAt(stages: Stages, done: number): number | undefined {
  const at = endsOf(stages).findIndex((end) => done < end);
  return stages[at]?.value;
}

/** As it is written; `parseStages` reads it back as the same. */
export function formatStages(stages: Stages): string {
  const ends = endsOf(stages);
  return stages
    .map(({ value, share }, i) =>
      i === stages.length - 1 && ends[i] === 1 ? `${value}` : `${value}:${share}`,
    )
    .join(",");
}

/** Reads stages; the rule that the text breaks, where they are none. */
export function parseStages(text: string): Stages | { readonly broken: string } {
  const stages: Stage[] = [];
  const words = text.split(",");
  let left = 1;
  for (const [i, word] of words.entries()) {
    const parts = word.split(":").map((part) => (part.trim() === "" ? Number.NaN : Number(part)));
    const [value, own] = parts as [number, number | undefined];
    if (parts.length > 2 || parts.some((part) => !Number.isFinite(part)))
      return { broken: "must be values with their shares of the run" };
    if (own === undefined && i < words.length - 1)
      return { broken: "every value but the last needs its share of the run" };
    const share = own ?? left;
    if (!(share > 0 && share <= left)) return { broken: "the shares must be above 0 and at most 1 together" };
    left = rounded(left - share);
    stages.push({ value, share });
  }
  return stages;
}

/** Values of the kind `of` in the course of a run: a number, or a text such as `112:0.6,160:0.3`. */
export const stages = (of: Kind<number>): Kind<Stages, number | string> => ({
  schema: z.unknown().transform((input, context) => {
    const refuse = (rule: string) => {
      context.addIssue({
        code: "custom",
        message: `${rule}; got ${JSON.stringify(input)}. Write one value, or values with their shares, e.g. 112:0.6,160:0.3.`,
      });
      return z.NEVER;
    };
    if (typeof input !== "number" && typeof input !== "string") return refuse("must be a number or a text");
    const read = parseStages(String(input));
    if ("broken" in read) return refuse(read.broken);
    if (read.some(({ value }) => !of.schema.safeParse(value).success)) return refuse(`each ${of.rule}`);
    return read;
  }) as unknown as Kind<Stages, number | string>["schema"],
  type: "number | string",
  rule: "must be values in the course of the run",
  placeholder: `${of.placeholder}[:SHARE,…]`,
  arity: "one",
  fromText: (word) => word,
  toJson: (value) => (value.length === 1 && value[0]!.share === 1 ? value[0]!.value : formatStages(value)),
});
