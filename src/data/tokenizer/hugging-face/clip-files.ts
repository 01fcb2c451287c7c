/** CLIP's vocab.json and merges.txt as the tokenizer.json that transformers makes of them (`tokenization_clip.py`). */

import { UsageError } from "../../../core/errors.js";

export const VOCABULARY_NAME = "vocab.json";
export const MERGES_NAME = "merges.txt";
const START = "<|startoftext|>";
const END = "<|endoftext|>";
/** What a text is split into. */
const PIECES =
  "<\\|startoftext\\|>|<\\|endoftext\\|>|'s|'t|'re|'ve|'m|'ll|'d|[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+";

type Json = Readonly<Record<string, unknown>>;

/** Whether a JSON object is such a vocabulary, and no tokenizer.json. */
export const isVocabulary = (json: Json): boolean =>
  typeof json[START] === "number" && typeof json[END] === "number" && json.model === undefined;

/** What a tokenizer.json would hold. Throws a `UsageError` naming the file and the line. */
export function ofVocabulary(
  vocab: Json,
  path: string,
  merges: string,
  mergesPath: string,
): Record<string, unknown> {
  const lines = merges.split(/\r?\n/);
  const pairs: [string, string][] = [];
  for (const [i, line] of lines.entries()) {
    if (line === "" || (i === 0 && line.startsWith("#version"))) continue;
    const parts = line.split(" ");
    if (parts.length !== 2) {
      throw new UsageError(
        `${mergesPath}:${i + 1}: must be two tokens with a space between; got ${JSON.stringify(line.slice(0, 60))}. Get the file again.`,
        { file: mergesPath, line: i + 1 },
      );
    }
    pairs.push(parts as [string, string]);
  }
  if (pairs.length === 0) {
    throw new UsageError(`${mergesPath}: must hold the merges of ${path}; it has none. Get the file again.`);
  }
  return tokenizerJson(vocab, pairs);
}

/** What a tokenizer.json would hold of tokens by their id, without start and end, and of merges in their order. */
export const clipTokenizerJson = (
  tokens: readonly string[],
  merges: readonly (readonly [string, string])[],
) => tokenizerJson(Object.fromEntries([...tokens, START, END].map((token, id) => [token, id])), merges);

function tokenizerJson(vocab: Json, merges: readonly (readonly [string, string])[]): Record<string, unknown> {
  const special = (content: string) => ({
    id: vocab[content],
    content,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special: true,
  });
  return {
    added_tokens: [special(START), special(END)],
    normalizer: {
      type: "Sequence",
      normalizers: [
        { type: "NFC" },
        { type: "Replace", pattern: { Regex: "\\s+" }, content: " " },
        { type: "Lowercase" },
      ],
    },
    pre_tokenizer: {
      type: "Sequence",
      pretokenizers: [
        { type: "Split", pattern: { Regex: PIECES }, behavior: "Removed", invert: true },
        { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true },
      ],
    },
    post_processor: {
      type: "RobertaProcessing",
      sep: [END, vocab[END]],
      cls: [START, vocab[START]],
      trim_offsets: false,
      add_prefix_space: false,
    },
    decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: "BPE",
      dropout: null,
      unk_token: END,
      continuing_subword_prefix: "",
      end_of_word_suffix: "</w>",
      fuse_unk: false,
      byte_fallback: false,
      vocab,
      merges,
    },
  };
}
