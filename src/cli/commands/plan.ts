/** `clipwright plan --train-data SOURCE --time 2h`: what to train with a budget, on which evidence. */

import { UsageError } from "../../core/errors.js";
import { defaulted, flag, list, optional, real, text } from "../../settings/fields.js";
import { recipeFields } from "../../train/recipe/recipe.js";
import { defineCommand } from "../command.js";
import { wrapLines } from "../help.js";
import {
  budgetOptions,
  evidenceOptions,
  givenOptions,
  machineOptions,
  pastRuns,
  planFor,
  saveDeviceProfile,
  scoreOptions,
  secondsOf,
  settingsIn,
} from "../planning.js";

export const planCommand = defineCommand({
  name: "plan",
  summary: "Say what to train with a budget and why, with what will come of it; write the recipe.",
  description:
    "Looks at the data, times models here (or takes --device, a profile that was written on another machine), and predicts scores from your runs and the paper's curves. See docs/planning.md.",
  positionals: [],
  options: {
    Budget: {
      ...budgetOptions,
      money: optional(real({ above: 0 }), "Money, at --price."),
      price: optional(
        text("X/h|FILE"),
        "What an hour costs, e.g. 2.5/h, or a .json file of prices with their dates and sources.",
      ),
      machine: optional(text("NAME"), "Of a file of prices: which machine."),
      gmacs: optional(real({ above: 0 }), "Multiply-adds of all forward passes, 10⁹."),
    },
    Data: {
      trainData: optional(recipeFields.trainData.kind, recipeFields.trainData.doc),
      ...givenOptions,
    },
    Choice: {
      models: optional(
        list(text("NAME"), { separator: "," }),
        "Presets to choose from (clipwright models), joined with commas.",
      ),
      ...scoreOptions,
    },
    Evidence: {
      ...evidenceOptions,
      saveResults: optional(text("FILE"), "Write these runs as one table, .parquet or .jsonl."),
      check: defaulted(flag(), false, "Compare what plans expected with what their runs came to, and stop."),
    },
    Machine: {
      ...machineOptions,
      device: optional(text("FILE"), "Plan for the device of this profile instead of this machine."),
      saveProfile: optional(
        text("FILE"),
        "Write what was timed here, for --device elsewhere; without --train-data every model is timed.",
      ),
    },
    Output: {
      out: optional(text("FILE"), "Write the recipe: .json, .ts, .mts, .js or .mjs."),
      json: defaulted(flag(), false, "Print the plan as JSON."),
    },
  },
  brief: [
    ...["time", "money", "price", "gmacs", "trainData", "suite", "score", "results", "check"],
    ...["device", "saveProfile", "out", "json", "engine", "pretrained"],
  ],
  examples: [
    ["clipwright plan --train-data photos/ --time 2h --out photos.ts", "What to do with two hours here."],
    [
      "clipwright plan --train-data p.tar --money 9 --price 2/h --device gpu.json",
      "On another machine, timed there before with --save-profile gpu.json.",
    ],
    ["clipwright plan --save-profile gpu.json", "Time every model on this machine."],
    ["clipwright plan --check", "How often plans were right."],
  ],
  async run({ options, given, terminal }) {
    const { check, json, out, saveProfile, saveResults, models, ...rest } = options;
    const { time, money, price, machine, gmacs, device, trainData } = rest;
    if (saveResults !== undefined || check) {
      const { writeRuns } = await import("../../study/past/files.js");
      const past = await pastRuns(options.results, terminal);
      if (saveResults !== undefined) writeRuns(saveResults, past);
      if (check) {
        const { coverageOf } = await import("../../study/plan/expected.js");
        const { coverageLines } = await import("../../study/plan/words.js");
        const found = coverageOf(past);
        terminal.out(
          json
            ? `${JSON.stringify(found, undefined, 1)}\n`
            : `${wrapLines(coverageLines(found), terminal).join("\n")}\n`,
        );
        return 0;
      }
      if (trainData === undefined) return 0;
    }
    if (trainData === undefined && saveProfile !== undefined) {
      await saveDeviceProfile(saveProfile, options, terminal);
      return 0;
    }
    if (trainData === undefined)
      throw new UsageError("--train-data: a plan is made for data; got none. Add --train-data SOURCE.", {
        code: "ERR_SETTING",
        key: "trainData",
      });
    const { plan } = await planFor(
      {
        ...rest,
        recipe: { trainData, ...settingsIn(given) },
        budget: { seconds: secondsOf(time), money, price, machine, gmacs },
        device,
        models,
      },
      terminal,
    );
    if (saveProfile !== undefined)
      (await import("../../study/plan/profile.js")).writeProfile(saveProfile, plan.profile);
    if (out !== undefined) (await import("../../study/plan/recipe-file.js")).writePlannedRecipe(out, plan);
    const { planLines } = await import("../../study/plan/words.js");
    const lines = (): string => `${wrapLines(planLines(plan), terminal).join("\n")}\n`;
    terminal.out(json ? `${JSON.stringify(plan, undefined, 1)}\n` : lines());
    if (out !== undefined) terminal.err(`Wrote ${out}. Next: clipwright train ${out}\n`);
    return 0;
  },
});
