/** Which of some classes a picture is of, and how likely each is. */

import { UsageError } from "../../core/errors.js";
import { type Features, unitFeatures } from "../../evaluate/features/features.js";
import { loadTemplates } from "../../evaluate/prompts/templates.js";
import { classEmbeddings, promptsOf } from "../../evaluate/tasks/zeroshot.js";
import { probabilities } from "../search/probabilities.js";

/** A class and how likely it is. */
export interface Guess {
  readonly name: string;
  /** 0 … 1; those of all classes are 1 together. */
  readonly probability: number;
}

export interface ClassesOptions {
  /** A set's name (`simple`, `openai-80`, …), a file, or sentences with {c} for the class. Default `simple`. */
  readonly templates?: string | readonly string[] | undefined;
}

/** Classes in a model's space. */
export interface EmbeddedClasses {
  readonly names: readonly string[];
  /** A unit vector a class [C,E]. */
  readonly features: Features;
}

/** What embeds texts: an `Encoder`. */
export interface TextEmbedder {
  embedTexts(texts: readonly string[]): Promise<Float32Array>;
}

/** The vectors of classes by their names. Throws `UsageError` for fewer than two, or two of one name. */
export async function embedClasses(
  embedder: TextEmbedder,
  names: readonly string[],
  { templates = "simple" }: ClassesOptions = {},
): Promise<EmbeddedClasses> {
  const given = names.map((name) => name.trim());
  const twice = given.find((name, i) => name === "" || given.indexOf(name) < i);
  if (given.length < 2 || twice !== undefined) {
    const got = given.length < 2 ? given.length : twice === "" ? "an empty one" : `"${twice}" twice`;
    throw new UsageError(
      `classes: must be two or more different names; got ${got}. Write e.g. --classes "cat,dog".`,
      { key: "classes" },
    );
  }
  const sentences = await loadTemplates(templates);
  const flat = await embedder.embedTexts(promptsOf(given, sentences));
  const width = flat.length / (given.length * sentences.length);
  const prompts = unitFeatures(flat, width, "prompts");
  return { names: given, features: classEmbeddings(prompts, sentences.length) };
}

/** How likely each class is for the picture with unit vector `picture` [E], the likeliest first. */
export function guessesOf(
  { names, features: { data, width } }: EmbeddedClasses,
  picture: Float32Array,
  scale: number,
): Guess[] {
  const cosines = names.map((_, c) => {
    let sum = 0;
    for (let k = 0; k < width; k++) sum += data[c * width + k]! * picture[k]!;
    return sum;
  });
  const likely = probabilities(cosines, scale);
  return names
    .map((name, c) => ({ name, probability: likely[c]! }))
    .sort((a, b) => b.probability - a.probability);
}
