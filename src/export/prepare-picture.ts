/** Pictures brought to what an exported model sees, for clients whose own resizing differs from training's. */

import { join } from "node:path";
import { UsageError } from "../core/errors.js";
import { readBytes, readJsonObject } from "../core/files.js";
import { evaluationPipeline, preprocessImage } from "../data/pixels/pipeline.js";
import { evaluationOptions } from "../evaluate/model/preprocess.js";
import { parsePreprocess } from "../models/config/preprocess.js";

/** Bytes [height,width,3] of a square of the model's size. */
export interface PreparedPicture {
  readonly data: Uint8Array;
  readonly width: number;
  readonly height: number;
  readonly channels: 3;
}

const CONFIG = "preprocessor_config.json";

/**
 * What the model in `folder`, an export to onnx or transformers.js, sees of a picture (a path, or encoded bytes): decoded,
 * laid on its colour, resized and cut as in training. transformers.js leaves a picture of this size as it is.
 * @throws UsageError for a picture that cannot be read, and a folder that is no such export
 */
export async function preparePicture(picture: string | Uint8Array, folder: string): Promise<PreparedPicture> {
  const file = join(folder, CONFIG);
  const settings = readJsonObject(file);
  const side = (settings.crop_size as { readonly height?: unknown } | undefined)?.height;
  if (settings.preprocess_cfg === undefined || typeof side !== "number") {
    throw new UsageError(
      `${file}: must be of an export to onnx or transformers.js; got no preprocess_cfg. Export the model again.`,
      { file },
    );
  }
  const pipeline = evaluationPipeline(side, evaluationOptions(parsePreprocess(settings, file)));
  const bytes = typeof picture === "string" ? readBytes(picture) : picture;
  return { data: await preprocessImage(bytes, pipeline), width: side, height: side, channels: 3 };
}
