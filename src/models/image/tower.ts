/** What a configuration says of a tower's transformer. */

import type { TransformerOptions } from "../../nn/transformer.js";
import type { CompleteTransformer, TransformerConfig } from "../config/fields.js";

/** The blocks of a tower. */
export function towerBlocks(
  own: CompleteTransformer<TransformerConfig>,
  rest: { readonly heads: number; readonly causal: boolean; readonly quickGelu: boolean } & Pick<
    TransformerOptions,
    "rematerialize"
  >,
): TransformerOptions {
  return {
    width: own.width,
    layers: own.layers,
    heads: rest.heads,
    hidden: Math.trunc(own.width * own.mlp_ratio),
    gelu: rest.quickGelu ? "quick" : own.act_kwargs.approximate === "tanh" ? "tanh" : "erf",
    epsilon: own.norm_kwargs.eps,
    causal: rest.causal,
    layerScale: own.ls_init_value,
    rematerialize: rest.rematerialize,
  };
}
