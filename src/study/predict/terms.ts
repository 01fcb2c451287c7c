/**
 * What a score is predicted from, as terms that add up on the scale of log odds:
 *
 *     ln(s / (1 − s)) = set + β·scarce + κ·plenty + γ·small + δ·large + family + strategy·(1, ln passes),
 *
 * s the score's share above guessing; scarce + plenty = w = ln(W / scale), W what the samples are worth, seen again and again
 * (`worthOfRepeated`), the one growing below the scale, the other above it: ever more samples help ever less, and never hurt;
 * small and large how far the model is below and above the size that suits W, in log multiply-adds. On the paper's 210 runs that beat
 * guessing clearly the sum misses by 0.11 (root mean square), about 2.5 points at 40 %.
 */

import { worthOfRepeated } from "../laws/law.js";

/** Facts of a run that the terms are made of. */
export interface Terms {
  /** Different pairs. */
  readonly unique: number;
  /** Samples seen. */
  readonly samples: number;
  /** Multiply-adds of the model's forward pass on a pair, 10⁹; its views and heads of a strategy not counted. */
  readonly gmacsPerPair: number;
  /** `vit`, `resnet`, `convnext`, `swin`, `mixer`. */
  readonly family: string;
  readonly strategy: string;
  /** What guessing gives, 0 … 1. */
  readonly chance: number;
}

/**
 * Where samples are counted from. A set of one's own is taken to be at 10⁵ samples about where the paper's is at 2·10⁸: half way up. How far
 * that is so each set's own terms learn.
 */
export const scales = { paper: 2e8, own: 1e5 } as const;

/**
 * The multiply-adds (10⁹) that suit W samples: 20 at 2·10⁸, growing as W^(2/3). From the paper's figure 8b, where B/16 (19) is best at 50
 * to 200 million samples seen once, and the sweep of docs/tuning.md, where 10 to 37 million multiply-adds are best at some 13,000. Hoffmann
 * et al. 2022 have parameters grow as the samples.
 */
const suitable = (worth: number): number => 20 * (worth / 2e8) ** (2 / 3);

/** As `suitable`, of a run. */
export const suitableGmacs = (
  { samples, unique }: Pick<Terms, "samples" | "unique">,
  halfLife: number,
): number => suitable(worthOfRepeated(samples, unique, halfLife));

/** Names of the terms, in order; every set has a level and a slope over `scarce` of its own besides. */
export const termNames = [
  "level",
  "scarce",
  "plenty",
  "small",
  "large",
  "ln classes",
  "convolutions",
  "convolutions·scarce",
  "swin",
  "mixer",
  "clip-aug",
  "clip-aug·ln passes",
  "slip",
  "slip·ln passes",
  "flip",
  "flip·ln passes",
] as const;
export type TermName = (typeof termNames)[number];

/** 0 below 0 and x above it, going over within about `width` of it: the bend between two slopes. */
const bend = (x: number, width: number): number =>
  x / width > 30 ? x : width * Math.log1p(Math.exp(x / width));

/**
 * The terms of a run.
 * @param halfLife passes after which a repeated sample is worth 1/e of a new one.
 * @param scale one of `scales`.
 */
export function termsOf(
  run: Terms,
  halfLife: number,
  scale: number = scales.own,
): Readonly<Record<TermName, number>> {
  const { unique, samples, gmacsPerPair, family, strategy, chance } = run;
  const worth = worthOfRepeated(samples, unique, halfLife);
  const w = Math.log(worth / scale);
  const plenty = bend(w, 0.5);
  const u = Math.log(gmacsPerPair / suitable(worth));
  const passes = Math.log(Math.max(1, samples / unique));
  const is = (fact: boolean): number => (fact ? 1 : 0);
  const convolutions = is(family === "resnet" || family === "convnext");
  return {
    level: 1,
    scarce: w - plenty,
    plenty,
    small: bend(-u, 1),
    large: bend(u, 1),
    "ln classes": -Math.log(1000 * chance),
    convolutions,
    convolutions·scarce: convolutions * (w - plenty),
    swin: is(family === "swin"),
    mixer: is(family === "mixer"),
    "clip-aug": is(strategy === "clip-aug"),
    "clip-aug·ln passes": is(strategy === "clip-aug") * passes,
    slip: is(strategy === "slip"),
    "slip·ln passes": is(strategy === "slip") * passes,
    flip: is(strategy === "flip"),
    "flip·ln passes": is(strategy === "flip") * passes,
  };
}

/** Log odds of a score's share above guessing; the share is kept `edge` from 0 and 1. */
export function logOdds(score: number, chance: number, edge = 1e-3): number {
  const share = Math.min(1 - edge, Math.max(edge, (score - chance) / (1 - chance)));
  return Math.log(share / (1 - share));
}

/** The score with these log odds. */
export const scoreAt = (odds: number, chance: number): number =>
  chance + (1 - chance) / (1 + Math.exp(-odds));
