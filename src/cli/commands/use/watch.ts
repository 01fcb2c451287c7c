/** `clipwright watch`: the page on a run that trains, with its curves. */

import { existsSync } from "node:fs";
import { join } from "node:path";
import { UsageError } from "../../../core/errors.js";
import { withClassNames } from "../../../data/class-names.js";
import { dataFields, datasetOptions } from "../../../data/fields.js";
import { openDataset } from "../../../data/index.js";
import { openEngine } from "../../../engines/registry.js";
import { servePictures } from "../../../serve/server/app.js";
import { heldOutPictures } from "../../../serve/server/cached-index.js";
import { FollowedRun } from "../../../serve/server/follow.js";
import { list, optional, text } from "../../../settings/fields.js";
import { trainingDataOf } from "../../../train/run/data.js";
import { defineCommand } from "../../command.js";
import { ProgressLine } from "../../progress-line.js";
import { modelOptions } from "../../scoring.js";
import { interrupted, serverOptions } from "../../serving.js";
import { servingBatches } from "./serve.js";

const { engine, ema, plugin, threads, workers } = modelOptions;

export const watchCommand = defineCommand({
  name: "watch",
  summary: "Open a page on a run while it trains: curves, warnings, and its newest checkpoint at work.",
  description:
    "RUN is the folder of a run, training, done or stopped. The page tells its step, curves, the share of time that it waits for data, and what it has warned of; below, pictures are found, classed and mapped by the newest checkpoint, which is taken as soon as it is written. Pictures are those that the run holds out, else of its training data; at most 2,000. Embedding them takes time from a training on the same machine: --threads 1 leaves it most.",
  positionals: [{ name: "RUN", doc: "The run's folder.", required: true }],
  options: {
    Pictures: {
      images: optional(
        list(text("SOURCE"), { separator: "::" }),
        "Other pictures, in any form that training takes.",
      ),
      ...dataFields,
    },
    Server: serverOptions(8431),
    Model: { engine, plugin, threads, workers, ema },
  },
  brief: ["images", "host", "port", "engine", "threads"],
  examples: [["clipwright watch runs/flickr --threads 1", "In another terminal than its training."]],
  async run({ options, positionals, terminal }) {
    const [path] = positionals as [string];
    const { images, host, port, ...rest } = options;
    if (!existsSync(join(path, "config.json"))) {
      throw new UsageError(
        `${path}: is no run; it has no config.json. Name a folder that clipwright train makes.`,
        {
          file: path,
        },
      );
    }
    using progress = new ProgressLine(terminal);
    const { say, show } = progress;
    const pictures =
      images === undefined
        ? await heldOutPictures(path, say).catch((error: unknown) => {
            if (!(error instanceof UsageError)) throw error;
            return trainingDataOf(path, say);
          })
        : withClassNames(
            await openDataset(images, { ...datasetOptions(rest), captionsOptional: true, onProgress: say }),
            rest.classnames,
          );
    await using opened = await openEngine(rest.engine, { ...rest, onChoice: say });
    const source = { ema: rest.ema, workers: rest.workers, ...servingBatches };
    using run = new FollowedRun(path, { engine: opened, pictures, source, onProgress: show, onProblem: say });
    await using server = await servePictures(run, { host, port, onProblem: say });
    terminal.out(`${server.urls.join("\n")}\nCtrl-C ends it; the training goes on.\n`);
    void run.look();
    await interrupted();
    return 0;
  },
});
