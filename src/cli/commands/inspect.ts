/** `clipwright inspect SOURCE`: what the data are, before any of it is trained on. */

import { dataFields, datasetOptions, selectField } from "../../data/fields.js";
import { formatInspection, inspectDataset, openDataset, SMALLEST_SIDE } from "../../data/index.js";
import { takeSelected } from "../../data/selections/select.js";
import { defaulted, flag, integer, optional } from "../../settings/fields.js";
import { defineCommand } from "../command.js";
import { ProgressLine } from "../progress-line.js";

export const inspectCommand = defineCommand({
  name: "inspect",
  summary: "Say what a data source is, show samples, and count what would be dropped and why.",
  positionals: [
    {
      name: "SOURCE",
      doc: "Folder, pictures, CSV, TSV, JSONL, Parquet, or tars (brace globs, ::, http).",
      required: true,
      many: true,
    },
  ],
  options: {
    Data: { ...dataFields, select: selectField("Look only at what this selection keeps.") },
    Output: {
      minSize: defaulted(
        integer(0),
        SMALLEST_SIDE,
        "Images with a shorter side, in pixels, count as too small.",
      ),
      workers: optional(integer(1, 256), "Threads that decode images; chosen by cores otherwise."),
      json: defaulted(flag(), false, "Print the findings as JSON."),
    },
  },
  examples: [
    ["clipwright inspect photos/", "A folder of images with .txt files."],
    ["clipwright inspect *.jpg", "Pictures without captions, one by one."],
    ["clipwright inspect 'shards/{00000..00009}.tar' --json", "WebDataset tars, for a script."],
  ],
  async run({ options, positionals, terminal }) {
    const { json, minSize, workers, select, ...reading } = options;
    using progress = new ProgressLine(terminal);
    const onProgress = progress.say;
    const whole = await openDataset(positionals, {
      ...datasetOptions(reading),
      captionsOptional: true,
      onProgress,
    });
    const dataset = await takeSelected(whole, select, { onProgress });
    const report = await inspectDataset(dataset, {
      minSize,
      ...(workers === undefined ? {} : { workers }),
      onProgress: (done, total) => progress.show({ what: "Looking at images", done, total }),
    });
    progress.clear();
    terminal.out(json ? `${JSON.stringify(report, null, 2)}\n` : formatInspection(report));
    return report.usable > 0 ? 0 : 1;
  },
});
