/**
 * Named, typed, documented settings. One declaration gives the type in the editor, the check with its message,
 * the option on the command line, the line in the help, and the form in a file.
 */

import { z } from "zod";
import { didYouMean, UsageError } from "../core/errors.js";
import {
  type Duration,
  type DurationInput,
  type DurationUnit,
  formatDuration,
  multiples,
  parseDuration,
} from "./duration.js";

/** How values of one kind are checked, written and read. */
export interface Kind<Out, In = Out> {
  readonly schema: z.ZodType<Out, In>;
  /** `In` as TypeScript writes it, for the generated types of what may be written. */
  readonly type: string;
  /** Completes "NAME: …", e.g. `must be an integer from 1`. */
  readonly rule: string;
  /** What the help shows for the value, e.g. `N` or `PATH`. */
  readonly placeholder: string;
  /** `flag` takes no value on the command line; `many` may be given several times. */
  readonly arity: "one" | "flag" | "many";
  /** From a word of the command line to what a file would hold. */
  fromText(text: string): unknown;
  /** The form in a file that reads back as the same value. */
  toJson(value: Out): unknown;
  /** Allowed words, for the nearest spelling. */
  readonly words?: readonly string[];
}

export type Presence = "required" | "optional" | "default";

export interface Field<Out = unknown, In = Out, P extends Presence = Presence> {
  readonly kind: Kind<Out, In>;
  readonly doc: string;
  readonly presence: P;
  /** The value when nothing is said, for `default`. */
  readonly fallback?: Out;
  /** Other spellings on the command line (peers' names), in kebab-case. */
  readonly aliases: readonly string[];
  /** True when a run may be continued with another value, since its weights do not depend on it. */
  readonly free: boolean;
}

export type Fields = Readonly<Record<string, Field>>;

/** The checked values. */
export type Values<F> = {
  readonly [K in keyof F]: F[K] extends Field<infer Out, infer _In, infer P>
    ? P extends "optional"
      ? Out | undefined
      : Out
    : never;
};

/** What may be written: any subset. */
export type Inputs<F> = {
  readonly [K in keyof F]?: F[K] extends Field<infer _Out, infer In> ? In | undefined : never;
};

interface Extra {
  readonly aliases?: readonly string[];
  readonly free?: boolean;
}

const make = <Out, In, P extends Presence>(
  kind: Kind<Out, In>,
  presence: P,
  doc: string,
  { aliases = [], free = false }: Extra,
): Field<Out, In, P> => ({ kind, presence, doc, aliases, free });

export const required = <Out, In>(kind: Kind<Out, In>, doc: string, extra: Extra = {}) =>
  make(kind, "required", doc, extra);

export const optional = <Out, In>(kind: Kind<Out, In>, doc: string, extra: Extra = {}) =>
  make(kind, "optional", doc, extra);

/** A field that holds `fallback` when nothing is said. */
export const defaulted = <Out, In>(
  kind: Kind<Out, In>,
  fallback: NoInfer<Out>,
  doc: string,
  extra: Extra = {},
): Field<Out, In, "default"> => ({
  ...make(kind, "default", doc, extra),
  fallback,
});

const same = <T>(value: T): unknown => value;
/** Words that are numbers become numbers; others stay, and fail the check with their spelling. */
const numeral = (text: string): unknown =>
  text.trim() !== "" && Number.isFinite(Number(text)) ? Number(text) : text;

export const text = (placeholder = "TEXT"): Kind<string> => ({
  schema: z.string().min(1),
  type: "string",
  rule: "must be a text that is not empty",
  placeholder,
  arity: "one",
  fromText: same,
  toJson: same,
});

export const flag = (): Kind<boolean> => ({
  schema: z.boolean(),
  type: "boolean",
  rule: "must be true or false",
  placeholder: "",
  arity: "flag",
  fromText: (word) => (word === "true" ? true : word === "false" ? false : word),
  toJson: same,
});

export const integer = (min = 0, max = Number.MAX_SAFE_INTEGER): Kind<number> => ({
  schema: z.int().min(min).max(max),
  type: "number",
  rule: `must be an integer from ${min}${max === Number.MAX_SAFE_INTEGER ? "" : ` to ${max}`}`,
  placeholder: "N",
  arity: "one",
  fromText: numeral,
  toJson: same,
});

/** A finite number; `above` and `below` are exclusive bounds, `min` and `max` inclusive. */
export function real(
  bounds: { min?: number; max?: number; above?: number; below?: number } = {},
): Kind<number> {
  let schema = z.number();
  const parts: string[] = [];
  if (bounds.min !== undefined) schema = schema.min(bounds.min);
  if (bounds.max !== undefined) schema = schema.max(bounds.max);
  if (bounds.above !== undefined) schema = schema.gt(bounds.above);
  if (bounds.below !== undefined) schema = schema.lt(bounds.below);
  if (bounds.min !== undefined) parts.push(`at least ${bounds.min}`);
  if (bounds.above !== undefined) parts.push(`above ${bounds.above}`);
  if (bounds.max !== undefined) parts.push(`at most ${bounds.max}`);
  if (bounds.below !== undefined) parts.push(`below ${bounds.below}`);
  return {
    schema,
    type: "number",
    rule: `must be a number${parts.length > 0 ? ` ${parts.join(" and ")}` : ""}`,
    placeholder: "X",
    arity: "one",
    fromText: numeral,
    toJson: same,
  };
}

/** A number above 0 that may be written with a multiple: 200M, 1.3G. */
export const amount = (): Kind<number> => ({
  schema: z.number().gt(0),
  type: "number",
  rule: "must be a number above 0, such as 200M or 1.3G",
  placeholder: "N",
  arity: "one",
  fromText(word) {
    const match = /^(\d+(?:\.\d+)?)([kKMGB]?)$/.exec(word.trim());
    return match ? Number(match[1]) * multiples[match[2]!]! : word;
  },
  toJson: same,
});

/** One of a few words; `synonyms` maps other words to them. */
export function choice<const W extends string>(
  words: readonly W[],
  synonyms: Readonly<Record<string, W>> = {},
): Kind<W, W> {
  const schema = z.preprocess((word) => synonyms[word as string] ?? word, z.enum(words as [W, ...W[]]));
  return {
    schema: schema as unknown as z.ZodType<W, W>,
    type: words.map((word) => JSON.stringify(word)).join(" | "),
    rule: `must be ${words.length === 1 ? `"${words[0]}"` : `one of ${words.join(", ")}`}`,
    placeholder: words.join("|"),
    arity: "one",
    fromText: same,
    toJson: same,
    words,
  };
}

/** A list; one value alone is a list of one. `separator` splits words of the command line. */
export function list<Out, In>(
  of: Kind<Out, In>,
  { separator, length }: { separator?: string; length?: number } = {},
): Kind<readonly Out[], In | readonly In[]> {
  const items = length === undefined ? z.array(of.schema).min(1) : z.array(of.schema).length(length);
  const schema = z.preprocess((value) => (Array.isArray(value) ? value : [value]), items);
  const each = of.rule.replace(/^must be /, "");
  return {
    schema: schema as unknown as z.ZodType<readonly Out[], In | readonly In[]>,
    type: `${of.type} | readonly ${of.type.includes("|") ? `(${of.type})` : of.type}[]`,
    rule: length === undefined ? `every item ${of.rule}` : `must be ${length} values, each ${each}`,
    placeholder:
      length === undefined
        ? of.placeholder
        : Array(length)
            .fill(of.placeholder)
            .join(separator ?? " "),
    arity: length === undefined ? "many" : "one",
    fromText: (word) =>
      (separator === undefined ? [word] : word.split(separator)).map((part) => of.fromText(part)),
    toJson: (values) => values.map((value) => of.toJson(value)),
  };
}

/** A duration; `bareUnit` is what a number alone means. */
export const duration = (bareUnit: DurationUnit): Kind<Duration, DurationInput> => ({
  schema: z.unknown().transform((value, context) => {
    try {
      return parseDuration(value, bareUnit, "");
    } catch (error) {
      context.addIssue({ code: "custom", message: (error as Error).message.replace(/^: /, "") });
      return z.NEVER;
    }
  }) as unknown as z.ZodType<Duration, DurationInput>,
  type: "DurationInput",
  rule: "must be a duration",
  placeholder: "DURATION",
  arity: "one",
  fromText: same,
  toJson: formatDuration,
});

/** A text, or an object written in place (JSON on the command line). */
export const textOrObject = (placeholder: string): Kind<string | object> => ({
  schema: z.union([z.string().min(1), z.record(z.string(), z.unknown())]),
  type: "string | object",
  rule: "must be a name, a path, or an object",
  placeholder,
  arity: "one",
  fromText(word) {
    if (!word.trimStart().startsWith("{")) return word;
    try {
      return JSON.parse(word);
    } catch {
      return word;
    }
  },
  toJson: same,
});

/** `forceImageSize` → `force-image-size`. */
export const kebab = (key: string): string => key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

/**
 * One value checked against its kind.
 * @param label how the message names the setting, e.g. `batchSize` or `--batch-size`.
 * @param key how a recipe spells it; the error carries it.
 * @throws UsageError `label: rule; got label=value.` with the nearest allowed word.
 */
export function checkValue<Out, In>(kind: Kind<Out, In>, value: unknown, label: string, key = label): Out {
  const result = kind.schema.safeParse(value);
  if (result.success) return result.data;
  const own = result.error.issues.find((issue) => issue.code === "custom");
  if (own) throw new UsageError(`${label}: ${own.message}`, { key });
  const hint = kind.words && typeof value === "string" ? didYouMean(value, kind.words) : "";
  throw new UsageError(
    `${label}: ${kind.rule}; got ${label}=${JSON.stringify(value) ?? String(value)}.${hint}`,
    { key },
  );
}

/**
 * Every key checked, defaults filled in, unknown keys refused with the nearest spelling.
 * @param label how messages name a key.
 */
export function checkAll<F extends Fields>(
  fields: F,
  input: Readonly<Record<string, unknown>>,
  label: (key: string) => string = (key) => key,
): Values<F> {
  const names = Object.keys(fields);
  for (const key of Object.keys(input)) {
    if (Object.hasOwn(fields, key)) continue;
    const hint = didYouMean(label(key), names.map(label));
    throw new UsageError(
      `${label(key)}: no such setting; got ${key}=${JSON.stringify(input[key])}.${hint || " Remove it, or see clipwright train --help."}`,
      { key },
    );
  }
  const out: Record<string, unknown> = {};
  for (const [key, field] of Object.entries(fields)) {
    const value = input[key];
    if (value !== undefined) out[key] = checkValue(field.kind, value, label(key), key);
    else if (field.presence === "required") {
      throw new UsageError(`${label(key)}: is required; got nothing. ${field.doc}`, { key });
    } else out[key] = field.fallback;
  }
  return out as Values<F>;
}

/** Runs a check over several settings: of what it refuses, the error carries the key that the message begins with. */
export function namingKeys<T>(fields: Fields, check: () => T): T {
  try {
    return check();
  } catch (error) {
    throw withKey(fields, error);
  }
}

/** The error with the key of the setting that its message begins with, as recipes spell it or as an option; others as they are. */
export function withKey(fields: Fields, error: unknown): unknown {
  if (!(error instanceof UsageError) || error.key !== undefined) return error;
  const [word = ""] = error.message.split(":", 1);
  const key = Object.keys(fields).find((key) => word === key || word === `--${kebab(key)}`);
  if (key === undefined) return error;
  const { message, file, line } = error;
  return new UsageError(message, { key, file, line, cause: error });
}

/** The error with the settings in `given` spelled as on the command line: `--batch-size: …; got --batch-size=0`. */
export function inOptionSpelling(given: Readonly<Record<string, unknown>>, error: unknown): unknown {
  if (!(error instanceof UsageError) || error.key === undefined || !Object.hasOwn(given, error.key))
    return error;
  const message = error.message.replace(/^([A-Za-z0-9]+)(?=:)|(?<![\w.$"-])([A-Za-z0-9]+)(?==)/g, (word) =>
    Object.hasOwn(given, word) ? `--${kebab(word)}` : word,
  );
  const { code, key, file, line } = error;
  return message === error.message ? error : new UsageError(message, { code, key, file, line, cause: error });
}

/** Values in the form of a file, keys in the order of `fields`, absent ones left out. */
export function toJson<F extends Fields>(fields: F, values: Values<F>): Record<string, unknown> {
  const record = values as Record<string, unknown>;
  return Object.fromEntries(
    Object.entries(fields).flatMap(([key, { kind }]) =>
      record[key] === undefined ? [] : [[key, kind.toJson(record[key] as never)]],
    ),
  );
}
