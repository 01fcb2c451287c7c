/** Which kind of tokenizer the contents of a tokenizer.json are. */

import { UsageError } from "../../core/errors.js";
import type { Merge } from "./byte-pairs.js";
import type { Cleaning } from "./clean.js";
import { HuggingFaceTokenizer, type TokenizerConfig, type WithinTime } from "./hugging-face/hugging-face.js";
import { LearnedTokenizer, pipelineOf, specialTokens } from "./learned.js";
import type { Tokenizer } from "./tokenizer.js";

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

/** Of a file that is no tokenizer. */
export const notOne = (path: string, why: string): UsageError =>
  new UsageError(
    `${path}: must be a tokenizer.json or CLIP's bpe_simple_vocab_16e6.txt.gz; ${why}. Give one of these files.`,
  );

/**
 * The tokenizer of a tokenizer.json's contents, with those of a tokenizer_config.json (`{}` where there is none). Throws
 * `UsageError` naming `path`.
 */
export function tokenizerOf(
  file: Readonly<Record<string, unknown>>,
  config: TokenizerConfig,
  path: string,
  options: LoadTokenizerOptions & { readonly within?: WithinTime } = {},
): Tokenizer {
  if (typeof file.model !== "object" || file.model === null) {
    throw notOne(path, `it has no "model"; its keys are ${Object.keys(file).slice(0, 6).join(", ")}`);
  }
  return openLearned(path, file, options) ?? new HuggingFaceTokenizer(file, path, options, config);
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
