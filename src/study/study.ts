/** A study at work: its runs, what they take here, their running, and what they say. */

import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { cacheFolder } from "../core/cache-folder.js";
import { makeFolder } from "../core/disk.js";
import { UsageError } from "../core/errors.js";
import type { Engine } from "../engines/engine.js";
import { openSuite } from "../evaluate/suites/open.js";
import { formatBytes } from "../train/watch/progress.js";
import { type Answer, answerOf, type DoneRun, findScore, metricOf, scoreIn } from "./answer/answer.js";
import { type Findings, findingsOf, writeFindings } from "./answer/findings.js";
import { comparedPairs, powerOf } from "./answer/power.js";
import { cellsOf, type PlannedRun, runsOf, shardOf } from "./design/cells.js";
import { needingData, type Study } from "./design/study.js";
import { halvingOf } from "./halving/brackets.js";
import { finalistsOf } from "./halving/rungs.js";
import { predictedSeconds, predictedSpace, probeAll, shapeOf } from "./run/costs.js";
import { factsOf } from "./run/facts.js";
import { folderBytes } from "./run/footprint.js";
import { madeFromNow } from "./run/made-from.js";
import { cellsAhead, type Outlook, type Prediction, sumsOf, warningsOf } from "./run/outlook.js";
import { selectionFor } from "./run/parts.js";
import { earlierScores, readResult } from "./run/results.js";
import {
  type RunnerHooks,
  type RunState,
  runAll,
  type Sitting,
  stateOf,
  stateOfResult,
} from "./run/runner.js";
import { checkScore, scoreRun } from "./run/score.js";
import { tableOf, writeTable } from "./run/table.js";
import { trainerOf } from "./run/trainer.js";

export interface OpenStudyOptions {
  /** The study's folder: runs, parts of the data, the table. */
  readonly folder: string;
  /** What scores run on; training opens its own, as the recipe says. */
  readonly engine: Engine;
  /** Only every n-th run from the i-th, `i/n`: for workers that share no folder. Default: all runs. */
  readonly shard?: string | undefined;
  /** Told what must be known of data and scores, a line each. */
  readonly onNote?: ((line: string) => void) | undefined;
  /** Told how many shapes of runs have been timed. */
  readonly onProbe?: ((done: number, total: number) => void) | undefined;
}

export interface RunOptions extends RunnerHooks {
  /** Begin no run that would end later than so long from now. */
  readonly budgetSeconds?: number | undefined;
  /** Wait for runs that other processes hold, and take them over where these are gone. Default true. */
  readonly wait?: boolean | undefined;
  /** Train runs anew whose data or files have changed since they were done. Default false: they are left out. */
  readonly again?: boolean | undefined;
}

/** What a study has come to after a sitting. */
export interface StudyOutcome extends Sitting {
  /** As `findings.json` holds it: scores, comparisons, curves, and what all took. Undefined while no run is done. */
  readonly findings: Findings | undefined;
  /** What the study says to its question. Undefined likewise. */
  readonly answer: Answer | undefined;
}

export interface OpenStudy {
  readonly study: Study;
  readonly folder: string;
  /** Those of the shard, in the order in which they are run. */
  readonly runs: readonly PlannedRun[];
  /** What the runs will come to, as far as they are now. */
  outlook(): Outlook;
  /**
   * Runs what is not done, and writes table and findings. A run that fails is told and passed over. Throws `UsageError` where the
   * machine cannot go on, as with a full disk.
   */
  run(options?: RunOptions): Promise<StudyOutcome>;
}

/** Opens a study: checks every recipe, opens data and suite, and times what was not timed before. Throws `UsageError`. */
export async function openStudy(study: Study, options: OpenStudyOptions): Promise<OpenStudy> {
  const { folder, engine, shard, onNote, onProbe } = options;
  const facts = await needingData(study, () => factsOf(study));
  const cells = cellsOf(study, facts);
  const planned = runsOf(study, cells);
  const some = shard === undefined ? planned : runsOfShard(study, planned, shard);
  tableOf(study, []);
  const sets = await needingData(study, () =>
    openSuite(study.suite, { ...(onNote && { onProgress: onNote }) }),
  );
  checkScore(study, sets);
  const runs = join(folder, "runs");
  makeFolder(runs);
  const folderOf = (run: PlannedRun): string => join(runs, run.name);
  const { prepare, train } = trainerOf(folder, facts);
  const { imageDisk } = study.recipe;
  const score = (path: string) => scoreRun(engine, { path, imageDisk }, sets);
  const madeFrom = madeFromNow(facts.dataset, sets);
  const look = (run: PlannedRun): RunState => stateOf(folderOf(run), () => madeFrom(run.cell));
  // Made now, so that what is wrong with a table of scores is told before anything is trained.
  for (const { part } of cells)
    if (part !== undefined) await needingData(study, () => selectionFor(folder, facts.dataset, part));
  const probes = await probeAll(folder, planned, { prepare, train, score, dataset: facts.dataset }, onProbe);
  const halving = study.question.kind === "best" ? halvingOf(study, planned, folder) : undefined;
  const probeOf = ({ cell }: PlannedRun) => probes.measured.get(shapeOf(cell.recipe));
  const secondsOf = (run: PlannedRun, state: RunState["kind"] = look(run).kind): number | undefined => {
    const probe = probeOf(run);
    if (probe === undefined || state === "unscored") return probe?.scoringSeconds;
    return predictedSeconds(run, probe, halving?.costOf(run));
  };
  const deciding = sets.filter(({ dataset }) => dataset.name === study.score.set);
  const rungs = halving && {
    ...halving,
    async score(run: PlannedRun, path: string, step: number): Promise<void> {
      const scored = await scoreRun(engine, { path, checkpoint: step, imageDisk }, deciding);
      halving.keep(run, step, scoreIn(study, scored).score.value);
    },
  };
  /** Others have left it behind. */
  const isStopped = (run: PlannedRun): boolean =>
    halving?.goalOf(run).kind === "stopped" && look(run).kind === "open";
  const doneRuns = (): readonly DoneRun[] =>
    planned.flatMap(({ cell, seed, ...run }): DoneRun[] => {
      const result = readResult(join(runs, run.name));
      const isDone = result !== undefined && stateOfResult(result, () => madeFrom(cell)).kind === "done";
      return isDone ? [{ cell, seed, result }] : [];
    });
  const finish = (): Pick<StudyOutcome, "findings" | "answer"> => {
    const done = doneRuns();
    if (done.length === 0) return { findings: undefined, answer: undefined };
    writeTable(folder, study, done);
    const answer = answerOf(study, done, halving?.reports());
    const left = planned.flatMap((run) => {
      const state = look(run);
      if (state.kind === "done" || isStopped(run)) return [];
      return [{ ...run, ...(state.kind === "failed" && { failed: state.message }) }];
    });
    const findings = findingsOf({ study, answer, done, left });
    writeFindings(folder, findings);
    return { findings, answer };
  };
  return {
    study,
    folder,
    runs: some,
    outlook() {
      const stale: { name: string; why: string }[] = [];
      const predictions = some.map((run): Prediction => {
        const state = look(run);
        const { kind } = state;
        if (kind === "stale") stale.push({ name: run.name, why: state.why });
        const probe = probeOf(run);
        return {
          ...{ run, seconds: secondsOf(run, kind), state: isStopped(run) ? "stopped" : kind },
          space: probe && predictedSpace(run.cell, probe),
          thereBytes: kind === "open" || kind === "unscored" ? folderBytes(folderOf(run)) : 0,
        };
      });
      const left = sumsOf(predictions);
      return {
        ...{ name: study.name, runs: some.length, cells: cellsAhead(predictions), left, stale },
        unmeasured: some.flatMap(({ name, cell }) => {
          const why = probes.failed.get(shapeOf(cell.recipe));
          return why === undefined ? [] : [{ name, why }];
        }),
        warnings: warningsOf(left, { folder, cache: cacheFolder() }, formatBytes),
        power: powerOf({
          metric: metricOf(study),
          ...comparedPairs(cells, study, (levels) =>
            halving === undefined ? levels : finalistsOf(levels, study.question.reduction),
          ),
          done: doneRuns().flatMap(({ cell, result }) => {
            const score = findScore(study, result.scored);
            return score === undefined ? [] : [{ group: cell.id, score }];
          }),
          earlier: () => earlierScores(folder, study),
          samples: deciding[0]!.dataset.length,
          seeds: study.seeds.length,
        }),
      };
    },
    async run({ budgetSeconds, wait = true, again = false, ...hooks } = {}) {
      if (again && halving !== undefined)
        throw new UsageError(
          `again: what was compared on the way may be of other data too, in a study that asks which is best; got again=true. Remove ${folder}, and all is run anew.`,
          { key: "again" },
        );
      const started = performance.now();
      // A run of which nothing is foretold begins where any time is left.
      const mayBegin = (run: PlannedRun): boolean =>
        budgetSeconds === undefined ||
        (performance.now() - started) / 1000 + (secondsOf(run) ?? 0) <= budgetSeconds;
      const context = {
        ...{ runs, engine, train, sets, predict: secondsOf, gmacsOf: facts.gmacsOf, mayBegin, wait, again },
        madeFrom: ({ cell }: PlannedRun) => madeFrom(cell),
        ...(rungs && { rungs }),
      };
      const selectionOf = async ({ cell }: PlannedRun) =>
        cell.part && selectionFor(folder, facts.dataset, cell.part);
      const sitting = await runAll(some, { ...context, selectionOf }, hooks);
      return { ...sitting, ...finish() };
    },
  };
}

/** Every n-th run. Throws `UsageError` for what is no `i/n`, and where runs are compared on the way. */
function runsOfShard(
  { question }: Study,
  planned: readonly PlannedRun[],
  shard: string,
): readonly PlannedRun[] {
  if (question.kind === "best")
    throw new UsageError(
      `shard: arms are compared on the way, so the workers of a study that asks which is best share its folder; got shard=${shard}. Start them without it.`,
      { key: "shard" },
    );
  const [i, n, ...more] = shard.split("/").map(Number);
  return shardOf(planned, i ?? Number.NaN, more.length > 0 ? Number.NaN : (n ?? Number.NaN));
}
