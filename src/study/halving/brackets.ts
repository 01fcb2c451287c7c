/** Halving in a study: which runs are arms of one bracket, what each does next, and what came of it. */

import { join } from "node:path";
import { z } from "zod";
import { makeFolder, textOf } from "../../core/disk.js";
import { UsageError } from "../../core/errors.js";
import { writeFileAtomic } from "../../core/files.js";
import { findMetric } from "../../evaluate/tasks/index.js";
import { readCheckedJson } from "../../settings/json.js";
import { checkRecipe } from "../../train/recipe/recipe.js";
import { makePlan } from "../../train/schedule/plan.js";
import type { PlannedRun } from "../design/cells.js";
import type { Study } from "../design/study.js";
import { type Goal, type RunState, stateOf } from "../run/runner.js";
import { costOf, rungsOf, type Standing, standingsOf } from "./rungs.js";

/** Levels of the factor that is asked about, everything else alike: an arm each, with a run a seed. */
export interface Bracket {
  readonly arms: readonly { readonly level: string; readonly runs: readonly PlannedRun[] }[];
  readonly regime: string;
  /** Levels of the other factors. */
  readonly others: Readonly<Record<string, string>>;
  /** Where arms are compared, as shares of the run and as steps. */
  readonly shares: readonly number[];
  readonly steps: readonly number[];
}

/** What halving has come to in one bracket. */
export interface HalvingReport extends Omit<Bracket, "arms"> {
  readonly arms: readonly {
    readonly level: string;
    /** At each rung, over seeds; undefined where it is not there. */
    readonly scores: readonly (number | undefined)[];
    readonly standing: Standing;
  }[];
  /** Share of the training of all arms that halving saves. */
  readonly saved: number;
}

export interface Halving {
  readonly reports: () => readonly HalvingReport[];
  readonly goalOf: (run: PlannedRun) => Goal;
  readonly isScored: (run: PlannedRun, step: number) => boolean;
  /** Keeps the score of a run at the rung of `step`. */
  readonly keep: (run: PlannedRun, step: number, score: number) => void;
  /** Share of a run's training that it takes, on the average over its arms. */
  readonly costOf: (run: PlannedRun) => number;
}

/** The brackets of a study whose question is which level is best. Throws `UsageError` where arms have different steps. */
export function bracketsOf(study: Study, planned: readonly PlannedRun[]): readonly Bracket[] {
  const { factor, reduction } = study.question;
  const order = study.factors.find(({ name }) => name === factor)!.levels.map(({ name }) => name);
  const groups = new Map<string, PlannedRun[]>();
  for (const run of planned) {
    const { [factor]: _, ...others } = run.cell.levels;
    const key = JSON.stringify([run.cell.regimes, others]);
    groups.set(key, [...(groups.get(key) ?? []), run]);
  }
  return [...groups.values()].map((own) => {
    const { cell } = own[0]!;
    const { [factor]: _, ...others } = cell.levels;
    const steps = new Set(own.map((run) => stepsOf(run)));
    if (steps.size > 1)
      throw new UsageError(
        `question.kind: arms are compared at the same step of the same schedule; got runs of ${[...steps].join(" and ")} steps. Ask with "compare".`,
        { key: "question.kind" },
      );
    const arms = order.map((level) => ({
      level,
      runs: own.filter((run) => run.cell.levels[factor] === level),
    }));
    const shares = rungsOf(arms.length, reduction);
    return {
      arms,
      regime: cell.regimes.join(" and "),
      others,
      shares,
      steps: shares.map((share) => Math.max(1, Math.round(share * [...steps][0]!))),
    };
  });
}

const stepsOf = ({ cell }: PlannedRun): number =>
  makePlan(checkRecipe(cell.recipe, "study"), cell.pairs).totalSteps!;

/** Scores by what they are and step, `concepts/acc1@120`. */
const recordsSchema = z.record(z.string(), z.number());

/**
 * Halving over the runs of the study in `folder`. Their scores at rungs are in `rungs/` there, and read anew whenever they are asked
 * for: not in the runs' folders, which whoever goes on with a run tidies up.
 */
export function halvingOf(study: Study, planned: readonly PlannedRun[], folder: string): Halving {
  const { reduction } = study.question;
  const brackets = bracketsOf(study, planned);
  const bracketOf = new Map(
    brackets.flatMap((bracket) =>
      bracket.arms.flatMap((arm) => arm.runs.map((run) => [run, bracket] as const)),
    ),
  );
  const sign = findMetric(study.score.metric)?.better === "lower" ? -1 : 1;
  const keyAt = (step: number): string => `${study.score.set}/${study.score.metric}@${step}`;
  const folderOf = (run: PlannedRun): string => join(folder, "runs", run.name);
  const fileOf = (run: PlannedRun): string => join(folder, "rungs", `${run.name}.json`);
  const recordsOf = (run: PlannedRun): Readonly<Record<string, number>> =>
    textOf(fileOf(run)) === undefined
      ? {}
      : readCheckedJson(fileOf(run), recordsSchema, "Remove it with the run's folder: it is run again.");
  const isScored = (run: PlannedRun, step: number): boolean => recordsOf(run)[keyAt(step)] !== undefined;
  const armsOf = ({ arms, steps }: Bracket) =>
    arms.map((arm) => {
      const own = arm.runs.filter((run) => kindOf(run) !== "failed").map(recordsOf);
      const scores = steps.map((step) => {
        const there = own.map((records) => records[keyAt(step)]);
        return own.length > 0 && there.every((score) => score !== undefined)
          ? there.reduce((sum, score) => sum + score, 0) / own.length
          : undefined;
      });
      return { scores, failed: own.length === 0 };
    });
  const kindOf = (run: PlannedRun): RunState["kind"] => stateOf(folderOf(run)).kind;
  const standings = (bracket: Bracket): readonly Standing[] =>
    standingsOf(
      armsOf(bracket).map(({ scores, failed }) => ({
        scores: scores.map((score) => (score === undefined ? undefined : sign * score)),
        failed,
      })),
      bracket.steps.length,
      reduction,
    );
  for (const run of planned) {
    const missing = bracketOf.get(run)!.steps.find((step) => !isScored(run, step));
    if (missing !== undefined && kindOf(run) === "done")
      throw new UsageError(
        `question.kind: ${folderOf(run)} went to its end without being compared at step ${missing}. Ask with "compare", or give the study another name.`,
        { key: "question.kind" },
      );
  }
  return {
    isScored,
    costOf: (run) => costOf(bracketOf.get(run)!.arms.length, reduction),
    keep(run, step, score) {
      makeFolder(join(folder, "rungs"));
      const records = { ...recordsOf(run), [keyAt(step)]: score };
      writeFileAtomic(fileOf(run), `${JSON.stringify(records)}\n`);
    },
    goalOf(run) {
      const bracket = bracketOf.get(run)!;
      const at = bracket.arms.findIndex((arm) => arm.runs.includes(run));
      const { state, rung } = standings(bracket)[at]!;
      if (state === "stopped" || kindOf(run) === "failed") return { kind: "stopped" };
      const step = bracket.steps[rung];
      if (step === undefined) return { kind: "end" };
      // One of the other seeds may not be there yet.
      return state === "waits" || isScored(run, step) ? { kind: "waits" } : { kind: "rung", step };
    },
    reports: () =>
      brackets.map((bracket) => {
        const known = armsOf(bracket);
        const stand = standings(bracket);
        return {
          ...bracket,
          arms: bracket.arms.map(({ level }, at) => ({
            level,
            scores: known[at]!.scores,
            standing: stand[at]!,
          })),
          saved: 1 - costOf(bracket.arms.length, reduction),
        };
      }),
  };
}
