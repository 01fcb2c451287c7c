/** `clipwright strategies`: how can be trained, and what each way costs. */

import { makeClip } from "../../models/clip.js";
import { readModel } from "../../models/presets/read-model.js";
import { defaulted, flag, integer, kebab, list, optional, real, text } from "../../settings/fields.js";
import { relativeCost, sampleMacs } from "../../train/strategies/cost.js";
import { kindOf, makeStrategy, strategyNames } from "../../train/strategies/index.js";
import { alignColumns } from "../columns.js";
import { defineCommand } from "../command.js";
import { wrap } from "../help.js";

/** Where what is said of a strategy begins. */
const INDENT = 10;

export const strategiesCommand = defineCommand({
  name: "strategies",
  summary: "List the training strategies, and what each costs a model, counted from its graph.",
  positionals: [],
  options: {
    Cost: {
      model: defaulted(
        list(text("NAME|FILE"), { separator: "," }),
        ["ViT-B-32"],
        "Presets or model files to count, joined with commas.",
      ),
      context: optional(integer(2), "Tokens a text; the model's otherwise.", {
        aliases: ["force-context-length"],
      }),
      maskRatio: defaulted(
        list(real({ above: 0, below: 1 }), { separator: "," }),
        [0.5, 0.75],
        "Of flip, shares of the image left out, joined with commas.",
      ),
    },
    Output: { json: defaulted(flag(), false, "Print the costs as a JSON array.") },
  },
  examples: [
    ["clipwright strategies --model ViT-B-16,ViT-B-32 --context 16", "What half an image costs two models."],
  ],
  async run({ options, terminal }) {
    const rows = options.model.flatMap((model) => costsOf(model, options));
    if (options.json) {
      terminal.out(`${JSON.stringify(rows, null, 2)}\n`);
      return 0;
    }
    for (const name of strategyNames) {
      const { description, source, options: settings } = kindOf(name);
      const flags = settings.map((key) => `--${kebab(key)}`).join(" ");
      const [first = "", ...rest] = [description, `${source}${flags && `; ${flags}`}`].flatMap((text) =>
        wrap(text, terminal.columns - INDENT),
      );
      terminal.out(`${name.padEnd(INDENT)}${first}\n`);
      for (const line of rest) terminal.out(`${" ".repeat(INDENT)}${line}\n`);
    }
    const table = rows.map((row) => [
      row.model,
      row.strategy,
      row.seen,
      row.gmacs.toFixed(2),
      `${row.forward.toFixed(2)} ×`,
      `${row.training.toFixed(2)} ×`,
    ]);
    terminal.out("\n");
    terminal.out(
      alignColumns([["model", "strategy", "sees", "GMAC a pair", "forward", "with backward"], ...table]),
    );
    terminal.out(
      "\nMultiply-adds of a pair's forward pass, both towers; beside clip's, and with the\nbackward pass.\n",
    );
    return 0;
  },
});

interface Row {
  readonly model: string;
  readonly strategy: string;
  readonly seen: string;
  readonly gmacs: number;
  readonly forward: number;
  readonly training: number;
}

function costsOf(
  model: string,
  options: { readonly context: number | undefined; readonly maskRatio: readonly number[] },
): Row[] {
  const clip = makeClip(readModel(model).config);
  const T = options.context ?? clip.config.text_cfg.context_length;
  const row = (strategy: ReturnType<typeof makeStrategy>): Row => ({
    model,
    strategy: strategy.name,
    seen: strategy.seen ?? (strategy.views === 0 ? "the image" : `the image and ${strategy.views} views`),
    gmacs: sampleMacs(clip, strategy, T) / 1e9,
    forward: relativeCost(clip, strategy, T),
    training: relativeCost(clip, strategy, T, { backward: true }),
  });
  return [
    row(makeStrategy("clip", clip)),
    row(makeStrategy("slip", clip)),
    ...options.maskRatio.map((maskRatio) => row(makeStrategy("flip", clip, { maskRatio }))),
  ];
}
