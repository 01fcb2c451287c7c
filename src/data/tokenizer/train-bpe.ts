/**
 * Learns a byte-pair vocabulary from captions: count the words; join the most frequent pair of neighbours, again and
 * again (Sennrich et al. 2016). Ties go to the lower ids, so the result depends on the captions alone; it equals
 * that of Hugging Face's `BpeTrainer`.
 */

import { UsageError } from "../../core/errors.js";
import { MAX_IDS, type Merge } from "./byte-pairs.js";
import { Heap } from "./heap.js";
import { FIRST_MERGE_ID, LearnedTokenizer, normalize, splitPieces, symbolsOf } from "./learned.js";

export interface TrainBpeOptions {
  /**
   * Ids in all: 3 special tokens, 256 bytes, then merges. Default: merges go on while the next pair is seen at least
   * `minPairCount` times, to at most 32,768. Fewer come out when the captions have no more pairs.
   */
  readonly vocabSize?: number;
  /**
   * How often a pair must be seen to become a token. Default with a given `vocabSize`: 1; else √words / 100,
   * from 2 to 100. An embedding wants about 100 sightings (Gowda and May 2020, "Finding the optimal vocabulary size
   * for neural machine translation"); small sets make up for fewer by more epochs, and since the number of different
   * words grows like √words (Heaps' law), so does the threshold.
   */
  readonly minPairCount?: number;
  /** Ignore case. Default: true. */
  readonly lowercase?: boolean;
  /**
   * Texts that the model will be asked although captions may lack their words, such as prompts: their words count as seen
   * often enough to become tokens, where `vocabSize` leaves room. Default: none.
   */
  readonly expected?: Iterable<string>;
  /** Tokens of a padded text. Default: the least multiple of 8 that holds 99 % of the captions whole, 8 to 77. */
  readonly contextLength?: number;
}

/** What was learned, for the log. */
export interface BpeReport {
  readonly captions: number;
  readonly words: number;
  readonly distinctWords: number;
  readonly vocabSize: number;
  readonly minPairCount: number;
  readonly contextLength: number;
  /** Tokens of a caption, start and end included. */
  readonly meanLength: number;
  /** Share of the captions that the context length cuts. */
  readonly cutShare: number;
}

const MAX_AUTO_VOCAB = 32_768;
/** Longer runs without a break (some scripts, links) are learned from in parts, to bound the time. */
const MAX_WORD_BYTES = 1024;

/** Trains on `captions` (read twice). Throws a `UsageError` when they hold no word or an option is out of range. */
export function trainBpe(
  captions: Iterable<string>,
  options: TrainBpeOptions = {},
): { readonly tokenizer: LearnedTokenizer; readonly report: BpeReport } {
  const { vocabSize = MAX_AUTO_VOCAB, lowercase = true } = options;
  if (!Number.isInteger(vocabSize) || vocabSize < FIRST_MERGE_ID || vocabSize > MAX_IDS / 2) {
    throw new UsageError(
      `trainBpe: vocabSize must be an integer from ${FIRST_MERGE_ID} (3 special tokens and 256 bytes) to ` +
        `${MAX_IDS / 2}; got vocabSize=${vocabSize}.`,
    );
  }
  const counts = new Map<string, number>();
  const list: string[] = [];
  let words = 0;
  for (const caption of captions) {
    list.push(caption);
    for (const piece of splitPieces(normalize(caption, lowercase))) {
      counts.set(piece, (counts.get(piece) ?? 0) + 1);
      words++;
    }
  }
  if (words === 0) {
    throw new UsageError(
      `trainBpe: captions must hold words to learn from; got ${list.length} captions without any. ` +
        "Check which column or file the captions come from.",
    );
  }
  const automatic = Math.min(100, Math.max(2, Math.round(Math.sqrt(words) / 100)));
  const minPairCount = options.minPairCount ?? (options.vocabSize === undefined ? automatic : 1);
  const distinctWords = counts.size;
  for (const text of options.expected ?? []) {
    for (const piece of splitPieces(normalize(text, lowercase))) {
      counts.set(piece, Math.max(counts.get(piece) ?? 0, minPairCount));
    }
  }
  const merges = learnMerges(counts, vocabSize, minPairCount);

  const whole = new LearnedTokenizer({ merges, lowercase }, options.contextLength ?? 77);
  const lengths = Uint32Array.from(list, (caption) => whole.encode(caption).length);
  const contextLength = options.contextLength ?? contextFor(lengths);
  const tokenizer = whole.withContextLength(contextLength);
  const report: BpeReport = {
    captions: list.length,
    words,
    distinctWords,
    vocabSize: tokenizer.vocabSize,
    minPairCount,
    contextLength,
    meanLength: lengths.reduce((sum, length) => sum + length, 0) / list.length,
    cutShare: lengths.filter((length) => length > contextLength).length / list.length,
  };
  return { tokenizer, report };
}

/** The least multiple of 8 that holds 99 % of the lengths, from 8 to 77. */
export function contextFor(lengths: Uint32Array): number {
  const sorted = lengths.slice().sort();
  const most = sorted[Math.ceil(0.99 * sorted.length) - 1]!;
  return Math.min(77, Math.max(8, Math.ceil(most / 8) * 8));
}

interface PairCount {
  readonly count: number;
  readonly left: number;
  readonly right: number;
}

/** Words as runs of ids in one array, with the counts of their pairs and where each pair may be found. */
class Corpus {
  /** Times that each pair of neighbours is seen, by key. */
  readonly pairCounts = new Map<number, number>();
  private readonly words: Int32Array[] = [];
  private readonly wordCounts: number[] = [];
  /** Words that held a pair when it was noted; those that have lost it are skipped. */
  private readonly wordsOf = new Map<number, number[]>();

  /** Ids stay below `base`. Keys are left × base + right: small integers, which maps look up fastest, up to 46,340. */
  constructor(
    counts: ReadonlyMap<string, number>,
    private readonly base: number,
  ) {
    for (const [piece, count] of counts) {
      const symbols = Int32Array.from(symbolsOf(piece));
      for (let at = 0; at < symbols.length; at += MAX_WORD_BYTES) {
        const part = symbols.subarray(at, at + MAX_WORD_BYTES);
        const word = this.words.push(part) - 1;
        this.wordCounts.push(count);
        for (let i = 0; i + 1 < part.length; i++) this.add(part[i]!, part[i + 1]!, count, word);
      }
    }
  }

  /** Joins a pair into `id` wherever it stands; gives the pairs whose counts grew. */
  join(left: number, right: number, id: number): Set<number> {
    const grown = new Set<number>();
    const key = left * this.base + right;
    const places = this.wordsOf.get(key) ?? [];
    this.wordsOf.delete(key);
    for (const word of places) {
      const symbols = this.words[word]!;
      const count = this.wordCounts[word]!;
      let length = 0;
      for (let i = 0; i < symbols.length; i++) {
        if (symbols[i] !== left || symbols[i + 1] !== right) {
          symbols[length++] = symbols[i]!;
          continue;
        }
        // before left right after → before id after: two or three pairs go, one or two come.
        this.add(left, right, -count, word);
        if (length > 0) {
          const before = symbols[length - 1]!;
          this.add(before, left, -count, word);
          grown.add(this.add(before, id, count, word));
        }
        if (i + 2 < symbols.length) {
          const after = symbols[i + 2]!;
          this.add(right, after, -count, word);
          grown.add(this.add(id, after, count, word));
        }
        symbols[length++] = id;
        i++;
      }
      this.words[word] = symbols.subarray(0, length);
    }
    return grown;
  }

  /** Adds `count` sightings of a pair in a word; gives the pair's key. */
  private add(left: number, right: number, count: number, word: number): number {
    const key = left * this.base + right;
    this.pairCounts.set(key, (this.pairCounts.get(key) ?? 0) + count);
    if (count > 0) {
      const places = this.wordsOf.get(key);
      if (places === undefined) this.wordsOf.set(key, [word]);
      else if (places.at(-1) !== word) places.push(word);
    }
    return key;
  }
}

function learnMerges(counts: ReadonlyMap<string, number>, vocabSize: number, minPairCount: number): Merge[] {
  const corpus = new Corpus(counts, vocabSize);
  const queue = new Heap<PairCount>((a, b) =>
    a.count !== b.count ? a.count > b.count : a.left !== b.left ? a.left < b.left : a.right < b.right,
  );
  const offer = (key: number) =>
    queue.push({
      count: corpus.pairCounts.get(key)!,
      left: Math.floor(key / vocabSize),
      right: key % vocabSize,
    });
  for (const key of corpus.pairCounts.keys()) offer(key);

  const merges: Merge[] = [];
  /** Bytes that a token stands for, as the ids of bytes: two ways to the same text share one id. */
  const spelling = new Map<number, string>();
  const spell = (id: number) => spelling.get(id) ?? String.fromCharCode(id);
  const idOf = new Map<string, number>();
  let nextId = FIRST_MERGE_ID;
  while (nextId < vocabSize) {
    const best = queue.pop();
    if (best === undefined) break;
    const { left, right } = best;
    const current = corpus.pairCounts.get(left * vocabSize + right) ?? 0;
    if (current !== best.count) {
      if (current > 0) queue.push({ count: current, left, right });
      continue;
    }
    if (current < Math.max(1, minPairCount)) break;
    const text = spell(left) + spell(right);
    const id = idOf.get(text) ?? nextId++;
    idOf.set(text, id);
    spelling.set(id, text);
    merges.push({ left, right, id });
    for (const grown of corpus.join(left, right, id)) offer(grown);
  }
  return merges;
}
