/** Settings that say how data are read; the same for training, inspecting and evaluating. */

import { z } from "zod";
import { choice, flag, type Kind, list, optional, text, type Values } from "../settings/fields.js";
import { findPolicy } from "./pixels/augment/policies.js";

/** Where the parts of a sample are. Everything is found by itself unless it is said here. */
export const dataFields = {
  dataFormat: optional(
    choice(["folder", "csv", "tsv", "jsonl", "parquet", "webdataset"]),
    "What the source is, when it could be several things.",
    { aliases: ["dataset-type"] },
  ),
  csvImgKey: optional(text("COLUMN"), "Table column with the image's path or bytes."),
  csvCaptionKey: optional(
    list(text("COLUMN"), { separator: ";" }),
    "Table column with captions, or several joined with ;.",
  ),
  csvSeparator: optional(text("CHAR"), "Between the fields of a CSV."),
  imageKey: optional(text("ENDINGS"), "Endings of images in tars and folders, joined with ;."),
  captionKey: optional(text("ENDINGS"), "Endings of caption files in tars and folders, joined with ;.", {
    aliases: ["text-key"],
  }),
  jsonCaptionKey: optional(text("FIELD"), "Field of .json files with the caption.", {
    aliases: ["json-text-key"],
  }),
  labelKey: optional(text("COLUMN"), "Table column or JSON field with the class."),
  classnames: optional(
    text("FILE"),
    "Names of the labels: one a line from label 0 on, or JSON from label to name.",
  ),
  imageRoot: optional(text("FOLDER"), "Where the paths in a table start from."),
  encoding: optional(text("NAME"), "Of captions that are not UTF-8, e.g. latin1 or shift_jis."),
  strict: optional(flag(), "Refuse data that are damaged or unreadable in part."),
} as const;

/** A selection of the data that a command or a recipe reads. */
export const selectField = (doc: string) => optional(text("FILE"), `${doc} See docs/curation.md.`);

type DataValues = Values<typeof dataFields>;
type Given<T> = { readonly [K in keyof T]?: Exclude<T[K], undefined> };

/** The options of `openDataset` that were said. */
export function datasetOptions({
  dataFormat,
  ...rest
}: DataValues): Given<Omit<DataValues, "dataFormat"> & { readonly format: DataValues["dataFormat"] }> {
  const keys = Object.keys(dataFields).filter((key) => key !== "dataFormat");
  const record = rest as Record<string, unknown>;
  const given = keys.filter((key) => record[key] !== undefined).map((key) => [key, record[key]]);
  return { ...(dataFormat === undefined ? {} : { format: dataFormat }), ...Object.fromEntries(given) };
}

/** The name of an augmentation policy, perhaps with parameters: `randaugment:2,9`. */
export const policyName = (): Kind<string> => ({
  ...text("NAME[:N,M]"),
  schema: z.string().superRefine((name, context) => {
    try {
      findPolicy(name);
    } catch (error) {
      context.addIssue({ code: "custom", message: (error as Error).message.replace(/^augment: /, "") });
    }
  }),
  rule: "must be the name of a policy",
});
