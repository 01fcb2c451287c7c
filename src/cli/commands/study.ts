/** `clipwright study FILE`: runs that answer a question, and the answer. */

import { join } from "node:path";
import { UsageError } from "../../core/errors.js";
import { openEngine } from "../../engines/registry.js";
import { defaulted, duration, flag, integer, optional, text } from "../../settings/fields.js";
import type { Answer } from "../../study/answer/answer.js";
import { answerLines } from "../../study/answer/lines.js";
import type { PlannedRun } from "../../study/design/cells.js";
import type { Spent } from "../../study/run/costs.js";
import type { Sitting } from "../../study/run/runner.js";
import type { Prediction } from "../../study/study.js";
import { formatClock } from "../../train/watch/progress.js";
import { alignColumns } from "../columns.js";
import { defineCommand, notesOn, type Terminal } from "../command.js";
import { wrap } from "../help.js";
import { ProgressLine } from "../progress-line.js";
import { engineOptions } from "./engines.js";

export const studyCommand = defineCommand({
  name: "study",
  summary: "Run a study: every combination of what is asked about, scored on a suite, with what it says.",
  description:
    "FILE exports a study (defineStudy, see docs/studies.md); studies of the paper come along: quantity, quality, vit-sizes, encoder-rates, encoders, augmentation, strategies, each with --size small, medium or paper. Runs are kept in studies/NAME/runs; the same command goes on where it was stopped or killed, and several processes, on one machine or on several that share the folder, divide the runs among them. What a run takes is measured first.",
  positionals: [
    {
      name: "FILE|NAME",
      doc: "A study: .ts, .js or .json; or one that comes with Clipwright.",
      required: true,
    },
  ],
  options: {
    Study: {
      size: optional(text("NAME"), "Of a study in several sizes: which."),
      dryRun: defaulted(flag(), false, "Tell the runs with their time and multiply-adds, and stop."),
      budget: optional(
        duration("seconds"),
        "Begin no run that would end later than this from now, e.g. 3h; the same command goes on.",
      ),
      shard: optional(text("I/N"), "Only every N-th run, from the I-th: for workers that share no folder."),
      wait: defaulted(
        flag(),
        true,
        "Wait for runs that another process holds, and take them over where it is gone.",
      ),
      folder: defaulted(text("FOLDER"), "studies", "Where studies are kept."),
      seeds: optional(integer(1, 1000), "Another number of seeds than the study says."),
    },
    Machine: engineOptions,
    Output: { json: defaulted(flag(), false, "Print the table of runs as JSON.") },
  },
  examples: [
    ["clipwright study encoders.ts --dry-run", "What would be run, and how long it takes here."],
    ["clipwright study quality --size small", "One that comes with Clipwright, on drawings."],
    [
      "clipwright study encoders.ts --budget 3h",
      "As much of it as three hours allow, what tells most first.",
    ],
  ],
  async run({ options, positionals, terminal }) {
    const [file] = positionals as [string];
    const { loadStudy } = await import("../../study/design/study.js");
    const { openStudy } = await import("../../study/study.js");
    const declared = await loadStudy(file, options.size);
    const seeds = options.seeds;
    const study =
      seeds === undefined ? declared : { ...declared, seeds: Array.from({ length: seeds }, (_, i) => i) };
    if (options.budget !== undefined && options.budget.unit !== "seconds")
      throw new UsageError("budget: must be a time, e.g. 3h.", { key: "budget" });
    const folder = join(options.folder, study.name);
    const stop = new AbortController();
    const onSignal = (): void => stop.abort();
    process.once("SIGINT", onSignal);
    process.once("SIGTERM", onSignal);
    try {
      await using engine = await openEngine(options.engine, {
        ...options,
        onChoice: (line) => terminal.err(`${line}\n`),
      });
      using progress = new ProgressLine(terminal);
      const opened = await openStudy(study, {
        folder,
        engine,
        onNote: notesOn(terminal),
        onProbe: (done, total) => progress.show({ what: "measuring shapes of runs", done, total }),
      });
      progress.clear();
      const runs = opened.runsOf(options.shard);
      terminal.err(`${planTable(opened.predictions(runs))}\n`);
      if (options.dryRun) return 0;
      const said = new Set<string>();
      const budgetSeconds = options.budget?.value;
      const sitting = await opened.run(runs, {
        ...(budgetSeconds !== undefined && { budgetSeconds }),
        wait: options.wait,
        signal: stop.signal,
        hooks: {
          onRun: (run, at, total, untilStep) =>
            progress.say(
              `${at + 1} of ${total}: ${wordsOf(run)}${untilStep === undefined ? "" : `; to step ${untilStep}, to be compared`}`,
            ),
          onFailed: (run, message) =>
            progress.say(`  ! ${wordsOf(run)} failed and is passed over: ${message}`),
          onWait: (count) =>
            progress.say(`Another process has ${count} ${count === 1 ? "run" : "runs"}; waiting for it.`),
          train: {
            onStep: ({ step, totalSteps }) => {
              if (totalSteps !== undefined) progress.show({ what: "step", done: step, total: totalSteps });
            },
            onMessage: (message, kind) => {
              // What is said of every run, as of captions that are cut, is said of the first.
              if (kind === "warning" && !said.has(message)) progress.say(`  ! ${message}`);
              said.add(message);
            },
          },
        },
      });
      progress.clear();
      const answer = opened.finish();
      report(terminal, answer, sitting, options.json);
      const spent = opened.spent();
      if (spent !== undefined) terminal.err(`${spentLine(spent)}\n`);
      if (answer !== undefined) {
        const { writeStudyPage } = await import("../../report/study/page.js");
        terminal.err(`The page: ${writeStudyPage(folder)}\n`);
      }
      return sitting.left.length > 0 || sitting.failed.length > 0 ? 1 : 0;
    } finally {
      process.off("SIGINT", onSignal);
      process.off("SIGTERM", onSignal);
    }
  },
});

const wordsOf = ({ cell, seed }: PlannedRun): string =>
  `${Object.entries(cell.levels)
    .map(([factor, level]) => `${factor} ${level}`)
    .join(", ")}; ${cell.regimes.join(" and ")}; seed ${seed}`;

/** A line a cell, and the sum of what is not done. */
function planTable(predictions: readonly Prediction[]): string {
  const byCell = new Map<string, Prediction[]>();
  for (const one of predictions) byCell.set(one.run.cell.id, [...(byCell.get(one.run.cell.id) ?? []), one]);
  const number = (x: number | undefined): string =>
    x === undefined ? "–" : x.toLocaleString("en-US", { maximumSignificantDigits: 3 });
  const factors = Object.keys(predictions[0]!.run.cell.levels);
  const rows = [...byCell.values()].map((own) => {
    const { cell } = own[0]!.run;
    const done = own.filter(({ state }) => state === "done").length;
    return [
      ...factors.map((factor) => cell.levels[factor]!),
      cell.regimes.join(" and "),
      number(cell.pairs),
      number(cell.samples),
      number(cell.gmacs === undefined ? undefined : cell.gmacs / 1000),
      formatClock(own[0]!.seconds),
      `${done}/${own.length}`,
    ];
  });
  const left = predictions.filter(({ state }) => state !== "done" && state !== "stopped");
  const seconds = left.reduce((sum, one) => sum + one.seconds, 0);
  return [
    alignColumns([[...factors, "regime", "pairs", "samples", "10¹² MACs", "each", "done"], ...rows]),
    `${left.length} of ${predictions.length} runs to do: about ${formatClock(seconds)}.`,
  ].join("\n");
}

const spentLine = ({ runs, predictedSeconds, seconds, load }: Spent): string =>
  `Predicted ${formatClock(predictedSeconds)}, took ${formatClock(seconds)}: ${runs === 1 ? "1 run" : `${runs} runs`} in one sitting each, at a load of ${load.toPrecision(2)}.`;

function report(
  terminal: Terminal,
  answer: Answer | undefined,
  { done, failed, left }: Sitting,
  json: boolean,
): void {
  for (const { run, message } of failed) terminal.err(`${wordsOf(run)} failed: ${message}\n`);
  if (left.length > 0)
    terminal.err(
      `${left.length === 1 ? "1 run is" : `${left.length} runs are`} left; the same command goes on.\n`,
    );
  if (answer === undefined) {
    terminal.err("No run is done yet.\n");
    return;
  }
  if (json) terminal.out(`${JSON.stringify(answer, undefined, 1)}\n`);
  else {
    const lines = [done === 1 ? "1 run" : `${done} runs`, ...answerLines(answer)];
    terminal.out(`${lines.flatMap((line) => hanging(line, terminal.columns)).join("\n")}\n`);
  }
}

/** A line that is too long for the terminal as several, those after the first two spaces further in. */
function hanging(line: string, columns: number): readonly string[] {
  const indent = line.length - line.trimStart().length;
  if (line.length <= columns) return [line];
  return wrap(line, Math.max(40, columns) - indent - 2).map(
    (part, at) => " ".repeat(at === 0 ? indent : indent + 2) + part,
  );
}
