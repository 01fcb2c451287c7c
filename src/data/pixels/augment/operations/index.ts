/** Every operation by the name that policies and the command line know it by. */
import { color, grayscale, hue } from "./color.js";
import { blur, sharpness } from "./detail.js";
import { cutout, rotate, shearX, shearY, translateX, translateY } from "./geometry.js";
import type { Operation } from "./operation.js";
import {
  autocontrast,
  brightness,
  contrast,
  equalize,
  identity,
  invert,
  posterize,
  solarize,
  solarizeAdd,
} from "./tone.js";

export const operations = {
  identity,
  autocontrast,
  equalize,
  invert,
  posterize,
  solarize,
  "solarize-add": solarizeAdd,
  brightness,
  contrast,
  color,
  grayscale,
  hue,
  sharpness,
  blur,
  rotate,
  "shear-x": shearX,
  "shear-y": shearY,
  "translate-x": translateX,
  "translate-y": translateY,
  cutout,
} as const satisfies Readonly<Record<string, Operation>>;

export type OperationName = keyof typeof operations;
