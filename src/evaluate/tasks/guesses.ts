/** What guesses are worth. */

/**
 * The share of right guesses if a model's own guesses were dealt to the images at random: the agreement by chance of Cohen's
 * kappa (1960), Σ over classes of (share guessed · share there).
 */
export function chanceOf(guesses: ArrayLike<number>, labels: ArrayLike<number>, classes: number): number {
  const guessed = new Float64Array(classes);
  const there = new Float64Array(classes);
  for (let i = 0; i < guesses.length; i++) guessed[guesses[i]!]! += 1 / guesses.length;
  for (let i = 0; i < labels.length; i++) there[labels[i]!]! += 1 / labels.length;
  return guessed.reduce((sum, share, c) => sum + share * there[c]!, 0);
}
