/** What a study will come to, for people: a table of combinations, what is left, and what it will be able to tell apart. */

import { comparedNumber } from "../evaluate/compare.js";
import type { Metric } from "../evaluate/tasks/task.js";
import { computeUnit } from "../study/answer/lines.js";
import type { Power } from "../study/answer/power.js";
import type { Outlook } from "../study/run/outlook.js";
import { formatBytes, formatClock } from "../train/watch/progress.js";
import { alignWithin } from "./columns.js";

/** Signs in a line: what a terminal of some width shows whole. */
const WIDTH = 100;

const number = (x: number | undefined): string =>
  x === undefined ? "–" : x.toLocaleString("en-US", { maximumSignificantDigits: 3 });
const clock = (x: number | undefined): string => (x === undefined ? "–" : formatClock(x));
const bytes = (x: number | undefined): string => (x === undefined ? "–" : formatBytes(x));

/** The whole of it; `score` is the deciding one, `set/metric`, and `probes` the file to remove where memory was not measured. */
export function outlookText(
  { cells, runs, left, unmeasured, stale, warnings, power }: Outlook,
  { score, metric, probes }: { readonly score: string; readonly metric: Metric; readonly probes: string },
): string {
  const factors = Object.keys(cells[0]!.levels);
  const unit = computeUnit(Math.max(...cells.map(({ gmacs = 0 }) => gmacs)));
  const rows = cells.map((cell) => {
    const states = Object.values(cell.seeds);
    return [
      ...factors.map((factor) => cell.levels[factor]!),
      cell.regimes.join(" and "),
      number(cell.pairs),
      number(cell.samples),
      number(cell.gmacs === undefined ? undefined : cell.gmacs / unit.gmacs),
      clock(cell.seconds),
      bytes(cell.memoryBytes),
      bytes(cell.diskBytes),
      `${states.filter((state) => state === "done").length}/${states.length}`,
    ];
  });
  const header = [
    ...[...factors, "regime", "pairs", "samples", `${unit.power} MACs`],
    ...["a run", "memory", "disk", "done"],
  ];
  const isOld = cells.some(({ seconds, memoryBytes }) => seconds !== undefined && memoryBytes === undefined);
  const packed = left.packedBytes ? `, ${bytes(left.packedBytes)} for images that are kept` : "";
  const space =
    left.runs === left.unknown || left.memoryBytes === undefined
      ? ""
      : `; up to ${bytes(left.memoryBytes)} of memory, ${bytes(left.diskBytes)} of disk${packed}`;
  return [
    alignWithin([header, ...rows], factors.length + 1, WIDTH),
    `${left.runs} of ${runs} runs to do${timeWords(left)}${space}.`,
    ...(isOld
      ? [`–: measured before memory and disk were; remove ${probes}, and all is measured anew.`]
      : []),
    ...[...byReason(unmeasured)].map(
      ([why, count]) =>
        `! ${count === 1 ? "1 run was" : `${count} runs were`} not measured, since a few steps failed: ${why}`,
    ),
    ...staleLines(stale),
    ...warnings.map((line) => `! ${line}`),
    ...powerLines(power, score, metric),
  ].join("\n");
}

/** What the runs that are left take, as far as it is known. */
function timeWords({ runs, unknown, seconds }: Outlook["left"]): string {
  if (unknown === 0) return `: about ${formatClock(seconds)}`;
  return unknown === runs
    ? ", none of them known"
    : `, ${unknown} not known, the others: about ${formatClock(seconds)}`;
}

/** How many runs there are for each reason. */
function byReason(runs: readonly { readonly why: string }[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const { why } of runs) counts.set(why, (counts.get(why) ?? 0) + 1);
  return counts;
}

/** Runs that count no more, those for the same reason in one line. */
function staleLines(stale: Outlook["stale"]): readonly string[] {
  return [...byReason(stale)].map(
    ([why, count]) =>
      `! ${count === 1 ? "1 done run is" : `${count} done runs are`} left out, made from what has changed since (${why}). Restore it, or --again trains them anew.`,
  );
}

/** What can be told apart, and from what that is known. */
export function powerLines(power: Power, score: string, metric: Metric): readonly string[] {
  const { comparisons, items, smallest, byItemsAlone, seedNoise, seedDeviation } = power;
  if (comparisons === 0) return [];
  const unit = metric.kind === "share" ? " points" : "";
  const difference = (x: number): string => `${comparedNumber(metric, x)}${unit}`;
  const [own, more] = smallest;
  if (items === undefined || own === undefined || byItemsAlone === undefined)
    return [`What can be told apart in ${score} is not known before two runs are done.`];
  const seedsOf = (count: number): string => (count === 1 ? "one seed" : `${count} seeds`);
  const corrected = comparisons === 1 ? "one comparison" : `corrected for ${comparisons} comparisons`;
  const worst = power.itemsFrom === "differences" ? "" : " at worst";
  const alone = `its ${items.toLocaleString("en-US")} test items alone`;
  const least = `from ${difference(byItemsAlone)} on${worst}`;
  const lines = [`What it can tell apart in ${score}, four times in five, ${corrected}:`];
  if (own.seeds === 1)
    lines.push(
      `  differences ${least}, by ${alone};`,
      "  with one seed each it speaks of these runs, not of their levels.",
    );
  else if (seedNoise.from === "unknown")
    lines.push(
      `  differences ${least}, by ${alone};`,
      "  how much more the seeds make it is not known before two seeds of a combination are done.",
    );
  else {
    const { from, runs } = seedNoise;
    lines.push(
      `  differences from ${difference(own.difference)} on with ${seedsOf(own.seeds)} of each${more === undefined ? "" : `, from ${difference(more.difference)} on with ${more.seeds}`};`,
      `  by ${alone} ${least}.`,
      `  Noise between seeds: ${difference(seedDeviation!)} (${runs} runs of ${from === "this study" ? "this study" : "earlier studies in the same folder"}).`,
    );
  }
  return lines;
}
