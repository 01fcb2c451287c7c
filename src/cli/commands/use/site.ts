/** `clipwright site`: the page of `clipwright serve` as files. */

import { openEngine } from "../../../engines/registry.js";
import { loadModel } from "../../../evaluate/model/load-model.js";
import { calibratedScale } from "../../../serve/classify/calibrate.js";
import { chosenModelOf, requireModelOf } from "../../../serve/index/model.js";
import { PictureIndex } from "../../../serve/index/open.js";
import { Served } from "../../../serve/server/served.js";
import { makeSite } from "../../../serve/site/make.js";
import { choice, defaulted, flag, optional, required, text } from "../../../settings/fields.js";
import { formatBytes } from "../../../train/watch/progress.js";
import { defineCommand } from "../../command.js";
import { ProgressLine } from "../../progress-line.js";
import { featureOptions, modelOptions, openFeatures } from "../../scoring.js";
import { nameOfModel, USUAL_CLASSES } from "./serve.js";

export const siteCommand = defineCommand({
  name: "site",
  summary: "Write an index and its page as files that any web server shows: the model runs in the browser.",
  description:
    "The folder works from any web server and below any address, such as GitHub Pages: the text tower runs in the browser by WebAssembly, vectors and thumbnails are fetched in pieces. Needs onnxruntime-web (npm install onnxruntime-web). A site that is there is replaced.",
  positionals: [{ name: "INDEX", doc: "A folder that clipwright index has made.", required: true }],
  options: {
    Site: {
      out: required(text("FOLDER"), "The folder to make."),
      dtype: defaulted(
        choice(["fp32", "fp16", "q8", "int8", "q4"]),
        "q8",
        "Form of the model's numbers: fewer bytes, and vectors that differ the more.",
      ),
      wordsOnly: defaulted(flag(), false, "Leave the picture tower out: no pictures can be dropped."),
      webgpu: defaulted(
        flag(),
        false,
        "Add the runtime for WebGPU, 27 MB that only browsers with it fetch; worth it for large models.",
      ),
    },
    Model: {
      with: optional(text("MODEL"), "The model that made the index, where it lies elsewhere now."),
      ...modelOptions,
    },
    Features: featureOptions,
  },
  brief: ["out", "dtype", "wordsOnly", "webgpu", "with"],
  examples: [
    ["clipwright site index/ --out site/", "All that is needed; try it: npx http-server site/."],
    ["clipwright site index/ --out docs/ --dtype fp16 --words-only", "For GitHub Pages."],
  ],
  async run({ options, positionals, terminal }) {
    const [folder] = positionals as [string];
    const { out, dtype, wordsOnly, webgpu, with: path, ...rest } = options;
    using progress = new ProgressLine(terminal);
    const { say, show } = progress;
    using index = PictureIndex.open(folder);
    const source = chosenModelOf(index, { path, checkpoint: rest.checkpoint });
    await using engine = await openEngine(rest.engine, { ...rest, onChoice: say });
    using model = await loadModel(engine, { ...rest, ...source, say, progress: show });
    requireModelOf(index, model);
    using features = openFeatures(model, rest, progress);
    const served = new Served({
      index,
      encoder: model.encoder,
      scale: await calibratedScale(features, model.run, USUAL_CLASSES, say),
      title: index.info.data.name,
      model: nameOfModel(source.path, model),
    });
    const { bytes, firstSearchBytes } = await makeSite(index, {
      ...{ out, dtype, webgpu, pictures: !wordsOnly, onProgress: show },
      model: { ...rest, ...source, say },
      description: served.describe(),
    });
    progress.clear();
    terminal.out(
      `${out}: ${formatBytes(bytes)}; a first search by words fetches ${formatBytes(firstSearchBytes)}, less as servers compress\n`,
    );
    return 0;
  },
});
