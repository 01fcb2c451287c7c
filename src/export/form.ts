/** What an export starts from, and what a form of it must say. */

import type { Tokenizer } from "../data/tokenizer/tokenizer.js";
import type { Engine } from "../engines/engine.js";
import type { FeatureSource, Progress } from "../evaluate/features/source.js";
import type { LocatedModel } from "../evaluate/model/locate.js";
import type { ScoredTask } from "../evaluate/suites/score.js";
import type { CompleteClipConfig } from "../models/config/config.js";
import type { NumberFormName } from "./onnx/numbers/number-forms.js";
import type { Variant } from "./onnx/variants.js";

/** A model with its weights, to be written down. */
export interface Exported {
  readonly located: LocatedModel;
  readonly config: CompleteClipConfig;
  readonly tokenizer: Tokenizer;
  /** By open_clip's names, f32. */
  readonly values: Readonly<Record<string, Float32Array>>;
  readonly shapes: Readonly<Record<string, readonly number[]>>;
  /** OWNER/NAME, or a name, for the card and for what refers to itself. */
  readonly name: string;
}

/** What files whose numbers were rounded are scored on. */
export interface Trial {
  /** What multiplies features. */
  readonly engine: Engine;
  score(features: FeatureSource): Promise<readonly ScoredTask[]>;
  /** Told how far the scoring is. */
  readonly onProgress?: ((progress: Progress) => void) | undefined;
  /** Threads that decode pictures. Default: cores − 1. */
  readonly workers?: number | undefined;
  /** Threads of ONNX Runtime. Default: physical cores. */
  readonly threads?: number | undefined;
}

export interface WriteOptions {
  /** Forms of the numbers to write, where the layout has several. */
  readonly dtypes: readonly NumberFormName[];
  /** Without one, nothing is scored, and everything is written. */
  readonly trial: Trial | undefined;
  /** Share points that a form of the numbers may lose. */
  readonly maxLossPoints: number;
  readonly say: (line: string) => void;
}

/** A layout that other libraries read. */
export interface ExportForm {
  readonly name: string;
  /** Whose it is. */
  readonly about: string;
  /** What of a model it cannot say, each in words that go on after "it has"; empty where it can say all. */
  refusals(model: Exported): string[];
  /** What to do instead of a form that refuses. */
  readonly remedy: string;
  /** Forms of the numbers that it has files for unless others are asked for; undefined where there is one form alone. */
  readonly dtypes: readonly NumberFormName[] | undefined;
  /** Writes the files into the empty folder; gives what was found of the forms of the numbers, where there are several. */
  write(model: Exported, folder: string, options: WriteOptions): Promise<readonly Variant[]> | undefined;
  /** Lines that load it from the folder DIR, and their language. */
  readonly usage: string;
  readonly language: "python" | "js";
  /** As the hub calls the library. */
  readonly library: string;
  /** Where its pictures may come out otherwise than here; undefined where they cannot. */
  caution(model: Exported): string | undefined;
}
