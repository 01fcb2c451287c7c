/**
 * The ImageNet test sets by name, from the folders that people have, each one's trap known. Classes count in the order of
 * their WordNet ids (`n01440764` is 0), as in every published list of 1,000 names. Sources: imagenet-testbed, imagenet-r,
 * reassessed-imagenet, ImageNetV2, and the mappings that come with ObjectNet.
 */

import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { UsageError } from "../../core/errors.js";
import { readJson, readText } from "../../core/files.js";
import { type ClassNames, loadClassNames } from "../../data/class-names.js";
import { relabelled } from "../../data/dataset.js";
import { type Dataset, type DatasetOptions, openDataset } from "../../data/index.js";
import type { KnownClasses } from "../tasks/task.js";

export const imagenetNames = [
  ...["imagenet", "imagenet-v2", "imagenet-sketch"],
  ...["imagenet-a", "imagenet-r", "imagenet-real", "objectnet"],
] as ImageNetName[];

export type ImageNetName =
  | "imagenet"
  | "imagenet-v2"
  | "imagenet-sketch"
  | "imagenet-a"
  | "imagenet-r"
  | "imagenet-real"
  | "objectnet";

const CLASSES = 1000;
/** Class folders of the sets that have a part of the classes. */
const PARTS: Partial<Record<ImageNetName, number>> = { "imagenet-a": 200, "imagenet-r": 200 };
/** ObjectNet's pictures have a red edge of so many pixels, which tells them apart. */
const OBJECTNET_BORDER = 2;

export interface ImageNetFiles {
  readonly name: string;
  readonly variant: ImageNetName;
  readonly data: readonly string[];
  readonly classnames: string | ClassNames | undefined;
  readonly wnids?: string | undefined;
  readonly answers?: string | undefined;
}

/** Opens an ImageNet set. Throws `UsageError` saying what was found where it has another form or number of classes. */
export async function openImageNet(
  files: ImageNetFiles,
  options: DatasetOptions,
): Promise<{ readonly dataset: Dataset; readonly classes: KnownClasses }> {
  const { name, variant } = files;
  const raw = await openDataset(files.data, { ...options, name, captionsOptional: true });
  const folders = [...new Set(samplesOf(raw).flatMap(({ label }) => label ?? []))].sort();
  const names = thousandNames(files);
  const wnids = wnidsOf(files, names, folders);
  const all = names.synonyms ?? names.names.map((one) => [one]);
  const known: Known = { ...files, folders, wnids };
  const answers = variant === "objectnet" ? objectNetAnswers(raw, known) : imageAnswers(raw, known);
  // Of the sets with a part of the classes the others are masked: they cannot be guessed.
  const masked = PARTS[variant] !== undefined || variant === "objectnet";
  const allowed = masked
    ? [...new Set(answers.flat())].sort((a, b) => a - b)
    : Array.from({ length: CLASSES }, (_, c) => c);
  const place = new Map(allowed.map((c, i) => [c, i]));
  const labelOf = (c: number): string => wnids?.[c] ?? `${c}`;
  const unlabelled = answers.filter((own) => own.length === 0).length;
  const border = variant === "objectnet" ? OBJECTNET_BORDER : undefined;
  return {
    dataset: relabelled(
      raw,
      (_, i) => (answers[i]!.length === 0 ? undefined : labelOf(answers[i]![0]!)),
      border,
    ),
    classes: {
      names: allowed.map((c) => all[c]!),
      labels: allowed.map(labelOf),
      answers: answers.map((own) => own.map((c) => place.get(c)!)),
      notes: [
        ...(masked
          ? [`${CLASSES - allowed.length} of ${CLASSES} classes are masked: ${name} has none of them`]
          : []),
        ...(unlabelled === 0
          ? []
          : [`${unlabelled} pictures of ${name} have no right answer and are left out`]),
      ],
    },
  };
}

interface Known extends Omit<ImageNetFiles, "wnids"> {
  /** Names of the class folders, sorted by letters. */
  readonly folders: readonly string[];
  /** The 1,000 ids in order, where they are known. */
  readonly wnids: readonly string[] | undefined;
}

const isWnid = (word: string): boolean => /^n\d{8}$/.test(word);
const samplesOf = (dataset: Dataset) => Array.from({ length: dataset.length }, (_, i) => dataset.sample(i));

/** The 1,000 names in order of class. */
function thousandNames({ name, classnames }: ImageNetFiles): ClassNames {
  if (classnames === undefined) {
    throw new UsageError(
      `suite ${name}: classnames: must be the 1,000 names in order of class; got none. Give a file, e.g. of openai/CLIP's notebook, one name a line.`,
      { key: "classnames" },
    );
  }
  const read = typeof classnames === "string" ? loadClassNames(classnames) : classnames;
  if (read.names.length !== CLASSES) {
    throw new UsageError(
      `suite ${name}: classnames: must be 1,000 names in order of class; got ${read.names.length}. Give all, for sets with a part of the classes too.`,
      { key: "classnames" },
    );
  }
  if (read.keys?.every(isWnid) !== true) return read;
  const order = read.keys.map((_, i) => i).sort((a, b) => (read.keys![a]! < read.keys![b]! ? -1 : 1));
  const { synonyms } = read;
  return {
    names: order.map((i) => read.names[i]!),
    keys: order.map((i) => read.keys![i]!),
    ...(synonyms && { synonyms: order.map((i) => synonyms[i]!) }),
  };
}

/** The ids: keys of the names, the file or folder that was given, or the set's own folders where they are all 1,000. */
function wnidsOf({ name, wnids }: ImageNetFiles, names: ClassNames, folders: readonly string[]) {
  if (names.keys?.every(isWnid)) return names.keys;
  const own = folders.filter(isWnid);
  if (wnids === undefined) return own.length === CLASSES ? own : undefined;
  const words =
    !existsSync(wnids) || !statSync(wnids).isDirectory()
      ? readText(wnids).match(/n\d{8}/g)
      : readdirSync(wnids);
  const found = [...new Set((words ?? []).filter(isWnid))].sort();
  if (found.length === CLASSES) return found;
  throw new UsageError(
    `suite ${name}: wnids: ${wnids} must hold the ${CLASSES} ids (n01440764 …); got ${found.length}. Give a file such as synset_words.txt or imagenet_class_index.json, or the folder of ImageNet's classes.`,
    { key: "wnids" },
  );
}

/** Right answers of the sets whose pictures are of ImageNet's classes. */
function imageAnswers(dataset: Dataset, known: Known): number[][] {
  const { name, variant, folders } = known;
  const expected = PARTS[variant] ?? CLASSES;
  const form =
    variant === "imagenet-v2" ? "folders 0 … 999, or of WordNet ids" : "a folder for each WordNet id";
  if (folders.length === 0 && (variant === "imagenet" || variant === "imagenet-real"))
    return flatAnswers(dataset, known);
  if (folders.length !== expected) {
    throw new UsageError(
      `suite ${name}: ${variant} has ${expected} classes, ${form}; got ${folders.length}${folders.length === 0 ? "" : ` (${folders.slice(0, 3).join(", ")}, …)`}. Give the folder that holds them.`,
    );
  }
  const classOf = new Map<string, number>();
  if (
    variant === "imagenet-v2" &&
    folders.every((folder) => /^\d+$/.test(folder) && Number(folder) < CLASSES)
  ) {
    for (const folder of folders) classOf.set(folder, Number(folder)); // as letters, 10 comes before 2
  } else {
    const strange = folders.find((folder) => !isWnid(folder));
    if (strange !== undefined)
      throw new UsageError(
        `suite ${name}: ${variant} is ${form}; got "${strange}". Give the folder that holds them.`,
      );
    for (const [c, wnid] of requireWnids(known).entries()) classOf.set(wnid, c);
  }
  const own = samplesOf(dataset).map(({ label }) => {
    const c = classOf.get(label!);
    if (c !== undefined) return [c];
    throw new UsageError(`suite ${name}: its folder ${label} is none of the 1,000 classes. Check wnids.`);
  });
  return variant === "imagenet-real" ? reassessed(dataset, known, own) : own;
}

function requireWnids({ name, wnids, folders }: Known): readonly string[] {
  if (wnids !== undefined) return wnids;
  throw new UsageError(
    `suite ${name}: wnids: which of the 1,000 classes its ${folders.length} folders are is not known; got none. Give a file such as synset_words.txt, or the folder of ImageNet's classes.`,
    { key: "wnids" },
  );
}

/** The number of a picture of the validation set, from 1: that of its file. */
function validationNumber(key: string, name: string): number {
  const number = /ILSVRC2012_val_(\d{8})/.exec(key)?.[1];
  if (number !== undefined) return Number(number);
  throw new UsageError(
    `suite ${name}: pictures must bear their number, ILSVRC2012_val_00000001.JPEG …; got ${key}. Give the files under their own names.`,
  );
}

/** ReaL: any class in a picture's list is right; a picture whose list is empty is not scored (Beyer et al. 2020). */
function reassessed(dataset: Dataset, { name, answers: file }: Known, own?: readonly number[][]): number[][] {
  if (file === undefined) throw noAnswers(name, "real.json, the lists of classes by picture");
  const lists = readJson(file);
  const isList = (x: unknown): x is number[] =>
    Array.isArray(x) && x.every((c) => Number.isInteger(c) && c >= 0 && c < CLASSES);
  if (!Array.isArray(lists) || !lists.every(isList)) {
    throw new UsageError(`${file}: must be a list of lists of classes 0 … 999. Give real.json.`, { file });
  }
  return samplesOf(dataset).map(({ key }, i) => {
    const number = validationNumber(key, name);
    const right = lists[number - 1];
    if (right === undefined) {
      throw new UsageError(`${file}: must have a list for picture ${number}; got ${lists.length} lists.`, {
        file,
      });
    }
    const before = own?.[i]?.[0];
    return before !== undefined && right.includes(before)
      ? [before, ...right.filter((c) => c !== before)]
      : right;
  });
}

const noAnswers = (name: string, what: string): UsageError =>
  new UsageError(`suite ${name}: answers: must be given; got none. Give ${what}.`, { key: "answers" });

/** Pictures in one folder: their classes stand in a file. */
function flatAnswers(dataset: Dataset, known: Known): number[][] {
  if (known.variant === "imagenet-real") return reassessed(dataset, known);
  const { name, answers: file } = known;
  if (file === undefined)
    throw noAnswers(
      name,
      "LOC_val_solution.csv, or a file with FILE CLASS or a WordNet id a line, or folders a class",
    );
  const rows = readText(file).trim().split(/\r?\n/);
  if (rows.every((row) => /^\d+$/.test(row.trim()))) {
    throw new UsageError(
      `${file}: bare numbers are ILSVRC2012 ids, which are not in the order of the classes. Give LOC_val_solution.csv, or a WordNet id a line.`,
      { file },
    );
  }
  const place = (wnid: string): number => requireWnids(known).indexOf(wnid);
  const classOf = new Map<number, number>();
  for (const [i, row] of rows.entries()) {
    const number = /ILSVRC2012_val_(\d{8})/.exec(row)?.[1];
    const wnid = /n\d{8}/.exec(row)?.[0];
    const index = /\s(\d{1,3})$/.exec(row)?.[1];
    if (wnid !== undefined) classOf.set(number === undefined ? i + 1 : Number(number), place(wnid));
    else if (number !== undefined && index !== undefined) classOf.set(Number(number), Number(index));
  }
  return samplesOf(dataset).map(({ key }) => {
    const number = validationNumber(key, name);
    const c = classOf.get(number) ?? -1;
    if (c >= 0) return [c];
    throw new UsageError(
      `${file}: must tell the class of picture ${number} (${key}); it has ${classOf.size}.`,
      { file },
    );
  });
}

/**
 * ObjectNet: its folders go to its labels, these to one or several of ImageNet's, by the files in its `mappings/`; any of
 * them is right. Pictures of other objects are not scored.
 */
function objectNetAnswers(dataset: Dataset, { name, answers: folder }: Known): number[][] {
  if (folder === undefined) throw noAnswers(name, "the folder mappings/ that comes with ObjectNet");
  const json = <T>(file: string) => readJson(join(folder, file)) as Readonly<Record<string, T>>;
  const objectOf = json<string>("folder_to_objectnet_label.json");
  const imagenetOf = json<string>("objectnet_to_imagenet_1k.json");
  // Lines of imagenet_to_label_2012_v2 are in another order than the classes.
  const lineOf = json<number>("pytorch_to_imagenet_2012_id.json");
  const lines = readText(join(folder, "imagenet_to_label_2012_v2"))
    .split(/\r?\n/)
    .map((line) => line.trim());
  const classOf = new Map(Object.entries(lineOf).map(([c, line]) => [lines[line]!, Number(c)]));
  const answers = samplesOf(dataset).map(({ label }) => {
    const object = objectOf[label ?? ""];
    const texts = object === undefined ? undefined : imagenetOf[object];
    return (texts?.split("; ") ?? []).map((text) => {
      const c = classOf.get(text.trim());
      if (c !== undefined) return c;
      throw new UsageError(
        `${join(folder, "objectnet_to_imagenet_1k.json")}: "${text}" must be a line of imagenet_to_label_2012_v2. Give the files of one release.`,
      );
    });
  });
  const found = new Set(
    samplesOf(dataset).flatMap(({ label }, i) => (answers[i]!.length > 0 ? [label] : [])),
  );
  const expected = Object.keys(imagenetOf).length;
  if (found.size === expected) return answers;
  throw new UsageError(
    `suite ${name}: objectnet has ${expected} folders that ImageNet's classes cover; got ${found.size}. Give the folder images/ that holds them.`,
  );
}
