/** `evaluate --leaks`: test pictures that stand in the training data, shown, and what the scores owe to them. */

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { withFileErrors, writeFileAtomic } from "../core/files.js";
import { findCopies, MAX_DISTANCE } from "../data/copies/find.js";
import type { Dataset } from "../data/index.js";
import type { FeatureSource } from "../evaluate/features/source.js";
import { type CopyThreshold, calibrateThreshold, nearCopies } from "../evaluate/leaks/embedding.js";
import { type LeakScore, leakScores } from "../evaluate/leaks/scores.js";
import type { Encoder } from "../evaluate/model/encoder.js";
import { isShare, metricWords } from "../evaluate/records.js";
import type { TaskScore } from "../evaluate/tasks/task.js";
import { leakPage } from "../report/data/leaks.js";
import { choice, defaulted, flag, integer, list, optional, text, type Values } from "../settings/fields.js";
import { alignColumns } from "./columns.js";
import type { ProgressLine } from "./progress-line.js";

export const leakOptions = {
  leaks: defaulted(
    flag(),
    false,
    "Find test pictures that stand in the run's training data, or in --against, and score without them.",
  ),
  against: optional(
    list(text("SOURCE"), { separator: "::" }),
    "Training data in which test pictures are looked for; the run's own otherwise.",
  ),
  leaksBy: defaulted(
    list(choice(["bytes", "embedding"])),
    ["bytes", "embedding"],
    "bytes: equal files and perceptual hashes; embedding: the model's own, which needs its features of all training pictures.",
  ),
  leakBits: defaulted(
    integer(0, 15),
    MAX_DISTANCE,
    "Bits of 64 by which perceptual hashes of one picture may differ.",
  ),
  leaksTo: optional(text("FOLDER"), "Where index.html and pairs.jsonl go; leaks/NAME of the run otherwise."),
};

export type LeakOptions = Values<typeof leakOptions>;

/** A test picture and the training picture that it is a copy of. */
export interface Leak {
  readonly index: number;
  readonly other: number;
  readonly kind: "exact" | "perceptual" | "embedding";
  /** Bits between the hashes, of those. */
  readonly distance?: number;
  readonly mirrored?: boolean;
  readonly cosine?: number;
}

export interface FoundLeaks {
  readonly test: Dataset;
  readonly training: Dataset;
  /** The surest first. */
  readonly leaks: readonly Leak[];
  readonly bits: number | undefined;
  readonly threshold: CopyThreshold | undefined;
}

/** Pictures of `test` that stand in `training`, each once, by the surest of the ways that are asked for. */
export async function findLeaks(
  { test, training }: { readonly test: Dataset; readonly training: Dataset },
  features: FeatureSource,
  encoder: Encoder,
  { leaksBy, leakBits }: LeakOptions,
  progress: ProgressLine,
): Promise<FoundLeaks> {
  const byBytes = leaksBy.includes("bytes");
  const { workers } = encoder.options;
  const onProgress = (done: number, total: number) => progress.show({ what: "fingerprints", done, total });
  const { copies, repeated } = byBytes
    ? await findCopies(test, training, { maxDistance: leakBits, workers, onProgress })
    : { copies: [], repeated: [] };
  const leaks: Leak[] = copies.map(({ index, other, kind, distance, mirrored }) =>
    kind === "exact"
      ? { index, other, kind }
      : { index, other, kind, distance, ...(mirrored && { mirrored }) },
  );
  let threshold: CopyThreshold | undefined;
  if (leaksBy.includes("embedding")) {
    const own = await features.images(test);
    const others = await features.images(training);
    const embed = (images: readonly Uint8Array[]) => encoder.embedImages(images);
    threshold = await calibrateThreshold(features.engine, test, own, embed, repeated);
    const known = new Set(leaks.map(({ index }) => index));
    const near = await nearCopies(features, own, others, threshold);
    for (const copy of near) if (!known.has(copy.index)) leaks.push({ ...copy, kind: "embedding" });
  }
  const rank = ({ kind, distance = 0, cosine = 0 }: Leak): number =>
    kind === "exact" ? -1 : kind === "perceptual" ? distance : 100 - cosine;
  leaks.sort((a, b) => rank(a) - rank(b) || a.index - b.index);
  return { test, training, leaks, bits: byBytes ? leakBits : undefined, threshold };
}

const percent = (share: number): string => `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`;

/** How pictures were looked for and what was found, a sentence each. */
export function leakSentences({ test, training, leaks, bits, threshold }: FoundLeaks): string[] {
  const count = (kind: Leak["kind"]): number => leaks.filter((leak) => leak.kind === kind).length;
  const sizes = `${test.length.toLocaleString("en-US")} pictures of ${test.name}`;
  const lines = [`${leaks.length} of ${sizes} stand in ${training.name} too.`];
  if (bits !== undefined)
    lines.push(
      `${count("exact")} are the same bytes; ${count("perceptual")} more have perceptual hashes at most ${bits} of 64 bits apart, as they are or mirrored.`,
    );
  if (threshold !== undefined) {
    const found = Object.entries(threshold.found).map(([kind, share]) => `${kind} ${percent(share)}`);
    lines.push(
      `${count("embedding")} more have a cosine of ${threshold.cosine.toFixed(3)} or higher, which finds these shares of copies made of ${threshold.pictures} pictures: ${found.join(", ")}; ${percent(threshold.confused)} of the test pictures have a different test picture as near.`,
    );
  }
  return lines;
}

/** What a pair was found by. */
function wordsOf({ kind, distance, mirrored, cosine }: Leak): string {
  if (kind === "exact") return "the same bytes";
  if (kind === "embedding") return `cosine ${cosine!.toFixed(3)}`;
  return `${distance} of 64 bits apart${mirrored === true ? ", mirrored" : ""}`;
}

/** Pairs that the terminal shows. */
const LISTED = 10;

/** What is told of leaks in the terminal: how many, the first pairs, and each score with and without them. */
export function leakText(found: FoundLeaks, scores: readonly TaskScore[], page: string | undefined): string {
  const { test, training, leaks } = found;
  const lines = leakSentences(found);
  for (const leak of leaks.slice(0, LISTED))
    lines.push(`  ${test.sample(leak.index).key} = ${training.sample(leak.other).key} (${wordsOf(leak)})`);
  if (leaks.length > LISTED && page !== undefined) lines.push(`  … ${leaks.length - LISTED} more`);
  if (page !== undefined) lines.push(`Shown in ${page}`);
  const rows = leakScores(scores, new Set(leaks.map(({ index }) => index))).map(rowOf);
  const table =
    rows.length === 0 ? "" : alignColumns([["", "all", "new ones", "the others", "new − all"], ...rows]);
  return `${lines.join("\n")}\n${table}`;
}

function rowOf({ metric, all, clean, leaked, difference }: LeakScore): string[] {
  const number = (x: number): string => (isShare(metric) ? (100 * x).toFixed(1) : x.toFixed(2));
  const { value, low, high } = difference;
  return [
    `  ${metricWords(metric)}`,
    number(all.value),
    `${number(clean.value)} (${number(clean.low)} – ${number(clean.high)})`,
    number(leaked.value),
    `${number(value)} (${number(low)} – ${number(high)})`,
  ];
}

/** Writes the page with the pairs, and a line for each to `pairs.jsonl`; gives the page's path. */
export async function writeLeaks(found: FoundLeaks, folder: string): Promise<string> {
  const { test, training, leaks } = found;
  withFileErrors("write", folder, () => mkdirSync(folder, { recursive: true }));
  const line = ({ index, other, ...how }: Leak): string =>
    `${JSON.stringify({ test: test.sample(index).key, training: training.sample(other).key, ...how })}\n`;
  writeFileAtomic(join(folder, "pairs.jsonl"), leaks.map(line).join(""));
  const pairs = leaks.map((leak) => ({ index: leak.index, other: leak.other, words: wordsOf(leak) }));
  const page = join(folder, "index.html");
  writeFileAtomic(page, await leakPage({ test, training, pairs, sentences: leakSentences(found) }));
  return page;
}
