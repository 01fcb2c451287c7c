/**
 * The sentences into which class names are put, and the files that hold them. `{c}` or `{}` stands for the class name.
 */

import { didYouMean, UsageError } from "../../core/errors.js";
import { readText } from "../../core/files.js";

export interface TemplateSet {
  readonly doc: string;
  /** Where the sentences were published. */
  readonly source: string;
  readonly templates: readonly string[];
}

const OPENAI_NOTEBOOK = "openai/CLIP, notebooks/Prompt_Engineering_for_ImageNet.ipynb";

/** The template sets that a name can ask for. */
export const templateSets: Readonly<Record<string, TemplateSet>> = Object.freeze({
  plain: { doc: "the name alone", source: "Clipwright", templates: ["{c}"] },
  simple: {
    doc: "one sentence for photographs",
    source: "Radford et al. 2021, §3.1.4",
    templates: ["a photo of a {c}."],
  },
  drawing: {
    doc: "for emoji, icons and other drawings",
    source: "Clipwright",
    templates: [
      "{c}",
      "a drawing of {c}",
      "an emoji of {c}",
      "an icon of {c}",
      "a cartoon of {c}",
      "a flat illustration of {c}",
      "a line drawing of {c}",
      "a picture of {c}",
    ],
  },
  "openai-7": {
    doc: "the seven that forward selection kept of the eighty",
    source: OPENAI_NOTEBOOK,
    templates: [
      "itap of a {c}.",
      "a bad photo of the {c}.",
      "a origami {c}.",
      "a photo of the large {c}.",
      "a {c} in a video game.",
      "art of the {c}.",
      "a photo of the small {c}.",
    ],
  },
  "openai-80": {
    doc: "the eighty ImageNet sentences",
    source: OPENAI_NOTEBOOK,
    templates: [
      "a bad photo of a {c}.",
      "a photo of many {c}.",
      "a sculpture of a {c}.",
      "a photo of the hard to see {c}.",
      "a low resolution photo of the {c}.",
      "a rendering of a {c}.",
      "graffiti of a {c}.",
      "a bad photo of the {c}.",
      "a cropped photo of the {c}.",
      "a tattoo of a {c}.",
      "the embroidered {c}.",
      "a photo of a hard to see {c}.",
      "a bright photo of a {c}.",
      "a photo of a clean {c}.",
      "a photo of a dirty {c}.",
      "a dark photo of the {c}.",
      "a drawing of a {c}.",
      "a photo of my {c}.",
      "the plastic {c}.",
      "a photo of the cool {c}.",
      "a close-up photo of a {c}.",
      "a black and white photo of the {c}.",
      "a painting of the {c}.",
      "a painting of a {c}.",
      "a pixelated photo of the {c}.",
      "a sculpture of the {c}.",
      "a bright photo of the {c}.",
      "a cropped photo of a {c}.",
      "a plastic {c}.",
      "a photo of the dirty {c}.",
      "a jpeg corrupted photo of a {c}.",
      "a blurry photo of the {c}.",
      "a photo of the {c}.",
      "a good photo of the {c}.",
      "a rendering of the {c}.",
      "a {c} in a video game.",
      "a photo of one {c}.",
      "a doodle of a {c}.",
      "a close-up photo of the {c}.",
      "a photo of a {c}.",
      "the origami {c}.",
      "the {c} in a video game.",
      "a sketch of a {c}.",
      "a doodle of the {c}.",
      "a origami {c}.",
      "a low resolution photo of a {c}.",
      "the toy {c}.",
      "a rendition of the {c}.",
      "a photo of the clean {c}.",
      "a photo of a large {c}.",
      "a rendition of a {c}.",
      "a photo of a nice {c}.",
      "a photo of a weird {c}.",
      "a blurry photo of a {c}.",
      "a cartoon {c}.",
      "art of a {c}.",
      "a sketch of the {c}.",
      "a embroidered {c}.",
      "a pixelated photo of a {c}.",
      "itap of the {c}.",
      "a jpeg corrupted photo of the {c}.",
      "a good photo of a {c}.",
      "a plushie {c}.",
      "a photo of the nice {c}.",
      "a photo of the small {c}.",
      "a photo of the weird {c}.",
      "the cartoon {c}.",
      "art of the {c}.",
      "a drawing of the {c}.",
      "a photo of the large {c}.",
      "a black and white photo of a {c}.",
      "the plushie {c}.",
      "a dark photo of a {c}.",
      "itap of a {c}.",
      "graffiti of the {c}.",
      "a toy {c}.",
      "itap of my {c}.",
      "a photo of a cool {c}.",
      "a photo of a small {c}.",
      "a tattoo of the {c}.",
    ],
  },
});

const PLACEHOLDER = /\{c?\}/g;

/** `template` with every `{c}` and `{}` replaced by `name`. */
export const fillTemplate = (template: string, name: string): string =>
  template.replace(PLACEHOLDER, () => name);

/**
 * The templates of a list, of a set by name, or of a file with one template a line (CLIP_benchmark's
 * `zeroshot_classification_templates.txt`). A word that is neither a set nor looks like a path is refused with the nearest name.
 */
export async function loadTemplates(nameOrPath: string | readonly string[]): Promise<readonly string[]> {
  if (typeof nameOrPath !== "string") return parseTemplates(nameOrPath.join("\n"), "templates");
  if (Object.hasOwn(templateSets, nameOrPath)) return templateSets[nameOrPath]!.templates;
  if (!/[./\\]/.test(nameOrPath)) {
    const names = Object.keys(templateSets);
    throw new UsageError(
      `templates: must be a set (${names.join(", ")}) or a file with one template a line; got templates=${nameOrPath}.${didYouMean(nameOrPath, names)}`,
    );
  }
  return parseTemplates(readText(nameOrPath), nameOrPath);
}

/** Templates from the text of a file, one a line; empty lines are skipped. `file` is named in errors. */
export function parseTemplates(text: string, file: string): string[] {
  const templates: string[] = [];
  for (const [index, line] of lines(text).entries()) {
    if (line === "") continue;
    if (line.search(PLACEHOLDER) < 0) {
      throw new UsageError(
        `${file}:${index + 1}: a template must say where the class name goes; got "${line}". Put {c} or {} there.`,
      );
    }
    templates.push(line);
  }
  if (templates.length === 0) {
    throw new UsageError(
      `${file}: must hold at least one template; got an empty file. Write "a photo of a {c}."`,
    );
  }
  return templates;
}

const lines = (text: string): string[] =>
  text
    .replace(/^\uFEFF/, "")
    .split(/\r?\n/)
    .map((line) => line.trim());
