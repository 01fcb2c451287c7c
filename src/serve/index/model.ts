/** The model of an index: whoever searches must embed into the space that it was made in. */

import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { UsageError } from "../../core/errors.js";
import type { LoadedModel } from "../../evaluate/model/load-model.js";
import type { ModelSource } from "../../evaluate/model/locate.js";
import type { PictureIndex } from "./open.js";

/** Where the model of an index is: the checkpoint that made it, unless another is said. */
export function modelOfIndex({ folder, info }: PictureIndex): Pick<ModelSource, "path" | "checkpoint"> {
  const { path, step } = info.model;
  const beside = resolve(folder, path);
  return { path: existsSync(beside) ? beside : path, ...(step !== undefined && { checkpoint: step }) };
}

/** As `modelOfIndex`, but the model at `path`, or another checkpoint, where they are said. */
export function chosenModelOf(
  index: PictureIndex,
  {
    path,
    checkpoint,
  }: { readonly path?: string | undefined; readonly checkpoint?: ModelSource["checkpoint"] },
): Pick<ModelSource, "path" | "checkpoint"> {
  const source = path === undefined ? modelOfIndex(index) : { path };
  return checkpoint === undefined ? source : { ...source, checkpoint };
}

/** Throws a `UsageError` unless `model` is the one that the index was made with. */
export function requireModelOf(index: PictureIndex, model: Pick<LoadedModel, "identity">): void {
  if (model.identity() === index.info.model.identity) return;
  const { path, step } = index.info.model;
  throw new UsageError(
    `index ${index.folder}: must be searched with the model that made it, ${path}${step === undefined ? "" : ` at step ${step}`}; got another. Name that one (--with), or make the index again.`,
    { file: index.folder },
  );
}
