/** The `model` of a tokenizer.json: pieces to ids, as Hugging Face's Rust library computes it (tokenizers 0.23). */

import { UsageError } from "../../../core/errors.js";
import { BytePairs, MAX_IDS, type Merge } from "../byte-pairs.js";
import { type Component, componentOf, isRecord, optional } from "./component.js";

export interface PieceModel {
  readonly vocabulary: ReadonlyMap<string, number>;
  /** The ids of one piece. Throws a `UsageError` naming the file for text without ids where nothing stands for it. */
  encode(piece: string): number[];
}

type Vocabulary = ReadonlyMap<string, number>;

const utf8 = new TextEncoder();

const isId = (id: unknown): id is number =>
  Number.isInteger(id) && (id as number) >= 0 && (id as number) < MAX_IDS;

function vocabularyOf(part: Component): Vocabulary {
  const { vocab } = part.json;
  if (!isRecord(vocab))
    throw part.wrong(`vocab must be a record of ids; got ${JSON.stringify(vocab)?.slice(0, 40)}`);
  const odd = Object.entries(vocab).find(([, id]) => !isId(id));
  if (odd !== undefined) throw part.wrong(`vocab must hold ids from 0; got ${JSON.stringify(odd)}`);
  return new Map(Object.entries(vocab) as [string, number][]);
}

const unknownIn = (part: Component, vocabulary: Vocabulary): number | undefined =>
  vocabulary.get(optional(part, "unk_token", "string", ""));

const nothingFor = (part: Component, piece: string): UsageError =>
  new UsageError(
    `${part.where}: must have an id for "${piece}" or an unknown token; it has neither. Use a tokenizer with byte fallback or an unk_token.`,
  );

/** The ids of the bytes of `text`, where the vocabulary has all of them. */
function byteIds(vocabulary: Vocabulary, text: string): number[] | undefined {
  const ids: number[] = [];
  for (const byte of utf8.encode(text)) {
    const id = vocabulary.get(`<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`);
    if (id === undefined) return undefined;
    ids.push(id);
  }
  return ids;
}

function mergesOf(part: Component, vocabulary: Vocabulary, prefix: string): Merge[] {
  const merges = part.json.merges ?? [];
  if (!Array.isArray(merges)) throw part.wrong("merges must be a list");
  return merges.map((merge: unknown, i) => {
    const pair = typeof merge === "string" ? merge.split(" ") : merge;
    const [first, second] = Array.isArray(pair) && pair.length === 2 ? pair.map(String) : ["", ""];
    const [left, right] = [vocabulary.get(first!), vocabulary.get(second!)];
    const id = vocabulary.get(first! + second!.slice(prefix.length));
    if (left === undefined || right === undefined || id === undefined) {
      throw part.wrong(
        `merges[${i}] must join two tokens to a third of the vocabulary; got ${JSON.stringify(merge)}`,
      );
    }
    return { left, right, id };
  });
}

/** Byte pairs: characters, or their bytes where they are not in the vocabulary, joined in the order of the merges. */
function bytePairs(part: Component): PieceModel {
  const vocabulary = vocabularyOf(part);
  if (optional(part, "dropout", "number", 0) !== 0)
    throw part.wrong("dropout gives other ids every time; remove it");
  const prefix = optional(part, "continuing_subword_prefix", "string", "");
  const suffix = optional(part, "end_of_word_suffix", "string", "");
  const fallback = optional(part, "byte_fallback", "boolean", false);
  const fuse = optional(part, "fuse_unk", "boolean", false);
  const whole = optional(part, "ignore_merges", "boolean", false);
  const unknown = unknownIn(part, vocabulary);
  const pairs = new BytePairs(mergesOf(part, vocabulary, prefix));
  const symbolsOf = (piece: string): number[] => {
    const symbols: number[] = [];
    let fused = false;
    const characters = [...piece];
    for (const [i, character] of characters.entries()) {
      const end = i === characters.length - 1 ? suffix : "";
      const token = (i === 0 ? "" : prefix) + character + end;
      const id = vocabulary.get(token);
      const known =
        id === undefined && fallback ? byteIds(vocabulary, token) : id === undefined ? undefined : [id];
      if (known !== undefined) symbols.push(...known);
      else if (unknown !== undefined && !(fuse && fused)) symbols.push(unknown);
      fused = known === undefined;
    }
    return symbols;
  };
  return {
    vocabulary,
    encode(piece) {
      const id = whole ? vocabulary.get(piece) : undefined;
      return id === undefined ? pairs.apply(symbolsOf(piece)) : [id];
    },
  };
}

/** The longest beginning that is a token, again and again; the unknown token for all where that fails. */
function wordPiece(part: Component): PieceModel {
  const vocabulary = vocabularyOf(part);
  const prefix = optional(part, "continuing_subword_prefix", "string", "##");
  const longest = optional(part, "max_input_chars_per_word", "number", 100);
  const unknown = unknownIn(part, vocabulary);
  const split = (characters: readonly string[]): number[] | undefined => {
    const ids: number[] = [];
    for (let start = 0; start < characters.length; ) {
      let end = characters.length;
      let id: number | undefined;
      for (; end > start; end--) {
        id = vocabulary.get((start > 0 ? prefix : "") + characters.slice(start, end).join(""));
        if (id !== undefined) break;
      }
      if (id === undefined) return undefined;
      ids.push(id);
      start = end;
    }
    return ids;
  };
  return {
    vocabulary,
    encode(piece) {
      const characters = [...piece];
      const ids = characters.length > longest ? undefined : split(characters);
      if (ids !== undefined) return ids;
      if (unknown === undefined) throw nothingFor(part, piece);
      return [unknown];
    },
  };
}

/** Whole pieces. */
function wordLevel(part: Component): PieceModel {
  const vocabulary = vocabularyOf(part);
  const unknown = unknownIn(part, vocabulary);
  return {
    vocabulary,
    encode(piece) {
      const id = vocabulary.get(piece) ?? unknown;
      if (id === undefined) throw nothingFor(part, piece);
      return [id];
    },
  };
}

/** What an unknown character costs below the rarest token (SentencePiece's kUnkPenalty). */
const UNKNOWN_PENALTY = 10;

/** The likeliest tokens under a unigram model (Kudo 2018), by Viterbi; unknown characters side by side are one. */
function unigram(part: Component): PieceModel {
  const { vocab } = part.json;
  const isEntry = (entry: unknown): entry is [string, number] =>
    Array.isArray(entry) &&
    entry.length === 2 &&
    typeof entry[0] === "string" &&
    typeof entry[1] === "number";
  if (!Array.isArray(vocab) || vocab.length === 0)
    throw part.wrong("vocab must be a list of tokens and scores");
  const odd = vocab.find((entry) => !isEntry(entry));
  if (odd !== undefined) throw part.wrong(`vocab must hold tokens and scores; got ${JSON.stringify(odd)}`);
  const entries = vocab as [string, number][];
  const unknown = optional(part, "unk_id", "number", undefined);
  if (unknown !== undefined && !(isId(unknown) && unknown < entries.length)) {
    throw part.wrong(`unk_id must be a place in vocab; got ${unknown}`);
  }
  const fallback = optional(part, "byte_fallback", "boolean", false);
  const vocabulary = new Map(entries.map(([token], id) => [token, id]));
  const longest = entries.reduce((most, [token]) => Math.max(most, token.length), 0);
  const unknownScore =
    entries.reduce((least, [, score]) => Math.min(least, score), Infinity) - UNKNOWN_PENALTY;

  /** Where the last token of the best way to each place begins. */
  const bestWays = (text: string): Int32Array => {
    const scores = new Float64Array(text.length + 1);
    const begins = new Int32Array(text.length + 1).fill(-1);
    const offer = (begin: number, end: number, score: number): void => {
      if (begins[end] !== -1 && score <= scores[end]!) return;
      scores[end] = score;
      begins[end] = begin;
    };
    for (let begin = 0; begin < text.length; ) {
      const next = begin + (text.codePointAt(begin)! > 0xffff ? 2 : 1);
      let single = false;
      for (let end = next; end <= Math.min(text.length, begin + longest); end++) {
        const id = vocabulary.get(text.slice(begin, end));
        if (id === undefined) continue;
        offer(begin, end, scores[begin]! + entries[id]![1]);
        single ||= end === next;
      }
      if (!single) offer(begin, next, scores[begin]! + unknownScore);
      begin = next;
    }
    return begins;
  };
  const tokensOf = (text: string): string[] => {
    const begins = bestWays(text);
    const tokens: string[] = [];
    let unknownEnds = false;
    for (let end = text.length; end > 0; ) {
      const begin = begins[end]!;
      const token = text.slice(begin, end);
      const id = vocabulary.get(token);
      const isUnknown = id === undefined || id === unknown;
      if (isUnknown && unknownEnds) tokens[tokens.length - 1] = token + tokens.at(-1)!;
      else tokens.push(token);
      unknownEnds = isUnknown;
      end = begin;
    }
    return tokens.reverse();
  };
  return {
    vocabulary,
    encode: (piece) =>
      tokensOf(piece).flatMap((token) => {
        const id = vocabulary.get(token);
        if (id !== undefined) return [id];
        const bytes = fallback ? byteIds(vocabulary, token) : undefined;
        if (bytes !== undefined) return bytes;
        if (unknown === undefined) throw nothingFor(part, token);
        return [unknown];
      }),
  };
}

const kinds = { BPE: bytePairs, WordPiece: wordPiece, WordLevel: wordLevel, Unigram: unigram } as const;

/** Throws a `UsageError` naming the key for a model that is not built, or a file that is not whole. */
export function modelOf(json: unknown, where: string): PieceModel {
  const given = isRecord(json) ? json : {};
  const part = componentOf({ type: kindOf(given), ...given }, where, "model", kinds);
  return kinds[part.kind as keyof typeof kinds](part);
}

/** Files of old leave the kind out. */
function kindOf(model: Readonly<Record<string, unknown>>): string {
  if (Array.isArray(model.vocab)) return "Unigram";
  if (model.merges !== undefined) return "BPE";
  return model.continuing_subword_prefix === undefined ? "WordLevel" : "WordPiece";
}
