/**
 * The three kinds of failure. A message reads `what: rule; got name=value. What to do instead.`
 */

/**
 * `text` as one line on any terminal: control, escape and direction characters, which names of files and captions may
 * hold, are written as `\n`, `\x1b` or `\u202e`.
 */
export const oneLine = (text: string): string =>
  text.replace(UNPRINTABLE, (character) => {
    const short = { "\n": "\\n", "\r": "\\r", "\t": "\\t" }[character];
    const code = character.charCodeAt(0).toString(16);
    return short ?? (code.length > 2 ? `\\u${code.padStart(4, "0")}` : `\\x${code.padStart(2, "0")}`);
  });

/** `text` of several lines without what could command a terminal: as `oneLine`, but with its lines and columns. */
export const printable = (text: string): string => text.replace(/[^\n\t]+/g, oneLine);

/** Controls of C0 and C1, marks and embeddings of direction, line and paragraph separators, lone halves of surrogates. */
const UNPRINTABLE =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
  /[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

/** Characters of a message; of a longer one the middle, which repeats something of the caller's, is left out. */
const MOST_CHARACTERS = 2000;

const shortened = (text: string): string =>
  text.length <= MOST_CHARACTERS
    ? text
    : `${text.slice(0, MOST_CHARACTERS / 2)} … ${text.slice(-MOST_CHARACTERS / 2)}`;

/** What a program may want to know of a `UsageError`, besides its sentence. */
export interface UsageErrorDetails {
  /**
   * Default `ERR_SETTING` with a `key`, else `ERR_USAGE`. Of the file system its own (`ENOENT`, `ENOSPC`, …);
   * `ERR_ENGINE_MISSING` where an engine's package or plugin is not installed.
   */
  readonly code?: string;
  /** The setting at fault, as recipes spell it, e.g. `batchSize`. */
  readonly key?: string | undefined;
  /** The file or folder at fault. */
  readonly file?: string | undefined;
  /** Its line, from 1. */
  readonly line?: number | undefined;
  readonly cause?: unknown;
}

/** The caller asked for something that cannot be: bad input, option, file or shape. Its message is one line. */
export class UsageError extends Error {
  override name = "UsageError";
  readonly code: string;
  /** The setting at fault, where it is one. */
  readonly key: string | undefined;
  /** The file or folder at fault, where it is one. */
  readonly file: string | undefined;
  /** The file's line, from 1, where it is one. */
  readonly line: number | undefined;

  constructor(message: string, { code, key, file, line, cause }: UsageErrorDetails = {}) {
    super(shortened(oneLine(message)), cause === undefined ? undefined : { cause });
    this.code = code ?? (key === undefined ? "ERR_USAGE" : "ERR_SETTING");
    this.key = key;
    this.file = file;
    this.line = line;
  }
}

/** An engine cannot run this graph: carries the operation and where it was written. */
export class Unsupported extends Error {
  override name = "Unsupported";
  readonly code = "ERR_UNSUPPORTED";
  constructor(
    message: string,
    /** The operation's name, e.g. `matmul`. */
    readonly op: string,
    /** `file:line` of the call that made the node, when known. */
    readonly site?: string,
  ) {
    super(site === undefined ? message : `${message} (written at ${site})`);
  }
}

/** A fault of Clipwright itself. */
export class InternalError extends Error {
  override name = "InternalError";
  readonly code = "ERR_INTERNAL";
}

/** Throws an `InternalError` unless `condition` holds. */
export function invariant(condition: unknown, message: string): asserts condition {
  if (!condition) throw new InternalError(message);
}

/** What an error says, on one line; one that the caller cannot mend begins with its name. */
export function failureWords(error: unknown): string {
  if (error instanceof UsageError || error instanceof Unsupported) return oneLine(error.message);
  return oneLine(error instanceof Error ? `${error.name}: ${error.message}` : String(error));
}

/** The candidate closest to `word` by edit distance, or undefined when none is near. */
export function nearest(word: string, candidates: Iterable<string>): string | undefined {
  let best: string | undefined;
  let bestDistance = Math.max(2, Math.floor(word.length / 3)) + 1;
  for (const candidate of candidates) {
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase());
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** ` Did you mean "x"?` for the nearest candidate, or an empty string. */
export function didYouMean(word: string, candidates: Iterable<string>): string {
  const hit = nearest(word, candidates);
  return hit === undefined ? "" : ` Did you mean "${hit}"?`;
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitute = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(substitute, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[b.length]!;
}
