/** Which of a run's checkpoints is used where its model is. */

import { UsageError } from "../core/errors.js";
import { better, type Checkpoint, listCheckpoints, type Score, soundAmong } from "./checkpoint.js";

/** `best`: by the score that the run keeps the best by; `last`; or the checkpoint after so many steps. */
export type CheckpointChoice = "best" | "last" | number;

/** Reads `best`, `last` or a number of steps, of a setting that `label` names. */
export function parseChoice(word: string | number, label: string): CheckpointChoice {
  if (word === "best" || word === "last") return word;
  const step = Number(word);
  if (Number.isInteger(step) && step >= 0 && String(word).trim() !== "") return step;
  throw new UsageError(
    `${label}: must be best, last or the number of a step; got ${label}=${word}. Write e.g. last.`,
  );
}

/**
 * The checkpoint of `choice` in the folder of a run's checkpoints; the best where nothing is said and scores were kept.
 * Damaged ones are passed over for the next.
 * @param say told of what is passed over, and of a newer checkpoint than the one that is taken unasked.
 * @throws UsageError where there are checkpoints, and none that was asked for.
 */
export function chooseCheckpoint(
  folder: string,
  choice: CheckpointChoice | undefined,
  say: (line: string) => void,
): Checkpoint | undefined {
  const newestFirst = listCheckpoints(folder).reverse();
  const [newest] = newestFirst;
  if (newest === undefined || choice === "last") return soundAmong(folder, newestFirst, say);
  if (typeof choice === "number") {
    const found = newestFirst.filter(({ step }) => step === choice);
    if (found.length > 0) return soundAmong(folder, found, say);
    const steps = newestFirst.map(({ step }) => step).reverse();
    throw new UsageError(
      `checkpoint: must be one that was kept; got step ${choice}, and ${folder} has ${steps.join(", ")}. Take one of them, best or last.`,
    );
  }
  const metric = newestFirst.find(({ score }) => score !== undefined)?.score?.metric;
  if (metric === undefined && choice === "best") {
    throw new UsageError(
      `checkpoint: no checkpoint in ${folder} has a score; got checkpoint=best. Take last, or train with --val-split.`,
    );
  }
  const scored = newestFirst.filter((each): each is Checkpoint & { readonly score: Score } => {
    return each.score !== undefined && each.score.metric === metric;
  });
  // Of equals the earlier: as long as it is as good, less was trained.
  const byScore = scored
    .reverse()
    .sort((a, b) => Number(better(b.score, a.score)) - Number(better(a.score, b.score)));
  const others = newestFirst.filter((each) => !byScore.some(({ step }) => step === each.step));
  const chosen = soundAmong(folder, [...byScore, ...others], say);
  if (chosen?.score !== undefined && chosen.step < newest.step && choice === undefined) {
    say(
      `Takes step ${chosen.step}, the best by ${metric} (${Number(chosen.score.value.toPrecision(4))}); the newest is step ${newest.step}: --checkpoint last.`,
    );
  }
  return chosen;
}
