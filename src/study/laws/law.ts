/**
 * Laws of error against what was spent, as records: a law is linear in its coefficients, which are not negative, once its
 * exponents are known. A fit therefore searches the exponents alone (`fit.ts`).
 */

/** What a run spent, and what came of it. */
export interface LawPoint {
  /** What the curve is drawn over: samples seen, or multiply-adds. */
  readonly x: number;
  /** Error, 0 … 1, or a loss. */
  readonly y: number;
  /** Different pairs of the data, for laws of repetition; passes over them are `x / unique`. */
  readonly unique?: number;
  /** Parameters of the model, for laws over sizes. */
  readonly parameters?: number;
  /** Standard error of `y`; a point counts by 1/sigma². Default: all alike. */
  readonly sigma?: number;
}

/** A number that is searched for, between bounds, in even steps or in even ratios. */
export interface Exponent {
  readonly name: string;
  readonly low: number;
  readonly high: number;
  readonly scale: "linear" | "log";
}

export interface Law {
  readonly name: string;
  readonly formula: string;
  readonly source: string;
  readonly exponents: readonly Exponent[];
  readonly coefficients: readonly string[];
  /** What a point must say besides x and y. */
  readonly needs: readonly ("unique" | "parameters")[];
  /** The fewest points that it is fitted to. */
  readonly fewest: number;
  /** What each coefficient is multiplied by at a point. */
  terms(point: LawPoint, exponents: readonly number[]): readonly number[];
}

const exponent = (name: string): Exponent => ({ name, low: 0.01, high: 2, scale: "linear" });

/** `y = E + B·x^-β`: what is left however much is spent, and what spending takes off. */
export const powerLaw: Law = {
  name: "power",
  formula: "E + B·x^-β",
  source: "Hestness et al. 2017; for CLIP Cherti et al. 2023, there without E",
  exponents: [exponent("β")],
  coefficients: ["E", "B"],
  needs: [],
  fewest: 5,
  terms: ({ x }, [beta]) => [1, x ** -beta!],
};

/**
 * Samples worth as much as `x` samples of `unique` different ones: U + U·R·(1 − e^(−(x/U − 1)/R)). A repeated sample is worth
 * e^(−repetitions/R) of a new one.
 */
export function worthOfRepeated(x: number, unique: number, halfLife: number): number {
  if (x <= unique) return x;
  return unique + unique * halfLife * -Math.expm1(-(x / unique - 1) / halfLife);
}

/** `y = E + B·D^-β` with D the samples' worth when they are seen again and again. */
export const repeatedLaw: Law = {
  name: "repeated",
  formula: "E + B·D^-β, D = U + U·R·(1 − e^(−(x/U − 1)/R))",
  source: "Muennighoff et al. 2023, equation 5",
  exponents: [exponent("β"), { name: "R", low: 0.3, high: 300, scale: "log" }],
  coefficients: ["E", "B"],
  needs: ["unique"],
  fewest: 8,
  terms: ({ x, unique }, [beta, halfLife]) => [1, worthOfRepeated(x, unique!, halfLife!) ** -beta!],
};

/** `y = E + A·N^-α + B·x^-β` over sizes and samples. */
export const sizeLaw: Law = {
  name: "size",
  formula: "E + A·N^-α + B·x^-β",
  source: "Hoffmann et al. 2022, approach 3",
  exponents: [exponent("α"), exponent("β")],
  coefficients: ["E", "A", "B"],
  needs: ["parameters"],
  fewest: 20,
  terms: ({ x, parameters }, [alpha, beta]) => [1, parameters! ** -alpha!, x ** -beta!],
};

export const laws: readonly Law[] = [powerLaw, repeatedLaw, sizeLaw];
