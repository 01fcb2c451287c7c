/** What an export starts from, and what a form of it must say. */

import type { Tokenizer } from "../data/tokenizer/tokenizer.js";
import type { Engine } from "../engines/engine.js";
import type { FeatureSource, Progress } from "../evaluate/features/source.js";
import type { LocatedModel } from "../evaluate/model/locate.js";
import type { ScoredTask } from "../evaluate/suites/score.js";
import type { CompleteClipConfig } from "../models/config/config.js";
import type { NumberFormName } from "./onnx/numbers/number-forms.js";

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
  /** The scores of a model by its features. */
  score(features: FeatureSource): Promise<readonly ScoredTask[]>;
  /** Told how far the scoring is. */
  readonly onProgress?: ((progress: Progress) => void) | undefined;
  /** Threads that decode pictures. Default: cores − 1. */
  readonly workers?: number | undefined;
  /** Threads of ONNX Runtime. Default: physical cores. */
  readonly threads?: number | undefined;
}

/** A share that a form of the numbers scores, and how it differs from f32's. */
export interface VariantScore {
  readonly dataset: string;
  readonly task: string;
  readonly metric: string;
  readonly value: number;
  readonly low: number;
  readonly high: number;
  readonly n: number;
  /** This form's less f32's on the same items, with its 95 % interval; undefined for f32 itself. */
  readonly difference?: { readonly value: number; readonly low: number; readonly high: number };
}

/** What is known of one form of the numbers. */
export interface Variant {
  readonly dtype: NumberFormName;
  /** Of both towers. */
  readonly sizeBytes: number;
  /** One picture, one text, by ONNX Runtime on the processor here: the least of several runs. */
  readonly imageMs: number;
  readonly textMs: number;
  readonly scores: readonly VariantScore[];
  /** Share points that the worst of the metrics that decide loses; undefined where nothing was scored. */
  readonly lostPoints?: number | undefined;
  /** Whether its files were written. */
  readonly written: boolean;
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
