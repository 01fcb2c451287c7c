/** What callers in plain JavaScript hand in, checked before it goes on: no compiler saw it. */

import { didYouMean, UsageError } from "../core/errors.js";

/** Says what is wrong with a value; undefined: nothing. */
export interface Check {
  /** Completes "must be …". */
  readonly rule: string;
  fits(value: unknown): boolean;
}

/** One check for each key that `T` may have: the compiler finds the one that is missing. */
export type Checks<T> = { readonly [K in keyof Required<T>]: Check };

const check = (rule: string, fits: (value: unknown) => boolean): Check => ({ rule, fits });
const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

export const text = check("a text that is not empty", (x) => typeof x === "string" && x.trim() !== "");
export const flag = check("true or false", (x) => typeof x === "boolean");
export const callback = check("a function", (x) => typeof x === "function");
export const signal = check("an AbortSignal", (x) => x instanceof AbortSignal);
export const object = check("an object", isObject);
/** An integer from `min`. */
export const count = (min: number): Check =>
  check(`an integer from ${min}`, (x) => Number.isSafeInteger(x) && (x as number) >= min);
export const real = (rule: string, fits: (x: number) => boolean): Check =>
  check(rule, (x) => typeof x === "number" && fits(x));
export const oneOf = (words: readonly string[]): Check =>
  check(`one of ${words.join(", ")}`, (x) => words.includes(x as string));
export const listOf = (item: Check): Check =>
  check(`a list, each ${item.rule}`, (x) => Array.isArray(x) && x.every(item.fits));
export const either = (a: Check, b: Check): Check =>
  check(`${a.rule}, or ${b.rule}`, (x) => a.fits(x) || b.fits(x));
/** Numbers in an array or a typed array. */
export const numbers = check(
  "a list of numbers",
  (x) =>
    (Array.isArray(x) || ArrayBuffer.isView(x)) &&
    Array.prototype.every.call(x, (each: unknown) => typeof each === "number"),
);
/** What `made` gives: recognized by its members. */
export const thing = (what: string, ...members: string[]): Check =>
  check(what, (x) => typeof x === "object" && x !== null && members.every((name) => name in x));
/** An object whose keys are known. */
export interface OptionsCheck extends Check {
  readonly keys: Readonly<Record<string, Check>>;
  /** Keys that must be there. */
  readonly required: readonly string[];
}
export const options = <T>(keys: Checks<T>, required: readonly (keyof T & string)[] = []): OptionsCheck => ({
  ...object,
  keys,
  required,
});

/** A name and a check for each argument. */
type Positions<P extends unknown[]> = { [K in keyof P]-?: readonly [name: string, check: Check] };

/** Throws a `UsageError` naming the call and the argument or key at fault. An argument that is left out is not checked. */
function checkArguments(
  call: string,
  positions: readonly (readonly [name: string, check: Check])[],
  needed: number,
  given: readonly unknown[],
): void {
  for (const [i, [name, { rule, fits }]] of positions.entries()) {
    const value = given[i];
    if (value === undefined && i >= needed) continue;
    refuse(call, name, value, rule, fits(value));
    const { keys, required } = positions[i]![1] as Partial<OptionsCheck>;
    if (keys !== undefined) checkKeys(call, value as Record<string, unknown>, keys, required ?? []);
  }
}

function checkKeys(
  call: string,
  value: Readonly<Record<string, unknown>>,
  keys: Readonly<Record<string, Check>>,
  required: readonly string[],
): void {
  for (const key of Object.keys(value)) {
    if (Object.hasOwn(keys, key)) continue;
    const known = Object.keys(keys);
    const hint = didYouMean(key, known) || ` There are ${known.join(", ")}.`;
    throw new UsageError(`${call}: has no option ${key}; got ${shown(key, value[key])}.${hint}`, { key });
  }
  for (const [key, { rule, fits }] of Object.entries(keys)) {
    if (value[key] === undefined && !required.includes(key)) continue;
    refuse(call, key, value[key], rule, fits(value[key]));
  }
}

function refuse(call: string, key: string, value: unknown, rule: string, fits: boolean): void {
  if (!fits) throw new UsageError(`${call}: ${key} must be ${rule}; got ${shown(key, value)}.`, { key });
}

const shown = (key: string, value: unknown): string => {
  if (value === undefined) return "nothing";
  const written = typeof value === "function" ? "a function" : (JSON.stringify(value) ?? String(value));
  return `${key}=${written.length > 60 ? `${written.slice(0, 57)}…` : written}`;
};

/** `f`, which throws a `UsageError` for arguments of a wrong kind. The first `needed` must be given. */
export function checked<P extends unknown[], R>(
  call: string,
  f: (...given: P) => R,
  needed: number,
  ...positions: Positions<P>
): (...given: P) => R {
  return (...given) => {
    checkArguments(call, positions, needed, given);
    return f(...given);
  };
}

/** As `checked`, of a function that gives a promise: it is rejected. */
export function checkedAsync<P extends unknown[], R>(
  call: string,
  f: (...given: P) => Promise<R>,
  needed: number,
  ...positions: Positions<P>
): (...given: P) => Promise<R> {
  return async (...given) => {
    checkArguments(call, positions, needed, given);
    return f(...given);
  };
}
