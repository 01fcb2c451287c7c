/** What the failure of a device means to a run: one line, with what to do, and where the run goes on. */

import { UsageError } from "../../core/errors.js";
import { troubleOf } from "../../engines/device-trouble.js";
import type { Recipe } from "../recipe/recipe.js";

/** Gives what `work` gives; a device's failure in it becomes a `UsageError` that says what was being done. */
export type Guard = <T>(doing: string, work: Promise<T>) => Promise<T>;

/** @param checkpoint the step of the last checkpoint, if there is one. */
export const guardOf =
  (recipe: Recipe, checkpoint: () => number | undefined): Guard =>
  async (doing, work) => {
    try {
      return await work;
    } catch (error) {
      throw told(error, doing, recipe, checkpoint());
    }
  };

function told(error: unknown, doing: string, recipe: Recipe, checkpoint: number | undefined): unknown {
  const trouble = troubleOf(error);
  if (trouble === undefined) return error;
  const { engine, kind, detail } = trouble;
  const got = `got "${detail.trim().replace(/\s+/g, " ")}"`;
  const xla = recipe.engine === "xla";
  const rebuilt = recipe.gradCheckpointing ? [] : ["--grad-checkpointing"];
  const more = xla ? ["more --devices"] : [];
  if (kind === "memory") {
    const lower = [...(xla && recipe.precision === "f32" ? ["--precision bf16"] : []), ...rebuilt, ...more];
    const smaller = `a smaller --batch-size than ${recipe.batchSize}`;
    const rule = `${engine}: the memory must suffice for ${doing}; ${got}.`;
    if (checkpoint === undefined) {
      const parts = recipe.microBatch === undefined ? ["--micro-batch"] : [];
      return new UsageError(`${rule} Use ${or([smaller, ...parts, ...lower])}.`, { cause: error });
    }
    const going = or([...rebuilt, ...more, "more memory"]);
    return new UsageError(
      `${rule} Continue from the checkpoint of step ${checkpoint} with ${going}, or start another run, under another --name, with ${smaller}.`,
      { cause: error },
    );
  }
  const where =
    checkpoint === undefined
      ? "There is no checkpoint yet: the same command begins anew."
      : `The same command continues from the checkpoint of step ${checkpoint}.`;
  return new UsageError(
    `${engine}: ${doing} must succeed; ${got}. ${where} If it fails there again, the device (nvidia-smi, dmesg) or its plugin is at fault, or we are: please report it.`,
    { cause: error },
  );
}

/** `a, b or c`. */
const or = (words: readonly string[]): string =>
  words.length < 2 ? words.join() : `${words.slice(0, -1).join(", ")} or ${words.at(-1)}`;
