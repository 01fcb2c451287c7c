/** `clipwright curate watch SOURCE --profile FILE`: whether new data are still like those before. */

import { existsSync } from "node:fs";
import { UsageError } from "../../../core/errors.js";
import { writeFileAtomic } from "../../../core/files.js";
import { defaultThresholds, LEAST_PICTURES } from "../../../curate/watch/compare.js";
import { readProfile } from "../../../curate/watch/profile.js";
import {
  type DriftCheck,
  logBeside,
  profileData,
  readChecks,
  type WatchModel,
  watchData,
} from "../../../curate/watch/watch.js";
import { dataFields, datasetOptions } from "../../../data/fields.js";
import { openDataset } from "../../../data/index.js";
import { openEngine } from "../../../engines/registry.js";
import { loadModel } from "../../../evaluate/model/load-model.js";
import { watchPage } from "../../../report/data/watch.js";
import { defaulted, flag, integer, list, optional, real, required, text } from "../../../settings/fields.js";
import { alignColumns } from "../../columns.js";
import { defineCommand } from "../../command.js";
import { commandLine } from "../../command-line.js";
import { ProgressLine } from "../../progress-line.js";
import { engineOptions } from "../engines.js";
import { ruleOptions, rulesOf, scoreOptions } from "./select.js";

const { where, threshold, unique, top } = ruleOptions;
const { best } = scoreOptions;

/** The exit code for scheduled jobs: it worked, and something has drifted. */
const DRIFTED = 3;

export const watchCommand = defineCommand({
  name: "curate watch",
  summary: "Tell whether new pairs are still like those of a profile: scores, captions, embeddings.",
  description:
    "With --make it profiles the source. Later it scores only what is new of the source, compares that with the profile, and ends with exit code 3 where something has drifted: by more than its threshold, and by more than chance allows.",
  positionals: [
    { name: "SOURCE", doc: "The data, all of them or the new shards alone.", required: true, many: true },
  ],
  options: {
    Profile: {
      profile: required(text("FILE"), "The profile, JSON."),
      make: defaulted(flag(), false, "Make the profile, of all of the source."),
      table: optional(
        text("FILE"),
        "The table of scores, Parquet; PROFILE with .parquet otherwise. What it lacks is added.",
      ),
      scores: optional(
        list(text("NAME"), { separator: "," }),
        "Of --make: families or columns to score by; otherwise what the table has, or all that need no model.",
      ),
      embedWith: optional(
        text("RUN|FILE"),
        "Of --make: a CLIP that embeds pictures and captions; otherwise captions are compared by their words alone.",
      ),
    },
    Selection: {
      ...{ where, threshold, unique, top, best },
      selection: optional(
        text("FILE"),
        "Where all pairs of the table are selected by these rules, at each check too; PROFILE with .selection.parquet otherwise. A share is, for pairs to come, the score of the worst that it kept.",
      ),
    },
    Thresholds: {
      psi: defaulted(
        real({ above: 0 }),
        defaultThresholds.psi,
        "Of each score's PSI: 0.1 is moderate, 0.25 large.",
      ),
      auc: defaulted(
        real({ min: 0.5, max: 1 }),
        defaultThresholds.auc,
        "Of a classifier that tells new vectors from old: 0.5 is no better than guessing.",
      ),
      mmd: defaulted(real({ min: 0 }), defaultThresholds.mmd, "Of the vectors' MMD²."),
      falseAlarms: defaulted(
        real({ above: 0, below: 1 }),
        defaultThresholds.falseAlarms,
        "The chance of exit code 3 where nothing has changed.",
      ),
    },
    Data: dataFields,
    Machine: {
      ...engineOptions,
      threads: optional(integer(1, 1024), "Threads of the engine; all cores otherwise."),
      workers: optional(integer(1, 256), "Threads that read pictures; chosen by cores otherwise."),
    },
    Output: {
      log: optional(text("FILE"), "Gets a line for each check; PROFILE with .log.jsonl otherwise."),
      html: optional(
        text("FILE"),
        "A page with the last check, and the quality of the data over all of them.",
      ),
      json: defaulted(flag(), false, "Print the check as JSON."),
    },
  },
  brief: ["profile", "make", "scores", "embedWith", "falseAlarms", "html", "json"],
  examples: [
    [
      "clipwright curate watch photos/ --profile p.json --make --embed-with runs/a",
      "What the data are like now.",
    ],
    [
      "clipwright curate watch photos/ --profile p.json --html p.html",
      "Every night: what has come since; exit code 3 where it differs.",
    ],
  ],
  async run({ options, given, positionals, terminal }) {
    const { profile: path, make, html, json, log = logBeside(path), workers, ...rest } = options;
    const { table = `${path.replace(/\.json$/, "")}.parquet`, scores, embedWith } = options;
    refuseStray(options, given);
    using progress = new ProgressLine(terminal);
    const known = make ? undefined : readProfile(path);
    const dataset = await openDataset(positionals, {
      ...datasetOptions(rest),
      captionsOptional: true,
      onProgress: progress.say,
    });
    const model = make ? embedWith : known?.model?.path;
    const command = commandLine("curate watch", positionals, given);
    const { selection } = options;
    const base = {
      profile: path,
      table,
      selection,
      workers,
      command,
      onProgress: progress.show,
      onNote: progress.say,
    };
    const { psi, auc, mmd, falseAlarms } = options;
    const thresholds = { psi, auc, mmd, falseAlarms };
    const rules = rulesOf({ ...options, of: "all", seed: 0 });
    const work = async (opened: WatchModel | undefined): Promise<number> => {
      if (make) {
        const made = await profileData(dataset, { ...base, scores, rules, model: opened });
        progress.clear();
        const of = [`${made.columns.length} scores`, ...made.spaces.map(({ name }) => `vectors of ${name}`)];
        terminal.out(`${path}: ${of.join(", ")} of ${made.pictures.toLocaleString("en-US")} pictures\n`);
        return 0;
      }
      const check = await watchData(dataset, { ...base, model: opened, thresholds, log });
      progress.clear();
      const checks = readChecks(log);
      if (html !== undefined && checks.length > 0)
        writeFileAtomic(html, watchPage({ profile: known!, checks, thresholds }));
      if (json) terminal.out(`${JSON.stringify(check ?? null, null, 2)}\n`);
      else terminal.out(check === undefined ? "Nothing is new.\n" : textOf(check));
      return check?.drifted ? DRIFTED : 0;
    };
    if (model === undefined) return work(undefined);
    if (!existsSync(model))
      throw new UsageError(
        `watch: the profile's model must be there to embed what is new; got ${model}. Put it back, or make the profile again with --make --embed-with.`,
        { file: path },
      );
    await using engine = await openEngine(options.engine, { ...options, onChoice: progress.say });
    using loaded = await loadModel(engine, { path: model, workers, say: progress.say });
    return await work({ encoder: loaded.encoder, path: model, key: loaded.key() });
  },
});

/** Throws `UsageError` for settings of --make without it. */
function refuseStray({ make }: { readonly make: boolean }, given: Readonly<Record<string, unknown>>): void {
  const stray = Object.entries({
    ...{ scores: "--scores", embedWith: "--embed-with" },
    ...{ where: "--where", threshold: "--threshold", unique: "--unique", top: "--top" },
    best: "--best",
  }).find(([key]) => given[key] !== undefined);
  if (make || stray === undefined) return;
  throw new UsageError(
    `${stray[1]}: what is compared stands in the profile; got ${stray[1]} without --make. Remove it, or make the profile again.`,
    { key: stray[0] },
  );
}

function textOf({ pictures, columns, spaces, tooFew, drifted, selected }: DriftCheck): string {
  const kept = selected === undefined ? "" : ` (${selected.kept} of their ${selected.pairs} pairs selected)`;
  const head = `${pictures.toLocaleString("en-US")} new pictures${kept}`;
  if (tooFew) return `${head}: fewer than ${LEAST_PICTURES} tell nothing.\n`;
  const shown = (value: number) => String(Number(value.toPrecision(3)));
  const p = (value: number) => (value < 0.001 ? "< 0.001" : value.toFixed(3));
  const vectors = spaces.map(({ name, auc, mmd2, aucAdjusted, mmdAdjusted, drifted: has }) => [
    ...[`vectors of ${name}`, `AUC ${auc.toFixed(3)}`, `MMD² ${mmd2.toFixed(4)}`, ""],
    ...[p(Math.min(aucAdjusted, mmdAdjusted)), has ? "drifted" : ""],
  ]);
  const scores = [...columns]
    .sort((a, b) => Number(b.drifted) - Number(a.drifted) || b.psi - a.psi)
    .map((each) => [
      each.class === undefined ? each.name : `${each.name} = ${each.class}`,
      ...[shown(each.was), shown(each.is), each.psi.toFixed(3), p(each.adjusted)],
      each.drifted ? "drifted" : "",
    ]);
  const table = alignColumns([["score", "was", "is", "PSI", "p", ""], ...scores, ...vectors]);
  return `${head}: ${drifted ? "drifted" : "as before"}\n\n${table}`;
}
