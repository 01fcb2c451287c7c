/** `clipwright models`: what can be trained, with sizes and costs. */

import { summarize } from "../../models/presets/catalog.js";
import { presets } from "../../models/presets/presets.js";
import { amount, defaulted, flag, optional } from "../../settings/fields.js";
import { alignColumns } from "../columns.js";
import { defineCommand } from "../command.js";
import { ProgressLine } from "../progress-line.js";

/** Models this far from the wanted cost still match. */
const TOLERANCE = 0.1;
const isNear = (macs: number, wanted: number): boolean => Math.abs(macs - wanted) <= TOLERANCE * wanted;

const HEAD = [
  ["", "image", "text", "image", "text", "", "", "state", "pair"],
  ["name", "M", "M", "GMAC", "GMAC", "px", "tok", "GiB", "MiB"],
];

const NOTES = `
M: parameters in millions. GMAC: multiply-adds of one forward pass, in 10⁹.
px, tok: side of the image, tokens of a text. State: weights, gradients and
AdamW's moments; a train step adds about the last column for every pair of the
batch.

Which to take: for a first try, or some thousand pairs on a CPU,
clipwright-nano-32 or clipwright-tiny-64; with more pairs and hours,
clipwright-small-64; for a GPU and millions of pairs, ViT-S-32 and up. To go on
from open_clip's weights, the preset of their name.
`;

export const modelsCommand = defineCommand({
  name: "models",
  summary: "List the models with their size, cost and memory, and say which to take.",
  positionals: [{ name: "NAME", doc: "Only models whose name contains it.", required: false }],
  options: {
    Choice: {
      match: optional(amount(), "Only models whose image tower costs so much, within a tenth: 50M, 1.3G."),
    },
    Output: { json: defaulted(flag(), false, "Print a JSON array.") },
  },
  examples: [
    ["clipwright models --match 200M", "One model of every family at 200 M multiply-adds an image."],
    ["clipwright models --json", "Every preset, for a script."],
  ],
  async run({ options, positionals, terminal }) {
    const [part = ""] = positionals;
    using progress = new ProgressLine(terminal);
    const named = presets.filter((p) => p.name.toLowerCase().includes(part.toLowerCase()));
    const rows = named
      .map((preset, i) => {
        progress.show({ what: "Counting", done: i, total: named.length });
        return summarize(preset);
      })
      .filter(({ imageGmacs }) => options.match === undefined || isNear(imageGmacs * 1e9, options.match));
    progress.clear();
    if (options.match !== undefined) rows.sort((a, b) => a.imageGmacs - b.imageGmacs);
    if (options.json) {
      terminal.out(`${JSON.stringify(rows, null, 2)}\n`);
      return 0;
    }
    const millions = (n: number) => (n / 1e6).toFixed(n < 1e7 ? 2 : 1);
    const gmacs = (n: number) => n.toFixed(n < 1 ? 3 : 2);
    const table = rows.map((m) => [
      m.name,
      millions(m.imageParams),
      millions(m.textParams),
      gmacs(m.imageGmacs),
      gmacs(m.textGmacs),
      `${m.imageSize}`,
      `${m.contextLength}`,
      (m.trainStateBytes / 2 ** 30).toFixed(2),
      (m.activationBytesPerPair / 2 ** 20).toFixed(0),
    ]);
    terminal.out(alignColumns([...HEAD, ...table]));
    terminal.out(NOTES);
    return rows.length > 0 ? 0 : 1;
  },
});
