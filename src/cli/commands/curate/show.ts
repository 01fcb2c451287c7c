/** `clipwright curate show TABLE`: what a table of scores or a selection holds. */

import { type ColumnSummary, summarizeTable, type TableSummary } from "../../../curate/tables/summary.js";
import { defaulted, flag, optional, text } from "../../../settings/fields.js";
import { alignColumns } from "../../columns.js";
import { defineCommand } from "../../command.js";

export const showCommand = defineCommand({
  name: "curate show",
  summary: "Say what a table of scores or a selection holds, and what made it.",
  positionals: [{ name: "TABLE", doc: "Parquet file of scores, or a selection.", required: true }],
  options: {
    Rows: {
      where: optional(text("SQL"), "Only rows for which this condition over the columns holds."),
    },
    Output: { json: defaulted(flag(), false, "Print the findings as JSON.") },
  },
  examples: [
    ["clipwright curate show scores.parquet", "Every column: what it is, its range, how many rows have it."],
    [`clipwright curate show scores.parquet --where "language <> 'en'"`, "The same of some of the rows."],
  ],
  async run({ options, positionals, terminal }) {
    const { where, json } = options;
    const summary = await summarizeTable(positionals[0]!, where === undefined ? {} : { where });
    terminal.out(json ? `${JSON.stringify(summary, null, 2)}\n` : textOf(summary));
    return 0;
  },
});

function textOf({ path, rows, info, columns }: TableSummary): string {
  const head = [`${path}: ${rows.toLocaleString("en-US")} rows`];
  if (info === undefined) head.push("It says nothing of what made it.");
  else {
    const { kind, made, clipwright, command, sources } = info;
    const from = sources.map(
      ({ source, samples }) => `${source} (${samples.toLocaleString("en-US")} images)`,
    );
    head.push(`${kind}, made ${made} by Clipwright ${clipwright} of ${from.join(", ")}`);
    if (command !== undefined) head.push(command);
  }
  const table = columns.map(({ name, type, known, about, better, ...column }) => [
    name,
    type,
    `${rows === 0 ? "–" : ((100 * known) / rows).toFixed(1)} %`,
    valuesText(column),
    `${about ?? ""}${better === undefined ? "" : ` (${better} is better)`}`,
  ]);
  const aligned = alignColumns([
    ["column", "type", "known", "least, quartiles, largest", ""],
    ...table.map((row) => row.slice(0, 4).concat("")),
  ]).split("\n");
  const lines = aligned.map((line, i) => {
    const about = table[i - 1]?.[4];
    return about ? `${line}  ${about}` : line;
  });
  return `${head.join("\n")}\n\n${lines.join("\n")}`;
}

/** What is known of a column's values; of one that is never known nothing. */
function valuesText({
  quantiles,
  yes,
  distinct,
}: Pick<ColumnSummary, "quantiles" | "yes" | "distinct">): string {
  if (quantiles !== undefined) return quantiles.map(shown).join("  ");
  if (yes !== undefined) return `${yes} true`;
  return distinct === undefined ? "–" : `${distinct} different`;
}

const shown = (value: number): string => String(Number(value.toPrecision(4)));
