/** How a study's cells lie in charts: what goes along the axis, what is a line, and what takes a chart of its own. */

import type { Findings, FoundCell, Levels } from "../../study/answer/findings.js";
import type { PaperExperiment, PaperRegime } from "../../study/paper/paper.js";

/** What cells are laid out along. */
export interface Along {
  readonly key: "samples" | "pairs" | "gmacs" | "seconds" | "epochs" | "share" | "level";
  readonly label: string;
  readonly scale: "log" | "linear";
  /** Places that a reader looks for, where the cells lie near them. */
  readonly ticks?: readonly number[] | undefined;
  readonly of: (cell: FoundCell) => number;
}

/** One chart: cells that differ in what is along the axis and in the line that they belong to. */
export interface View {
  readonly title: string;
  /** The regimes of its cells. */
  readonly regimes: readonly string[];
  readonly paper: PaperRegime | undefined;
  readonly along: Along;
  readonly lines: readonly { readonly name: string; readonly cells: readonly FoundCell[] }[];
}

const SPENT: readonly Along[] = [
  { key: "samples", label: "samples seen", scale: "log", of: (cell) => cell.samples },
  { key: "gmacs", label: "GMACs of training", scale: "log", of: (cell) => cell.gmacs },
  { key: "seconds", label: "seconds of training", scale: "log", of: (cell) => cell.seconds },
];
const pairs: Along = { key: "pairs", label: "different pairs", scale: "log", of: (cell) => cell.pairs };
/** A run sees whole batches: a few samples more than its passes. */
export const epochs = ({ regimes }: Findings): Along => ({
  ...{ key: "epochs", label: "passes over the set", scale: "log" },
  ticks: regimes.flatMap(({ length }) => ("epochs" in length ? [length.epochs] : [])),
  of: (cell) => cell.samples / cell.pairs,
});

/** One view a regime and combination of the factors that have no place in a chart; regimes that differ in passes alone are one. */
export function viewsOf(findings: Findings): readonly View[] {
  const { regimes, cells } = findings;
  const passes = regimes.length > 2 && regimes.every(({ length }) => "epochs" in length);
  const groups = passes
    ? [{ title: "", own: regimes }]
    : regimes.map((regime) => ({ title: regime.name, own: [regime] }));
  return groups.flatMap(({ title, own }): View[] => {
    const names = own.map(({ name }) => name);
    const inside = cells.filter((cell) => cell.regimes.some((regime) => names.includes(regime)));
    if (inside.length === 0) return [];
    const { along, lines, shown } = layout(findings, inside, passes);
    const apart = findings.factors
      .map(({ name }) => name)
      .filter(
        (factor) => !shown.includes(factor) && !moves(along, factor, inside) && variesIn(inside, factor),
      );
    return groupsBy(inside, apart).map(({ levels, members }) => ({
      title: [title, ...Object.entries(levels).map(([factor, level]) => `${factor} ${level}`)]
        .filter((word) => word !== "")
        .join(", "),
      regimes: names,
      paper: passes ? "passes" : paperRegimeOf(own[0]!.length),
      along,
      lines: lines.names.flatMap((name) => {
        const found = members.filter((cell) => lines.of(cell).includes(name));
        return found.length === 0 ? [] : [{ name, cells: ordered(found, along) }];
      }),
    }));
  });
}

/** The lines of a chart: their names, and those that a cell belongs to. */
interface Lines {
  readonly names: readonly string[];
  readonly of: (cell: FoundCell) => readonly string[];
}

interface Layout {
  readonly along: Along;
  readonly lines: Lines;
  /** Factors that the axis and the lines show. */
  readonly shown: readonly string[];
}

/** What goes along the axis, and what makes the lines. */
function layout(findings: Findings, cells: readonly FoundCell[], passes: boolean): Layout {
  const { factor, over } = findings.question;
  const byFactor = (name: string): Lines => ({
    names: levelsOf(findings, name),
    of: (cell) => [cell.levels[name]!],
  });
  const spent = SPENT.find(({ key }) => key === (over ?? "samples"))!;
  const candidates = passes ? [epochs(findings)] : [spent, ...(over === "seconds" ? [] : [pairs])];
  for (const along of candidates)
    if (variesWithin(along, factor, cells)) return { along, lines: byFactor(factor), shown: [factor] };
  // What is asked about goes along the axis itself; another factor makes the lines.
  const along = alongLevels(findings, factor, cells);
  const chosen = along.key === "share" ? waysOfChoosing(findings, factor) : undefined;
  if (chosen !== undefined) return { along, lines: chosen, shown: [factor] };
  const line = findings.factors.find(({ name }) => name !== factor && variesIn(cells, name))?.name;
  const lines = line === undefined ? { names: [findings.name], of: () => [findings.name] } : byFactor(line);
  return { along, lines, shown: line === undefined ? [factor] : [factor, line] };
}

/** The best pairs and as many random ones, as lines that meet where all are kept; undefined where there are no random ones. */
function waysOfChoosing({ factors }: Findings, factor: string): Lines | undefined {
  const { levels } = factors.find(({ name }) => name === factor)!;
  if (!levels.some(({ part }) => part !== undefined && "random" in part)) return undefined;
  const [best, any] = ["the best", "random ones"];
  const ways = new Map(
    levels.map(({ name, part }) => [name, part === undefined ? [best, any] : ["top" in part ? best : any]]),
  );
  return { names: [best, any], of: (cell) => ways.get(cell.levels[factor]!)! };
}

/** The levels of the factor that is asked about, as numbers where they are numbers. */
function alongLevels({ factors }: Findings, factor: string, cells: readonly FoundCell[]): Along {
  const { levels } = factors.find(({ name }) => name === factor)!;
  const place = new Map(levels.map(({ name }, at) => [name, at]));
  const byLevel = (values: readonly number[]) => (cell: FoundCell) =>
    values[place.get(cell.levels[factor]!)!]!;
  const shares = levels.map(({ part }) => {
    if (part === undefined) return 100;
    return 100 * ("top" in part ? part.top : "random" in part ? part.random : Number.NaN);
  });
  if (levels.some(({ part }) => part !== undefined && "top" in part) && !shares.some(Number.isNaN))
    return { key: "share", label: "pairs kept, %", scale: "linear", of: byLevel(shares) };
  if (new Set(cells.map(({ pairs: count }) => count)).size > 1) return pairs;
  const numbers = levels.map(({ name }) => Number.parseFloat(name));
  if (numbers.every((value) => value > 0))
    return {
      key: "level",
      label: factor,
      scale: spread(numbers) >= 8 ? "log" : "linear",
      of: byLevel(numbers),
    };
  return SPENT.find(({ key }) => key === "gmacs")!;
}

const spread = (values: readonly number[]): number => Math.max(...values) / Math.min(...values);

/** Three digits: means over seeds and rounded counts are alike. */
const rounded = (value: number): string => value.toPrecision(3);

/** Whether cells of one level of `factor` lie at several places. */
const variesWithin = ({ of }: Along, factor: string, cells: readonly FoundCell[]): boolean =>
  groupsBy(cells, [factor]).some(({ members }) => new Set(members.map((cell) => rounded(of(cell)))).size > 1);

const variesIn = (cells: readonly FoundCell[], factor: string): boolean =>
  new Set(cells.map(({ levels }) => levels[factor])).size > 1;

/** Whether cells that differ in `factor` alone lie at different places. */
function moves({ of }: Along, factor: string, cells: readonly FoundCell[]): boolean {
  const rest = Object.keys(cells[0]!.levels).filter((name) => name !== factor);
  return groupsBy(cells, rest).some(
    ({ members }) =>
      variesIn(members, factor) &&
      new Set(members.map((cell) => rounded(of(cell)))).size >=
        new Set(members.map(({ levels }) => levels[factor])).size,
  );
}

function groupsBy(
  cells: readonly FoundCell[],
  factors: readonly string[],
): readonly { readonly levels: Levels; readonly members: readonly FoundCell[] }[] {
  const groups = new Map<string, { levels: Levels; members: FoundCell[] }>();
  for (const cell of cells) {
    const levels = Object.fromEntries(factors.map((factor) => [factor, cell.levels[factor]!]));
    const key = JSON.stringify(levels);
    const group = groups.get(key) ?? { levels, members: [] };
    group.members.push(cell);
    groups.set(key, group);
  }
  return [...groups.values()];
}

const ordered = (cells: readonly FoundCell[], { of }: Along): readonly FoundCell[] =>
  [...cells].sort((a, b) => of(a) - of(b));

export const levelsOf = ({ factors }: Pick<Findings, "factors">, factor: string): readonly string[] =>
  factors.find(({ name }) => name === factor)!.levels.map(({ name }) => name);

function paperRegimeOf(length: Findings["regimes"][number]["length"]): PaperRegime | undefined {
  if ("epochs" in length) return length.epochs === 1 ? "one pass" : "passes";
  return "samples" in length ? "equal samples" : undefined;
}

/** The paper's experiment that a study is like, by what its factors change. */
export function experimentOf({ factors, regimes, question }: Findings): PaperExperiment | undefined {
  const asked = factors.find(({ name }) => name === question.factor)!;
  const settings = new Set(asked.levels.flatMap((level) => level.settings));
  if (settings.has("strategy")) return "strategies";
  if (settings.has("model"))
    return /vit|size|width/i.test(asked.name) || asked.levels.every(({ name }) => /vit/i.test(name))
      ? "ViT sizes"
      : "encoders";
  if ([...settings].some((setting) => /^aug/.test(setting))) return "augmentation";
  if (asked.levels.some(({ part }) => part !== undefined && "top" in part)) return "data quality";
  if (
    asked.levels.some(({ part }) => part !== undefined) &&
    regimes.every(({ length }) => "epochs" in length)
  )
    return "data quantity";
  return undefined;
}
