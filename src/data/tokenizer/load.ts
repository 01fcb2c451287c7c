/** Opens a tokenizer from a path and finds out by its contents which kind it is. */

import { existsSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { gunzipSync } from "node:zlib";
import { UsageError } from "../../core/errors.js";
import { readBytes, readJsonObject, readText, withFileErrors } from "../../core/files.js";
import { ClipTokenizer } from "./clip.js";
import { isVocabulary, MERGES_NAME, ofVocabulary, VOCABULARY_NAME } from "./hugging-face/clip-files.js";
import { CONFIG_NAME, type TokenizerConfig } from "./hugging-face/hugging-face.js";
import { withinTime } from "./hugging-face/time-limit.js";
import { type LoadTokenizerOptions, notOne, tokenizerOf } from "./json.js";
import { checkVocabSize, type Tokenizer } from "./tokenizer.js";

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
  const beside = join(dirname(path), CONFIG_NAME);
  const config = existsSync(beside) ? (readJsonObject(beside) as TokenizerConfig) : {};
  return tokenizerOf(file, config, path, { ...options, within: withinTime });
}
