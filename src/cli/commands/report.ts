/** `clipwright report RUN`: one page that shows a run, a study, or several studies. */

import { existsSync } from "node:fs";
import { join } from "node:path";
import { UsageError } from "../../core/errors.js";
import { readJsonObject, writeFileAtomic } from "../../core/files.js";
import { dataFields, datasetOptions } from "../../data/fields.js";
import { openDataset } from "../../data/index.js";
import { openEngine } from "../../engines/registry.js";
import { loadModel } from "../../evaluate/model/load-model.js";
import { makeRunPage } from "../../report/run/make.js";
import type { RunReport } from "../../report/run/run.js";
import { defaulted, integer, list, optional, text } from "../../settings/fields.js";
import { studiesIn } from "../../study/answer/findings.js";
import { heldOutSets, recipeOf, type ScoredSet, seenIn } from "../../train/run/data.js";
import { defineCommand } from "../command.js";
import { commandLine } from "../command-line.js";
import { ProgressLine } from "../progress-line.js";
import { featureOptions, modelOptions, openFeatures } from "../scoring.js";

export const reportCommand = defineCommand({
  name: "report",
  summary:
    "Write a page about a run: curves, scores, pictures with their guessed names or captions, text queries; or about a study, or all studies of a folder.",
  description:
    "Without --data the page shows pictures that the run held out, if it held out any. Pictures with labels are named, pictures with captions find theirs, and queries need neither. Of a study's folder (studies/NAME) the page shows what its runs say, of a folder of studies (studies) what they say together: see docs/studies.md.",
  positionals: [
    { name: "RUN", doc: "A run's folder, a study's, or one that holds studies'.", required: true },
  ],
  options: {
    Pictures: {
      data: optional(
        list(text("SOURCE"), { separator: "::" }),
        "Pictures to show, with labels or captions; what the run held out otherwise.",
      ),
      templates: optional(text("NAME|FILE"), "Prompt templates, one a line, or a set's name."),
      queries: optional(list(text("TEXT"), { separator: ";" }), "Texts to find pictures for, joined with ;."),
      pictures: defaulted(integer(1, 400), 48, "Pictures in a grid."),
      name: optional(text("NAME"), "Name of the data on the page."),
      ...dataFields,
    },
    Model: { ...modelOptions, ...featureOptions },
    Output: {
      about: optional(text("FILE"), "JSON with title, summary, notes, licences to put on the page."),
      output: optional(text("FILE"), "The page; RUN/report.html otherwise, index.html of studies."),
    },
  },
  brief: ["data", "classnames", "templates", "queries", "pictures", "name", "about", "output"],
  examples: [
    ["clipwright report runs/flickr", "Writes runs/flickr/report.html, with what the run held out."],
    [
      "clipwright report runs/flickr --data photos/ --queries 'a dog;two people'",
      "Photos with captions or a folder per class.",
    ],
    ["clipwright report studies/encoders", "Writes studies/encoders/index.html."],
    ["clipwright report studies", "Writes studies/index.html: what to take for how much, by all of them."],
  ],
  async run({ options, given, positionals, terminal }) {
    const [run] = positionals as [string];
    const isStudy = existsSync(join(run, "findings.json"));
    if (isStudy || studiesIn(run).length > 0) {
      const more = Object.keys(given).find((key) => key !== "output");
      if (more !== undefined)
        throw new UsageError(
          `report: ${more} is for pages of runs; got ${isStudy ? "a study" : "studies"}, ${run}. Leave it out.`,
          { key: more },
        );
      const write = isStudy
        ? (await import("../../report/study/page.js")).writeStudyPage
        : (await import("../../report/studies/page.js")).writeStudiesPage;
      terminal.out(`${write(run, options.output)}\n`);
      return 0;
    }
    using progress = new ProgressLine(terminal);
    const about =
      options.about === undefined ? undefined : (readJsonObject(options.about) as Partial<RunReport>);
    const { queries, pictures } = options;
    const base = { run, about, queries, pictures, command: commandLine("report", [run], given) };
    const file = options.output ?? join(run, "report.html");
    if (options.data === undefined && !holdsOut(run)) {
      if (queries !== undefined)
        throw new UsageError("report: queries look among pictures; got no --data. Add some.", {
          key: "data",
        });
      writeFileAtomic(file, await makeRunPage(base));
    } else {
      await using engine = await openEngine(options.engine, {
        ...options,
        onChoice: (line) => terminal.err(`${line}\n`),
      });
      const loaded = await loadModel(engine, {
        path: run,
        ...options,
        say: progress.say,
        progress: progress.show,
      });
      using _ = loaded.encoder;
      const { classnames, templates } = options;
      const words = { ...(classnames && { classnames }), ...(templates && { templates }) };
      const sets = await setsOf(run, options, progress.say);
      using features = openFeatures(loaded, options, progress);
      const shown = sets.map((set) => ({ ...set, ...words }));
      writeFileAtomic(file, await makeRunPage({ ...base, sets: shown, features, step: loaded.step }));
    }
    progress.clear();
    terminal.out(`${file}\n`);
    return 0;
  },
});

function holdsOut(run: string): boolean {
  const { valSplit, valData, zeroshotData } = recipeOf(run);
  return valSplit > 0 || valData !== undefined || zeroshotData !== undefined;
}

async function setsOf(
  run: string,
  options: { readonly data?: readonly string[] | undefined; readonly name?: string | undefined } & Parameters<
    typeof datasetOptions
  >[0],
  say: (line: string) => void,
): Promise<ScoredSet[]> {
  if (options.data === undefined) return heldOutSets(run, say);
  const name = options.name === undefined ? {} : { name: options.name };
  const dataset = await openDataset(options.data, { ...datasetOptions(options), ...name, onProgress: say });
  return [{ dataset, seen: await seenIn(run, dataset, say) }];
}
