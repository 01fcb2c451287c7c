/** The tokenizer of a run, and how much of a text the model reads in training and at all. */

import type { Dataset } from "../../data/index.js";
import { loadTokenizer } from "../../data/tokenizer/load.js";
import type { Tokenizer } from "../../data/tokenizer/tokenizer.js";
import { contextFor, trainBpe } from "../../data/tokenizer/train-bpe.js";
import { fillTemplate, loadTemplates, templateSets } from "../../evaluate/prompts/templates.js";
import type { TextConfig } from "../../models/config/config.js";
import type { Recipe } from "../recipe/recipe.js";

export interface RunTokenizer {
  /** Its context length is the model's. */
  readonly tokenizer: Tokenizer;
  /** Tokens of a training text; at most the context length. */
  readonly textLength: number;
  /** Captions that have more, of those that were looked at. */
  readonly cut: { readonly captions: number; readonly of: number; readonly example: string | undefined };
  /** One line on it, for people. */
  readonly note: string;
}

/** Most captions that a vocabulary is learned on. */
const VOCABULARY_CAPTIONS = 1_000_000;
/** Most captions whose lengths are looked at. */
const MEASURED_CAPTIONS = 100_000;
/** Room for the name of a class in a prompt, where nobody knows the classes. Tokens. */
const UNKNOWN_NAME = 8;

export interface TokenizerContext {
  readonly train: Dataset;
  /** The model's, complete. */
  readonly text: Required<Pick<TextConfig, "context_length" | "no_causal_mask" | "pool_type">>;
  /** Classes that prompts may name. */
  readonly classNames: readonly string[];
  /** Folder or file of the tokenizer of a run that goes on. */
  readonly stored: string | undefined;
}

/**
 * The stored tokenizer, the recipe's file, or one that is learned. A learned one makes rows as short as captions and
 * prompts allow: the model has room for the longest prompt around the longest name, and trains on rows that hold 99 % of
 * the captions, where more of a row would be padding that no text looks at.
 */
export async function fitTokenizer(recipe: Recipe, context: TokenizerContext): Promise<RunTokenizer> {
  const { train, text, stored } = context;
  const most = recipe.forceContextLength ?? text.context_length;
  const isLearned = recipe.tokenizer === "bpe";
  let note: string | undefined;
  let tokenizer: Tokenizer;
  if (stored !== undefined) {
    tokenizer = loadTokenizer(stored);
    tokenizer = tokenizer.withContextLength(
      recipe.forceContextLength ?? Math.min(most, tokenizer.contextLength),
    );
  } else if (isLearned) {
    const { vocabSize } = recipe;
    const captions = captionsOf(train, VOCABULARY_CAPTIONS);
    // Short captions teach no "photo": spelled out, a prompt would fill a small model before its class is named.
    const prompts = await loadTemplates(recipe.zeroshotTemplates ?? "simple");
    const expected = prompts.map((template) => fillTemplate(template, ""));
    const { tokenizer: learned, report } = trainBpe(captions, {
      expected,
      ...(vocabSize !== undefined && { vocabSize }),
    });
    const room = Math.max(learned.contextLength, await promptLength(learned, recipe, context.classNames));
    tokenizer = learned.withContextLength(recipe.forceContextLength ?? Math.min(most, room));
    note = `${report.vocabSize} tokens learned on ${report.captions} captions, ${report.meanLength.toFixed(1)} a caption`;
  } else {
    tokenizer = loadTokenizer(recipe.tokenizer, { contextLength: most });
  }
  const measured = [...captionsOf(train, MEASURED_CAPTIONS)];
  const lengths = Uint32Array.from(measured, (caption) => tokenizer.encode(caption).length);
  // Padding counts for nothing where a text is read up to its end only.
  const readsToEnd = !text.no_causal_mask && (text.pool_type === "argmax" || text.pool_type === "eos");
  const isFree = isLearned && recipe.forceContextLength === undefined && readsToEnd;
  const textLength = isFree
    ? Math.min(tokenizer.contextLength, contextFor(lengths))
    : tokenizer.contextLength;
  const cut = [...lengths.keys()].filter((i) => lengths[i]! > textLength);
  return {
    tokenizer,
    textLength,
    cut: { captions: cut.length, of: measured.length, example: measured[cut[0] ?? -1] },
    note: note ?? `${tokenizer.vocabSize} tokens`,
  };
}

/** Tokens of the longest prompt, to a multiple of 8. */
async function promptLength(
  tokenizer: Tokenizer,
  recipe: Recipe,
  classNames: readonly string[],
): Promise<number> {
  const length = (words: string) => tokenizer.encode(words).length;
  const own = recipe.zeroshotTemplates === undefined ? [] : await loadTemplates(recipe.zeroshotTemplates);
  const templates = [...own, ...Object.values(templateSets).flatMap((set) => set.templates)];
  const frame = length("");
  const name = classNames.reduce((longest, each) => Math.max(longest, length(each) - frame), 0);
  const around = templates.reduce(
    (longest, template) => Math.max(longest, length(fillTemplate(template, ""))),
    0,
  );
  return Math.ceil((around + (name === 0 ? UNKNOWN_NAME : name)) / 8) * 8;
}

function* captionsOf(dataset: Dataset, most: number): Generator<string> {
  let count = 0;
  for (let i = 0; i < dataset.length && count < most; i++) {
    for (const caption of dataset.sample(i).captions) {
      yield caption;
      count++;
    }
  }
}
