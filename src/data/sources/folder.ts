/** A folder of images with texts of the same name beside them, or one folder a class. */
import { readdirSync } from "node:fs";
import { basename, dirname, join, relative, sep } from "node:path";
import { UsageError } from "../../core/errors.js";
import { readRegularFile } from "../../core/files.js";
import { SampleWriter } from "../columns/samples.js";
import { textsOf } from "../columns/texts.js";
import { type DatasetOptions, endings, IMAGE_ENDINGS, type SourceReading } from "./options.js";
import { splitName, tellUnread } from "./pictures.js";
import { Problems } from "./problems.js";
import { annotationOf, captionLines, type Given } from "./tables/columns.js";
import { parseJson } from "./tables/json.js";
import { TextReader } from "./text.js";

/** Every file and every folder under `root`, relative to it, sorted; hidden ones and macOS leftovers are left out. */
export function listFolder(root: string): { files: string[]; folders: string[] } {
  const files: string[] = [];
  const folders: string[] = [];
  for (const entry of readdirSync(root, { recursive: true, withFileTypes: true })) {
    const path = relative(root, join(entry.parentPath, entry.name));
    if (path.split(sep).some((part) => part.startsWith(".") || part === "__MACOSX")) continue;
    (entry.isDirectory() ? folders : files).push(path);
  }
  return { files: files.sort(), folders: folders.sort() };
}

/** No caption or JSON of one image is longer. */
const MOST_TEXT_BYTES = 2 ** 24;

/** Reads the folder `root` whose files are `files`. Throws `UsageError` saying what was seen instead of pairs. */
export function readFolder(
  source: string,
  root: string,
  { files, folders }: ReturnType<typeof listFolder>,
  options: DatasetOptions,
): SourceReading {
  const imageEndings = endings(options.imageKey, IMAGE_ENDINGS);
  const textEndings = endings(options.captionKey, ["txt"]);
  const images: { path: string; stem: string; ending: string }[] = [];
  const texts = new Map<string, string>();
  const jsons = new Map<string, string>();
  for (const path of files) {
    const [stem, ending] = splitName(path);
    if (imageEndings.includes(ending)) images.push({ path, stem, ending });
    else if (textEndings.includes(ending)) texts.set(stem, path);
    else if (ending === "json") jsons.set(stem, path);
  }
  const problems = new Problems();
  tellUnread(files, problems);
  if (images.length === 0) {
    const found = problems.lines.length > 0 ? problems.lines.join("; ") : count(files);
    throw new UsageError(
      `folder ${source}: holds no images; got ${found}. Point at images, a table or tars.`,
    );
  }
  const paired = images.filter(({ stem }) => texts.has(stem) || jsons.has(stem)).length;
  const parents = new Set(images.map(({ path }) => dirname(path)));
  const classes = !parents.has(".") && parents.size > 1;
  const textFrom = new Set<string>();
  const labelFrom = new Set<string>();
  const reader = new TextReader(options.encoding);
  const read = (path: string): string | undefined => {
    try {
      return reader.decode(readRegularFile(join(root, path), MOST_TEXT_BYTES));
    } catch (error) {
      problems.add("texts that cannot be read, left out", `${path}: ${(error as Error).message}`);
      return undefined;
    }
  };
  const samples = new SampleWriter();
  for (const [offset, { path, stem }] of images.entries()) {
    let captions: string[] = [];
    let label: string | undefined;
    let own: Given = {};
    const text = texts.get(stem);
    if (text !== undefined) {
      captions = captionLines(read(text) ?? "");
      textFrom.add(`${text.slice(text.lastIndexOf("."))} files of the same name, one caption a line`);
    }
    const json = jsons.get(stem);
    if (json !== undefined) {
      const annotation = annotationOf(recordOf(json, read(json), problems), options);
      if (captions.length === 0 || options.jsonCaptionKey !== undefined) {
        captions = annotation.captions;
        if (annotation.captionField !== undefined)
          textFrom.add(`field "${annotation.captionField}" of .json files`);
      }
      label = annotation.label;
      own = annotation.own;
      if (label !== undefined) labelFrom.add(`field "${annotation.labelField}" of .json files`);
    }
    if (classes && label === undefined && paired === 0) {
      label = basename(dirname(path));
      labelFrom.add("folder names");
    }
    const located = { key: stem.replaceAll(sep, "/"), captions, container: 0, offset, size: -1 };
    samples.add({ ...located, ...(label !== undefined && { label }), ...own });
  }
  if (paired === 0 && !classes && options.captionsOptional !== true) {
    throw new UsageError(
      `folder ${source}: its images have neither texts of the same name nor class folders; got ${count(files)}. Put cat.txt beside cat.jpg, or point at the table that has the captions.`,
    );
  }
  const stems = new Set(images.map(({ stem }) => stem));
  const orphans = [...texts.keys()].filter((stem) => !stems.has(stem)).length;
  const notes: string[] = [];
  if (orphans > 0) notes.push(`${orphans} texts have no image of the same name and are left out`);
  if (paired > 0 && paired < images.length)
    notes.push(`${images.length - paired} images have no text beside them`);
  const emptyClasses = labelFrom.has("folder names") ? classesWithout(images, folders) : [];
  for (const name of emptyClasses) problems.add("class folders without an image", name);
  return {
    containers: [{ kind: "files", root, paths: textsOf(images.map(({ path }) => path)) }],
    samples: samples.done(),
    description: {
      source,
      kind: paired > 0 ? "image-text folder" : classes ? "class folder" : "pictures",
      files: images.length,
      imagesFrom: `${[...new Set(images.map(({ ending }) => `.${ending}`))].join(", ")} files`,
      captionsFrom: [...textFrom].join("; ") || "none found",
      ...(labelFrom.size > 0 ? { labelsFrom: [...labelFrom].join("; ") } : {}),
      ...(emptyClasses.length > 0 ? { emptyClasses } : {}),
      notes,
      problems: problems.lines,
    },
  };
}

/** `3 .txt, 2 .md`: the files by ending. */
export function count(files: readonly string[]): string {
  const byEnding = new Map<string, number>();
  for (const file of files) {
    const ending = splitName(file)[1];
    byEnding.set(ending, (byEnding.get(ending) ?? 0) + 1);
  }
  const parts = [...byEnding]
    .sort((a, b) => b[1] - a[1])
    .map(([e, n]) => `${n} ${e ? `.${e}` : "without ending"}`);
  return parts.length === 0 ? "an empty folder" : parts.slice(0, 8).join(", ");
}

/** Names of folders that lie as deep as the class folders and hold neither images nor folders. */
function classesWithout(images: readonly { path: string }[], folders: readonly string[]): string[] {
  const used = new Set<string>();
  const depths = new Set<number>();
  for (const { path } of images) {
    const folder = dirname(path);
    depths.add(folder.split(sep).length);
    for (let at = folder; at !== "."; at = dirname(at)) used.add(at);
  }
  const parents = new Set(folders.map((folder) => dirname(folder)));
  return folders
    .filter((path) => !used.has(path) && !parents.has(path) && depths.has(path.split(sep).length))
    .map((path) => basename(path));
}

/** The object in the JSON file `path`; an empty one, and counted, where there is none. */
function recordOf(path: string, text = "null", problems: Problems): Readonly<Record<string, unknown>> {
  try {
    const value = parseJson(text);
    return value !== null && typeof value === "object" ? (value as Record<string, unknown>) : {};
  } catch (error) {
    problems.add("files that are not JSON, left out", `${path}: ${(error as Error).message}`);
    return {};
  }
}
