/** `clipwright train RECIPE [--key value]`. */

import { processGroup } from "../../engines/processes.js";
import { evaluationTable } from "../../evaluate/records.js";
import { defaulted, flag, optional } from "../../settings/fields.js";
import type { RunStart, TrainFunction, TrainHooks, TrainResult } from "../../train/hooks.js";
import { recipeNames, resolveRecipe } from "../../train/recipe/file.js";
import {
  type Recipe,
  type RecipeInput,
  recipeFields,
  recipeGroups,
  recipeToJson,
} from "../../train/recipe/recipe.js";
import { formatClock, Progress, type Screen } from "../../train/watch/progress.js";
import { type Command, defineCommand, notesOn, type Terminal } from "../command.js";
import { ProgressLine } from "../progress-line.js";
import { scoreLines } from "../scores.js";

/** Options of the short help. */
const BRIEF = [
  ...["model", "pretrained", "trainData", "valData", "valSplit", "zeroshotData", "augment"],
  ...[
    "epochs",
    "steps",
    "time",
    "batchSize",
    "lr",
    "engine",
    "name",
    "logs",
    "printConfig",
    "dryRun",
    "json",
  ],
];

/** The command around a trainer, which is loaded only when it runs. */
export const makeTrainCommand = (load: () => Promise<TrainFunction>): Command =>
  defineCommand({
    name: "train",
    summary: "Train a CLIP from a recipe; run the same command again to continue.",
    description:
      "RECIPE is the name of a recipe that comes with Clipwright, a .js, .mjs, .ts or .json file of your own, or the folder of a run, which is continued or, with another length, extended; every setting can be given or overridden here. The run is a folder under --logs. Ctrl-C saves and stops; SIGTERM ends a run of const-cooldown within --grace.",
    positionals: [
      {
        name: "RECIPE",
        doc: `A recipe's file, or a name: ${recipeNames().join(", ") || "none shipped"} (the demo's drawings are made in a checkout, by npm run demo).`,
        required: false,
      },
    ],
    options: {
      ...recipeGroups,
      Model: {
        ...recipeGroups.Model,
        // A recipe needs one; a command without it chooses one for the data.
        model: optional(
          recipeFields.model.kind,
          `${recipeFields.model.doc} Without it one is chosen for the data, and told.`,
        ),
      },
      Output: {
        printConfig: defaulted(
          flag(),
          false,
          "Check the recipe and its model, print it in full as JSON, and stop.",
        ),
        dryRun: defaulted(
          flag(),
          false,
          "Tell what the run will come to (model, steps, time, memory), by a few steps on random data, and stop.",
        ),
        trust: defaulted(
          flag(),
          false,
          "Load the library that a recipe in JSON names as its plugin. Recipes in .js and .ts are programs, and are run as such.",
        ),
        json: defaulted(flag(), false, "Print events as JSON lines instead of the progress."),
      },
    },
    brief: BRIEF,
    examples: [
      [
        "clipwright train --train-data photos/",
        "Train on a folder; the model and the length are chosen and told.",
      ],
      [
        "clipwright train --model ViT-S-32 --train-data photos/ --epochs 10",
        "Train on a folder of images with captions.",
      ],
      [
        "clipwright train finetune --train-data a --pretrained NAME --reference-data b",
        "Train a pretrained model on with few pairs, and end where it forgets.",
      ],
      ["clipwright train my-recipe.json --time 2h --name two-hours", "A recipe of your own, for two hours."],
      ["clipwright train runs/two-hours --time 1h", "An hour more of a run that is done."],
    ],
    checksOptions: true,
    async run({ given, positionals, terminal }) {
      const { printConfig, dryRun, json, trust, ...overrides } = given;
      const { recipe, chosen } = await recipeOf(
        positionals[0],
        overrides as RecipeInput,
        trust === true,
        terminal,
      );
      if (printConfig === true) {
        (await import("../../train/open/check.js")).checkModel(recipe);
        terminal.out(`${JSON.stringify(recipeToJson(recipe), null, 2)}\n`);
        return 0;
      }
      if (dryRun === true || chosen) {
        const { forecast, forecastLines } = await import("../../train/forecast/forecast.js");
        const write = dryRun === true ? terminal.out : terminal.err;
        for (const line of forecastLines(await forecast(recipe))) write(`${line}\n`);
        if (dryRun === true) return 0;
      }
      const train = await load();
      const stop = interruptible(terminal);
      try {
        const view = json === true ? jsonEvents(terminal) : peopleEvents(recipe, terminal);
        const { signal, finish } = stop;
        const result = await train(recipe, { ...view.hooks, signal, finish });
        // Of several processes one speaks.
        if ((processGroup()?.index ?? 0) === 0) view.end(result);
        return result.finished ? 0 : INTERRUPTED;
      } finally {
        stop.release();
      }
    },
  });

/** The recipe of a command line. Without a recipe and a model one is chosen, and said with its reasons. */
async function recipeOf(
  nameOrPath: string | undefined,
  overrides: RecipeInput,
  trust: boolean,
  terminal: Terminal,
): Promise<{ readonly recipe: Recipe; readonly chosen: boolean }> {
  using line = new ProgressLine(terminal);
  const fetching = { say: line.say, progress: line.show };
  if (nameOrPath !== undefined || overrides.model !== undefined || overrides.trainData === undefined)
    return { recipe: await resolveRecipe(nameOrPath, overrides, { trust, ...fetching }), chosen: false };
  const { completeRecipe } = await import("../../study/plan/complete.js");
  const { recipe, reasons } = await completeRecipe(overrides, fetching);
  for (const line of reasons) terminal.err(`${line}\n`);
  return { recipe, chosen: reasons.length > 0 };
}

export const trainCommand = makeTrainCommand(async () => (await import("../../train/train.js")).train);

/** Steps whose mean loss stands beside the held-out loss. */
const COMPARED_LOSSES = 40;

/** Exit code of a shell for SIGINT. */
const INTERRUPTED = 130;

interface EventView {
  readonly hooks: TrainHooks;
  end(result: TrainResult): void;
}

/** One JSON object a line on standard output, each with `event`. */
function jsonEvents(terminal: Terminal): EventView {
  const emit = (event: string, body: object) => terminal.out(`${JSON.stringify({ event, ...body })}\n`);
  return {
    hooks: {
      onStart: ({ recipe, ...start }) => emit("start", { ...start, recipe: recipeToJson(recipe) }),
      onStep: (report) => emit("step", report),
      onMessage: (message, kind) => emit("message", { kind, message }),
      onEvaluation: (scores) => emit("evaluation", { scores }),
      onCheckpoint: (step, path) => emit("checkpoint", { step, path }),
    },
    end: (result) => emit("end", result),
  };
}

/** A progress line on standard error, and a summary on standard output. */
function peopleEvents(recipe: Recipe, terminal: Terminal): EventView {
  let progress: Progress | undefined;
  /** Losses of the last steps, to be told beside the held-out loss. */
  const losses: number[] = [];
  const say = (line: string) => (progress ? progress.message(line) : notesOn(terminal)(line));
  return {
    hooks: {
      onStart(start) {
        for (const line of introduction(start)) notesOn(terminal)(line);
        progress = new Progress({
          screen: screenOf(terminal),
          firstStep: start.step,
          batchSize: recipe.batchSize,
          budgetSeconds: recipe.time?.value,
        });
      },
      onStep(report) {
        losses.push(report.loss);
        if (losses.length > COMPARED_LOSSES) losses.shift();
        progress?.step(report);
      },
      onMessage: (message, kind) => say(kind === "warning" ? `  ! ${message}` : `  ${message}`),
      onEvaluation(scores) {
        const heldOut = scores.find(({ metric }) => metric === "val_loss");
        // In smaller batches a pair has fewer rivals, and the loss is lower.
        // What is smoothed, or has a loss of its own beside, is another loss.
        const sameLoss = recipe.strategy !== "slip" && (recipe.labelSmoothing ?? 0) === 0;
        const compares =
          heldOut !== undefined && sameLoss && heldOut.n >= recipe.batchSize && losses.length > 0;
        const trainLoss = compares ? losses.reduce((sum, loss) => sum + loss, 0) / losses.length : undefined;
        for (const line of scoreLines(scores, terminal.columns - 2, trainLoss)) say(`  ${line}`);
      },
    },
    end(result) {
      progress?.finish();
      if (result.step === 0) {
        terminal.out("Stopped before the first step; the same command begins anew.\n");
        return;
      }
      const what = result.finished ? "Done" : "Stopped, saved; the same command continues";
      terminal.out(
        `${what}: ${result.step} steps, ${result.samplesSeen} samples in ${formatClock(result.seconds)}, loss ${result.loss.toFixed(3)}.\n`,
      );
      if (result.evaluation.length > 0) terminal.out(`\n${evaluationTable(result.evaluation)}\n`);
      terminal.out(`${result.folder}\n`);
    },
  };
}

const screenOf = (terminal: Terminal): Screen => ({
  write: (text) => terminal.err(text, true),
  interactive: terminal.interactive,
  color: terminal.color,
  get columns() {
    return terminal.columns; // a window may be resized
  },
});

function introduction(start: RunStart): string[] {
  const total = start.totalSteps === undefined ? "" : ` of ${start.totalSteps}`;
  const where =
    start.step > 0 ? `Continues ${start.folder} from step ${start.step}${total}` : `New run ${start.folder}`;
  return [where, ...start.description.split("; ").map((part) => `  ${part}`)];
}

/**
 * The first Ctrl-C asks the trainer to save and stop; the second ends the process at once. SIGTERM asks for an end
 * within the grace, and a second one is a Ctrl-C.
 */
function interruptible(terminal: Terminal): { signal: AbortSignal; finish: AbortSignal; release(): void } {
  const stop = new AbortController();
  const finish = new AbortController();
  const onInterrupt = () => {
    if (stop.signal.aborted) {
      // Not process.exit: it waits for threads, and a thread may wait for a disk that does not answer.
      process.off("SIGINT", onInterrupt);
      process.kill(process.pid, "SIGINT");
      return;
    }
    terminal.err("\nStopping after this step; once more to stop at once.\n");
    stop.abort();
  };
  const onTerminate = () => {
    if (finish.signal.aborted) onInterrupt();
    else finish.abort();
  };
  process.on("SIGINT", onInterrupt);
  process.on("SIGTERM", onTerminate);
  return {
    signal: stop.signal,
    finish: finish.signal,
    release() {
      process.off("SIGINT", onInterrupt);
      process.off("SIGTERM", onTerminate);
    },
  };
}
