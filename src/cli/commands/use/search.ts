/** `clipwright search`: the pictures of an index that are most like some words, or a picture. */

import { statSync } from "node:fs";
import { oneLine } from "../../../core/errors.js";
import { isPicture } from "../../../data/sources/pictures.js";
import { openEngine } from "../../../engines/registry.js";
import { loadModel } from "../../../evaluate/model/load-model.js";
import { chosenModelOf } from "../../../serve/index/model.js";
import { PictureIndex } from "../../../serve/index/open.js";
import { searchIndex } from "../../../serve/index/search.js";
import { defaulted, flag, integer, optional, text } from "../../../settings/fields.js";
import { defineCommand } from "../../command.js";
import { ProgressLine } from "../../progress-line.js";
import { modelOptions } from "../../scoring.js";
import { withStandardInput } from "../../standard-input.js";

export const searchCommand = defineCommand({
  name: "search",
  summary: "Find the pictures of an index by words, or by a picture that they are like.",
  description:
    "QUERY is words, or the path of a picture; - is a picture on standard input. Scores are cosines. Every picture is compared, but of an index with a graph (above a million pictures), whose recall index.json tells; --exact compares there, too.",
  positionals: [
    { name: "INDEX", doc: "A folder that clipwright index has made.", required: true },
    { name: "QUERY", doc: "Words, or a picture's path.", required: true, many: true },
  ],
  options: {
    Search: {
      k: defaulted(integer(1, 10_000), 20, "Pictures to find; also -k N."),
      exact: defaulted(flag(), false, "Compare with every picture where the index has a graph, too."),
      json: defaulted(flag(), false, "One JSON object a line: score, row, key, captions, label."),
    },
    Model: {
      with: optional(text("MODEL"), "The model that made the index, where it lies elsewhere now."),
      ...modelOptions,
    },
  },
  brief: ["k", "json", "with", "engine"],
  examples: [
    ['clipwright search index/ "red shoes for running"', "The twenty nearest."],
    ["clipwright search index/ shoe.jpg -k 5 --json", "What looks like this picture."],
  ],
  async run({ options, positionals, terminal }) {
    const [folder, ...words] = positionals as [string, ...string[]];
    const { k, exact, json, with: path, ...rest } = options;
    using progress = new ProgressLine(terminal);
    const { say, show } = progress;
    using index = PictureIndex.open(folder);
    using input = words.length === 1 ? await withStandardInput(words) : await withStandardInput([]);
    const query = input.sources.length === 1 ? input.sources[0]! : words.join(" ");
    const isFile = isPicture(query) && statSync(query, { throwIfNoEntry: false })?.isFile() === true;
    await using engine = await openEngine(rest.engine, { ...rest, onChoice: say });
    const chosen = chosenModelOf(index, { path, checkpoint: rest.checkpoint });
    using model = await loadModel(engine, {
      ...rest,
      ...chosen,
      imageBatch: 1,
      textBatch: 1,
      say,
      progress: show,
    });
    const found = await searchIndex(index, model, isFile ? { picture: query } : query, { k, exact });
    progress.clear();
    if (json) {
      terminal.out(found.map((one) => `${JSON.stringify(one)}\n`).join(""));
      return 0;
    }
    const places = String(found.length).length;
    for (const [i, { score, key, captions, label }] of found.entries()) {
      const more = [...(label === undefined ? [] : [`[${label}]`]), ...captions.slice(0, 1)].join(" ");
      const head = `${String(i + 1).padStart(places)}  ${score.toFixed(3)}  ${oneLine(key)}`;
      terminal.out(`${head}${more === "" ? "" : `  ${oneLine(more)}`}\n`);
    }
    return 0;
  },
});
