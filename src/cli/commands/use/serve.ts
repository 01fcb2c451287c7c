/** `clipwright serve`: a page on which pictures are found, classed and looked at. */

import { existsSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { UsageError } from "../../../core/errors.js";
import { withClassNames } from "../../../data/class-names.js";
import { dataFields, datasetOptions } from "../../../data/fields.js";
import { openDataset } from "../../../data/index.js";
import { openEngine } from "../../../engines/registry.js";
import { type LoadedModel, loadModel } from "../../../evaluate/model/load-model.js";
import { calibratedScale } from "../../../serve/classify/calibrate.js";
import { modelOfIndex, requireModelOf } from "../../../serve/index/model.js";
import { PictureIndex } from "../../../serve/index/open.js";
import { INDEX_FILE } from "../../../serve/search/layout.js";
import { servePictures } from "../../../serve/server/app.js";
import { cachedIndex, heldOutPictures } from "../../../serve/server/cached-index.js";
import { Served } from "../../../serve/server/served.js";
import { list, optional, text } from "../../../settings/fields.js";
import { defineCommand } from "../../command.js";
import { ProgressLine } from "../../progress-line.js";
import { featureOptions, modelOptions, openFeatures } from "../../scoring.js";
import { interrupted, serverOptions } from "../../serving.js";

/** Classes that probabilities are calibrated for where only captions are held out: as many as people type. */
export const USUAL_CLASSES = 8;

/** Batches of a server: somebody waits for each. */
export const servingBatches = { imageBatch: 4, textBatch: 8 } as const;

/** The model, in words. */
export const nameOfModel = (path: string, { step, run }: Pick<LoadedModel, "step" | "run">): string =>
  `${basename(resolve(run ?? path))}${step === undefined ? "" : `, step ${step}`}`;

export const serveCommand = defineCommand({
  name: "serve",
  summary: "Open a page on which to search pictures, class them and see their map.",
  description:
    "MODEL is a run, another model as clipwright embed takes it, or an index. The page finds pictures by words, by a picture that is dropped on it, and by likeness; it shows how likely classes of your own are, and a map. Without --images or --index a run's held-out pictures are shown. Nothing leaves this machine unless --host says so; then the printed address holds a token.",
  positionals: [{ name: "MODEL", doc: "Run, model, or an index.", required: true }],
  options: {
    Pictures: {
      images: optional(
        list(text("SOURCE"), { separator: "::" }),
        "Pictures in any form that training takes; their index is kept under $CLIPWRIGHT_CACHE.",
      ),
      index: optional(text("FOLDER"), "An index that clipwright index has made with this model."),
      ...dataFields,
    },
    Server: serverOptions(8430),
    Model: modelOptions,
    Features: featureOptions,
  },
  brief: ["images", "index", "host", "port", "engine"],
  examples: [
    ["clipwright serve runs/flickr --images photos/", "Index the photos, and look."],
    ["clipwright serve index/", "An index that is there, with the model that made it."],
  ],
  async run({ options, positionals, terminal }) {
    const [path] = positionals as [string];
    const { images, host, port, ...rest } = options;
    const isIndex = existsSync(join(path, INDEX_FILE));
    const folder = options.index ?? (isIndex ? path : undefined);
    if (folder !== undefined && images !== undefined) {
      throw new UsageError("serve: needs either --images or an index; got both. Leave one out.", {
        key: "images",
      });
    }
    using progress = new ProgressLine(terminal);
    const { say, show } = progress;
    const told = { onProgress: show, onNote: say };
    const made = folder === undefined ? undefined : PictureIndex.open(folder);
    using _ = made;
    await using engine = await openEngine(rest.engine, { ...rest, onChoice: say });
    const { checkpoint, ...source } = isIndex ? modelOfIndex(made!) : { path, checkpoint: undefined };
    using model = await loadModel(engine, {
      ...rest,
      ...source,
      ...servingBatches,
      checkpoint: rest.checkpoint ?? checkpoint,
      say,
      progress: show,
    });
    if (made !== undefined) requireModelOf(made, model);
    const pictures = async () => {
      if (images !== undefined)
        return withClassNames(
          await openDataset(images, { ...datasetOptions(rest), captionsOptional: true, onProgress: say }),
          rest.classnames,
        );
      if (model.run !== undefined) return heldOutPictures(model.run, say);
      throw new UsageError(
        "serve: a model that is no run's has held nothing out to show. Give --images or --index.",
        {
          key: "images",
        },
      );
    };
    const index = made ?? (await cachedIndex(model, await pictures(), source.path, told));
    using features = openFeatures(model, rest, progress);
    const scale = await calibratedScale(features, model.run, USUAL_CLASSES, say);
    const served = new Served({
      index,
      encoder: model.encoder,
      scale,
      title: index.info.data.name,
      model: nameOfModel(source.path, model),
    });
    progress.clear();
    await using server = await servePictures({ current: () => served }, { host, port, onProblem: say });
    const count = index.rows.toLocaleString("en-US");
    terminal.out(
      `${count} pictures of ${index.info.data.name}\n${server.urls.join("\n")}\nCtrl-C ends it.\n`,
    );
    await interrupted();
    return 0;
  },
});
