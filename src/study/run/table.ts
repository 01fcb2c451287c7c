/** A study's results as one table, a row a run: `study.csv` and `study.parquet`, which pandas and DuckDB read. */

import { join } from "node:path";
import { csvLine } from "../../core/csv.js";
import { UsageError } from "../../core/errors.js";
import { writeFileAtomic } from "../../core/files.js";
import { type Batch, parquetBytes, type Cell as Value } from "../../curate/tables/parquet.js";
import type { TableColumn } from "../../data/selections/form.js";
import type { RecipeInput } from "../../train/recipe/recipe.js";
import type { DoneRun } from "../answer/answer.js";
import type { Study } from "../design/study.js";

/** A row by column. */
export type Row = Readonly<Record<string, Value>>;

/**
 * The rows, with the columns that any of them has; scores are named `set/metric` with `…/low` and `…/high`. Throws `UsageError` where a factor
 * is called as a column of every table.
 */
export function tableOf(
  study: Study,
  runs: readonly DoneRun[],
): { columns: readonly TableColumn[]; rows: readonly Row[] } {
  const columns = new Map<string, TableColumn>();
  const add = (name: string, kind: TableColumn["kind"], about: string, unit?: string): void => {
    if (!columns.has(name)) columns.set(name, { name, kind, about, ...(unit !== undefined && { unit }) });
  };
  add("run", "text", "Folder of the run.");
  for (const { name, levels } of study.factors)
    add(name, levels.every((level) => isNumber(level.name)) ? "number" : "text", "Level of this factor.");
  const own: typeof add = (name, ...about) => {
    if (columns.has(name))
      throw new UsageError(
        `factors.${name}: study.csv has a column of this name by itself; got a factor ${name}. Call it otherwise.`,
        { key: `factors.${name}` },
      );
    add(name, ...about);
  };
  own("regime", "text", "How long runs are; several where regimes share a run.");
  own("seed", "count", "Seed of the training.");
  own("pairs", "count", "Pairs of its part of the data.");
  own("samples", "number", "Samples seen.");
  own("gmacs", "number", "Multiply-adds of the forward passes.", "10⁹");
  own("seconds", "number", "Time of training.", "s");
  own("whole seconds", "number", "Beginning, training and scoring, of a run in one sitting.", "s");
  own("predicted seconds", "number", "What these were predicted to be.", "s");
  own("load", "number", "The machine's load when the run ended, mean over five minutes.");
  own("memory", "number", "Most main memory of the process while it trained and scored.", "bytes");
  const settings = new Set(runs.flatMap(({ cell }) => Object.keys(cell.recipe)));
  const values = (setting: string): readonly unknown[] =>
    runs.map(({ cell }) => cell.recipe[setting as keyof RecipeInput]).filter((value) => value !== undefined);
  for (const setting of settings)
    if (values(setting).every((value) => typeof value === "number"))
      add(`recipe.${setting}`, "number", "Setting of the recipe.");
    else add(`recipe.${setting}`, "text", "Setting of the recipe, as JSON.");
  const isOfNumbers = (name: string): boolean => columns.get(name)!.kind === "number";
  const rows = runs.map(({ cell, seed, result }): Row => {
    const row: Record<string, Value> = {
      run: `${cell.id}-${seed}`,
      ...Object.fromEntries(
        Object.entries(cell.levels).map(([name, level]) => [name, isOfNumbers(name) ? Number(level) : level]),
      ),
      regime: cell.regimes.join("; "),
      seed,
      pairs: cell.pairs,
      samples: result.samples,
      gmacs: result.gmacs,
      seconds: result.seconds,
      "whole seconds": result.wholeSeconds,
      "predicted seconds": result.predictedSeconds,
      load: result.load,
      memory: result.memoryBytes,
    };
    for (const [setting, value] of Object.entries(cell.recipe))
      row[`recipe.${setting}`] =
        value === undefined || isOfNumbers(`recipe.${setting}`)
          ? (value as number | undefined)
          : JSON.stringify(value);
    for (const { dataset, metric, value, low, high } of result.records) {
      const name = `${dataset}/${metric}`;
      for (const [ending, number] of Object.entries({ "": value, "/low": low, "/high": high })) {
        add(
          name + ending,
          "number",
          `${metric} on ${dataset}${ending === "" ? "" : ", end of the 95 % interval over test items"}.`,
        );
        row[name + ending] = number;
      }
    }
    return row;
  });
  return { columns: [...columns.values()], rows };
}

/** Whether a number has this name and no other: `0.001`, but neither `007` nor `10 %`. */
const isNumber = (name: string): boolean => Number.isFinite(Number(name)) && String(Number(name)) === name;

/** Writes both files into the study's folder. */
export function writeTable(folder: string, study: Study, runs: readonly DoneRun[]): void {
  const { columns, rows } = tableOf(study, runs);
  const lines = [columns.map(({ name }) => name), ...rows.map((row) => columns.map(({ name }) => row[name]))];
  writeFileAtomic(join(folder, "study.csv"), lines.map(csvLine).join(""));
  const batch: Batch = Object.fromEntries(columns.map(({ name }) => [name, rows.map((row) => row[name])]));
  writeFileAtomic(join(folder, "study.parquet"), parquetBytes(columns, [batch]));
}
