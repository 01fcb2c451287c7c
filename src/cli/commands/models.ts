/** `clipwright models`: what can be trained, with sizes and costs. */

import { summarize } from "../../models/catalog.js";
import { presets } from "../../models/presets.js";
import { defaulted, flag } from "../../train/fields.js";
import { alignColumns } from "../columns.js";
import { defineCommand } from "../command.js";

export const modelsCommand = defineCommand({
  name: "models",
  summary: "List the models by name, with parameters, multiply-adds and memory.",
  positionals: [{ name: "NAME", doc: "Only models whose name contains it.", required: false }],
  options: { Output: { json: defaulted(flag(), false, "Print a JSON array.") } },
  examples: [["clipwright models --json", "Every preset, for a script."]],
  async run({ options, positionals, terminal }) {
    const [part = ""] = positionals;
    const rows = presets.filter((p) => p.name.toLowerCase().includes(part.toLowerCase())).map(summarize);
    if (options.json) {
      terminal.out(`${JSON.stringify(rows, null, 2)}\n`);
      return 0;
    }
    const millions = (n: number) => (n / 1e6).toFixed(n < 1e7 ? 2 : 1);
    const table = rows.map((m) => [
      m.name,
      millions(m.imageParams),
      millions(m.textParams),
      millions(m.totalParams),
      m.imageGmacs.toFixed(2),
      m.textGmacs.toFixed(2),
      `${m.imageSize}`,
      `${m.contextLength}`,
      (m.trainStateBytes / 2 ** 30).toFixed(2),
      (m.activationBytesPerPair / 2 ** 20).toFixed(1),
    ]);
    const head = [
      "name",
      "image M",
      "text M",
      "total M",
      "image GMAC",
      "text GMAC",
      "pixels",
      "tokens",
      "state GiB",
      "MiB a pair",
    ];
    terminal.out(alignColumns([head, ...table]));
    terminal.out(
      "\nParameters in millions. Multiply-adds of one forward pass. State: weights, gradients and AdamW's moments;\na train step adds about the last column for every pair of the batch.\n",
    );
    return rows.length > 0 ? 0 : 1;
  },
});
