/** The runs that a study needs: every combination once, the seeds of one combination together one cell. */

import { createHash } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import { UsageError } from "../../core/errors.js";
import { wholeSteps } from "../../settings/duration.js";
import {
  checkRecipe,
  type Recipe,
  type RecipeInput,
  recipeFields,
  recipeToJson,
} from "../../train/recipe/recipe.js";
import type { PartInput, RegimeInput, Study } from "./study.js";

/** What a combination of levels is trained as. */
export interface Cell {
  /** From what decides the weights, the seed apart; the same for a combination that two regimes share. */
  readonly id: string;
  /** Level by factor. */
  readonly levels: Readonly<Record<string, string>>;
  /** The regimes that ask for it. */
  readonly regimes: readonly string[];
  readonly part: PartInput | undefined;
  /** Pairs of the part. */
  readonly pairs: number;
  /** Samples seen, those of whole batches; undefined where time alone ends the run. */
  readonly samples: number | undefined;
  /** Multiply-adds of the forward passes, 10⁹; undefined likewise. */
  readonly gmacs: number | undefined;
  /** As `checkRecipe` takes it: without name, folder, seed and selection. */
  readonly recipe: RecipeInput;
}

/** A cell with a seed. */
export interface PlannedRun {
  readonly cell: Cell;
  readonly seed: number;
  /** Folder under the study's `runs/`. */
  readonly name: string;
}

export interface CellFacts {
  /** Pairs that the training data hold, pictures with their captions; of a recipe that selects some, those. */
  readonly pairsOf: (select: string | undefined) => number;
  /** Multiply-adds of a training pair's forward pass, 10⁹. */
  readonly gmacsOf: (recipe: Recipe) => number;
}

/**
 * The cells of a study. Throws `UsageError` where a combination is no recipe, a part is empty, two factors set the same setting, or two
 * combinations are the same run.
 */
export function cellsOf(study: Study, { pairsOf, gmacsOf }: CellFacts): readonly Cell[] {
  const cells = new Map<string, Cell>();
  for (const chosen of combinations(study.factors.map(({ levels }) => levels))) {
    const levels = Object.fromEntries(chosen.map((level, at) => [study.factors[at]!.name, level.name]));
    const what = wordsOf(levels);
    const settings: Record<string, unknown> = {};
    let part: PartInput | undefined;
    for (const [at, level] of chosen.entries()) {
      for (const [key, value] of Object.entries(level.recipe)) {
        if (Object.hasOwn(settings, key))
          throw new UsageError(
            `factors.${study.factors[at]!.name}: ${key} is set by another factor too; got both in ${what}. Let one factor set it.`,
            { key: `factors.${study.factors[at]!.name}` },
          );
        settings[key] = value;
      }
      if (level.part !== undefined && part !== undefined)
        throw new UsageError(
          `factors: the part of the data is set twice; got both in ${what}. Let one factor set it.`,
          { key: "factors" },
        );
      part ??= level.part;
    }
    const base = { ...study.recipe, ...settings };
    if (part !== undefined && base.select !== undefined)
      throw new UsageError(
        `select: a part is of all pairs, and says by itself which; got select=${base.select} and a part in ${what}. Leave one out.`,
        { key: "select" },
      );
    const pairs = pairsOf(base.select);
    const shareOfPairs = part === undefined ? 1 : "random" in part ? part.random : part.top;
    const partPairs = Math.round(shareOfPairs * pairs);
    if (partPairs < 2)
      throw new UsageError(
        `factors: a part must hold two pairs at least; got ${partPairs} of ${pairs} in ${what}. Give it a larger share.`,
        { key: "factors" },
      );
    for (const regime of study.regimes) {
      const gmacs = gmacsOf(checked({ ...base, steps: 1 }, what));
      const samples = samplesOf(regime.length, partPairs, gmacs);
      const length = samples === undefined ? { time: (regime.length as { time: string }).time } : { samples };
      const recipe: RecipeInput = { ...base, ...length };
      const whole = checked(recipe, what);
      const seen = samples === undefined ? undefined : samplesSeen(samples, whole);
      const id = identify(whole, part);
      const known = cells.get(id);
      // The same run under two regimes, such as one pass over all data that another regime asks for as equal samples.
      if (known !== undefined) {
        if (!isDeepStrictEqual(known.levels, levels))
          throw new UsageError(
            `factors: levels must differ; got the same run for ${what} and ${wordsOf(known.levels)}. Leave one out.`,
            { key: "factors" },
          );
        cells.set(id, { ...known, regimes: [...new Set([...known.regimes, regime.name])] });
        continue;
      }
      cells.set(id, {
        id,
        levels,
        regimes: [regime.name],
        part,
        pairs: partPairs,
        samples: seen,
        gmacs: seen === undefined ? undefined : seen * gmacs,
        recipe,
      });
    }
  }
  return [...cells.values()];
}

const wordsOf = (levels: Readonly<Record<string, string>>): string =>
  Object.entries(levels)
    .map(([factor, level]) => `${factor}=${level}`)
    .join(", ");

/** Runs in the order that tells most first: every cell once, the cheapest first, before any is run with a second seed. */
export function runsOf(study: Study, cells: readonly Cell[]): readonly PlannedRun[] {
  const order = [...cells].sort((a, b) => (a.gmacs ?? 0) - (b.gmacs ?? 0));
  return study.seeds.flatMap((seed) => order.map((cell) => ({ cell, seed, name: `${cell.id}-${seed}` })));
}

/** Runs for one of `count` workers that share nothing: of shard 1, 2, … `count`. Each shard meets cheap and dear ones. */
export function shardOf(runs: readonly PlannedRun[], shard: number, count: number): readonly PlannedRun[] {
  if (!(Number.isInteger(count) && count >= 1 && Number.isInteger(shard) && shard >= 1 && shard <= count))
    throw new UsageError(`shard: must be i/n with 1 ≤ i ≤ n; got ${shard}/${count}. Write e.g. 1/4.`, {
      key: "shard",
    });
  return runs.filter((_, at) => at % count === shard - 1);
}

function samplesOf(length: RegimeInput, pairs: number, gmacs: number): number | undefined {
  if ("epochs" in length) return Math.round(length.epochs * pairs);
  if ("samples" in length) return length.samples;
  if ("gmacs" in length) return Math.max(1, Math.round(length.gmacs / gmacs));
  return undefined;
}

/** Samples of the batches that a run of `samples` is trained on. */
const samplesSeen = (samples: number, { batchSize }: Recipe): number =>
  batchSize *
  wholeSteps({ unit: "samples", value: samples }, { batchSize, samplesPerEpoch: undefined }, "samples");

function checked(recipe: RecipeInput, what: string): Recipe {
  try {
    return checkRecipe(recipe, "study");
  } catch (error) {
    if (error instanceof UsageError) throw new UsageError(`${what}: ${error.message}`, { key: error.key });
    throw error;
  }
}

/** What decides the weights of a run, its seed apart, as ten hexadecimal digits. */
function identify(recipe: Recipe, part: PartInput | undefined): string {
  const free = new Set(
    Object.entries(recipeFields).flatMap(([key, { free: isFree }]) => (isFree ? [key] : [])),
  );
  const decides = Object.entries(recipeToJson(recipe))
    .filter(([key]) => !free.has(key) && key !== "name" && key !== "seed")
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return createHash("sha256")
    .update(JSON.stringify([decides, part ?? null]))
    .digest("hex")
    .slice(0, 10);
}

/** Every choice of one from each list, the last list's changing fastest. */
function combinations<T>(lists: readonly (readonly T[])[]): readonly (readonly T[])[] {
  return lists.reduce<readonly (readonly T[])[]>(
    (all, list) => all.flatMap((chosen) => list.map((one) => [...chosen, one])),
    [[]],
  );
}
