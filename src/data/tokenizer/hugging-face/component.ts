/** A part of a tokenizer.json: a record whose `type` says its kind. */

import { UsageError } from "../../../core/errors.js";

export type Json = Readonly<Record<string, unknown>>;

export const isRecord = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value);

export interface Component {
  readonly kind: string;
  readonly json: Json;
  /** The file, for messages. */
  readonly where: string;
  /** Its place in the file, for messages. */
  readonly key: string;
  /** The `UsageError` for a value that cannot be. */
  wrong(why: string): UsageError;
}

/** Checks that a part is one of `kinds`. Throws a `UsageError` naming its kind otherwise. */
export function componentOf(
  json: Json,
  where: string,
  key: string,
  kinds: Readonly<Record<string, unknown>>,
): Component {
  const kind = json.type;
  if (typeof kind === "string" && Object.hasOwn(kinds, kind)) {
    const wrong = (why: string) => new UsageError(`${where}: ${key}.${why}. Give a whole tokenizer.json.`);
    return { kind, json, where, key, wrong };
  }
  throw new UsageError(
    `${where}: ${key} must be one of ${Object.keys(kinds).join(", ")}, whose ids are known to equal Hugging Face's; got ${JSON.stringify(kind) ?? "no type"}. Use another tokenizer.`,
  );
}

interface Types {
  boolean: boolean;
  string: string;
  number: number;
}

/** A setting of a part, or its default where it is missing or null. Throws a `UsageError` for another type. */
export function optional<T extends keyof Types, D>(
  part: Component,
  name: string,
  type: T,
  fallback: D,
): Types[T] | D {
  const value = part.json[name];
  if (value === undefined || value === null) return fallback;
  if (typeof value === type) return value as Types[T];
  throw part.wrong(`${name} must be a ${type}; got ${JSON.stringify(value)}`);
}
