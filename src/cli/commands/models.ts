/** `clipwright models`: what can be trained, with sizes and costs. */

import { pretrainedModels } from "../../evaluate/pretrained/catalog.js";
import { summarize } from "../../models/presets/catalog.js";
import { presets } from "../../models/presets/presets.js";
import { amount, defaulted, flag, optional } from "../../settings/fields.js";
import { alignColumns } from "../columns.js";
import { defineCommand, type Terminal } from "../command.js";
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

Which to take: for a minute on a CPU, clipwright-pico-32; for a first try, or
some thousand pairs, clipwright-nano-32 or clipwright-tiny-64; with more pairs
and hours, clipwright-small-64; for a GPU and millions of pairs, ViT-S-32 and
up. Weights to start from: clipwright models --pretrained. What a time is best
spent on: clipwright plan.
`;

const PRETRAINED_HEAD = ["name", "M", "IN", "licence", "trained on"];

const PRETRAINED_NOTES = `
M: parameters of both towers in millions. IN: zero-shot top-1 on ImageNet in
per cent, as published (repositories and sources with --json). Each name goes
where a model does, e.g. clipwright train --pretrained NAME, clipwright embed
NAME: it is fetched once from the Hugging Face hub, checked by its hash, and
kept in the cache folder. Any other model of the hub: hf-hub:OWNER/NAME.
HF_ENDPOINT names a mirror, HF_TOKEN opens what is closed.
`;

/** The models that others trained, by name. */
function listPretrained(part: string, json: boolean, terminal: Terminal): number {
  const named = pretrainedModels.filter(({ name }) => name.toLowerCase().includes(part.toLowerCase()));
  if (json) {
    terminal.out(`${JSON.stringify(named, null, 2)}\n`);
    return 0;
  }
  const rows = named.map((m) => [m.name, m.parametersM.toFixed(1), m.imagenet.toFixed(1), m.license, m.data]);
  terminal.out(alignColumns([PRETRAINED_HEAD, ...rows]));
  terminal.out(PRETRAINED_NOTES);
  return named.length > 0 ? 0 : 1;
}

export const modelsCommand = defineCommand({
  name: "models",
  summary: "List the models with their size, cost and memory, and say which to take.",
  positionals: [{ name: "NAME", doc: "Only models whose name contains it.", required: false }],
  options: {
    Choice: {
      pretrained: defaulted(flag(), false, "List models that others trained, which are fetched by name."),
      match: optional(amount(), "Only models whose image tower costs so much, within a tenth: 50M, 1.3G."),
    },
    Output: { json: defaulted(flag(), false, "Print a JSON array.") },
  },
  examples: [
    ["clipwright models --match 200M", "One model of every family at 200 M multiply-adds an image."],
    ["clipwright models --json", "Every preset, for a script."],
    ["clipwright models --pretrained", "Weights to start from, or to use, with licence and score."],
  ],
  async run({ options, positionals, terminal }) {
    const [part = ""] = positionals;
    if (options.pretrained) return listPretrained(part, options.json, terminal);
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
