/** `clipwright compare RUN RUN…`: whether recipes can be told apart on the same data, and by how much. */

import { UsageError } from "../../core/errors.js";
import { writeFileAtomic } from "../../core/files.js";
import { openEngine } from "../../engines/registry.js";
import {
  comparedNumber,
  compareRuns,
  type MetricComparison,
  type ScoredRun,
  verdictWords,
} from "../../evaluate/compare.js";
import type { Interval } from "../../evaluate/statistics/bootstrap.js";
import { type EffectiveScores, effectiveScores, type ShiftScore } from "../../evaluate/suites/shifts.js";
import { findMetric } from "../../evaluate/tasks/index.js";
import { robustnessTable, writeComparison } from "../../report/comparison.js";
import { defaulted, flag, optional, text } from "../../settings/fields.js";
import { alignColumns } from "../columns.js";
import { defineCommand } from "../command.js";
import { commandLine } from "../command-line.js";
import { ProgressLine } from "../progress-line.js";
import { differencesOf, groupsOf, type RecipeGroup } from "../recipe-groups.js";
import {
  baselineOf,
  featureOptions,
  modelOptions,
  scoredDataOptions,
  scoreModel,
  severalRunsOptions,
} from "../scoring.js";

export const compareCommand = defineCommand({
  name: "compare",
  summary: "Compare runs on the same data: paired differences with intervals, and a verdict for each pair.",
  description:
    "Each RUN is what evaluate takes. Runs whose recipes differ in the seed alone are one group; its intervals are over seeds and samples. Differences are paired by sample; p-values are corrected for all pairs and metrics together (Holm). Without --data runs are compared on what the first holds out.",
  positionals: [{ name: "RUN…", doc: "Two runs or more.", required: true, many: true }],
  options: {
    Data: { ...scoredDataOptions, ...severalRunsOptions },
    Model: { ...modelOptions, ...featureOptions },
    Output: {
      json: defaulted(flag(), false, "Print groups, scores and differences as JSON."),
      output: optional(
        text("FILE"),
        "Also write them as a page, with a dot-and-interval chart of each metric.",
      ),
    },
  },
  brief: [
    "data",
    "suite",
    "task",
    "probeData",
    "classnames",
    "templates",
    "name",
    "engine",
    "json",
    "output",
  ],
  examples: [
    ["clipwright compare runs/vit runs/convnext --data test.tar", "Two encoders on the same pairs."],
    [
      "clipwright compare runs/vit runs/convnext --output compare.html",
      "The same as a page, on what the first holds out.",
    ],
    ["clipwright compare runs/a-1 runs/a-2 runs/b-1 runs/b-2", "Two recipes, two seeds of each."],
  ],
  async run({ options, given, positionals, terminal }) {
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
    const baseline = baselineOf(options, paths);
    const told = new Set<string>();
    const models: { name: string; shifts: readonly ShiftScore[] }[] = [];
    const scored: ScoredRun[] = [];
    for (const [i, path] of paths.entries()) {
      const { scored: tasks, shifts } = await scoreModel(engine, path, options, progress, told);
      const recipe = groups.find(({ runs }) => runs.includes(path))!.name;
      for (const { dataset, task, scores, corruption } of tasks) {
        // Of corrupted pictures the mean alone: tests of every kind and strength would cost the others their power.
        if (corruption !== undefined && corruption.kind !== "all") continue;
        scored.push({ run: path, recipe, dataset, task, scores });
      }
      models.push({ name: path, shifts });
      progress.show({ what: "runs", done: i + 1, total: paths.length });
    }
    const comparisons = compareRuns(scored, findMetric);
    const { scores: robustness, refused } = effectiveScores(models, baseline);
    progress.clear();
    if (refused !== undefined) progress.say(`  ! ${refused}`);
    if (options.output !== undefined) {
      const command = commandLine("compare", positionals, given);
      const differences = differencesOf(groups);
      writeFileAtomic(
        options.output,
        writeComparison({ groups, differences, comparisons, robustness, command }),
      );
    }
    terminal.out(
      options.json
        ? `${JSON.stringify({ groups, comparisons, robustness }, null, 1)}\n`
        : [
            differencesTable(groups),
            ...comparisons.map(comparisonText),
            ...robustness.map(robustnessText),
          ].join("\n"),
    );
    if (options.output !== undefined) progress.say(options.output);
    return 0;
  },
});

/** The settings in which groups differ, a line each. */
function differencesTable(groups: readonly RecipeGroup[]): string {
  const words = (text: string): string => (text.length > 24 ? `…${text.slice(-23)}` : text);
  const rows = differencesOf(groups).map((row) => row.map(words));
  return alignColumns([["", ...groups.map(({ name }) => words(name))], ...rows]);
}

function robustnessText(scores: EffectiveScores): string {
  const { columns, rows, title, sentence } = robustnessTable(scores);
  return `${title}\n  ${sentence}\n${alignColumns([columns, ...rows])}`;
}

function comparisonText({ dataset, metric, n, recipes, pairs }: MetricComparison): string {
  const number = (x: number): string => comparedNumber(metric, x);
  const interval = ({ low, high }: Interval): string => `${number(low)} – ${number(high)}`;
  const rows = recipes.map(({ recipe, score }) => [recipe, number(score.value), interval(score)]);
  const told = pairs.map((pair) => {
    const exact = pair.mcNemar === undefined ? "" : `, McNemar ${pair.mcNemar.p.toPrecision(2)}`;
    const [verdict, ...rest] = verdictWords(pair, metric).split("; ");
    const p = `p ${pair.adjusted.toPrecision(2)} corrected${exact}`;
    return [`  ${verdict}`, ...rest.map((line) => `    ${line}`), `    ${p}`, ""].join("\n");
  });
  const title = `${dataset}, ${metric.words}${metric.kind === "share" ? ", %" : ""}`;
  const items = `n ${n.toLocaleString("en-US")}`;
  return `${alignColumns([[title, "", `95 % interval, ${items}`], ...rows])}${told.join("")}`;
}
