/** Watching a source: new pairs are scored, and compared with the profile of those before. */

import { existsSync } from "node:fs";
import { UsageError } from "../../core/errors.js";
import { appendLineDurably, readJsonRecords } from "../../core/files.js";
import type { Dataset } from "../../data/dataset.js";
import type { Encoder } from "../../evaluate/model/encoder.js";
import { type ScorePairsOptions, scorePairs } from "../scores/run/score-pairs.js";
import type { Rule } from "../select/rules.js";
import { makeSelection } from "../select/select.js";
import { openTables } from "../tables/database.js";
import { compareWith, type DriftThresholds, type Findings } from "./compare.js";
import { type DataProfile, profileNow, readProfile, writeProfile } from "./profile.js";
import { freeze, type Kept, selectPairs } from "./selecting.js";
import { profileOf, vectorsOf } from "./spaces.js";
import { type Window, windowOf } from "./window.js";

/** What embeds pictures and captions, and what tells it from every other model. */
export interface WatchModel {
  readonly encoder: Encoder;
  readonly path: string;
  readonly key: string;
}

export interface ProfileOptions
  extends Pick<ScorePairsOptions, "scores" | "settings" | "workers" | "command" | "onProgress" | "onNote"> {
  /** The profile, JSON. */
  readonly profile: string;
  /** The table of scores, which is made or brought up to date. */
  readonly table: string;
  /** Default: no embeddings but those of the captions' words. */
  readonly model?: WatchModel | undefined;
  /** What pairs are selected by, those to come too: shares of a score become thresholds. Default: nothing is selected. */
  readonly rules?: readonly Rule[] | undefined;
  /** The selection by the rules, of all pairs of the table. Default `selectionBeside(profile)`. */
  readonly selection?: string | undefined;
}

export interface WatchOptions extends Omit<ProfileOptions, "scores" | "rules"> {
  readonly thresholds?: Partial<DriftThresholds> | undefined;
  /** Gets a line for each check, JSON; tells which rows were checked. Default `logBeside(profile)`. */
  readonly log?: string | undefined;
}

/** Where the checks against the profile at `path` are kept unless somebody says otherwise. */
export const logBeside = (path: string): string => `${path.replace(/\.json$/, "")}.log.jsonl`;

/** Where the selection of a profile at `path` is unless somebody says otherwise. */
export const selectionBeside = (path: string): string => `${path.replace(/\.json$/, "")}.selection.parquet`;

/** One check, as the log keeps it. */
export interface DriftCheck extends Findings {
  /** ISO 8601, UTC. */
  readonly time: string;
  readonly sources: readonly string[];
  /** Rows of the table then: those before are checked. */
  readonly rows: number;
  /** What the profile's rules keep of the new pairs, where it has rules. */
  readonly selected?: Kept | undefined;
}

const UNREADABLE = "Remove it: a new one is begun.";

/**
 * Scores what the table lacks of `dataset`, and writes a profile of all its rows. Throws `UsageError` for data without a picture,
 * and for what scoring refuses.
 */
export async function profileData(dataset: Dataset, options: ProfileOptions): Promise<DataProfile> {
  const { model, profile: path, table, rules = [], command, selection = selectionBeside(path) } = options;
  const { rows } = await scorePairs(dataset, { ...options, out: table });
  const window = await windowFrom(table, 0);
  if (window.pictures === 0) {
    throw new UsageError(
      `watch: a profile needs pictures; got none in "${dataset.name}". Name a source that has some.`,
    );
  }
  const report = rules.length === 0 ? undefined : await makeSelection(table, selection, { rules, command });
  const vectors = await vectorsOf(window.drawn, dataset, model?.encoder);
  const profile: DataProfile = {
    ...profileNow(),
    sources: dataset.sources.map(({ name }) => name),
    rows,
    model: model && { path: model.path, key: model.key },
    rules: report && (await freeze(rules, report, table)),
    ...profileOf(window, vectors),
  };
  writeProfile(path, profile);
  return profile;
}

/**
 * Scores those pairs of `dataset` that the table lacks, nothing else, and compares those with the profile that no check has seen: what
 * a killed check has scored is checked by the next. Undefined where nothing is new. Throws `UsageError` where the model is not the profile's.
 */
export async function watchData(dataset: Dataset, options: WatchOptions): Promise<DriftCheck | undefined> {
  const { model, table, thresholds, command, profile: path } = options;
  const { log = logBeside(path), selection = selectionBeside(path) } = options;
  const profile = readProfile(path);
  if (profile.model?.key !== model?.key) {
    throw new UsageError(
      `watch: embeddings must be of the profile's model; got ${model?.path ?? "none"}, the profile has ${profile.model?.path ?? "none"}. Give that, or make the profile again with --make.`,
      { file: path },
    );
  }
  const { rows, added } = await scorePairs(dataset, { ...options, out: table });
  const checked = Math.max(profile.rows, readChecks(log).at(-1)?.rows ?? 0);
  // A table that was removed has been made again.
  const start = Math.min(checked, rows - added);
  if (start === rows) return undefined;
  const window = await windowFrom(table, start);
  const vectors = await vectorsOf(window.drawn, dataset, model?.encoder);
  const selected = profile.rules && (await selectPairs(table, selection, profile.rules, { start, command }));
  const check: DriftCheck = {
    time: new Date().toISOString(),
    sources: dataset.sources.map(({ name }) => name),
    ...{ rows, selected },
    ...compareWith(profile, window, vectors, thresholds),
  };
  appendLineDurably(log, JSON.stringify(check));
  return check;
}

/** The checks of a log, oldest first; none where there is no log. Throws `UsageError` for lines that are none. */
export const readChecks = (log: string): readonly DriftCheck[] =>
  existsSync(log)
    ? (readJsonRecords(
        log,
        ({ time, rows, columns }) =>
          typeof time === "string" && Number.isInteger(rows) && Array.isArray(columns),
        "a check",
      ) as unknown as DriftCheck[])
    : [];

async function windowFrom(table: string, start: number): Promise<Window> {
  await using database = await openTables({ tables: { scores: table } });
  const columns = database.infos.scores?.columns;
  if (columns === undefined) {
    throw new UsageError(`watch: ${table} must be a table of scores that Clipwright made. ${UNREADABLE}`, {
      file: table,
    });
  }
  return await windowOf(database, "scores", columns, { start });
}
