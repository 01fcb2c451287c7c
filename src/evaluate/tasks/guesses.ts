/** What guesses are worth. */

/**
 * The share of right guesses if a model's own guesses were dealt to the images at random: the agreement by chance of Cohen's
 * kappa (1960), the mean over images of the share of guesses that are one of an image's right classes.
 */
export function chanceOf(
  guesses: ArrayLike<number>,
  answers: readonly (readonly number[])[],
  classes: number,
): number {
  const guessed = new Float64Array(classes);
  for (let i = 0; i < guesses.length; i++) guessed[guesses[i]!]! += 1 / guesses.length;
  const share = (right: readonly number[]) => right.reduce((sum, c) => sum + guessed[c]!, 0);
  return answers.reduce((sum, right) => sum + share(right), 0) / answers.length;
}

/** 1 where a guess is one of an image's right classes, [N]. */
export const rightOf = (guesses: ArrayLike<number>, answers: readonly (readonly number[])[]): Float64Array =>
  Float64Array.from(answers, (right, i) => (right.includes(guesses[i]!) ? 1 : 0));
