/**
 * The byte-level vocabulary that `trainBpe` learns from captions, stored as a standard Hugging Face tokenizer.json:
 * NFKC and lower case; words, single digits and other runs, each behind a space mark; byte pairs; a start and an
 * end token. Every text has ids, since all 256 bytes are in the vocabulary.
 */

import { BytePairs, byteCharacters, type Merge, WordCache } from "./byte-pairs.js";
import {
  checkContextLength,
  fitBatch,
  summaryOf,
  type Tokenizer,
  type TokenizerSummary,
  type VocabularyFile,
} from "./tokenizer.js";

export const specialTokens = ["<|pad|>", "<|startoftext|>", "<|endoftext|>"] as const;
const PAD = 0;
const START = 1;
const END = 2;
const specials = /<\|(?:pad|startoftext|endoftext)\|>/g;

/** ids of bytes: after the special tokens, in the order of their characters (as Hugging Face's trainer numbers them). */
export const byteIds: readonly number[] = (() => {
  const ids = new Array<number>(256);
  const code = (byte: number) => byteCharacters[byte]!.charCodeAt(0);
  [...byteCharacters.keys()]
    .sort((a, b) => code(a) - code(b))
    .forEach((byte, rank) => {
      ids[byte] = specialTokens.length + rank;
    });
  return ids;
})();

/** The first id that a merge makes. */
export const FIRST_MERGE_ID = specialTokens.length + 256;

/** Words, digits and other runs, as tokenizer.json says it (Oniguruma) and as JavaScript does. */
const PIECES = "'(?:s|t|re|ve|m|ll|d)(?![\\p{L}\\p{M}])|[\\p{L}\\p{M}]+|\\p{N}|[^\\s\\p{L}\\p{M}\\p{N}]+";
const pieces = new RegExp(PIECES.replace("\\s", "\\p{White_Space}"), "gu");

/** NFKC, and lower case letter by letter: no final sigma, as Rust's `char::to_lowercase`. */
export const normalize = (text: string, lowercase: boolean): string => {
  const composed = text.normalize("NFKC");
  return lowercase ? composed.replaceAll("Σ", "σ").toLowerCase() : composed;
};

/** The pieces that merges never cross. */
export const splitPieces = (normalized: string): string[] => normalized.match(pieces) ?? [];

const utf8 = new TextEncoder();
const SPACE_ID = byteIds[0x20]!;

/** A piece as the ids of a space and of its bytes. */
export const symbolsOf = (piece: string): number[] => [
  SPACE_ID,
  ...Array.from(utf8.encode(piece), (byte) => byteIds[byte]!),
];

export interface LearnedVocabulary {
  readonly merges: readonly Merge[];
  readonly lowercase: boolean;
}

/** The normalizer and the pre-tokenizer of a learned tokenizer.json; a file that has exactly these is one. */
export const pipelineOf = (lowercase: boolean) => ({
  normalizer: {
    type: "Sequence",
    normalizers: [{ type: "NFKC" }, ...(lowercase ? [{ type: "Lowercase" }] : [])],
  },
  pre_tokenizer: {
    type: "Sequence",
    pretokenizers: [
      { type: "Split", pattern: { Regex: PIECES }, behavior: "Removed", invert: true },
      { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: false },
    ],
  },
});

/** A tokenizer over a vocabulary from `trainBpe`: pad 0, start 1, end 2, the bytes, the merges. */
export class LearnedTokenizer implements Tokenizer {
  readonly kind = "learned";
  readonly fileName = "tokenizer.json";
  readonly vocabSize: number;
  readonly startTokenId = START;
  readonly endTokenId = END;
  readonly padTokenId = PAD;
  /** Text by id; bytes as their printing characters. */
  private readonly tokens: readonly string[];
  private readonly words: WordCache;

  constructor(
    private readonly vocabulary: LearnedVocabulary,
    readonly contextLength: number,
  ) {
    checkContextLength("tokenizer", contextLength, 2);
    const tokens: string[] = [...specialTokens];
    for (const [byte, id] of byteIds.entries()) tokens[id] = byteCharacters[byte]!;
    for (const { left, right, id } of vocabulary.merges) tokens[id] = tokens[left]! + tokens[right]!;
    this.tokens = tokens;
    this.vocabSize = tokens.length;
    const pairs = new BytePairs(vocabulary.merges);
    this.words = new WordCache((piece) => pairs.apply(symbolsOf(piece)));
  }

  encode(text: string): number[] {
    return [START, ...this.body(text), END];
  }

  encodeBatch(texts: readonly string[], out?: Int32Array, lengths?: Int32Array): Int32Array {
    return fitBatch(
      (text) => ({ prefix: [START], body: this.body(text), suffix: [END] }),
      this,
      texts,
      out,
      lengths,
    );
  }

  withContextLength(contextLength: number): LearnedTokenizer {
    return new LearnedTokenizer(this.vocabulary, contextLength);
  }

  toJSON(): TokenizerSummary {
    return summaryOf(this);
  }

  /** A Hugging Face tokenizer.json that pads and cuts to the context length. */
  toFiles(): readonly VocabularyFile[] {
    return [{ name: this.fileName, text: `${JSON.stringify(this.toHuggingFace(), null, 1)}\n` }];
  }

  /** The contents of tokenizer.json. */
  toHuggingFace(): Record<string, unknown> {
    const { tokens, contextLength } = this;
    const special = (id: number) => ({ id: specialTokens[id]!, ids: [id], tokens: [specialTokens[id]!] });
    const item = (id: number) => ({ SpecialToken: { id: specialTokens[id]!, type_id: 0 } });
    const sequence = (id: "A" | "B", type: number) => ({ Sequence: { id, type_id: type } });
    return {
      version: "1.0",
      truncation: { direction: "Right", max_length: contextLength, strategy: "LongestFirst", stride: 0 },
      padding: {
        strategy: { Fixed: contextLength },
        direction: "Right",
        pad_to_multiple_of: null,
        pad_id: PAD,
        pad_type_id: 0,
        pad_token: specialTokens[PAD],
      },
      added_tokens: specialTokens.map((content, id) => ({
        id,
        content,
        single_word: false,
        lstrip: false,
        rstrip: false,
        normalized: false,
        special: true,
      })),
      ...pipelineOf(this.vocabulary.lowercase),
      post_processor: {
        type: "TemplateProcessing",
        single: [item(START), sequence("A", 0), item(END)],
        pair: [item(START), sequence("A", 0), item(END), sequence("B", 1), item(END)],
        special_tokens: { [specialTokens[START]]: special(START), [specialTokens[END]]: special(END) },
      },
      decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true },
      model: {
        type: "BPE",
        dropout: null,
        unk_token: null,
        continuing_subword_prefix: null,
        end_of_word_suffix: null,
        fuse_unk: false,
        byte_fallback: false,
        ignore_merges: false,
        vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
        merges: this.vocabulary.merges.map(({ left, right }) => [tokens[left]!, tokens[right]!]),
      },
    };
  }

  private body(text: string): number[] {
    const ids: number[] = [];
    const add = (part: string) => {
      for (const piece of splitPieces(normalize(part, this.vocabulary.lowercase))) {
        for (const id of this.words.get(piece)) ids.push(id);
      }
    };
    let at = 0;
    // A special token written out in a caption is that token, as in every Hugging Face tokenizer.
    for (const match of text.matchAll(specials)) {
      add(text.slice(at, match.index));
      ids.push(specialTokens.indexOf(match[0] as (typeof specialTokens)[number]));
      at = match.index + match[0].length;
    }
    add(at === 0 ? text : text.slice(at));
    return ids;
  }
}
