/** `clipwright inspect SOURCE`: what the data are, before any of it is trained on. */

import { defaulted, flag, integer, optional, text } from "../train/fields.js";
import { type Command, defineCommand } from "./command.js";

/** What the command needs of `src/data`. */
export interface Inspector {
  /**
   * Reads the sources and says what they are.
   * @param samples to show.
   */
  inspect(
    sources: readonly string[],
    options: {
      readonly imageKey?: string | undefined;
      readonly textKey?: string | undefined;
      readonly samples: number;
      readonly limit?: number | undefined;
    },
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
      const { json, ...rest } = options;
      const sources = positionals.flatMap((source) => source.split("::"));
      const found = await (await load()).inspect(sources, rest);
      terminal.out(json ? `${JSON.stringify(found.json, null, 2)}\n` : found.text);
      return found.usable > 0 ? 0 : 1;
    },
  });
