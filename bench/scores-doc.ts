/** docs/scores.md: every score family as its record says. */

import { scoreFamilies } from "../src/curate/scores/index.js";
import { needOf } from "../src/curate/scores/score.js";
import { pairColumns, type TableColumn } from "../src/data/selections/form.js";
import { kebab } from "../src/settings/fields.js";

const cells = (texts: readonly string[]): string =>
  `| ${texts.map((text) => text.replaceAll("|", "\\|")).join(" | ")} |`;

const types = { text: "VARCHAR", number: "DOUBLE", count: "INTEGER", flag: "BOOLEAN" } as const;

const tableOf = (columns: readonly TableColumn[]): string =>
  [
    cells(["column", "type", "what it says", "better"]),
    cells(["---", "---", "---", "---"]),
    ...columns.map(({ name, kind, about, unit, better, source }) =>
      cells([
        `\`${name}\``,
        types[kind],
        `${about}${unit === undefined || unit === "share" ? "" : ` In ${unit}.`}${source === undefined ? "" : ` ${source}.`}`,
        better ?? "",
      ]),
    ),
  ].join("\n");

export const scoresDocument = (generated: string): string => `${generated}

# Scores

\`\`\`sh
clipwright curate score photos/ --out scores.parquet             # all that need no model
clipwright curate score photos/ --out scores.parquet --scores words,quality
clipwright curate score --list                                   # this page, from the program itself
clipwright curate show scores.parquet                            # what a table holds
\`\`\`

A table of scores is Parquet: a row a pair (a picture with five captions has five), a column a score, unknown is NULL. It opens in
pandas and DuckDB, and says in its metadata (\`clipwright\`, JSON) what made it and what each column is. How scores become a selection:
[curation.md](curation.md).

- **Sources**: all that training reads ([data.md](data.md)), and pictures without captions. A picture that cannot be read is a row
  whose \`broken\` says why.
- **Again**: where the table exists, what it lacks is added: columns that \`--scores\` names, and samples that are new or of which a caption
  changed. What counts over the whole table (\`frequency\`, \`odd_size\`, \`duplicates\`) is then counted anew; what needs a model is
  left NULL for new pairs unless \`--scores\` names it. A picture that was replaced under its name is not noticed.
- **Stopped**: \`TABLE.scoring/\` holds what is done, a part a minute; the same command goes on, to the same bytes.
- **Several processes**: under torchrun, srun or the like each scores its share of the rows by themselves, and process 0 joins them and
  does what needs the table, a model or a training.
- **Memory**: pairs go by. What stays is the data set's index (about the bytes of the captions), and for ${scoreFamilies
  .filter(({ over }) => over === "table")
  .map(({ name }) => `\`${name}\``)
  .join(", ")} at most 80 bytes a picture and 24 a caption.

- **Cost**, in CPU time of one core (Xeon, 2 cores, busy with other work): captions 20,000 a second for \`words\`, \`wording\` and
  \`frequency\` (43 s for a CSV of 1,000,000), 10,000 a second for \`language\` after 2 s and 0.4 GB of loading; pictures of 150 pixels with
  all that is seen in them 450 a second. The 5,315 pairs of 1,063 photos take 6 s with all default scores. A million captions peak at 0.73 GB,
  a quarter of a million at 0.60 GB: 0.13 KB a pair, which is the index.

Every table begins with these:

${tableOf(pairColumns)}

${scoreFamilies
  .map((family) => {
    const { name, about, how, source, columns, byDefault, settings = {} } = family;
    const options = Object.entries(settings).map(([key, { doc }]) => `- \`--${kebab(key)}\`: ${doc}`);
    const when = byDefault ? "" : " Only where `--scores` names it.";
    return `## ${name}

${about} ${how}

Needs ${needOf(family)}.${when} Source: ${source}.
${options.length === 0 ? "" : `\n${options.join("\n")}\n`}
${tableOf(columns)}
`;
  })
  .join("\n")}
## As a library

\`\`\`ts
import { openDataset, scoreFamilies, scorePairs } from "clipwright";

const { rows, added } = await scorePairs(await openDataset("photos/"), { out: "scores.parquet", scores: ["quality"] });
\`\`\`

\`scoreFamilies\` are the records of this page. A family of your own is not taken by name: add its record to
\`src/curate/scores/index.ts\`.
`;
