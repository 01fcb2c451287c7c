/** `clipwright export`: a model as other libraries read it. */

import { exportFormNames, exportForms, exportModel } from "../../export/export.js";
import { choice, defaulted, optional, text } from "../../settings/fields.js";
import { defineCommand } from "../command.js";
import { ProgressLine } from "../progress-line.js";
import { modelOptions } from "../scoring.js";

const { model, tokenizer, checkpoint, ema } = modelOptions;

export const exportCommand = defineCommand({
  name: "export",
  summary: "Write a model as open_clip or transformers read it, with its tokenizer and a model card.",
  description: `MODEL is a run, or another model as clipwright embed takes it. ${exportFormNames.map((name) => `${name}: ${exportForms[name].about}.`).join(" ")} What a form cannot say is refused with the reason.`,
  positionals: [
    { name: "MODEL", doc: "Run, checkpoint, model folder, name, or file of weights.", required: true },
  ],
  options: {
    Export: {
      to: defaulted(choice(exportFormNames), "open_clip", "The form."),
      out: optional(text("DIR"), "The folder to make; MODEL-FORM beside the model's folder otherwise."),
      name: optional(text("OWNER/NAME"), "Name for the card, and on the hub; the folder's otherwise."),
      license: optional(text("ID"), "Licence for the card, as the hub names it: mit, apache-2.0, …"),
    },
    Model: { model, tokenizer, checkpoint, ema },
  },
  examples: [
    [
      "clipwright export runs/flickr --to open_clip --out flickr-clip",
      'For open_clip: "local-dir:flickr-clip".',
    ],
    ["clipwright export runs/flickr --to hf --out flickr-hf --license mit", "For CLIPModel.from_pretrained."],
  ],
  async run({ options, positionals, terminal }) {
    const [path] = positionals as [string];
    using progress = new ProgressLine(terminal);
    const { to, name, license, ...source } = options;
    const out =
      options.out ??
      `${path
        .replace(/[/\\]+$/, "")
        .replace(/^hf-hub:/, "")
        .replace(/\W+$/, "")}-${to}`;
    const files = await exportModel(
      { path, ...source, say: progress.say, progress: progress.show },
      { to, out, name, license },
    );
    progress.clear();
    terminal.out(`${out}\n${files.map((file) => `  ${file}\n`).join("")}`);
    return 0;
  },
});
