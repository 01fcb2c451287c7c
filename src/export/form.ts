/** What an export starts from, and what a form of it must say. */

import type { Tokenizer } from "../data/tokenizer/tokenizer.js";
import type { LocatedModel } from "../evaluate/model/locate.js";
import type { CompleteClipConfig } from "../models/config/config.js";

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

/** A layout that other libraries read. */
export interface ExportForm {
  readonly name: string;
  /** Whose it is. */
  readonly about: string;
  /** What of a model it cannot say, each in words that go on after "it has"; empty where it can say all. */
  refusals(model: Exported): string[];
  /** What to do instead of a form that refuses. */
  readonly remedy: string;
  /** Writes the files into the empty folder. */
  write(model: Exported, folder: string): void;
  /** Lines of Python that load it from the folder DIR. */
  readonly usage: string;
  /** As the hub calls the library. */
  readonly library: string;
  /** Where its pictures may come out otherwise than here; undefined where they cannot. */
  caution(model: Exported): string | undefined;
}
