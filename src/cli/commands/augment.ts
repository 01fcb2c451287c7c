/** `clipwright augment SOURCE --policy NAME`: a picture of what a policy makes of the user's own images. */

import { UsageError } from "../../core/errors.js";
import { writeFileAtomic } from "../../core/files.js";
import { dataFields, datasetOptions, policyName } from "../../data/fields.js";
import { findPolicy, openDataset, policyList } from "../../data/index.js";
import { operationSheet, policySheet, sheetImages } from "../../data/pixels/show/sheet.js";
import { defaulted, flag, integer, optional, text } from "../../settings/fields.js";
import { defineCommand } from "../command.js";
import { ProgressLine } from "../progress-line.js";

const DRAWN_IMAGES = 4;
const COLUMNS = 6;

export const augmentCommand = defineCommand({
  name: "augment",
  summary: "Draw a sheet of what an augmentation policy makes of your images.",
  description: `Policies: ${policyList.map(({ name }) => name).join(", ")}. docs/augmentation.md says what each of them does.`,
  positionals: [
    {
      name: "SOURCE",
      doc: "Folder, pictures, CSV, TSV, JSONL, Parquet, or tars (brace globs, ::, http).",
      required: true,
      many: true,
    },
  ],
  options: {
    Sheet: {
      policy: defaulted(policyName(), "randaugment", "The policy, with parameters after a colon.", {
        aliases: ["augment"],
      }),
      operations: defaulted(flag(), false, "Show each operation of the policy by itself, at its magnitude."),
      count: optional(integer(1, 64), "Images, spread over the source; 4, or 1 with --operations."),
      views: defaulted(integer(1, 32), 5, "Views of each: what the first epochs of a training would see."),
      size: defaulted(integer(16, 1024), 224, "Side of the model's input in pixels."),
      seed: defaulted(integer(0), 0, "That of the training."),
      out: defaulted(text("FILE.png"), "augment.png", "Where the sheet is written."),
    },
    Data: dataFields,
  },
  examples: [
    [
      "clipwright augment photos/ --policy randaugment:2,9",
      "Five views each of four images, into augment.png.",
    ],
    ["clipwright augment photos/ --policy simclr --operations --out ops.png", "Its operations one by one."],
  ],
  async run({ options, positionals, terminal }) {
    const { policy: name, operations, count, views, size, seed, out, ...reading } = options;
    if (!/\.png$/i.test(out)) {
      throw new UsageError(`--out: the sheet is a PNG; got out=${out}. Give it a name that ends in .png.`);
    }
    const policy = findPolicy(name);
    if (operations && policy.steps.length === 0) {
      throw new UsageError(
        `--operations: ${policy.name} only crops and mirrors; it has no operations to show. Leave --operations out.`,
      );
    }
    using progress = new ProgressLine(terminal);
    const dataset = await openDataset(positionals, {
      ...datasetOptions(reading),
      captionsOptional: true,
      onProgress: progress.say,
    });
    if (dataset.length === 0)
      throw new UsageError(`augment: "${dataset.name}" has no images. Look at it with clipwright inspect.`);
    const images = await sheetImages(dataset, count ?? (operations ? 1 : DRAWN_IMAGES));
    const sheet = operations
      ? await operationSheet(images, policy, { size, columns: COLUMNS })
      : await policySheet(images, policy, { size, draws: views, seed });
    writeFileAtomic(out, sheet);
    terminal.out(`${out}\n`);
    return undefined;
  },
});
