/**
 * OpenAI CLIP's tokenizer, as open_clip's `SimpleTokenizer` has it: cleaned lower-case text, split into letters,
 * single digits and other runs; byte pairs that mark the end of a word with `</w>`.
 */

import { UsageError } from "../../core/errors.js";
import { BytePairs, byteCharacters, type Merge, WordCache } from "./byte-pairs.js";
import { type Cleaning, cleanings } from "./clean.js";
import { clipTokenizerJson } from "./hugging-face/clip-files.js";
import {
  checkContextLength,
  fitBatch,
  summaryOf,
  type Tokenizer,
  type TokenizerSummary,
  type VocabularyFile,
} from "./tokenizer.js";

/** Merges that CLIP uses of the 262,144 in its file: 49152 - 256 - 2. */
const MAX_MERGES = 48_894;
export const CLIP_CONTEXT_LENGTH = 77;
const START = "<start_of_text>";
const END = "<end_of_text>";

/** ids of bytes: the printing ones first, then the rest (the order of `bytes_to_unicode`), then all with `</w>`. */
const byteIds: readonly number[] = (() => {
  const order = [...byteCharacters.keys()].sort(
    (a, b) => byteCharacters[a]!.codePointAt(0)! - byteCharacters[b]!.codePointAt(0)!,
  );
  const ids = new Array<number>(256);
  order.forEach((byte, id) => {
    ids[byte] = id;
  });
  return ids;
})();

/** U+0345, a mark whose capital is a letter, counts as one, as it does for Python's regex without regard to case. */
const pieces =
  /<start_of_text>|<end_of_text>|'[sſ]|'t|'re|'ve|'m|'ll|'d|(?:\p{L}|\u0345)+|\p{N}|(?:(?!\u0345)[^ \p{L}\p{N}])+/gu;

/** Parses the lines after the first: `left right`. Throws a `UsageError` naming file and line. */
function parseMerges(vocabulary: string, path: string): Merge[] {
  const ids = new Map<string, number>();
  byteCharacters.forEach((character, byte) => {
    ids.set(character, byteIds[byte]!);
    ids.set(`${character}</w>`, byteIds[byte]! + 256);
  });
  const lines = vocabulary.split("\n").slice(1, 1 + MAX_MERGES);
  while (lines.at(-1)?.trim() === "") lines.pop();
  return lines.map((line, rank) => {
    const [first, second, ...rest] = line.trim().split(/\s+/);
    const left = ids.get(first ?? "");
    const right = ids.get(second ?? "");
    if (left === undefined || right === undefined || rest.length > 0) {
      throw new UsageError(
        `${path}:${rank + 2}: must be two tokens that earlier lines made; got "${line}". ` +
          "Give CLIP's bpe_simple_vocab_16e6.txt.gz, or a tokenizer.json.",
      );
    }
    const id = 512 + rank;
    ids.set(`${first}${second}`, id);
    return { left, right, id };
  });
}

export interface ClipTokenizerOptions {
  /** Tokens of a padded text. Default: 77. */
  readonly contextLength?: number;
  /** Default: `lower`. */
  readonly clean?: Cleaning;
}

/** OpenAI CLIP's tokenizer on the text of its vocabulary file. Padding is 0; a text that is cut keeps its end token. */
export class ClipTokenizer implements Tokenizer {
  readonly kind = "clip";
  readonly fileName = "bpe_simple_vocab_16e6.txt.gz";
  readonly vocabSize: number;
  readonly contextLength: number;
  readonly startTokenId: number;
  readonly endTokenId: number;
  readonly padTokenId = 0;
  private readonly merges: readonly Merge[];
  private readonly pairs: BytePairs;
  private readonly words: WordCache;
  private readonly clean: (text: string) => string;

  /** Throws a `UsageError` naming `path` and the line when `vocabulary` is not CLIP's format. */
  constructor(
    private readonly vocabulary: string,
    private readonly path: string,
    private readonly options: ClipTokenizerOptions = {},
  ) {
    this.contextLength = options.contextLength ?? CLIP_CONTEXT_LENGTH;
    checkContextLength(path, this.contextLength, 2);
    this.clean = cleanings[options.clean ?? "lower"];
    const merges = parseMerges(vocabulary, path);
    this.merges = merges;
    this.pairs = new BytePairs(merges);
    this.startTokenId = 512 + merges.length;
    this.endTokenId = this.startTokenId + 1;
    this.vocabSize = this.endTokenId + 1;
    const encoder = new TextEncoder();
    this.words = new WordCache((word) => {
      const symbols = Array.from(encoder.encode(word), (byte) => byteIds[byte]!);
      symbols[symbols.length - 1]! += 256;
      return this.pairs.apply(symbols);
    });
  }

  encode(text: string): number[] {
    return [this.startTokenId, ...this.body(text), this.endTokenId];
  }

  encodeBatch(texts: readonly string[], out?: Int32Array, lengths?: Int32Array): Int32Array {
    const prefix = [this.startTokenId];
    const suffix = [this.endTokenId];
    return fitBatch((text) => ({ prefix, body: this.body(text), suffix }), this, texts, out, lengths);
  }

  withContextLength(contextLength: number): ClipTokenizer {
    return new ClipTokenizer(this.vocabulary, this.path, { ...this.options, contextLength });
  }

  toJSON(): TokenizerSummary {
    return summaryOf(this);
  }

  /** The vocabulary file as it was read. */
  toFiles(): readonly VocabularyFile[] {
    return [{ name: this.fileName, text: this.vocabulary }];
  }

  /** The contents of a tokenizer.json with these ids, where padding is the end token and texts are not repaired first. */
  toHuggingFace(): Record<string, unknown> {
    const tokens: string[] = [];
    for (const [byte, id] of byteIds.entries()) {
      tokens[id] = byteCharacters[byte]!;
      tokens[id + 256] = `${byteCharacters[byte]}</w>`;
    }
    const pairs = this.merges.map(({ left, right, id }): [string, string] => {
      tokens[id] = `${tokens[left]}${tokens[right]}`;
      return [tokens[left]!, tokens[right]!];
    });
    return clipTokenizerJson(tokens, pairs);
  }

  private body(text: string): number[] {
    const ids: number[] = [];
    for (const [piece] of this.clean(text).matchAll(pieces)) {
      if (piece === START) ids.push(this.startTokenId);
      else if (piece === END) ids.push(this.endTokenId);
      else for (const id of this.words.get(piece)) ids.push(id);
    }
    return ids;
  }
}
