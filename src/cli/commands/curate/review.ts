/** `clipwright curate review TABLE…`: pairs looked at by people, together, on a page that this machine serves. */

import { resolve } from "node:path";
import { UsageError } from "../../../core/errors.js";
import {
  agreementSentences,
  REVIEWER_COLUMNS,
  reviewerRow,
} from "../../../curate/review/agreement/report.js";
import { handoutDefaults } from "../../../curate/review/order/handout.js";
import { reviewOrders } from "../../../curate/review/order/priority.js";
import { openReview, type Review } from "../../../curate/review/review.js";
import { openTables } from "../../../curate/tables/database.js";
import { dataFields, datasetOptions } from "../../../data/fields.js";
import { openDataset } from "../../../data/index.js";
import { choice, defaulted, flag, integer, list, optional, real, text } from "../../../settings/fields.js";
import { alignColumns } from "../../columns.js";
import { defineCommand, type Terminal } from "../../command.js";
import { commandLine } from "../../command-line.js";
import { ProgressLine } from "../../progress-line.js";
import { interrupted, serverOptions } from "../../serving.js";

const share = () => real({ min: 0, max: 1 });

export const reviewCommand = defineCommand({
  name: "curate review",
  summary: "Let people look at pairs on a page: keep, drop or correct them; the outcome is a selection.",
  description:
    "Serves a page on this machine until Ctrl-C. Verdicts go to a log that only grows; several people, and several servers, may use it at once. " +
    "--export, --label-studio, --argilla, --import and --summary do their work on the log instead of serving. " +
    "Another --host than this machine alone makes a token, without which nobody is let in.",
  positionals: [
    {
      name: "TABLE",
      doc: "A selection, a table of scores, or both (Parquet).",
      required: true,
      many: true,
    },
  ],
  options: {
    Data: {
      trainData: optional(
        list(text("SOURCE"), { separator: "::" }),
        "The data that the table is about; otherwise what it says it was made of.",
      ),
      ...dataFields,
    },
    Review: {
      log: optional(text("FILE"), "Where verdicts go; otherwise beside the first table, .review.jsonl."),
      where: optional(text("SQL"), "Only pairs for which this condition over the tables' columns holds."),
      limit: defaulted(integer(1), 20_000, "Pairs at most; of more so many are drawn at random."),
      order: defaulted(
        choice(reviewOrders),
        "useful",
        "What comes first: where scores disagree, the selection's border runs or a verdict moves most (useful), or one of these alone.",
      ),
      opinions: defaulted(integer(1, 20), handoutDefaults.opinions, "People who are to see each pair."),
      overlap: defaulted(
        share(),
        handoutDefaults.overlap,
        "Share of the pairs that two see, to measure agreement.",
      ),
      repeats: defaulted(
        share(),
        handoutDefaults.repeats,
        "Share of the questions that come twice to the same person.",
      ),
      audit: defaulted(
        share(),
        handoutDefaults.audit,
        "Share drawn at random, by which the faults left are estimated.",
      ),
      gold: optional(text("FILE"), "Known answers (JSON Lines), mixed among the others."),
      stopAt: defaulted(
        share(),
        0.02,
        "The review is over when at most this share of the rest is at fault, by the interval.",
      ),
    },
    Server: {
      ...serverOptions(8420),
    },
    Outcome: {
      export: optional(text("FILE"), "Write the selection that the verdicts come to, and end."),
      summary: defaulted(flag(), false, "Print how far it is and how people agree, and end."),
      json: defaulted(flag(), false, "The summary as JSON."),
      labelStudio: optional(
        text("FILE"),
        "Write tasks with their annotations as Label Studio's JSON, and end.",
      ),
      argilla: optional(text("FILE"), "Write records with their responses as Argilla's JSON, and end."),
      import: optional(text("FILE"), "Take in verdicts from such a file, or from another log, and end."),
    },
  },
  brief: ["trainData", "log", "where", "order", "opinions", "gold", "host", "port", "export", "summary"],
  examples: [
    ["clipwright curate review scores.parquet", "Look at the pairs that scores are least sure of."],
    [
      "clipwright curate review selection.parquet scores.parquet --host 0.0.0.0",
      "Several people, at the selection's border.",
    ],
    ["clipwright curate review scores.parquet --export reviewed.parquet", "What it came to, as a selection."],
  ],
  async run({ options, given, positionals, terminal }) {
    const { trainData, host, port, export: exported, summary, json, labelStudio, argilla, ...rest } = options;
    const { import: imported, log, where, limit, order, opinions, overlap, repeats, audit, ...more } = rest;
    const { gold, stopAt, ...reading } = more;
    using progress = new ProgressLine(terminal);
    const dataset = await openDataset(trainData ?? (await sourcesOf(positionals)), {
      ...datasetOptions(reading),
      captionsOptional: true,
      onProgress: progress.say,
    });
    const settings = { log, where, limit, order, opinions, overlap, repeats, audit, gold, stopAt };
    using review = await openReview(positionals, dataset, settings);
    progress.clear();
    if (imported !== undefined) {
      const { from, verdicts, added } = review.import(imported);
      terminal.out(
        `${review.logPath}: ${number(added)} of ${number(verdicts)} verdicts from ${from} are new\n`,
      );
      return 0;
    }
    for (const note of notesOf(review)) progress.say(note);
    const pairs = number(review.opened.set.items.length);
    if (labelStudio !== undefined) review.writeLabelStudio(labelStudio);
    if (argilla !== undefined) review.writeArgilla(argilla);
    for (const file of [labelStudio, argilla])
      if (file !== undefined) terminal.out(`${file}: ${pairs} pairs\n`);
    if (exported !== undefined) {
      refuseOverwrite(exported, positionals);
      const { kept, rows, outcome } = await review.export(
        exported,
        commandLine("curate review", positionals, given),
      );
      const { reviewed, dropped, restored, corrected, undecided } = outcome.counts;
      terminal.out(
        `${exported}: keeps ${number(kept)} of ${number(rows)} pairs. People decided ${number(reviewed)}: ` +
          `${number(dropped)} dropped, ${number(restored)} brought back, ${number(corrected)} corrected; on ${number(undecided)} they are level.\n`,
      );
    }
    if (summary) tellSummary(review, json, terminal);
    if (summary || exported !== undefined || labelStudio !== undefined || argilla !== undefined) return 0;
    await using server = await review.serve({ host, port, onProblem: progress.say });
    terminal.out(
      `${pairs} pairs of ${dataset.name} to review; verdicts go to ${review.logPath}\n${server.urls.join("\n")}\nCtrl-C ends it; nothing is lost.\n`,
    );
    await interrupted();
    return 0;
  },
});

const number = (n: number): string => n.toLocaleString("en-US");

/** What a person should know before, a line each. */
function notesOf({
  opened: { set, rows, missing },
  session: { damaged, foreign },
  logPath,
}: Review): string[] {
  const some = set.items.length;
  return [
    ...(rows > some
      ? [`${number(some)} of ${number(rows)} pairs, drawn at random; --limit takes more.`]
      : []),
    ...(missing > 0
      ? [`${number(missing)} pairs of the table are not in the data: no picture is shown.`]
      : []),
    ...(damaged > 0
      ? [`${logPath}: ${number(damaged)} lines hold no whole verdict and are passed over.`]
      : []),
    ...(foreign > 0
      ? [`${logPath}: ${number(foreign)} verdicts are on pairs that are not reviewed here.`]
      : []),
  ];
}

/** What the tables say that they were made of. */
async function sourcesOf(paths: readonly string[]): Promise<string[]> {
  for (const path of paths) {
    await using database = await openTables({ tables: { pairs: path } });
    const sources = database.infos.pairs?.sources.map(({ source }) => source);
    if (sources !== undefined && sources.length > 0) return sources;
  }
  throw new UsageError(
    `trainData: must be named; ${paths[0]} does not say what it was made of. Give --train-data SOURCE.`,
    { key: "trainData" },
  );
}

function refuseOverwrite(path: string, tables: readonly string[]): void {
  if (!tables.some((table) => resolve(table) === resolve(path))) return;
  throw new UsageError(`export: must be another file than the tables; got ${path}. Name a new one.`, {
    key: "export",
  });
}

function tellSummary(review: Review, json: boolean, terminal: Terminal): void {
  const report = review.report();
  const { session } = review;
  const progress = session.progress();
  if (json) {
    terminal.out(`${JSON.stringify({ progress, ...report }, null, 2)}\n`);
    return;
  }
  const { items, decided, conflicts, left, over, stopAt } = progress;
  const percent = (x: number): string => `${(100 * x).toFixed(1)} %`;
  const rest =
    left === null
      ? "Too little was audited to say how many faults are left."
      : `About ${Math.round(left.value)} faults are left (95 %: ${Math.floor(left.low)} to ${Math.ceil(left.high)}) among ${left.unseen} that nobody has seen, by an audit of ${left.audited}; ${over ? "that is little enough to stop" : `to stop, at most ${percent(stopAt)} may be at fault`}.`;
  const lines = [
    `${decided} of ${items} pairs are decided; ${conflicts} are in conflict.`,
    rest,
    ...agreementSentences(report),
  ];
  const rows = report.reviewers.map(reviewerRow);
  const table = rows.length === 0 ? "" : `\n${alignColumns([REVIEWER_COLUMNS, ...rows])}`;
  const said = report.conflicts.map(
    ({ item, said: words }) => `  ${session.set.items[item]!.id.key}: ${words.join(" · ")}\n`,
  );
  terminal.out(`${lines.join("\n")}\n${table}${said.length === 0 ? "" : `\nConflicts\n${said.join("")}`}`);
}
