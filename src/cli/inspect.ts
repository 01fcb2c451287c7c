/** `clipwright inspect SOURCE`: what the data are, before any of it is trained on. */

import { dataFields, datasetOptions } from "../train/data-fields.js";
import { defaulted, flag, integer, optional } from "../train/fields.js";
import { type Command, defineCommand } from "./command.js";

/** What the command needs of `src/data`. */
export interface Inspector {
  /** Reads the sources and says what they are. */
  inspect(
    sources: readonly string[],
    reading: ReturnType<typeof datasetOptions>,
    options: { readonly minSize: number; readonly workers?: number },
  ): Promise<Inspection>;
}

export interface Inspection {
  /** For `--json`. */
  readonly json: unknown;
  /** For people. */
  readonly text: string;
  /** Samples that training would use; none is a failure. */
  readonly usable: number;
}

export const inspectCommand = (load: () => Promise<Inspector>): Command =>
  defineCommand({
    name: "inspect",
    summary: "Say what a data source is, show samples, count what would be dropped.",
    positionals: [
      {
        name: "SOURCE",
        doc: "Folder, CSV, TSV, JSONL, Parquet, or tars (brace globs, ::, http).",
        required: true,
        many: true,
      },
    ],
    options: {
      Data: dataFields,
      Output: {
        minSize: defaulted(integer(0), 16, "Images with a shorter side, in pixels, count as too small."),
        workers: optional(integer(1, 256), "Threads that decode images; chosen by cores otherwise."),
        json: defaulted(flag(), false, "Print the findings as JSON."),
      },
    },
    examples: [
      ["clipwright inspect photos/", "A folder of images with .txt files."],
      ["clipwright inspect 'shards/{00000..00009}.tar' --json", "WebDataset tars, for a script."],
    ],
    async run({ options, positionals, terminal }) {
      const { json, minSize, workers, ...reading } = options;
      const sources = positionals.flatMap((source) => source.split("::"));
      const inspector = await load();
      const found = await inspector.inspect(sources, datasetOptions(reading), {
        minSize,
        ...(workers === undefined ? {} : { workers }),
      });
      terminal.out(json ? `${JSON.stringify(found.json, null, 2)}\n` : found.text);
      return found.usable > 0 ? 0 : 1;
    },
  });
