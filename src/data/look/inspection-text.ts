/** An inspection as a person reads it in a terminal. */
import { oneLine } from "../../core/errors.js";
import type { Distribution, DropReason, Inspection } from "./inspect.js";

const LISTED_DROPS = 3;
const LISTED_LABELS = 10;
const BAR = 30;
const CAPTION_WIDTH = 76;

const number = (n: number): string => n.toLocaleString("en-US", { maximumFractionDigits: 1 });
const plural = (n: number, one: string, many = `${one}s`): string => `${number(n)} ${n === 1 ? one : many}`;
const cut = (text: string): string =>
  text.length > CAPTION_WIDTH ? `${text.slice(0, CAPTION_WIDTH - 1)}…` : text;

const spread = (d: Distribution): string =>
  d.min === d.max
    ? `${number(d.median)} throughout`
    : `${number(d.min)} to ${number(d.max)}, median ${number(d.median)}, 90 % in ${number(d.p5)} to ${number(d.p95)}`;

const kilobytes = (d: Distribution): Distribution => ({
  ...d,
  min: d.min / 1000,
  p5: d.p5 / 1000,
  median: d.median / 1000,
  p95: d.p95 / 1000,
  max: d.max / 1000,
});

/** Plain text of at most 100 columns, ending in a newline. */
export function formatInspection(report: Inspection): string {
  const lines: string[] = [];
  const row = (name: string, value: string): void => void lines.push(`  ${name.padEnd(14)}${value}`);
  const section = (title: string): void => void lines.push("", title);

  lines.push(
    `${report.name}: ${plural(report.samples, "image")}, ${plural(report.captions, "caption")}, ${number(report.usable)} usable`,
  );
  for (const source of report.sources) {
    section(`Understood as ${source.kind} · ${source.source}`);
    row("images", `${plural(source.samples, "image")} from ${source.imagesFrom}`);
    row("captions", `${plural(source.captions, "caption")} from ${source.captionsFrom}`);
    if (source.labelsFrom !== undefined) {
      row("labels", `${plural(source.classes, "class", "classes")} from ${source.labelsFrom}`);
    }
    if (source.weight !== undefined) row("weight", number(source.weight));
    for (const note of source.notes) row("note", note);
    for (const problem of source.problems) row("problem", problem);
  }

  section(report.examples.length === 1 ? "One sample" : `${report.examples.length} samples`);
  for (const { key, captions, label, width, height, format } of report.examples) {
    const size = width === undefined ? "unreadable" : `${width}×${height} ${format}`;
    lines.push(`  ${key}  (${size}${label === undefined ? "" : `, label ${label}`})`);
    for (const caption of captions.slice(0, 2)) lines.push(`    “${cut(caption)}”`);
    if (captions.length > 2) lines.push(`    and ${captions.length - 2} more`);
    if (captions.length === 0) lines.push("    no caption");
  }

  section("Images");
  row("width", `${spread(report.width)} pixels`);
  row("height", `${spread(report.height)} pixels`);
  row("size", `${spread(kilobytes(report.imageBytes))} kB`);
  row(
    "formats",
    Object.entries(report.formats)
      .map(([format, n]) => `${format} ${number(n)}`)
      .join(", ") || "none",
  );

  section("Captions");
  row("per image", spread(report.captionsPerImage));
  row("words", spread(report.captionWords));
  row("characters", spread(report.captionChars));
  const top = Math.max(1, ...report.captionWords.histogram.map(({ count }) => count));
  for (const { from, to, count } of report.captionWords.histogram) {
    const bar = "█".repeat(Math.max(count > 0 ? 1 : 0, Math.round((count / top) * BAR)));
    lines.push(`  ${`${from}–${to - 1} words`.padStart(13)} ${bar} ${number(count)}`.trimEnd());
  }

  if (report.labels.length > 0) {
    section(plural(report.labels.length, "label"));
    const shown = report.labels
      .slice(0, LISTED_LABELS)
      .map(({ label, count }) => `${label} ${number(count)}`);
    if (report.labels.length > LISTED_LABELS)
      shown.push(`and ${number(report.labels.length - LISTED_LABELS)} more`);
    lines.push(`  ${shown.join(", ")}`);
  }

  section(
    report.drops.length === 0
      ? "Nothing would be dropped"
      : `Would be dropped: ${number(report.drops.length)}`,
  );
  for (const [reason, count] of Object.entries(report.dropCounts) as [DropReason, number][]) {
    if (count === 0) continue;
    lines.push(`  ${number(count)} × ${reason}`);
    const own = report.drops.filter((drop) => drop.reason === reason);
    for (const { key, detail } of own.slice(0, LISTED_DROPS)) lines.push(`    ${key}: ${detail}`);
    if (own.length > LISTED_DROPS) lines.push(`    and ${number(own.length - LISTED_DROPS)} more`);
  }
  if (report.nearDuplicates.length > 0) {
    const near = report.nearDuplicates.length;
    lines.push(`  ${plural(near, "group")} of near duplicates, kept; a split leaves each on one side:`);
    for (const keys of report.nearDuplicates.slice(0, LISTED_DROPS))
      lines.push(`    ${cut(keys.join(" ~ "))}`);
    if (near > LISTED_DROPS) lines.push(`    and ${number(near - LISTED_DROPS)} more`);
  }
  return `${lines.map(oneLine).join("\n")}\n`;
}
