/** `clipwright curate select SCORES --out SELECTION`: which pairs are worth training on, by rules over a table of scores. */

import { UsageError } from "../../../core/errors.js";
import { readText } from "../../../core/files.js";
import { type Preset, presets } from "../../../curate/select/presets.js";
import type { Rule } from "../../../curate/select/rules.js";
import { COMBINED, type Combination } from "../../../curate/select/score.js";
import { makeLadder, makeSelection, type SelectionReport } from "../../../curate/select/select.js";
import {
  choice,
  defaulted,
  flag,
  integer,
  list,
  optional,
  real,
  text,
  type Values,
} from "../../../settings/fields.js";
import { alignColumns } from "../../columns.js";
import { defineCommand, notesOn } from "../../command.js";
import { commandLine } from "../../command-line.js";
import { writeSelectionPage } from "../../selection-page.js";

export const ruleOptions = {
  preset: optional(
    list(choice(presets.map(({ name }) => name)), { separator: "," }),
    "Published filters; --list tells their rules.",
  ),
  where: optional(
    list(text("SQL")),
    "Keep pairs for which this condition over the columns holds; may be repeated.",
  ),
  threshold: optional(list(text("SCORE=X")), "Keep pairs at least as good as X by a score; may be repeated."),
  unique: optional(
    list(text("COLUMN")),
    "Of pictures that share a value, e.g. duplicate_group, keep the best by --best with its captions; may be repeated.",
  ),
  top: optional(
    list(text("SCORE=SHARE")),
    "Keep the best 40%, or so many pairs, by a score; what equals the worst of them stays, too. May be repeated.",
  ),
  cover: optional(
    list(text("COLUMN=N")),
    "Keep of every value the N best by --best, whatever --top and --threshold say.",
  ),
  balance: optional(
    list(text("COLUMN[=CAP]")),
    "Thin out values that more than CAP pairs have, at random, to about CAP (MetaCLIP); without it the rare ones get 6 % of all.",
  ),
  concepts: optional(
    text("FILE"),
    "The same of words and phrases, one a line, in captions; captions without any go.",
  ),
  conceptCap: optional(real({ min: 1 }), "CAP of --concepts."),
  random: optional(text("SHARE"), "Keep a random share, or so many pairs, by --seed."),
};

export const scoreOptions = {
  combine: optional(
    list(text("SCORE[:WEIGHT]"), { separator: "," }),
    `Columns in one score, ${COMBINED}: the mean of their ranks, by weight, e.g. clip_score:2,blurry_score.`,
  ),
  best: optional(text("SCORE"), "By which --unique and --cover choose; the first in the table otherwise."),
  of: defaulted(
    choice(["all", "kept"]),
    "all",
    "What shares are of: all pairs with the score, or those that the rules before keep.",
  ),
  seed: defaulted(integer(0), 0, "Of what is drawn at random."),
};

const ladderOptions = {
  ladder: optional(
    list(text("SHARE"), { separator: "," }),
    "Instead of one selection the best 20%,40%,… by --by of what the rules keep, a file each: OUT-20.parquet.",
  ),
  by: optional(text("SCORE"), "Score of --ladder."),
  randomLadder: optional(
    list(text("SHARE"), { separator: "," }),
    "Random ones, each in the next, as large as those of --ladder: OUT-random-20.parquet.",
  ),
};

type SelectValues = Values<typeof ruleOptions & typeof scoreOptions & typeof ladderOptions>;
/** Settings that rules are made of; `of` and `seed` have defaults. */
type RuleValues = Partial<SelectValues> & Pick<SelectValues, "of" | "seed">;

export const selectCommand = defineCommand({
  name: "curate select",
  summary: "Choose pairs by rules over a table of scores: thresholds, shares, duplicates, balance, ladders.",
  description:
    "Writes a selection: every pair with what was decided and why; a .npy is DataComp's subset of uids. The data stay as they are: train on it with --select. Rules work in the order of this help; a score is a column, an expression over columns, or combined, and better is what the table says (curate show). Further tables add columns to the pairs of the first; where one is a selection (of curate select or review), rules start from what it keeps.",
  positionals: [
    {
      name: "TABLE",
      doc: "Parquet tables: scores (curate score), columns of your own, a selection.",
      required: false,
      many: true,
    },
  ],
  options: {
    Rules: ruleOptions,
    Scores: scoreOptions,
    Ladders: ladderOptions,
    Output: {
      out: optional(text("FILE"), "The selection: .parquet, or .npy for DataComp's subset."),
      page: optional(
        text("FILE"),
        "Also an HTML page: the best, the worst, those at the border, and those that each rule drops.",
      ),
      data: optional(
        list(text("SOURCE"), { separator: "::" }),
        "Where the page's pictures are; where they were scored otherwise.",
      ),
      examples: defaulted(integer(1, 1000), 24, "Pairs of each kind on the page."),
      json: defaulted(flag(), false, "Print what each rule did as JSON."),
      list: defaulted(flag(), false, "List the presets with their rules."),
      memory: defaulted(integer(64), 1024, "Most memory for the table, MiB."),
      threads: optional(integer(1, 256), "Threads; all cores otherwise."),
    },
  },
  examples: [
    [
      "clipwright curate select s.parquet --top clip_score=40% --out best.parquet",
      "The best 40 % by one score.",
    ],
    [
      "clipwright curate select s.parquet --unique duplicate_group --out once.npy",
      "Every picture once, as DataComp's subset of uids.",
    ],
    [
      "clipwright curate select s.parquet kept.parquet --top words=40% --out b.npy",
      "The best of what people kept, with their corrections.",
    ],
    [
      "clipwright curate select s.parquet --ladder 20%,40% --by words --out x.npy",
      "Nested selections for a study: x-20.npy, x-40.npy.",
    ],
  ],
  async run({ options, given, positionals, terminal }) {
    if (options.list) {
      terminal.out(presets.map(presetText).join("\n"));
      return 0;
    }
    const { out, json, memory, threads } = options;
    if (positionals.length === 0)
      throw new UsageError(
        "TABLE: is required; got nothing. Give the Parquet table that curate score writes.",
        {
          code: "ERR_SETTING",
        },
      );
    if (out === undefined)
      throw new UsageError("--out: is required; got nothing. Say where the selection goes.", { key: "out" });
    if (!/\.(parquet|npy)$/.test(out))
      throw new UsageError(
        `--out: must end in .parquet or .npy; got ${out}. Give the format by the ending.`,
        {
          key: "out",
        },
      );
    const { page, data } = options;
    if (page !== undefined && !/\.html?$/.test(page))
      throw new UsageError(`--page: must end in .html; got ${page}. Write page.html.`, { key: "page" });
    const command = commandLine("curate select", positionals, given);
    const settings = {
      rules: rulesOf(options),
      combine: combinationOf(options.combine),
      command,
      examples: page === undefined ? 0 : options.examples,
      memoryLimitBytes: memory * 2 ** 20,
      threads,
    };
    const ladder = ladderOf(options);
    const reports =
      ladder === undefined
        ? [await makeSelection(positionals, out, settings)]
        : await makeLadder(positionals, out, ladder, settings);
    const told = reports.map(({ examples: _, ...rest }) => rest);
    if (json) terminal.out(`${JSON.stringify(ladder === undefined ? told[0] : told, null, 2)}\n`);
    else {
      for (const report of reports) terminal.out(reportText(report));
      const notes = new Set(
        reports.flatMap(({ rules, notes: ofTables }) => [
          ...ofTables,
          ...rules.flatMap((rule) => rule.notes.map((note) => `${rule.name}: ${note}`)),
        ]),
      );
      for (const note of notes) notesOn(terminal)(`  ! ${note}`);
    }
    if (page !== undefined) {
      const say = notesOn(terminal);
      await writeSelectionPage(page, reports[0]!, { data, command, say });
      say(`Shown in ${page}`);
    }
    return reports.every(({ kept }) => kept > 0) ? 0 : 1;
  },
});

/** The rules that options ask for, in the order of the help. */
export function rulesOf(options: RuleValues): Rule[] {
  const { seed, of, best } = options;
  const chosen = (options.preset ?? []).flatMap((name) => presets.find((one) => one.name === name)!.rules);
  const rules: Rule[] = [...chosen];
  for (const sql of options.where ?? []) rules.push({ kind: "where", sql });
  for (const written of options.threshold ?? []) {
    const [score, value] = parted("--threshold", written, "SCORE=X");
    rules.push({ kind: "threshold", score, value: numberOf("--threshold", value) });
  }
  for (const group of options.unique ?? []) rules.push({ kind: "unique", group, best });
  for (const written of options.top ?? []) {
    const [score, share] = parted("--top", written, "SCORE=SHARE");
    rules.push({ kind: "top", score, share: shareOf("--top", share), of });
  }
  for (const written of options.cover ?? []) {
    const [group, least] = parted("--cover", written, "COLUMN=N");
    rules.push({ kind: "cover", group, least: wholeOf("--cover", least), best });
  }
  for (const written of options.balance ?? []) {
    const [, column = "", cap] = /^(.*?)(?:=(\d[\d_]*))?$/s.exec(written) ?? [];
    rules.push({
      kind: "balance",
      column,
      cap: cap === undefined ? "auto" : wholeOf("--balance", cap),
      seed,
    });
  }
  if (options.concepts !== undefined) {
    const entries = readText(options.concepts).split(/\r?\n/);
    rules.push({ kind: "concepts", entries, cap: options.conceptCap ?? "auto", seed });
  }
  if (options.random !== undefined)
    rules.push({ kind: "random", share: shareOf("--random", options.random), seed, of });
  return rules;
}

function ladderOf({ ladder, by, randomLadder, seed, top, random }: SelectValues) {
  if (ladder === undefined && randomLadder === undefined) {
    if (by !== undefined)
      throw new UsageError("--by: is the score of --ladder; got no --ladder. Give one, or --top.", {
        key: "by",
      });
    return undefined;
  }
  if (ladder !== undefined && by === undefined)
    throw new UsageError("--ladder: needs a score; got no --by. Name the score of the steps.", { key: "by" });
  if (top !== undefined || random !== undefined)
    throw new UsageError(
      "--ladder: makes shares of what the rules keep; got --top or --random, too. Leave it out.",
      { key: "ladder" },
    );
  const shares = (label: string, words: readonly string[]): number[] =>
    words.map((word) => {
      const share = shareOf(label, word);
      if (share <= 1) return share;
      throw new UsageError(`${label}: steps are shares up to 100%; got ${word}. Write 20%,40%.`, {
        key: label.slice(2),
      });
    });
  return {
    quality: ladder && { by: by!, shares: shares("--ladder", ladder) },
    random: randomLadder && { seed, shares: shares("--random-ladder", randomLadder) },
  };
}

function combinationOf(words: readonly string[] | undefined): Combination | undefined {
  if (words === undefined) return undefined;
  const columns = words.map((word) => {
    const [, score = "", weight] = /^(.*?)(?::([\d.]+))?$/s.exec(word.trim()) ?? [];
    return { score, weight: weight === undefined ? 1 : numberOf("--combine", weight) };
  });
  if (!columns.every(({ score, weight }) => score !== "" && weight > 0))
    throw new UsageError(
      `--combine: must be scores with weights above 0; got ${words.join(",")}. Write a:2,b.`,
      {
        key: "combine",
      },
    );
  return { columns };
}

/** Both sides of the last `=`. */
function parted(label: string, written: string, form: string): [left: string, right: string] {
  // Expressions may compare: a >= 1.
  const [, left, right] = /^(.*[^<>!=])=([^=]*)$/s.exec(written) ?? [];
  if (left !== undefined && right !== undefined && left.trim() !== "" && right.trim() !== "")
    return [left.trim(), right.trim()];
  throw new UsageError(
    `${label}: must be ${form}; got ${written}. Write for instance ${label} ${example(form)}.`,
    {
      key: label.slice(2),
    },
  );
}

const example = (form: string): string =>
  ({ "SCORE=X": "clip_score=0.28", "SCORE=SHARE": "clip_score=40%", "COLUMN=N": "label=20" })[form] ?? form;

function numberOf(label: string, word: string): number {
  const number = Number(word);
  if (word.trim() !== "" && Number.isFinite(number)) return number;
  throw new UsageError(`${label}: must end in a number; got ${word}. Write 0.28.`, { key: label.slice(2) });
}

function wholeOf(label: string, word: string): number {
  const number = Number(word.replaceAll("_", ""));
  if (Number.isSafeInteger(number) && number >= 1) return number;
  throw new UsageError(`${label}: must end in a whole number from 1; got ${word}. Write 50.`, {
    key: label.slice(2),
  });
}

/** `40%` and `0.4` are shares; whole numbers above 1 are numbers of pairs. */
function shareOf(label: string, word: string): number {
  const [, digits, sign] = /^([\d_.]+)\s*(%?)$/.exec(word.trim()) ?? [];
  const number = Number(digits?.replaceAll("_", "") ?? Number.NaN) / (sign === "%" ? 100 : 1);
  const fits = number > 0 && (number <= 1 || (sign !== "%" && Number.isSafeInteger(number)));
  if (fits) return number;
  throw new UsageError(
    `${label}: must be a share such as 40% or 0.4, or a number of pairs; got ${word}. Write ${label === "--top" ? "--top clip_score=40%" : `${label} 40%`}.`,
    { key: label.slice(2) },
  );
}

const count = (n: number): string => n.toLocaleString("en-US");
const percent = (part: number, whole: number): string =>
  whole === 0 ? "–" : `${((100 * part) / whole).toFixed(1)} %`;

function reportText({ path, rows, kept, rules }: SelectionReport): string {
  const table = rules.map(({ name, kind, dropsAlone, drops, left }) =>
    kind === "cover" ? [name, "–", "–", count(left)] : [name, count(dropsAlone), count(drops), count(left)],
  );
  const head = ["rule", "drops alone", "drops in order", "left"];
  const words = rules.length === 0 ? "" : `${alignColumns([head, ...table])}\n`;
  return `${words}${path}: ${count(kept)} of ${count(rows)} pairs kept (${percent(kept, rows)})\n`;
}

const presetText = ({ name, about, source, columns, rules }: Preset): string =>
  `${name}\n  ${about}\n  ${rules.map((rule) => (rule.kind === "where" ? rule.sql : `top ${rule.kind === "top" ? `${100 * rule.share} % by ${rule.score}` : ""}`)).join("\n  AND ")}\n  Reads ${columns.join(", ")}. Source: ${source}.\n`;
