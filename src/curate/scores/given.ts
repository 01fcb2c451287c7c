/** Scores that the data bring themselves, taken over as they are. */

import { givenFields } from "../../data/columns/given.js";
import type { CaptionFamily } from "./score.js";

export const givenFamily: CaptionFamily = {
  name: "given",
  about:
    "What the data bring: DataComp's and LAION's scores and original sizes, from table columns or the JSON beside pictures.",
  how: "Taken over as they are, of each sample for all its captions. Only the columns that a set has are in its table; they are there unless --scores leaves them out.",
  source: "the data",
  over: "caption",
  byDefault: false,
  columns: givenFields.map(({ about, ...field }) => ({
    ...field,
    kind: field.unit === "px" ? "count" : "number",
    about: `${about.slice(0, -1)}; NULL where the data do not say.`,
  })),
  async open() {
    return (_, { given = {} }) => {
      const row: Record<string, number | null> = {};
      for (const { name, unit } of givenFields) {
        const value = given[name];
        if (value === undefined) continue;
        row[name] = unit !== "px" ? value : value < 2 ** 31 ? Math.round(value) : null;
      }
      return row;
    };
  },
};

/** The family with those of its columns that are among `names` alone; undefined where none is. */
export function givenAmong(names: ReadonlySet<string>): CaptionFamily | undefined {
  const columns = givenFamily.columns.filter(({ name }) => names.has(name));
  return columns.length === 0 ? undefined : { ...givenFamily, columns };
}
