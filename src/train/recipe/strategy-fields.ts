/** Settings of a recipe that only some strategies take. */

import { integer, kebab, list, optional, real, type Values } from "../../settings/fields.js";
import { kindOf, type StrategyName, strategies } from "../strategies/index.js";
import { type StrategyOptions, strategyDefaults } from "../strategies/strategy.js";
import { constantly, stages } from "./stages.js";

export const strategyFields = {
  labelSmoothing: optional(
    real({ min: 0, below: 1 }),
    "Share of each softmax target that is spread over the batch (default 0); not of siglip.",
  ),
  maskRatio: optional(
    stages(real({ above: 0, below: 1 })),
    "Of flip: share of each image left out (default 0.5); or several, each with its share of the run, the rest on whole images: 0.75:0.5,0.5:0.45.",
  ),
  sslScale: optional(real({ min: 0 }), "Of slip: weight of the loss on views (default 1)."),
  sslTemperature: optional(real({ above: 0 }), "Of slip: temperature of that loss (default 0.1)."),
  sslHead: optional(
    list(integer(1, 65_536), { separator: ",", length: 2 }),
    "Of slip: hidden and output channels of the head on the views (default 4096,256).",
  ),
  logitBiasInit: optional(
    real(),
    "Of siglip: what is added to the scaled cosines at the start (default -10).",
  ),
} as const;

type Checked = Values<typeof strategyFields> & {
  readonly strategy: StrategyName;
  readonly logitScaleInit: number | undefined;
  readonly augment: string | undefined;
};

/** What changes images beside a policy. */
type Changes = Readonly<
  Record<"cropScale" | "flip" | "colorJitter" | "grayScaleProb" | "inkJitter", unknown> & { crop: string }
>;

const defaults = { ...strategyDefaults, maskRatio: constantly(strategyDefaults.maskRatio) };
const optionNames = Object.keys(strategyDefaults) as (keyof StrategyOptions)[];

/** The policy of who names none. */
const NO_POLICY = "none";

/** Defaults of the chosen strategy's settings; those of others stay absent. */
export function completeStrategy(values: Checked) {
  const { options, logits, augment = NO_POLICY } = kindOf(values.strategy);
  const completed = Object.fromEntries(
    optionNames.map((key) => [key, values[key] ?? (options.includes(key) ? defaults[key] : undefined)]),
  ) as Pick<Checked, keyof StrategyOptions>;
  return {
    ...completed,
    augment: values.augment ?? augment,
    logitScaleInit: values.logitScaleInit ?? logits.scale,
    logitBiasInit: values.logitBiasInit ?? logits.bias,
  };
}

/** Whether images are changed without a policy, beyond the slight crops of plain CLIP. */
const changesImages = ({ crop, cropScale, flip, colorJitter, grayScaleProb, inkJitter }: Changes): boolean =>
  crop === "affine" ||
  crop === "shift" ||
  [cropScale, flip, colorJitter, grayScaleProb, inkJitter].some((one) => one !== undefined);

/** What must hold between them; each gives the message or undefined. */
export const strategyRules: readonly ((recipe: Checked & Changes) => string | undefined)[] = [
  (recipe) => {
    const { options } = kindOf(recipe.strategy);
    const stray = optionNames.find((key) => recipe[key] !== undefined && !options.includes(key));
    if (stray === undefined) return undefined;
    const takers = Object.entries(strategies)
      .filter(([, kind]) => (kind.options as readonly string[]).includes(stray))
      .map(([name]) => name);
    return `${stray}: ${recipe.strategy} takes no such setting; got ${stray}=${JSON.stringify(strategyFields[stray].kind.toJson(recipe[stray] as never))}. Remove --${kebab(stray)}, or use --strategy ${takers.join(" or ")}.`;
  },
  (recipe) =>
    recipe.augment === NO_POLICY && kindOf(recipe.strategy).augment !== undefined && !changesImages(recipe)
      ? `augment: ${recipe.strategy} is training on changed images; got augment=${recipe.augment}. Name a policy, set --crop affine or a jitter, or use --strategy clip.`
      : undefined,
  ({ strategy, logitBiasInit }) =>
    logitBiasInit !== undefined && kindOf(strategy).logits.bias === undefined
      ? `logitBiasInit: only siglip learns a bias; got logitBiasInit=${logitBiasInit} with strategy=${strategy}. Remove it, or use --strategy siglip.`
      : undefined,
];
