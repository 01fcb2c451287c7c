/** The training strategies. One that is listed here can be chosen, trained, continued, and priced. */

import type { Clip } from "../../models/clip.js";
import { clip, clipAug } from "./clip.js";
import { flip } from "./flip.js";
import { siglip } from "./siglip.js";
import { slip } from "./slip.js";
import { type Strategy, type StrategyKind, type StrategyOptions, strategyDefaults } from "./strategy.js";

export const strategies = { clip, slip, flip, "clip-aug": clipAug, siglip } as const satisfies Readonly<
  Record<string, StrategyKind>
>;

export type StrategyName = keyof typeof strategies;
export const strategyNames = Object.keys(strategies) as StrategyName[];

export const kindOf = (name: StrategyName): StrategyKind => strategies[name];

/** Strategy `name` for a model. Throws `UsageError` where the model cannot be trained so. */
export function makeStrategy(
  name: StrategyName,
  model: Clip,
  options: { readonly [K in keyof StrategyOptions]?: StrategyOptions[K] | undefined } = {},
): Strategy {
  const set = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  return kindOf(name).build(model, { ...strategyDefaults, ...set });
}
