/** What a model's file says of pictures, as the pixels' own options. */

import type { EvaluationOptions } from "../../data/pixels/pipeline.js";
import type { PreprocessConfig } from "../../models/config/preprocess.js";

/** The options of `evaluationPipeline` that a `preprocess_cfg` stands for; open_clip's where it does not say. */
export function evaluationOptions(
  preprocess: PreprocessConfig,
): Required<Omit<EvaluationOptions, "cropRounding">> & Pick<EvaluationOptions, "cropRounding"> {
  const { fill_color: fill = 0, transparency = "pillow", exif_orientation: turned = false } = preprocess;
  return {
    resize: preprocess.resize_mode,
    filter: preprocess.interpolation,
    transparency,
    fill: typeof fill === "number" ? [fill, fill, fill] : fill,
    orientation: turned ? "exif" : "stored",
    ...(preprocess.crop_rounding === "down" ? { cropRounding: "down" } : {}),
  };
}
