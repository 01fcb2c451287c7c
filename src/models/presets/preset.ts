/** What a preset is. */

import type { ClipConfig } from "../config/config.js";
import type { PreprocessConfig } from "../config/preprocess.js";

export interface Preset {
  readonly name: string;
  readonly family: "open_clip" | "paper" | "clipwright";
  /** One line: what it is for, or what sets it apart. */
  readonly about: string;
  readonly config: ClipConfig;
  readonly preprocess: PreprocessConfig;
}
