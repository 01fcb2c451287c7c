/** What every tokenizer offers, and the cutting and padding that all share. */

import { UsageError } from "../../core/errors.js";

export type TokenizerKind = "clip" | "huggingface" | "learned";

/** What a run's `config.json` says of its tokenizer. */
export interface TokenizerSummary {
  readonly kind: TokenizerKind;
  readonly fileName: string;
  readonly vocabSize: number;
  readonly contextLength: number;
  readonly startTokenId?: number;
  readonly endTokenId?: number;
  readonly padTokenId: number;
}

export interface Tokenizer extends TokenizerSummary {
  /** Rows that an embedding table needs: the highest id plus one. */
  readonly vocabSize: number;
  /** Tokens of a padded text, T. */
  readonly contextLength: number;
  /** The id that closes a text, where end-token pooling looks; absent when the tokenizer adds none. */
  readonly endTokenId?: number;
  /** The name that its first file should have, so that `loadTokenizer` and other tools recognize it. */
  readonly fileName: string;

  /** The ids of one text with its start and end tokens; neither cut nor padded. */
  encode(text: string): number[];

  /**
   * The ids of B texts as i32[B,T], cut to T (the end token stays) and padded. Written into `out` when given;
   * `lengths`, when given, receives the number of tokens of each text before padding, i32[B].
   */
  encodeBatch(texts: readonly string[], out?: Int32Array, lengths?: Int32Array): Int32Array;

  /** A tokenizer that differs only in its context length. */
  withContextLength(contextLength: number): Tokenizer;

  /** What a run's `config.json` says of it. */
  toJSON(): TokenizerSummary;

  /** What `saveTokenizer` writes, in its family's own format: the vocabulary first, then what lies beside it. */
  toFiles(): readonly VocabularyFile[];
}

export interface VocabularyFile {
  readonly name: string;
  readonly text: string;
}

/** A text's tokens with start and end apart, so that cutting keeps them. */
export interface Framed {
  readonly prefix: readonly number[];
  readonly body: readonly number[];
  readonly suffix: readonly number[];
}

export interface Fitting {
  readonly contextLength: number;
  readonly padTokenId: number;
  /** Side at which tokens are added or, second, cut away. Default: right. */
  readonly padSide?: "left" | "right";
  readonly cutSide?: "left" | "right";
}

/** Checks a context length: an integer that holds the start and end tokens and at least one more. */
export function checkContextLength(what: string, contextLength: number, frame: number): void {
  if (Number.isInteger(contextLength) && contextLength > frame && contextLength <= 65536) return;
  throw new UsageError(
    `${what}: contextLength must be an integer from ${frame + 1} to 65536; got contextLength=${contextLength}.`,
  );
}

/** `encodeBatch` for any tokenizer that can frame a text. */
export function fitBatch(
  frame: (text: string) => Framed,
  fitting: Fitting,
  texts: readonly string[],
  out: Int32Array = new Int32Array(texts.length * fitting.contextLength),
  lengths?: Int32Array,
): Int32Array {
  const width = fitting.contextLength;
  if (out.length !== texts.length * width) {
    throw new UsageError(
      `encodeBatch: out must be i32[${texts.length},${width}], ${texts.length * width} long; got length=${out.length}.`,
    );
  }
  if (lengths !== undefined && lengths.length !== texts.length) {
    throw new UsageError(`encodeBatch: lengths must be i32[${texts.length}]; got length=${lengths.length}.`);
  }
  texts.forEach((text, row) => {
    const { prefix, body, suffix } = frame(text);
    const room = Math.max(0, width - prefix.length - suffix.length);
    const skip = fitting.cutSide === "left" ? Math.max(0, body.length - room) : 0;
    const kept = Math.min(body.length, room);
    const length = prefix.length + kept + suffix.length;
    const begin = row * width;
    out.fill(fitting.padTokenId, begin, begin + width);
    let at = fitting.padSide === "left" ? begin + width - length : begin;
    for (const id of prefix) out[at++] = id;
    for (let i = 0; i < kept; i++) out[at++] = body[skip + i]!;
    for (const id of suffix) out[at++] = id;
    if (lengths !== undefined) lengths[row] = length;
  });
  return out;
}

/** Throws a `UsageError` when a model with `rows` rows of embeddings cannot take every id of the tokenizer. */
export function checkVocabSize(what: string, tokenizer: Tokenizer, rows: number): void {
  if (tokenizer.vocabSize <= rows) return;
  throw new UsageError(
    `${what}: the model's vocabulary must hold every token; got a model of vocabSize=${rows} and a ` +
      `${tokenizer.kind} tokenizer of vocabSize=${tokenizer.vocabSize}. Use the tokenizer the model was trained with.`,
  );
}

/** The summary of a tokenizer, for `toJSON`. */
export const summaryOf = (tokenizer: TokenizerSummary): TokenizerSummary => ({
  kind: tokenizer.kind,
  fileName: tokenizer.fileName,
  vocabSize: tokenizer.vocabSize,
  contextLength: tokenizer.contextLength,
  ...(tokenizer.startTokenId === undefined ? {} : { startTokenId: tokenizer.startTokenId }),
  ...(tokenizer.endTokenId === undefined ? {} : { endTokenId: tokenizer.endTokenId }),
  padTokenId: tokenizer.padTokenId,
});
