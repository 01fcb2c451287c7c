/** `clipwright study FILE`: runs that answer a question, and the answer. */

import { UsageError } from "../../core/errors.js";
import { defaulted, duration, flag, integer, optional, text } from "../../settings/fields.js";
import { metricOf } from "../../study/answer/answer.js";
import { answerLines } from "../../study/answer/lines.js";
import type { PlannedRun } from "../../study/design/cells.js";
import { probesFile, type Spent } from "../../study/run/costs.js";
import type { StudyOutcome } from "../../study/study.js";
import { formatClock } from "../../train/watch/progress.js";
import { defineCommand, notesOn, type Terminal } from "../command.js";
import { wrap } from "../help.js";
import { ProgressLine } from "../progress-line.js";
import { outlookText } from "../study-outlook.js";
import { engineOptions } from "./engines.js";

export const studyCommand = defineCommand({
  name: "study",
  summary: "Run a study: every combination of what is asked about, scored on a suite, with what it says.",
  description:
    "FILE exports a study (defineStudy, see docs/studies.md); studies of the paper come along: quantity, quality, vit-sizes, encoder-rates, encoders, augmentation, strategies, each with --size small, medium or paper. Runs are kept in studies/NAME/runs; the same command goes on where it was stopped or killed, and several processes, on one machine or on several that share the folder, divide the runs among them. What runs take is measured first, and told with what they will be able to tell apart.",
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
      dryRun: defaulted(
        flag(),
        false,
        "Tell the runs with their time, memory, disk and multiply-adds, and what they can tell apart; and stop.",
      ),
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
      again: defaulted(
        flag(),
        false,
        "Train runs anew whose training data, selection or other files have changed since they were done.",
      ),
      folder: defaulted(text("FOLDER"), "studies", "Where studies are kept."),
      seeds: optional(integer(1, 1000), "Another number of seeds than the study says."),
    },
    Machine: engineOptions,
    Output: { json: defaulted(flag(), false, "Print the answer as JSON; with --dry-run what is foretold.") },
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
    const { openStudy } = await import("../../api/study.js");
    if (options.budget !== undefined && options.budget.unit !== "seconds")
      throw new UsageError("budget: must be a time, e.g. 3h.", { key: "budget" });
    const stop = new AbortController();
    const onSignal = (): void => stop.abort();
    process.once("SIGINT", onSignal);
    process.once("SIGTERM", onSignal);
    try {
      using progress = new ProgressLine(terminal);
      const { folder, size, seeds, engine, plugin, shard } = options;
      await using opened = await openStudy(file, {
        ...{ folder, size, seeds, engine, plugin, shard },
        onNote: notesOn(terminal),
        onProbe: (done, total) => progress.show({ what: "measuring shapes of runs", done, total }),
      });
      progress.clear();
      const { study } = opened;
      const outlook = opened.outlook();
      if (options.dryRun && options.json) {
        terminal.out(`${JSON.stringify(outlook, undefined, 1)}\n`);
        return 0;
      }
      const { set, metric } = study.score;
      const told = {
        ...{ score: `${set}/${metric}`, metric: metricOf(study) },
        probes: probesFile(opened.folder),
      };
      terminal.err(`${outlookText(outlook, told)}\n`);
      if (options.dryRun) return 0;
      const said = new Set<string>();
      const outcome = await opened.run({
        ...{ budget: options.budget?.value, wait: options.wait, again: options.again, signal: stop.signal },
        onRun: (run, at, total, untilStep) =>
          progress.say(
            `${at + 1} of ${total}: ${wordsOf(run)}${untilStep === undefined ? "" : `; to step ${untilStep}, to be compared`}`,
          ),
        onFailed: (run, message) => progress.say(`  ! ${wordsOf(run)} failed and is passed over: ${message}`),
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
      });
      progress.clear();
      report(terminal, outcome, options.json);
      const { findings, left, failed, stale } = outcome;
      if (findings?.spent !== undefined) terminal.err(`${spentLine(findings.spent)}\n`);
      if (findings !== undefined) {
        const { writeStudyPage } = await import("../../report/study/page.js");
        terminal.err(`The page: ${writeStudyPage(opened.folder)}\n`);
      }
      return left.length + failed.length + stale.length > 0 ? 1 : 0;
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

const spentLine = ({ runs, predictedSeconds, seconds, load }: Spent): string =>
  `Predicted ${formatClock(predictedSeconds)}, took ${formatClock(seconds)}: ${runs === 1 ? "1 run" : `${runs} runs`} in one sitting each, at a load of ${load.toPrecision(2)}.`;

function report(terminal: Terminal, { answer, done, failed, left }: StudyOutcome, json: boolean): void {
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
