/** `clipwright init SOURCE`: a first plan in a few questions, and without any where nobody can answer. */

import { existsSync } from "node:fs";
import { basename } from "node:path";
import { UsageError } from "../../core/errors.js";
import { defaulted, flag, optional, text } from "../../settings/fields.js";
import { planLines } from "../../study/plan/words.js";
import { type Answers, askFor } from "../ask.js";
import { defineCommand } from "../command.js";
import { wrapLines } from "../help.js";
import {
  budgetOptions,
  evidenceOptions,
  givenOptions,
  machineOptions,
  planFor,
  scoreOptions,
  secondsOf,
  settingsIn,
} from "../planning.js";

/** Seconds of training where nobody says how long. */
const SECONDS = 1800;

export const initCommand = defineCommand({
  name: "init",
  summary: "A first recipe for data of your own, in three questions.",
  description:
    "Asks how long training may take, what the model is judged by, and where the recipe goes; then plans as clipwright plan does, and says what to do next. Without a terminal, or with --no-ask, nothing is asked: options and defaults hold.",
  positionals: [{ name: "SOURCE", doc: "The data: what --train-data takes.", required: true, many: true }],
  options: {
    Answers: {
      ...budgetOptions,
      ...scoreOptions,
      out: optional(text("FILE"), "The recipe: .ts, .js or .json. Default: the source's name with .ts."),
      ask: defaulted(flag(), true, "Ask what is not said, at a terminal."),
    },
    Data: givenOptions,
    Evidence: evidenceOptions,
    Machine: machineOptions,
  },
  brief: ["time", "suite", "score", "out", "ask", "results", "engine", "pretrained"],
  examples: [
    ["clipwright init photos/", "Three questions, and photos.ts to train."],
    ["clipwright init photos/ --time 2h --no-ask", "The same in a script."],
  ],
  async run({ options, given, positionals, terminal }) {
    const { time, suite, out, ask, ...rest } = options;
    const said = {
      seconds: secondsOf(time) ?? SECONDS,
      suite,
      out: out ?? `${nameOf(positionals[0]!)}.ts`,
    };
    const asks = ask && terminal.interactive && process.stdin.isTTY === true;
    const answers = asks ? await askFor(said, { time: time === undefined, out: out === undefined }) : said;
    if (answers === undefined) return 1;
    if (existsSync(answers.out))
      throw new UsageError(`${answers.out}: is there already. Name another file with --out, or remove it.`, {
        file: answers.out,
      });
    const { plan } = await planFor(
      {
        ...rest,
        suite: answers.suite,
        recipe: { trainData: [...positionals], ...settingsIn(given) },
        budget: { seconds: answers.seconds },
      },
      terminal,
    );
    (await import("../../study/plan/recipe-file.js")).writePlannedRecipe(answers.out, plan);
    terminal.out(`${wrapLines(planLines(plan), terminal).join("\n")}\n\n`);
    terminal.out(`Wrote ${answers.out}. Next:\n`);
    for (const line of nextLines(answers, plan.pretrained !== undefined)) terminal.out(`  ${line}\n`);
    return 0;
  },
});

/** What a recipe for a source is called: its last folder or file, without ending and what no name of a run may hold. */
function nameOf(source: string): string {
  const name = basename(source.replace(/[/\\]+$/, ""))
    .replace(/\.\w+$/, "")
    .replace(/[^\w.-]+/g, "-")
    .replace(/^[^\w]+|-+$/g, "");
  return name === "" ? "recipe" : name;
}

function nextLines({ out, suite }: Answers, fetches: boolean): readonly string[] {
  const run = `runs/${basename(out).replace(/\.\w+$/, "")}`;
  return [
    `clipwright train ${out}${fetches ? "      (fetches the weights once)" : ""}`,
    `clipwright evaluate ${run}${suite === undefined ? "" : ` --suite ${suite}`}`,
    "clipwright plan --check      (what was expected beside what came)",
  ];
}
