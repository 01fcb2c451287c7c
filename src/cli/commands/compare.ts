/** `clipwright compare RUN RUN…`: whether recipes can be told apart on the same data, and by how much. */

import { basename, join } from "node:path";
import { UsageError } from "../../core/errors.js";
import { openEngine } from "../../engines/registry.js";
import { compareRuns, type MetricComparison, type ScoredRun, verdictWords } from "../../evaluate/compare.js";
import { isShare } from "../../evaluate/records.js";
import type { Interval } from "../../evaluate/statistics/bootstrap.js";
import { findMetric } from "../../evaluate/tasks/index.js";
import { defaulted, flag } from "../../settings/fields.js";
import { recipeToJson } from "../../train/recipe/recipe.js";
import { readLines } from "../../train/run/folder.js";
import { alignColumns } from "../columns.js";
import { defineCommand } from "../command.js";
import { ProgressLine } from "../progress-line.js";
import { recipeOf } from "../run-data.js";
import { featureOptions, modelOptions, scoredDataOptions, scoreModel } from "../scoring.js";

export const compareCommand = defineCommand({
  name: "compare",
  summary: "Compare runs on the same data: paired differences with intervals, and a verdict for each pair.",
  description:
    "Each RUN is what evaluate takes. Runs whose recipes differ in the seed alone are one group; its intervals are over seeds and samples. Differences are paired by sample; p-values are corrected for all pairs and metrics together (Holm). Without --data runs are compared on what the first holds out.",
  positionals: [{ name: "RUN…", doc: "Two runs or more.", required: true, many: true }],
  options: {
    Data: scoredDataOptions,
    Model: { ...modelOptions, ...featureOptions },
    Output: { json: defaulted(flag(), false, "Print groups, scores and differences as JSON.") },
  },
  brief: ["data", "task", "probeData", "classnames", "templates", "name", "engine", "json"],
  examples: [
    ["clipwright compare runs/vit runs/convnext --data test.tar", "Two encoders on the same pairs."],
    ["clipwright compare runs/a-1 runs/a-2 runs/b-1 runs/b-2", "Two recipes, two seeds of each."],
  ],
  async run({ options, positionals, terminal }) {
    const paths = [...new Set(positionals)];
    if (paths.length < 2) {
      throw new UsageError(
        `compare: two runs are needed; got ${paths.length}. Name the folders of two runs or more.`,
        {
          code: "ERR_SETTING",
        },
      );
    }
    using progress = new ProgressLine(terminal);
    await using engine = await openEngine(options.engine, options);
    const groups = groupsOf(paths);
    const told = new Set<string>();
    const scored: ScoredRun[] = [];
    for (const [i, path] of paths.entries()) {
      const { scored: tasks } = await scoreModel(engine, path, options, progress, told);
      const recipe = groups.find(({ runs }) => runs.includes(path))!.name;
      for (const { dataset, task, scores } of tasks)
        scored.push({ run: path, recipe, dataset, task, scores });
      progress.show({ what: "runs", done: i + 1, total: paths.length });
    }
    const comparisons = compareRuns(scored, findMetric);
    progress.clear();
    terminal.out(
      options.json
        ? `${JSON.stringify({ groups, comparisons }, null, 1)}\n`
        : [differencesTable(groups), ...comparisons.map(comparisonText)].join("\n"),
    );
    return 0;
  },
});

/** Runs of one recipe, and what they were: settings, samples seen, seconds. */
interface Group {
  readonly name: string;
  readonly runs: readonly string[];
  readonly settings: Readonly<Record<string, unknown>>;
}

/** Settings that make no other recipe. */
const SAME = new Set(["name", "logs", "seed"]);

/** The runs by recipe, each named by its first run. What is no run's is a group of its own. */
function groupsOf(paths: readonly string[]): Group[] {
  const groups = new Map<string, { name: string; runs: string[]; settings: Record<string, unknown> }>();
  for (const path of paths) {
    const settings = settingsOf(path);
    const key = settings === undefined ? path : JSON.stringify(Object.entries(settings).sort());
    const group = groups.get(key) ?? { name: path, runs: [], settings: { ...settings, ...courseOf(path) } };
    group.runs.push(path);
    groups.set(key, group);
  }
  const names = [...groups.values()].map(({ name }) => basename(name));
  const short = new Set(names).size === names.length;
  return [...groups.values()].map(({ name, runs, settings }) => {
    const seeds = runs.length === 1 ? "" : ` (${runs.length} seeds)`;
    return { name: `${short ? basename(name) : name}${seeds}`, runs, settings };
  });
}

function settingsOf(path: string): Record<string, unknown> | undefined {
  try {
    return Object.fromEntries(Object.entries(recipeToJson(recipeOf(path))).filter(([key]) => !SAME.has(key)));
  } catch (error) {
    if (error instanceof UsageError) return undefined;
    throw error;
  }
}

/** How far the run came, by its last line of metrics. */
function courseOf(path: string): Record<string, unknown> {
  const last = readLines(join(path, "metrics.jsonl")).at(-1);
  return last === undefined
    ? {}
    : { "samples seen": last.samplesSeen, "training seconds": Math.round(Number(last.seconds)) };
}

/** The settings in which groups differ, a line each. */
function differencesTable(groups: readonly Group[]): string {
  const keys = [...new Set(groups.flatMap(({ settings }) => Object.keys(settings)))];
  const words = (value: unknown): string => {
    const text = value === undefined ? "–" : typeof value === "string" ? value : JSON.stringify(value);
    return text.length > 24 ? `…${text.slice(-23)}` : text;
  };
  const rows = keys
    .map((key) => [key, ...groups.map(({ settings }) => words(settings[key]))])
    .filter(([, ...values]) => new Set(values).size > 1);
  return alignColumns([["", ...groups.map(({ name }) => words(name))], ...rows]);
}

function comparisonText({ dataset, metric, n, recipes, pairs }: MetricComparison): string {
  const number = (x: number): string => (isShare(metric.name) ? `${(100 * x).toFixed(1)}` : x.toPrecision(3));
  const interval = ({ low, high }: Interval): string => `${number(low)} – ${number(high)}`;
  const rows = recipes.map(({ recipe, score }) => [recipe, number(score.value), interval(score)]);
  const told = pairs.map((pair) => {
    const exact = pair.mcNemar === undefined ? "" : `, McNemar ${pair.mcNemar.p.toPrecision(2)}`;
    const [verdict, ...rest] = verdictWords(pair, metric).split("; ");
    const p = `p ${pair.adjusted.toPrecision(2)} corrected${exact}`;
    return [`  ${verdict}`, ...rest.map((line) => `    ${line}`), `    ${p}`, ""].join("\n");
  });
  const title = `${dataset}, ${metric.words}${isShare(metric.name) ? ", %" : ""}`;
  const items = `n ${n.toLocaleString("en-US")}`;
  return `${alignColumns([[title, "", `95 % interval, ${items}`], ...rows])}${told.join("")}`;
}
