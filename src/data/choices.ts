/** Questions whose answers are chosen among captions or pictures: the files of Winoground and SugarCrepe as they are. */

import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { UsageError } from "../core/errors.js";
import { withFileErrors } from "../core/files.js";
import { samplesOf } from "./columns/samples.js";
import { textsOf } from "./columns/texts.js";
import { type Dataset, makeDataset } from "./dataset.js";

/** Pictures and captions of which caption i belongs to picture i; captions beyond the pictures belong to none. */
export interface Question {
  /** File that it is from, without its ending. */
  readonly file: string;
  /** Samples of the set's pictures. */
  readonly images: readonly number[];
  readonly captions: readonly string[];
}

export interface Choices {
  /** Every picture once. */
  readonly pictures: Dataset;
  readonly questions: readonly Question[];
  /** In the order in which they were read. */
  readonly files: readonly string[];
}

/** A question as a file has it: names of pictures. */
interface Written {
  readonly images: readonly string[];
  readonly captions: readonly string[];
}

/**
 * Reads `path`: a SugarCrepe file (JSON: number to `filename`, `caption`, `negative_caption`), a Winoground file (JSONL with
 * `image_0`, `image_1`, `caption_0`, `caption_1`), or a folder of such files. Pictures are looked for in `imageRoot`, or
 * beside the file, or in its `images` folder. Throws `UsageError` naming file and entry for what is no question, and for a
 * picture that is not there.
 */
export function readChoices(path: string, { imageRoot }: { imageRoot?: string | undefined } = {}): Choices {
  const isFolder = withFileErrors("read", path, () => statSync(path).isDirectory());
  const names = isFolder
    ? readdirSync(path)
        .filter((name) => /\.jsonl?$/.test(name))
        .sort()
        .map((name) => join(path, name))
    : [path];
  if (names.length === 0) {
    throw new UsageError(
      `choices ${path}: must hold files of questions; got no .json or .jsonl. Give the folder of SugarCrepe's or Winoground's files.`,
    );
  }
  const paths = new Map<string, number>();
  const questions: Question[] = [];
  for (const name of names) {
    const file = basename(name).replace(/\.jsonl?$/, "");
    const roots = imageRoot === undefined ? [dirname(name), join(dirname(name), "images")] : [imageRoot];
    for (const { where, images, captions } of questionsOf(name)) {
      const at = images.map((image) => {
        const found = roots
          .flatMap((root) => [join(root, image), join(root, `${image}.png`)])
          .find(existsSync);
        if (found === undefined) {
          throw new UsageError(
            `${where}: its picture must be in ${roots.join(" or ")}; got "${image}", which is not there. Give --image-root, the folder of the pictures.`,
            { file: name },
          );
        }
        if (!paths.has(found)) paths.set(found, paths.size);
        return paths.get(found)!;
      });
      questions.push({ file, images: at, captions });
    }
  }
  const samples = [...paths].map(([found, offset]) => ({
    key: basename(found).replace(/\.[^.]+$/, ""),
    captions: [],
    container: 0,
    offset,
    size: -1,
  }));
  const name = basename(path).replace(/\.jsonl?$/, "");
  const pictures = makeDataset(
    name,
    [{ kind: "files", paths: textsOf([...paths.keys()]) }],
    samplesOf(samples),
    {
      source: path,
      kind: "pictures",
      files: samples.length,
      imagesFrom: "the questions",
      captionsFrom: "the questions",
      notes: [],
    },
  );
  return { pictures, questions, files: [...new Set(questions.map(({ file }) => file))] };
}

function questionsOf(file: string): (Written & { readonly where: string })[] {
  const content = withFileErrors("read", file, () => readFileSync(file, "utf8"));
  const entries: [where: string, value: unknown][] = [];
  if (file.endsWith(".jsonl")) {
    for (const [i, line] of content.split("\n").entries())
      if (line.trim() !== "") entries.push([`${file}:${i + 1}`, parsed(line, `${file}:${i + 1}`)]);
  } else {
    const all = parsed(content, file);
    for (const [key, value] of Object.entries(all ?? {})) entries.push([`${file}, entry ${key}`, value]);
  }
  if (entries.length === 0)
    throw new UsageError(`${file}: must hold questions; got none. Give another file.`, { file });
  return entries.map(([where, value]) => ({ where, ...writtenOf(value, where) }));
}

function parsed(text: string, where: string): object | null {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object") return value;
  } catch {
    // told below
  }
  throw new UsageError(
    `${where}: must be a JSON object; got ${text.slice(0, 40).replaceAll("\n", " ")}. Give a file of Winoground (.jsonl) or SugarCrepe (.json).`,
  );
}

function writtenOf(value: unknown, where: string): Written {
  const fields = (value ?? {}) as Record<string, unknown>;
  const texts = (...keys: string[]): string[] | undefined =>
    keys.every((key) => typeof fields[key] === "string" && fields[key] !== "")
      ? keys.map((key) => fields[key] as string)
      : undefined;
  const pair = texts("image_0", "image_1", "caption_0", "caption_1");
  if (pair !== undefined) return { images: pair.slice(0, 2), captions: pair.slice(2) };
  const single = texts("filename", "caption", "negative_caption");
  if (single !== undefined) return { images: single.slice(0, 1), captions: single.slice(1) };
  throw new UsageError(
    `${where}: a question must have filename, caption and negative_caption, or image_0, image_1, caption_0 and caption_1; got ${Object.keys(fields).join(", ") || "nothing"}. Use the files as they were published.`,
  );
}
