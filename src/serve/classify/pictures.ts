/** Classes of pictures in one call. */

import { UsageError } from "../../core/errors.js";
import { type FeatureSource, freshFeatures } from "../../evaluate/features/source.js";
import type { LoadedModel } from "../../evaluate/model/load-model.js";
import type { Picture } from "../index/search.js";
import { calibratedScale } from "./calibrate.js";
import { type ClassesOptions, embedClasses, type Guess, guessesOf } from "./classify.js";

export interface ClassifyOptions extends ClassesOptions {
  /** Names of the classes; at least two. */
  readonly classes: readonly string[];
  /**
   * What multiplies cosines. Default `calibrated`: fitted on what the run holds out, as learned where that cannot be;
   * `learned`; or a number.
   */
  readonly scale?: "calibrated" | "learned" | number | undefined;
  /** Where features of held-out pictures come from; default: the model, kept nowhere. */
  readonly features?: FeatureSource | undefined;
  /** Told how sure the probabilities may be taken for. */
  readonly onNote?: ((note: string) => void) | undefined;
}

/** How likely each class is for each picture, the likeliest first. */
export async function classifyPictures(
  model: Pick<LoadedModel, "encoder" | "run">,
  pictures: readonly Picture[],
  options: ClassifyOptions,
): Promise<Guess[][]> {
  if (pictures.length === 0) throw new UsageError("classify: must have a picture; got none. Name one.");
  const embedded = await embedClasses(model.encoder, options.classes, options);
  const scale = await scaleOf(model, options);
  const flat = await model.encoder.embedImages(pictures);
  const width = flat.length / pictures.length;
  return pictures.map((_, i) => guessesOf(embedded, flat.subarray(i * width, (i + 1) * width), scale));
}

async function scaleOf(
  { encoder, run }: Pick<LoadedModel, "encoder" | "run">,
  { classes, scale = "calibrated", features = freshFeatures(encoder), onNote }: ClassifyOptions,
): Promise<number> {
  if (typeof scale === "number") return scale;
  if (scale === "learned") return features.scale();
  const { value, about } = await calibratedScale(features, run, classes.length, onNote);
  onNote?.(about);
  return value;
}
