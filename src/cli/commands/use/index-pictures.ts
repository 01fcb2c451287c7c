/** `clipwright index`: pictures to an index that is searched. */

import { withClassNames } from "../../../data/class-names.js";
import { dataFields, datasetOptions, selectField } from "../../../data/fields.js";
import { openDataset } from "../../../data/index.js";
import { takeSelected } from "../../../data/selections/select.js";
import { processGroup } from "../../../engines/processes.js";
import { openEngine } from "../../../engines/registry.js";
import { loadModel } from "../../../evaluate/model/load-model.js";
import { type MadeIndex, makeIndex } from "../../../serve/index/make.js";
import { vectorTypes } from "../../../serve/search/vectors.js";
import { choice, defaulted, integer, optional, required, text } from "../../../settings/fields.js";
import { defineCommand } from "../../command.js";
import { ProgressLine } from "../../progress-line.js";
import { modelOptions } from "../../scoring.js";
import { withStandardInput } from "../../standard-input.js";

const { checkpoint, ema, engine, model, plugin, threads, tokenizer, workers } = modelOptions;

export const indexCommand = defineCommand({
  name: "index",
  summary: "Make an index of pictures, or bring one up to date, to search and to look at.",
  description:
    "PICTURES are in any form that training takes, with or without captions and labels: a folder, files, globs, a table, tars; - is a list of paths on standard input. Run it again when pictures are added or go: only those whose bytes are new are embedded. Killed and started again, it goes on. Several processes, started as for training, share the work on one file system (docs/using.md).",
  positionals: [
    { name: "PICTURES", doc: "Folder, files, globs, table or tars.", required: true, many: true },
  ],
  options: {
    Index: {
      with: required(text("MODEL"), "A run, a model's folder, or a name (clipwright models --pretrained)."),
      out: required(text("FOLDER"), "The index."),
      dtype: defaulted(
        choice(vectorTypes),
        "f16",
        "How a vector's numbers are stored, in 4, 2 or 1 bytes; what is lost is measured and told.",
      ),
      thumbnail: defaulted(integer(16, 1024), 192, "Longer side of the small pictures, in pixels."),
      approximate: defaulted(
        choice(["auto", "always", "never"]),
        "auto",
        "Make a graph for approximate search (package usearch); auto: above a million pictures.",
      ),
      name: optional(text("NAME"), "Name of the set on pages; the source's otherwise."),
      select: selectField("Index only what this selection keeps."),
    },
    Data: dataFields,
    Model: { engine, plugin, threads, workers, model, tokenizer, checkpoint, ema },
  },
  brief: ["with", "out", "name", "classnames", "dtype", "thumbnail", "engine"],
  examples: [
    ["clipwright index photos/ --with runs/flickr --out index/", "Then: clipwright search index/ WORDS"],
    ["clipwright index - --with runs/flickr --out index/", "Of the paths on standard input, one a line."],
  ],
  async run({ options, positionals, terminal }) {
    const { with: path, out, dtype, thumbnail, approximate, ...rest } = options;
    using progress = new ProgressLine(terminal);
    const { say, show } = progress;
    using input = await withStandardInput(positionals);
    const all = await openDataset(input.sources, {
      ...datasetOptions(rest),
      ...(rest.name !== undefined && { name: rest.name }),
      captionsOptional: true,
      onProgress: say,
    });
    const dataset = withClassNames(
      await takeSelected(all, rest.select, { onProgress: say }),
      rest.classnames,
    );
    await using opened = await openEngine(rest.engine, { ...rest, onChoice: say });
    using loaded = await loadModel(opened, { path, ...rest, say, progress: show });
    const processes = processGroup();
    const made = await makeIndex(loaded, dataset, {
      out,
      modelPath: path,
      type: dtype,
      thumbnailSide: thumbnail,
      approximate,
      processes,
      onProgress: show,
      onNote: say,
    });
    progress.clear();
    terminal.out(told(out, made));
    return 0;
  },
});

const percent = (share: number): string =>
  `${(100 * share).toFixed(share < 0.9995 && share > 0.99 ? 2 : 1)} %`;

function told(out: string, { info, embedded, changed }: MadeIndex): string {
  const number = (n: number): string => n.toLocaleString("en-US");
  if (info === undefined)
    return `${number(embedded)} pictures embedded; process 0 puts the index together.\n`;
  const { rows, vectors, data, graph } = info;
  const { recall, type } = vectors;
  const lines = [
    `${out}: ${number(rows)} pictures, ${changed ? `${number(embedded)} embedded now` : "nothing new"}`,
    ...(data.skipped === 0 ? [] : [`${number(data.skipped)} could not be read, and are left out`]),
    ...(type === "f32"
      ? []
      : [
          `Vectors in ${type}: of the ten nearest by f32 they find ${percent(recall.value)} (${recall.queries} pictures among ${number(recall.among)})`,
        ]),
    ...(graph === undefined
      ? []
      : [
          `Approximate search finds ${percent(graph.recall.value)} of the ten nearest (${graph.recall.queries} pictures)`,
        ]),
  ];
  return `${lines.join("\n")}\nSearch it: clipwright search ${out} WORDS\n`;
}
