/** From words of the command line to values by key: `--key value`, `--key=value`, `-k value`, `--no-flag`, repeats. */

import { parseArgs } from "node:util";
import { didYouMean } from "../core/errors.js";
import { type Fields, kebab } from "../settings/fields.js";
import { type Command, optionsOf } from "./command.js";

export type Parsed =
  | {
      readonly ok: true;
      /** Unchecked values, by key. */
      readonly given: Readonly<Record<string, unknown>>;
      readonly positionals: readonly string[];
    }
  /** A command line that cannot be understood: one line that says why. */
  | { readonly ok: false; readonly problem: string };

/** Reads the words after the command's name. */
export function parseWords(command: Command, words: readonly string[]): Parsed {
  const fields = optionsOf(command);
  const keys = keysBySpelling(fields);
  const flags = new Set(
    [...keys].filter(([, key]) => fields[key]!.kind.arity === "flag").map(([name]) => name),
  );
  const { tokens } = parseArgs({
    args: expandValues(words, keys, flags),
    options: Object.fromEntries([
      ...[...keys.keys()].map((name) => {
        const type = flags.has(name) ? ("boolean" as const) : ("string" as const);
        return [name, name.length === 1 ? { type, short: name } : { type }] as const;
      }),
      ...[...flags].map((name) => [`no-${name}`, { type: "boolean" }] as const),
    ]),
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  const given: Record<string, unknown> = {};
  const positionals: string[] = [];
  const fail = (problem: string): Parsed => ({ ok: false, problem });
  for (const token of tokens) {
    if (token.kind === "positional") positionals.push(token.value);
    if (token.kind !== "option") continue;
    const { name, rawName, value } = token;
    const negated = !keys.has(name) && name.startsWith("no-") && flags.has(name.slice(3));
    const key = keys.get(negated ? name.slice(3) : name);
    if (key === undefined || !(rawName.startsWith("--") || rawName === `-${name}`)) {
      const near = didYouMean(
        rawName,
        [...keys.keys(), "help"].filter((each) => each === kebab(each)).map((each) => `--${each}`),
      );
      return fail(
        `${rawName}: no such option of ${command.name}.${near || ` See clipwright ${command.name} --help.`}`,
      );
    }
    const { kind } = fields[key]!;
    if (negated && value !== undefined) return fail(`${rawName}: takes no value; got "${value}".`);
    if (kind.arity !== "flag" && (value === undefined || isOption(token.inlineValue, value))) {
      return fail(`${rawName}: needs a value; got nothing. Write ${rawName} ${kind.placeholder}.`);
    }
    const read = kind.arity === "flag" && value === undefined ? !negated : kind.fromText(value!);
    const earlier = given[key];
    if (kind.arity === "many")
      given[key] = [...((earlier as unknown[] | undefined) ?? []), ...(read as unknown[])];
    else if (earlier !== undefined)
      return fail(`${rawName}: given twice; got ${show(earlier)} and ${show(read)}. Keep one.`);
    else given[key] = read;
  }
  const problem = positionalProblem(command, positionals);
  return problem === undefined ? { ok: true, given, positionals } : fail(problem);
}

/** Every spelling of every option, to its key. */
function keysBySpelling(fields: Fields): Map<string, string> {
  const keys = new Map<string, string>();
  for (const [key, { aliases }] of Object.entries(fields)) {
    for (const spelling of [kebab(key), key, ...aliases]) keys.set(spelling, key);
  }
  return keys;
}

/** A boolean may be given its value as a word of its own: `--flip false`. */
function expandValues(
  words: readonly string[],
  keys: ReadonlyMap<string, string>,
  flags: ReadonlySet<string>,
): string[] {
  const out: string[] = [];
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    const next = words[i + 1];
    const name = word.slice(2);
    if (word.startsWith("--") && keys.has(name) && flags.has(name) && (next === "true" || next === "false")) {
      out.push(`${word}=${next}`);
      i++;
    } else out.push(word);
  }
  return out;
}

/** `--name --lr 3` swallows an option; `--lr -1` is a value, and `--name=--x` was meant. */
const isOption = (inline: boolean | undefined, value: string): boolean =>
  inline !== true && value.startsWith("-") && !/^-[\d.]/.test(value) && value !== "-";

const show = (value: unknown): string => (typeof value === "string" ? value : JSON.stringify(value));

function positionalProblem(command: Command, given: readonly string[]): string | undefined {
  const { positionals } = command;
  const missing = positionals[given.length];
  if (missing?.required) {
    return `${missing.name}: is required; got nothing. ${missing.doc} See clipwright ${command.name} --help.`;
  }
  if (given.length > positionals.length && positionals.at(-1)?.many !== true) {
    return `${command.name}: takes ${positionals.length === 0 ? "no arguments" : positionals.map(({ name }) => name).join(" ")}; got also "${given[positionals.length]}". Options begin with --.`;
  }
  return undefined;
}
