/** The image encoders. A kind that is listed here can be configured, trained, evaluated and stored. */

import type { Json } from "../config/fields.js";
import type { ImageEncoder } from "./encoder.js";
import { modifiedResNet } from "./modified-resnet.js";
import { timm } from "./timm.js";
import { vit } from "./vit.js";

/** The last describes every `vision_cfg` that no other one does. */
export const imageEncoders: readonly ImageEncoder[] = [timm, modifiedResNet, vit];

/** The encoder that reads `vision`. */
export const encoderOf = (vision: object): ImageEncoder =>
  imageEncoders.find((encoder) => encoder.describes(vision as Json))!;
