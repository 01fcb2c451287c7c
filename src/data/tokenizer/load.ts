/** Opens a tokenizer from a path and finds out by its contents which kind it is. */

import { existsSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { gunzipSync } from "node:zlib";
import { UsageError } from "../../core/errors.js";
import { readBytes, readJsonObject, readText, withFileErrors } from "../../core/files.js";
import type { Merge } from "./byte-pairs.js";
import type { Cleaning } from "./clean.js";
import { ClipTokenizer } from "./clip.js";
import { isVocabulary, MERGES_NAME, ofVocabulary, VOCABULARY_NAME } from "./hugging-face/clip-files.js";
import { CONFIG_NAME, HuggingFaceTokenizer, type TokenizerConfig } from "./hugging-face/hugging-face.js";
import { LearnedTokenizer, pipelineOf, specialTokens } from "./learned.js";
import { checkVocabSize, type Tokenizer } from "./tokenizer.js";

export interface LoadTokenizerOptions {
  /** Tokens of a padded text. Default: what the file states; 77 for CLIP. */
  readonly contextLength?: number;
  /** Rows of the model's embedding: a tokenizer with more ids is refused. Default: not checked. */
  readonly vocabSize?: number;
  /** The token where end-token pooling looks, for a tokenizer.json that does not tell. */
  readonly endToken?: string;
  /** The padding token, for a tokenizer.json that does not tell. */
  readonly padToken?: string;
  /** Cleaning before tokenizing. Default: `lower` for CLIP, else `none`. */
  readonly clean?: Cleaning;
}

/** Names looked for when a folder is given, the wanted first. */
export const usualNames: readonly string[] = [
  "tokenizer.json",
  "bpe_simple_vocab_16e6.txt.gz",
  "bpe_simple_vocab_16e6.txt",
  VOCABULARY_NAME,
];

/**
 * Opens a Hugging Face tokenizer.json (with the tokenizer_config.json beside it), the vocab.json of a CLIP with the
 * merges.txt beside it, a vocabulary of `trainBpe`, or
 * CLIP's bpe_simple_vocab_16e6.txt, gzipped or not; of a folder, the one of these that it holds. Throws a
 * `UsageError` naming the file when it is missing, is something else, or does not fit the model.
 */
export function loadTokenizer(path: string, options: LoadTokenizerOptions = {}): Tokenizer {
  const tokenizer = open(fileAt(path), options);
  if (options.vocabSize !== undefined) checkVocabSize(path, tokenizer, options.vocabSize);
  return tokenizer;
}

function fileAt(path: string): string {
  if (!withFileErrors("read", path, () => statSync(path)).isDirectory()) return path;
  const found = usualNames.map((name) => join(path, name)).find((file) => existsSync(file));
  if (found !== undefined) return found;
  throw new UsageError(
    `${path}: the folder must hold one of ${usualNames.join(", ")}. Give the tokenizer's file.`,
  );
}

function open(path: string, options: LoadTokenizerOptions): Tokenizer {
  const text = textOf(path);
  if (/^\s*\{/.test(text)) return openJson(path, options);
  if (/^\s*\S* ?#version/.test(text) && text.slice(0, 10_000).includes("</w>")) {
    return new ClipTokenizer(text, path, options);
  }
  throw notOne(path, hintFor(path, text));
}

const notOne = (path: string, why: string): UsageError =>
  new UsageError(
    `${path}: must be a tokenizer.json or CLIP's bpe_simple_vocab_16e6.txt.gz; ${why}. Give one of these files.`,
  );

function textOf(path: string): string {
  let bytes = readBytes(path);
  if (bytes[0] === 0x1f && bytes[1] === 0x8b) {
    try {
      bytes = gunzipSync(bytes);
    } catch (error) {
      throw notOne(path, `it cannot be unzipped (${(error as Error).message})`);
    }
  }
  return new TextDecoder().decode(bytes);
}

function hintFor(path: string, text: string): string {
  const name = basename(path);
  if (text.trim() === "") return "it is empty";
  if (name.endsWith(".model")) return "it looks like a SentencePiece model, whose tokenizer.json is needed";
  if (text.startsWith("#version")) return "it holds GPT-2's merges, whose tokenizer.json is needed";
  if (name.startsWith("vocab")) return "it is a vocabulary alone, whose tokenizer.json is needed";
  return "it is neither";
}

function openJson(path: string, options: LoadTokenizerOptions): Tokenizer {
  let file = readJsonObject(path);
  const merges = join(dirname(path), MERGES_NAME);
  if (isVocabulary(file) && existsSync(merges)) file = ofVocabulary(file, path, readText(merges), merges);
  if (typeof file.model !== "object" || file.model === null) {
    throw notOne(path, `it has no "model"; its keys are ${Object.keys(file).slice(0, 6).join(", ")}`);
  }
  const learned = openLearned(path, file, options);
  if (learned !== undefined) return learned;
  const beside = join(dirname(path), CONFIG_NAME);
  const config = existsSync(beside) ? (readJsonObject(beside) as TokenizerConfig) : {};
  return new HuggingFaceTokenizer(file, path, options, config);
}

/** A file with exactly the pipeline of `trainBpe` is read back as one; its ids are the same either way. */
function openLearned(
  path: string,
  file: Readonly<Record<string, unknown>>,
  options: LoadTokenizerOptions,
): LearnedTokenizer | undefined {
  const same = (lowercase: boolean) => {
    const { normalizer, pre_tokenizer } = pipelineOf(lowercase);
    return (
      JSON.stringify([normalizer, pre_tokenizer]) === JSON.stringify([file.normalizer, file.pre_tokenizer])
    );
  };
  const lowercase = same(true) ? true : same(false) ? false : undefined;
  const added = file.added_tokens as { id?: number; content?: string }[] | undefined;
  const ours =
    Array.isArray(added) &&
    added.length === specialTokens.length &&
    added.every((token, id) => token?.id === id && token.content === specialTokens[id]);
  if (lowercase === undefined || !ours || options.endToken !== undefined || options.padToken !== undefined) {
    return undefined;
  }
  if (options.clean !== undefined && options.clean !== "none") return undefined;
  const { vocab, merges } = file.model as { vocab?: Record<string, number>; merges?: [string, string][] };
  // What is damaged is told by whoever reads any file.
  const isPair = (merge: unknown) => Array.isArray(merge) && merge.length === 2;
  if (typeof vocab !== "object" || vocab === null || !Array.isArray(merges) || !merges.every(isPair)) {
    return undefined;
  }
  const idOf = (token: string): number => {
    const id = vocab[token];
    if (id === undefined) throw notOne(path, `the merge with "${token}" has no id in "vocab"`);
    return id;
  };
  const learned = merges.map(
    ([left, right]): Merge => ({ left: idOf(left), right: idOf(right), id: idOf(left + right) }),
  );
  const stated = (file.truncation as { max_length?: number } | null | undefined)?.max_length;
  return new LearnedTokenizer({ merges: learned, lowercase }, options.contextLength ?? stated ?? 77);
}
