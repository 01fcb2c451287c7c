/** `clipwright inspect SOURCE`: what the data are, before any of it is trained on. */

import { formatInspection, inspectDataset, openDataset, subset } from "../../data/index.js";
import { defaulted, flag, integer, optional, text } from "../../train/fields.js";
import { defineCommand } from "../command.js";

export const inspectCommand = defineCommand({
  name: "inspect",
  summary: "Say what a data source is, show samples, and count what would be dropped and why.",
  positionals: [
    {
      name: "SOURCE",
      doc: "Folder, CSV, TSV, JSONL, Parquet, or tars (brace globs, ::, http).",
      required: true,
      many: true,
    },
  ],
  options: {
    Data: {
      imageKey: optional(text("COLUMN"), "Column or tar member with the image or its path.", {
        aliases: ["csv-img-key"],
      }),
      textKey: optional(text("COLUMN"), "Column or tar member with the caption.", {
        aliases: ["csv-caption-key", "caption-key"],
      }),
      limit: optional(integer(1), "Samples to look at; all otherwise."),
    },
    Output: {
      samples: defaulted(integer(0, 100), 5, "Samples to show."),
      json: defaulted(flag(), false, "Print the findings as JSON."),
    },
  },
  examples: [
    ["clipwright inspect photos/", "A folder of images with .txt files."],
    ["clipwright inspect 'shards/{00000..00009}.tar' --json", "WebDataset tars, for a script."],
  ],
  async run({ options, positionals, terminal }) {
    const { imageKey, textKey, limit, samples, json } = options;
    const all = await openDataset(positionals, {
      onProgress: (line) => terminal.err(`${line}\n`),
      ...(imageKey === undefined ? {} : { imageKey, csvImgKey: imageKey }),
      ...(textKey === undefined ? {} : { captionKey: textKey, csvCaptionKey: textKey }),
    });
    const dataset =
      limit === undefined || limit >= all.length
        ? all
        : subset(
            all,
            Array.from({ length: limit }, (_, i) => i),
          );
    const report = await inspectDataset(dataset, {});
    terminal.out(json ? `${JSON.stringify(report, null, 2)}\n` : formatInspection(report));
    return report.usable > 0 ? 0 : 1;
  },
});
