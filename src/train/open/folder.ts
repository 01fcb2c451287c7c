/** The first step of opening a run: its folder, new or with a checkpoint to go on from. */

import type { Processes } from "../../engines/group.js";
import type { Checkpoint } from "../../storage/checkpoint.js";
import type { TrainHooks } from "../hooks.js";
import { type Recipe, recipeToJson } from "../recipe/recipe.js";
import { followRun, openRun, type Run, refuseOtherRecipe } from "../run/folder.js";
import { type Guard, guardOf } from "../run/guard.js";
import { isDone } from "../schedule/plan.js";
import { requireWeights } from "./warm-start.js";

/** A run with its folder open. Dispose it to let the folder go. */
export interface OpenFolder extends Disposable {
  readonly recipe: Recipe;
  readonly processes: Processes;
  /** Whom this process tells what; of a process other than 0 only what is wrong with its rows. */
  readonly hooks: TrainHooks;
  /** Process 0's, which alone writes. */
  readonly run: Run | undefined;
  readonly path: string;
  /** The checkpoint to go on from; undefined at the beginning. */
  readonly resumed: Checkpoint | undefined;
  /** The run was done before. */
  readonly done: boolean;
  readonly guard: Guard;
  /** Told the step of each new checkpoint. */
  readonly onSaved: (step: number) => void;
}

/** Opens `LOGS/NAME` in process 0; the others wait until they see it. Throws `UsageError`; see `openRun`. */
export async function openFolder(
  recipe: Recipe,
  hooks: TrainHooks,
  processes: Processes,
): Promise<OpenFolder> {
  const { index } = processes;
  refuseOtherRecipe(await processes.share("recipe", () => recipeToJson(recipe)), recipe);
  const run = index === 0 ? await openRun(recipe, (line) => hooks.onMessage?.(line, "note")) : undefined;
  for (const line of run?.notes ?? []) hooks.onMessage?.(line, "warning");
  try {
    const { step, done } = await processes.share("begin", () => {
      const { resumed, plan } = run!;
      // A time is more of it each time; a number of steps is reached once.
      const goesOn = recipe.resume === "extend" && (run!.asksForMore || recipe.time !== undefined);
      const isOver = resumed !== undefined && isDone(resumed, plan) && !goesOn;
      return { step: resumed?.step, done: isOver };
    });
    const { path, resumed } = run ?? (await followRun(recipe, step));
    if (resumed === undefined) await requireWeights(recipe, (line) => hooks.onMessage?.(line, "warning"));
    let saved = resumed?.step;
    return {
      recipe,
      processes,
      hooks: index === 0 ? hooks : warningsOnly(hooks, index),
      run,
      path,
      resumed,
      done,
      guard: guardOf(recipe, () => saved),
      onSaved(at) {
        saved = at;
      },
      [Symbol.dispose]: () => run?.[Symbol.dispose](),
    };
  } catch (error) {
    run?.[Symbol.dispose]();
    throw error;
  }
}

/** What a process other than 0 has to say: what is wrong with its rows. */
const warningsOnly = ({ onMessage }: TrainHooks, index: number): TrainHooks => ({
  onMessage(text, kind) {
    if (kind === "warning") onMessage?.(`Process ${index}: ${text}`, kind);
  },
});
