/** From cosines to probabilities. Plain TypeScript, for Node and for browsers. */

/** softmax(scale · cosines): how likely each of several classes is, if it is one of them. */
export function probabilities(cosines: ArrayLike<number>, scale: number): number[] {
  const logits = Array.from(cosines, (cosine) => scale * cosine);
  const top = Math.max(...logits);
  const parts = logits.map((logit) => Math.exp(logit - top));
  const sum = parts.reduce((total, part) => total + part, 0);
  return parts.map((part) => part / sum);
}
