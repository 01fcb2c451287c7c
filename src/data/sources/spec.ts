/** What a caller may write for a source: paths, `::` between several, brace ranges, globs, web addresses. */
import { existsSync, lstatSync, readdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { didYouMean, UsageError } from "../../core/errors.js";
import { missingFile } from "../../core/files.js";

/** A source with its share of the samples drawn. */
export interface WeightedSource {
  readonly source: string;
  /** Relative to the other sources' weights; > 0. */
  readonly weight: number;
}

export type SourceSpec = string | WeightedSource;

/** The sources of a spec: strings are split at `::`, weights kept. */
export function splitSpec(
  spec: SourceSpec | readonly SourceSpec[],
  weights?: readonly number[],
): { source: string; weight?: number }[] {
  const items = (Array.isArray(spec) ? spec : [spec]) as readonly SourceSpec[];
  const parts = items.flatMap((item): { source: string; weight?: number }[] => {
    if (typeof item !== "string") return [item];
    return item
      .split(/::(?![^[\]]*\])/) // not in the address of a host, http://[::1]/x.tar
      .map((source) => source.trim())
      .filter((source) => source !== "")
      .map((source) => ({ source }));
  });
  if (parts.length === 0)
    throw new UsageError('data: names no source; got "". Give a folder, a table or tars.');
  if (weights !== undefined) {
    if (weights.length !== parts.length) {
      throw new UsageError(
        `data: needs one weight a source; got ${weights.length} weights for ${parts.length} sources.`,
      );
    }
    for (const [i, part] of parts.entries()) part.weight = weights[i]!;
  }
  for (const { source, weight } of parts) {
    if (weight !== undefined && !(weight > 0 && Number.isFinite(weight))) {
      throw new UsageError(`data: a weight is a number above 0; got weight=${weight} for ${source}.`);
    }
  }
  const weighted = parts.filter((part) => part.weight !== undefined).length;
  if (weighted > 0 && weighted < parts.length) {
    const bare = parts.find((part) => part.weight === undefined)!.source;
    throw new UsageError(`data: either every source has a weight or none; got no weight for ${bare}.`);
  }
  return parts;
}

/** Names that one pattern may stand for. */
const MOST_NAMES = 1_000_000;
/** Braces in a pattern, in or behind each other. */
const MOST_BRACES = 16;

const tooMany = (pattern: string): UsageError =>
  new UsageError(`data: a pattern stands for at most ${MOST_NAMES} names; got "${pattern}". Name fewer.`);

/** `a-{000..002}.tar` and `{x,y}.tar`, expanded as a shell does; zeros in front are kept. At most a million names. */
export function expandBraces(pattern: string, braces = 0): string[] {
  if (braces > MOST_BRACES)
    throw new UsageError(`data: has at most ${MOST_BRACES} braces; got "${pattern}".`);
  const open = pattern.indexOf("{");
  if (open < 0) return [pattern];
  let depth = 0;
  let close = -1;
  const commas: number[] = [];
  for (let i = open; i < pattern.length; i++) {
    const c = pattern[i];
    if (c === "{") depth++;
    else if (c === "," && depth === 1) commas.push(i);
    else if (c === "}" && --depth === 0) {
      close = i;
      break;
    }
  }
  if (close < 0) throw new UsageError(`data: a brace is not closed; got "${pattern}".`);
  const [before, inner, after] = [
    pattern.slice(0, open),
    pattern.slice(open + 1, close),
    pattern.slice(close + 1),
  ];
  const range = /^(\d+)\.\.(\d+)$/.exec(inner);
  let choices: string[];
  if (range !== null) {
    const [from, to] = [Number(range[1]), Number(range[2])];
    const width =
      range[1]!.startsWith("0") || range[2]!.startsWith("0")
        ? Math.max(range[1]!.length, range[2]!.length)
        : 0;
    const step = from <= to ? 1 : -1;
    if (!(Math.abs(to - from) < MOST_NAMES)) throw tooMany(pattern);
    choices = Array.from({ length: Math.abs(to - from) + 1 }, (_, i) =>
      String(from + i * step).padStart(width, "0"),
    );
  } else {
    const ends = [open, ...commas, close];
    choices = ends.slice(1).map((end, i) => pattern.slice(ends[i]! + 1, end));
  }
  const rests = expandBraces(after, braces + 1);
  const inners = choices.flatMap((choice) =>
    choice.includes("{") ? expandBraces(choice, braces + 1) : [choice],
  );
  if (inners.length * rests.length > MOST_NAMES) throw tooMany(pattern);
  return inners.flatMap((c) => rests.map((rest) => before + c + rest));
}

const isWeb = (path: string): boolean => /^https?:\/\//.test(path);

/** `*` and `?` within the parts of a path, sorted; `**` is not known. */
export function expandGlob(pattern: string): string[] {
  if (!/[*?]/.test(pattern) || isWeb(pattern)) return [pattern];
  const parts = pattern.split("/");
  let found = [parts[0] === "" ? "/" : ""];
  for (const part of parts[0] === "" ? parts.slice(1) : parts) {
    if (!/[*?]/.test(part)) {
      found = found.map((base) => join(base, part)).filter((path) => existsSync(path));
      continue;
    }
    found = found.flatMap((base) => {
      const folder = base === "" ? "." : base;
      if (!existsSync(folder) || !statSync(folder).isDirectory()) return [];
      return readdirSync(folder)
        .filter((name) => !name.startsWith(".") && matches(name, part))
        .sort()
        .map((name) => join(base, name));
    });
  }
  return found;
}

/** Whether `*` (any characters) and `?` (any one) make `pattern` into `name`; takes time in their product at most. */
function matches(name: string, pattern: string): boolean {
  let [n, p] = [0, 0];
  /** Where the last `*` was, and what of the name is behind what it stands for. */
  let [star, behind] = [-1, 0];
  while (n < name.length) {
    if (pattern[p] === "*") [star, behind] = [p++, n];
    else if (pattern[p] === "?" || pattern[p] === name[n]) [n, p] = [n + 1, p + 1];
    else if (star >= 0) [n, p, behind] = [behind + 1, star + 1, behind + 1];
    else return false;
  }
  while (pattern[p] === "*") p++;
  return p === pattern.length;
}

/** The files, folders or addresses that one source names. Throws `UsageError` when one is missing. */
export function expandSource(source: string): string[] {
  if (existsSync(source)) return [source];
  const paths = expandBraces(source).flatMap((pattern) => {
    const found = expandGlob(pattern);
    if (found.length === 0)
      throw new UsageError(`data: no file matches "${pattern}".${neighbours(pattern)}`, {
        code: "ENOENT",
        file: pattern,
      });
    return found;
  });
  for (const path of paths) {
    if (isWeb(path) || existsSync(path)) continue;
    if (isLink(path)) throw missingFile(path);
    throw new UsageError(`data: there is no file or folder "${path}".${neighbours(path)}`, {
      code: "ENOENT",
      file: path,
    });
  }
  return paths;
}

const isLink = (path: string): boolean =>
  lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true;

function neighbours(path: string): string {
  let folder = dirname(path);
  while (/[*?{]/.test(folder)) folder = dirname(folder);
  if (!existsSync(folder)) return ` The folder "${folder}" does not exist either.`;
  const names = readdirSync(folder);
  const hint = didYouMean(path.slice(path.lastIndexOf("/") + 1), names);
  if (hint !== "") return hint;
  return names.length === 0
    ? ` ${folder} is empty.`
    : ` ${folder} holds ${names.slice(0, 5).join(", ")}${names.length > 5 ? ", …" : ""}.`;
}
