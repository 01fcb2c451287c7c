/** A processor of pictures for transformers that does what training did, where its own `CLIPImageProcessor` does not. */

import { join } from "node:path";
import { writeFileAtomic } from "../core/files.js";
import type { PreprocessConfig } from "../models/config/preprocess.js";

const MODULE = "image_processing_clipwright";

/** In what transformers 5's `CLIPImageProcessor` differs from `preprocess`, each in words that go on after "it". */
export function processorDifferences({
  transparency = "pillow",
  exif_orientation: turned = false,
  crop_rounding: rounding = "even",
  resize_mode: mode,
}: PreprocessConfig): string[] {
  return [
    ...(isWhite(transparency) ? [] : ["lays transparent pictures on white"]),
    ...(turned ? ["does not turn pictures as their EXIF says"] : []),
    ...(mode === "shortest" && rounding === "even"
      ? ["cuts one pixel further up or left where an odd margin of 4·n + 3 pixels is cut off"]
      : []),
  ];
}

const isWhite = (transparency: NonNullable<PreprocessConfig["transparency"]>): boolean =>
  typeof transparency !== "string" && transparency.every((channel) => channel === 255);

/** Writes the processor's file where there is a difference; gives what the settings say of it. */
export function writeProcessor(preprocess: PreprocessConfig, folder: string): object {
  if (processorDifferences(preprocess).length === 0) return {};
  writeFileAtomic(join(folder, `${MODULE}.py`), programOf(preprocess));
  return { auto_map: { AutoImageProcessor: `${MODULE}.ClipwrightImageProcessor` } };
}

/** torchvision rounds half of an odd margin to the even neighbour; transformers rounds it down. */
function programOf({
  transparency = "pillow",
  exif_orientation: turned = false,
  crop_rounding: rounding = "even",
}: PreprocessConfig): string {
  const colour = transparency === "pillow" ? "None" : `(${transparency.join(", ")}, 255)`;
  return `"""Pictures as the model's training prepared them. Written by Clipwright with the model."""

from PIL import Image, ImageOps
from torchvision.transforms.v2 import functional
from transformers import CLIPImageProcessor

TURNED_BY_EXIF = ${turned ? "True" : "False"}
# What transparent pictures are laid on; None drops their alpha.
COLOUR = ${colour}
CROP_ROUNDING = "${rounding}"


class ClipwrightImageProcessor(CLIPImageProcessor):
    def process_image(self, image, *args, **kwargs):
        if isinstance(image, Image.Image):
            image = ImageOps.exif_transpose(image) if TURNED_BY_EXIF else image
            if "A" in image.getbands() or "transparency" in image.info:
                image = image.convert("RGBA")
                if COLOUR is not None:
                    image = Image.alpha_composite(Image.new("RGBA", image.size, COLOUR), image)
            image = image.convert("RGB")
        return super().process_image(image, *args, **kwargs)

    def center_crop(self, image, size, **kwargs):
        if CROP_ROUNDING == "down":
            return super().center_crop(image, size, **kwargs)
        return functional.center_crop(image, [size.height, size.width])
`;
}
