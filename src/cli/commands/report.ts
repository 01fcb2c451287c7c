/** `clipwright report RUN`: one page that shows a run. */

import { join } from "node:path";
import { readJsonObject, writeFileAtomic } from "../../core/files.js";
import { openDataset } from "../../data/index.js";
import { openEngine } from "../../engines/registry.js";
import { loadModel } from "../../evaluate/model/load-model.js";
import { makeRunPage } from "../../report/make.js";
import type { RunReport } from "../../report/run.js";
import { defaulted, integer, list, optional, text } from "../../settings/fields.js";
import { defineCommand, notesOn } from "../command.js";
import { modelOptions } from "./evaluate.js";

export const reportCommand = defineCommand({
  name: "report",
  summary: "Write a page about a run: curves, scores, pictures with their guessed names, text queries.",
  positionals: [{ name: "RUN", doc: "A run's folder.", required: true }],
  options: {
    Pictures: {
      data: optional(
        list(text("SOURCE"), { separator: "::" }),
        "Labelled pictures to name; without them the page has curves and scores only.",
      ),
      classnames: optional(text("FILE"), "Class names, one a line, or JSON from label to name."),
      templates: optional(text("NAME|FILE"), "Prompt templates, one a line, or a set's name."),
      queries: optional(list(text("TEXT"), { separator: ";" }), "Texts to find pictures for, joined with ;."),
      pictures: defaulted(integer(1, 400), 48, "Pictures in the grid."),
      name: optional(text("NAME"), "Name of the data on the page."),
    },
    Model: modelOptions,
    Output: {
      about: optional(text("FILE"), "JSON with title, summary, notes, licences to put on the page."),
      output: optional(text("FILE"), "The page; RUN/report.html otherwise."),
    },
  },
  examples: [
    [
      "clipwright report runs/flickr --data photos/ --queries 'a dog;two people'",
      "Writes runs/flickr/report.html.",
    ],
  ],
  async run({ options, positionals, terminal }) {
    const [run] = positionals as [string];
    const about =
      options.about === undefined ? undefined : (readJsonObject(options.about) as Partial<RunReport>);
    const base = { run, about, ...pick(options) };
    const file = options.output ?? join(run, "report.html");
    if (options.data === undefined) writeFileAtomic(file, await makeRunPage(base));
    else {
      await using engine = await openEngine(options.engine, options);
      const loaded = await loadModel(engine, { path: run, ...options, say: notesOn(terminal) });
      using encoder = loaded.encoder;
      const data = await openDataset(options.data, options.name === undefined ? {} : { name: options.name });
      writeFileAtomic(file, await makeRunPage({ ...base, data, encoder }));
    }
    terminal.out(`${file}\n`);
    return 0;
  },
});

const pick = (o: {
  classnames?: string | undefined;
  templates?: string | undefined;
  queries?: readonly string[] | undefined;
  pictures: number;
}) => ({
  classnames: o.classnames,
  templates: o.templates,
  queries: o.queries,
  pictures: o.pictures,
});
