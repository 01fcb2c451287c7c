/** A suite: named data sets that models are scored on together, as a file or a program says it. */

import { dirname, isAbsolute, join } from "node:path";
import { z } from "zod";
import { didYouMean, UsageError } from "../../core/errors.js";
import { readJson } from "../../core/files.js";
import { type ClassNames, classNamesIn } from "../../data/class-names.js";
import { corruptionNames } from "../../data/pixels/corrupt/corruption.js";
import { importProgram } from "../../settings/program.js";
import { findTask, tasks } from "../tasks/index.js";
import { allCorruptions, type Corruptions, type CorruptionsInput } from "./corruptions.js";
import { type ImageNetName, imagenetNames } from "./imagenet.js";
import type { SetRole } from "./score.js";

const roles: readonly SetRole[] = ["test", "reference", "shift", "train"];

/** Names of classes: a list in order of label or a map from label, with lists for classes of several names. */
export type ClassNamesInput =
  | readonly (string | readonly string[])[]
  | Readonly<Record<string, string | readonly string[]>>;

/** One set of a suite. Paths start from the suite's file. */
export interface SuiteSetInput {
  /** A source as `openDataset` takes it, or a folder or an address in CLIP_benchmark's form. */
  readonly data: string | readonly string[];
  /** Which of the ImageNet sets the data are; default: none of them. */
  readonly imagenet?: ImageNetName;
  /** Default `test`. */
  readonly role?: SetRole;
  /** Labelled pictures that probes learn from: a source, or the name of a set of the suite. Default: the set of role `train`. */
  readonly train?: string | readonly string[];
  /** A file or the names; default: CLIP_benchmark's `classnames.txt`, else the suite's, else the labels. */
  readonly classnames?: string | ClassNamesInput;
  /** A template set, a file or the templates; default: CLIP_benchmark's, else the suite's, else `simple`. */
  readonly templates?: string | readonly string[];
  /** Names of tasks; default: the suite's, else those that suit the data. */
  readonly tasks?: readonly string[];
  /** ImageNet: the 1,000 WordNet ids in order, where the folders do not hold all: a file, or a folder with them. */
  readonly wnids?: string;
  /** ImageNet: the file of right answers, for pictures in one folder, for ReaL and for ObjectNet's mapping. */
  readonly answers?: string;
  readonly labelKey?: string;
  /** Score the pictures corrupted too: all kinds at strengths 1 … 5, or those that are said. Default: the suite's, else not. */
  readonly corruptions?: boolean | CorruptionsInput;
}

export interface SuiteInput {
  /** Sets by the name that results bear. */
  readonly sets: Readonly<Record<string, SuiteSetInput>>;
  readonly classnames?: string | ClassNamesInput;
  readonly templates?: string | readonly string[];
  readonly tasks?: readonly string[];
  readonly wnids?: string;
  readonly corruptions?: boolean | CorruptionsInput;
}

/** A set as it is opened: checked, paths complete. */
export interface SuiteSet
  extends Omit<SuiteSetInput, "data" | "classnames" | "templates" | "tasks" | "train" | "corruptions"> {
  readonly name: string;
  readonly data: readonly string[];
  readonly role: SetRole;
  readonly train: { readonly set: string } | { readonly data: readonly string[] } | undefined;
  readonly classnames: string | ClassNames | undefined;
  readonly templates: string | readonly string[] | undefined;
  /** Undefined: those that suit the data. */
  readonly tasks: readonly string[] | undefined;
  /** Undefined: the pictures as they are alone. */
  readonly corruptions: Corruptions | undefined;
  /** What the suite says for all sets, where neither the set nor its folder does. */
  readonly fallback: Pick<SuiteSet, "classnames" | "templates">;
}

export interface Suite {
  readonly sets: readonly SuiteSet[];
}

/** A suite in a program, with its types checked by the editor; `clipwright evaluate --suite` and `evaluate` take it. */
export const defineSuite = (suite: SuiteInput): SuiteInput => suite;

const words = z.string().min(1);
const wordOrWords = z.union([words, z.array(words).min(1)]);
const names = z.union([words, z.array(wordOrWords).min(1), z.record(z.string(), wordOrWords)]);
const corruptions = z.union([
  z.boolean(),
  z.strictObject({
    kinds: z.array(z.enum(corruptionNames)).min(1).optional(),
    strengths: z.array(z.number().int().min(1).max(5)).min(1).optional(),
    seed: z.number().int().min(0).optional(),
  }),
]);
const common = {
  classnames: names,
  templates: wordOrWords,
  tasks: z.array(words).min(1),
  wnids: words,
  corruptions,
};
const setKeys = {
  ...common,
  data: wordOrWords,
  imagenet: z.enum(imagenetNames),
  role: z.enum(roles),
  train: wordOrWords,
  answers: words,
  labelKey: words,
};
const suiteKeys = { ...common, sets: z.record(z.string(), z.unknown()) };

/** What a value must be, by key. */
const rules: Readonly<Record<string, string>> = {
  data: "a source or a list of them",
  sets: "a map from names to sets",
  imagenet: `one of ${imagenetNames.join(", ")}`,
  role: `one of ${roles.join(", ")}`,
  classnames: "a file, a list of names, or a map from label to name",
  templates: "a set's name, a file, or a list of templates",
  tasks: "a list of names of tasks",
  corruptions: `true, or {"kinds", "strengths", "seed"} with kinds of ${corruptionNames.join(", ")} and strengths of 1 … 5`,
  train: "a source, or the name of a set of the suite",
};

/**
 * The suite in a file: `.json`, or a program (`.js`, `.mjs`, `.ts`, `.mts`) that exports it as its default. Throws `UsageError`
 * naming the file and the key at fault, with the nearest spelling.
 */
export async function loadSuite(path: string): Promise<Suite> {
  if (!/\.(?:json|[cm]?[jt]s)$/.test(path)) {
    throw new UsageError(`${path}: a suite is a .json, .js, .mjs, .ts or .mts file. Give one.`, {
      file: path,
    });
  }
  const value = path.endsWith(".json") ? readJson(path) : await importProgram(path, "suite");
  return checkSuite(value, { where: path, base: dirname(path) });
}

/**
 * Checks a suite. `where` is named in errors; `base` is the folder that paths start from. Throws `UsageError`.
 */
export function checkSuite(value: unknown, { where = "suite", base = "." } = {}): Suite {
  const suite = checkKeys(value, suiteKeys, ["sets"], where, "") as unknown as SuiteInput;
  const entries = Object.entries(suite.sets);
  if (entries.length === 0) throw new UsageError(`${where}: sets: must hold a set; got none. Name one.`);
  const inputs = entries.map(([name, set]) => {
    const input = checkKeys(set, setKeys, ["data"], where, `sets.${name}.`) as unknown as SuiteSetInput;
    return [name, input] as const;
  });
  const learned = inputs.filter(([, { role }]) => role === "train").map(([name]) => name);
  if (learned.length === inputs.length) {
    throw new UsageError(`${where}: a set must be scored; got only sets of role train. Add one.`);
  }
  const references = inputs.filter(([, { role }]) => role === "reference").map(([name]) => name);
  if (references.length > 1) {
    throw new UsageError(
      `${where}: one set is the reference that shifts are held against; got ${references.join(", ")}. Give the others role test.`,
    );
  }
  const place = (source: string): string =>
    source
      .split("::")
      .map((part) => (isAbsolute(part) || isAddress(part) ? part : join(base, part)))
      .join("::");
  const places = (sources: string | readonly string[]) => [sources].flat().map(place);
  const file = (path: string, key: string, named: (path: string) => boolean) =>
    named(path) ? path : isAddress(path) ? refuseAddress(where, key, path) : place(path);
  const never = () => false;
  const parts = ({ classnames, templates }: SuiteSetInput | SuiteInput, key: string) => ({
    classnames:
      typeof classnames === "string"
        ? file(classnames, `${key}classnames`, never)
        : classnames && classNamesIn(classnames, `${where}: ${key}classnames`),
    templates:
      typeof templates === "string"
        ? file(templates, `${key}templates`, (path) => !/[./\\]/.test(path))
        : templates,
  });
  const fallback = parts(suite, "");
  checkTasks(suite.tasks, where, "tasks");
  const sets = inputs.map(([name, input]): SuiteSet => {
    const key = `sets.${name}.`;
    checkTasks(input.tasks, where, `${key}tasks`);
    const { role = "test", train, wnids = suite.wnids, answers } = input;
    const { corruptions = suite.corruptions ?? false } = input;
    const own = typeof train === "string" && Object.hasOwn(suite.sets, train);
    if (train === undefined && learned.length > 1 && role !== "train") {
      throw new UsageError(
        `${where}: ${key}train: must say which set probes learn from; got ${learned.length} of role train (${learned.join(", ")}). Name one.`,
      );
    }
    const [only] = learned;
    return {
      ...input,
      ...parts(input, key),
      name,
      role,
      fallback,
      data: places(input.data),
      tasks: input.tasks ?? suite.tasks,
      corruptions:
        corruptions === false ? undefined : allCorruptions(corruptions === true ? {} : corruptions),
      ...(wnids && { wnids: place(wnids) }),
      ...(answers && { answers: place(answers) }),
      train:
        train === undefined
          ? only === undefined || role === "train"
            ? undefined
            : { set: only }
          : own
            ? { set: train }
            : { data: places(train) },
    };
  });
  return { sets };
}

const isAddress = (source: string): boolean => /^https?:\/\//.test(source);

function refuseAddress(where: string, key: string, path: string): never {
  throw new UsageError(`${where}: ${key}: must be a file; got the address ${path}. Fetch it first.`);
}

function checkKeys(
  value: unknown,
  keys: Readonly<Record<string, z.ZodType>>,
  required: readonly string[],
  where: string,
  path: string,
): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    const what = path === "" ? 'a suite {"sets": {…}}' : `${path.slice(0, -1)}: must be a set {"data": …}`;
    throw new UsageError(
      `${where}: ${path === "" ? "must hold " : ""}${what}; got ${JSON.stringify(value) ?? "nothing"}. See docs/evaluation.md.`,
    );
  }
  const given = value as Record<string, unknown>;
  for (const key of Object.keys(given)) {
    if (Object.hasOwn(keys, key)) continue;
    const known = Object.keys(keys);
    const hint = didYouMean(key, known) || ` There are ${known.join(", ")}.`;
    throw new UsageError(`${where}: ${path}${key}: no such key.${hint}`, { key });
  }
  for (const [key, schema] of Object.entries(keys)) {
    const needed = required.includes(key);
    if (given[key] === undefined && !needed) continue;
    if (schema.safeParse(given[key]).success) continue;
    const got = given[key] === undefined ? "nothing" : JSON.stringify(given[key]).slice(0, 60);
    const hint =
      key === "imagenet"
        ? didYouMean(String(given[key]), imagenetNames)
        : key === "role"
          ? didYouMean(String(given[key]), roles)
          : "";
    throw new UsageError(
      `${where}: ${path}${key}: must be ${rules[key] ?? "a text that is not empty"}; got ${got}.${hint || " Correct it."}`,
      { key },
    );
  }
  return given;
}

function checkTasks(wanted: readonly string[] | undefined, where: string, key: string): void {
  for (const name of wanted ?? []) {
    if (findTask(name) !== undefined) continue;
    const known = tasks.map((task) => task.name);
    throw new UsageError(
      `${where}: ${key}: no such task; got "${name}".${didYouMean(name, known) || ` There are ${known.join(", ")}.`}`,
      { key: "tasks" },
    );
  }
}
