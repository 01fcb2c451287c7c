/**
 * From a label to the name of its class: the one way in which captions made of labels, prompts and reports name a class.
 * A file of names says it; without one the name is the label itself, written as words.
 */
import { UsageError } from "../core/errors.js";
import { parseJson, readText } from "../core/files.js";
import { eachSample } from "./columns/samples.js";
import { type Dataset, relabelled } from "./dataset.js";

/** The classes of a labelled set. */
export interface Classes {
  /** In order: of the file, else of the labels. */
  readonly names: readonly string[];
  /** All names of each class, the one in `names` first. */
  readonly synonyms: readonly (readonly string[])[];
  /** Position in `names` of every label of the set. */
  readonly indexOf: ReadonlyMap<string, number>;
  /** What a person should know: names taken by order alone, classes of one name. */
  readonly notes: readonly string[];
}

/** A label as words: `tabby_cat` is `tabby cat`. */
export const classNameOf = (label: string): string => label.replaceAll("_", " ").replace(/\s+/g, " ").trim();

/** Whether labels are nothing but whole numbers, so that they name no class. */
export const areNumbers = (labels: Iterable<string>): boolean => {
  let any = false;
  for (const label of labels) {
    if (!/^\d+$/.test(label)) return false;
    any = true;
  }
  return any;
};

/** The distinct labels of a set: as numbers where all are numbers (2 before 10), else by their letters. */
export function labelsOf(samples: Iterable<{ readonly label?: string }>): string[] {
  const labels = new Set<string>();
  for (const { label } of samples) if (label !== undefined) labels.add(label);
  const sorted = [...labels].sort();
  return areNumbers(sorted) ? sorted.sort((a, b) => Number(a) - Number(b)) : sorted;
}

/** The distinct labels of a data set, in order, class folders without an image among them: see `labelsOf`. */
export function datasetLabels(dataset: Dataset): string[] {
  function* labelled(): Generator<{ readonly label?: string }> {
    yield* eachSample(dataset);
    yield* emptyClasses(dataset.description);
  }
  return labelsOf(labelled());
}

/** The classes without an image, as if each had one. */
export const emptyClasses = (
  descriptions: readonly { readonly emptyClasses?: readonly string[] }[],
): { readonly label: string }[] =>
  descriptions.flatMap((description) => (description.emptyClasses ?? []).map((label) => ({ label })));

/**
 * The classes of `labels` (of `labelsOf`). Without a file of names they are the labels as words; labels that are only
 * numbers have no words, and are refused. Names of a file fit labels, in this order: by the keys of a JSON map, or by its names; by the
 * number of their line, from 0, or from 1 where the last label is the number of names; by the name itself, spelled as
 * label or as words; and, as many names as labels, by the order of the labels, which is noted.
 * Throws `UsageError`, naming the data set by `of`, for a set without labels and for a label without a name.
 */
export function classesOf(labels: readonly string[], of: string, file?: string | ClassNames): Classes {
  if (labels.length === 0) {
    throw new UsageError(
      `data ${of}: classes need labels; got none. Give a folder per class, or a label column (--label-key).`,
    );
  }
  if (typeof file === "string") return nameClasses(labels, loadClassNames(file), { file, of });
  if (file !== undefined) return nameClasses(labels, file, { file: "classnames", of });
  if (areNumbers(labels)) {
    const some = `${labels.slice(0, 3).join(", ")}${labels.length > 3 ? ", …" : ""}`;
    throw new UsageError(
      `data ${of}: its ${labels.length} labels are numbers (${some}), which name no class. Give --classnames, a file with one name a line from label 0 on, or JSON from label to name.`,
    );
  }
  return classes({ names: labels.map(classNameOf) }, counting(labels), labels);
}

/** The data set with the names of its classes for labels; as it is without a file or list of names. See `classesOf`. */
export function withClassNames(dataset: Dataset, names: string | ClassNames | undefined): Dataset {
  if (names === undefined) return dataset;
  const classes = classesOf(datasetLabels(dataset), dataset.name, names);
  return relabelled(dataset, ({ label }) =>
    label === undefined ? undefined : classes.names[classes.indexOf.get(label)!],
  );
}

/** `classesOf` for labels and names that are known. `where` names the file and the data in errors. */
export function nameClasses(
  labels: readonly string[],
  given: ClassNames,
  where: { readonly file: string; readonly of: string },
): Classes {
  const { names, keys } = given;
  const stranger = (positions: readonly (number | undefined)[]) => positions.indexOf(undefined);
  const refuse = (label: string): never => {
    throw new UsageError(
      `${where.file}: must name every class of ${where.of}; got ${names.length} names, none for label "${label}". Add it, or give as many names as there are labels (${labels.length}), in their order.`,
    );
  };
  if (keys !== undefined) {
    const known = new Map(keys.map((key, i) => [key, i]));
    const positions = labels.map((label) => known.get(label));
    const missing = stranger(positions);
    if (missing < 0) return classes(given, positions as number[], labels);
    // Data that hold both a number and a name are labelled by the name.
    const byName = placesByName(labels, names);
    const unknown = stranger(byName);
    return unknown < 0 ? classes(given, byName as number[], labels) : refuse(labels[missing]!);
  }
  if (areNumbers(labels)) {
    // CLIP_benchmark's shards label a sample by its line in classnames.txt, from 0.
    const highest = Number(labels.at(-1));
    const first = highest === names.length && labels[0] !== "0" ? 1 : 0;
    if (highest - first < names.length) {
      const notes = first === 1 ? ["labels count from 1: label 1 is the first name"] : [];
      const positions = labels.map((label) => Number(label) - first);
      return classes(given, positions, labels, notes);
    }
  }
  const positions = placesByName(labels, names);
  const missing = stranger(positions);
  if (missing < 0) return classes(given, positions as number[], labels);
  // Some that fit and some that do not are a slip of the pen, not another order.
  const noneFits = positions.every((position) => position === undefined);
  if (!noneFits || names.length !== labels.length || areNumbers(labels)) return refuse(labels[missing]!);
  const ends = `"${labels[0]}" is "${names[0]}", … "${labels.at(-1)}" is "${names.at(-1)}"`;
  return classes(given, counting(labels), labels, [`names go to labels by their order: ${ends}`]);
}

/** Position of the name that is spelled as each label, or as its words. */
function placesByName(labels: readonly string[], names: readonly string[]): (number | undefined)[] {
  const known = new Map(names.flatMap((name, i) => [[classNameOf(name), i] as const, [name, i] as const]));
  return labels.map((label) => known.get(label) ?? known.get(classNameOf(label)));
}

const counting = (labels: readonly string[]): number[] => labels.map((_, i) => i);

function classes(
  { names, synonyms = names.map((name) => [name]) }: ClassNames,
  positions: readonly number[],
  labels: readonly string[],
  notes: readonly string[] = [],
): Classes {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  const twins = names.filter((name) => counts.get(name)! > 1);
  const same = `${twins.length} classes share a name ("${twins[0]}") and cannot be told apart`;
  return {
    names,
    synonyms,
    indexOf: new Map(labels.map((label, i) => [label, positions[i]!])),
    notes: twins.length === 0 ? notes : [...notes, same],
  };
}

/** Class names in order of label. */
export interface ClassNames {
  readonly names: readonly string[];
  /** The labels that a map gave, in the same order. */
  readonly keys?: readonly string[];
  /** Where classes have several names: all of each, the one in `names` first. */
  readonly synonyms?: readonly (readonly string[])[];
}

/**
 * Class names from a file: text with one name a line (CLIP_benchmark's `classnames.txt`), or `.json` with an array of
 * names, a `{label: name}` map, a `{name: number}` map (torchvision's `class_to_idx`) or an array of
 * `{label, class_name}`. In the first two, a list of names is one class of several. The order of the file is the order of
 * the classes.
 */
export const loadClassNames = (path: string): ClassNames => parseClassNames(readText(path), path);

/** Class names from the text of a file; its ending says which form it has. `file` is named in errors. */
export function parseClassNames(text: string, file: string): ClassNames {
  if (file.toLowerCase().endsWith(".json")) return classNamesIn(parseJson(text, file), file);
  const names = lines(text);
  while (names.at(-1) === "") names.pop();
  return requireNames({ names }, file);
}

/** Class names from what a JSON file may hold: see `loadClassNames`. `file` is named in errors. */
export const classNamesIn = (value: unknown, file: string): ClassNames =>
  requireNames(namesFromJson(value, file), file);

function requireNames(read: ClassNames, file: string): ClassNames {
  const blank = read.names.findIndex((name) => name.trim() === "");
  if (blank >= 0) {
    // A skipped line would shift the label of every class after it.
    throw new UsageError(
      `${file}: a class name must not be blank; got name ${blank + 1} of ${read.names.length}. Fill it in or delete the line.`,
    );
  }
  if (read.names.length === 0) {
    throw new UsageError(`${file}: must hold at least one class name; got none. Write one name a line.`);
  }
  return read;
}

/** How members of an array of records are called: in CLIP_benchmark's, Hugging Face's and our own files. */
const LABEL_MEMBERS = ["label", "id", "index"];
const NAME_MEMBERS = ["class_name", "classname", "name"];

function namesFromJson(value: unknown, file: string): ClassNames {
  if (typeof value !== "object" || value === null) {
    throw new UsageError(
      `${file}: must be an array of names or a map {label: name}; got ${JSON.stringify(value)}. Wrap it in [ ].`,
    );
  }
  const entries = Object.entries(value);
  const records = entries.map(([, entry]) => recordOf(entry));
  if (Array.isArray(value) && records.length > 0 && records.every((record) => record !== undefined)) {
    return refuseTwice(
      { names: records.map(({ name }) => name), keys: records.map(({ label }) => label) },
      file,
    );
  }
  if (!Array.isArray(value) && entries.length > 0 && entries.every(([, entry]) => Number.isInteger(entry))) {
    const sorted = (entries as [string, number][]).sort(([, a], [, b]) => a - b);
    return refuseTwice(
      { names: sorted.map(([name]) => name), keys: sorted.map(([, label]) => String(label)) },
      file,
    );
  }
  const lists = entries.map(([, name]): unknown[] => (Array.isArray(name) ? name : [name]));
  for (const [i, [key, name]] of entries.entries()) {
    if (
      lists[i]!.length === 0 ||
      !lists[i]!.every((each) => typeof each === "string" && each.trim() !== "")
    ) {
      if (name === "") continue; // told as a blank name

      throw new UsageError(
        `${file}: every class name must be a string or a list of them, or every entry a {"label", "class_name"}; got ${JSON.stringify(name)?.slice(0, 60)} under key "${key}". Give one name each.`,
      );
    }
  }
  const synonyms = lists as string[][];
  return {
    names: synonyms.map(([name]) => name!),
    ...(Array.isArray(value) ? {} : { keys: entries.map(([key]) => key) }),
    ...(synonyms.some((all) => all.length > 1) ? { synonyms } : {}),
  };
}

function recordOf(entry: unknown): { label: string; name: string } | undefined {
  if (typeof entry !== "object" || entry === null) return undefined;
  const record = entry as Readonly<Record<string, unknown>>;
  const label = LABEL_MEMBERS.map((member) => record[member]).find((x) => x !== undefined);
  const name = NAME_MEMBERS.map((member) => record[member]).find((x) => x !== undefined);
  const isLabel = typeof label === "string" || Number.isInteger(label);
  return isLabel && typeof name === "string" ? { label: String(label), name } : undefined;
}

function refuseTwice<T extends { readonly keys: readonly string[] }>(read: T, file: string): T {
  const twice = read.keys.find((key, i) => read.keys.indexOf(key) !== i);
  if (twice === undefined) return read;
  throw new UsageError(`${file}: a label has one name; got label ${twice} twice. Delete one of them.`);
}

const lines = (text: string): string[] =>
  text
    .replace(/^\uFEFF/, "")
    .split(/\r?\n/)
    .map((line) => line.trim());
