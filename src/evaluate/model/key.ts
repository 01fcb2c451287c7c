/** What tells one model from every other: everything but the data that decides its features. */

import { createHash } from "node:crypto";
import { digestOfFile } from "../../core/files.js";
import type { Engine } from "../../engines/engine.js";
import { filesOf } from "../../models/weights/file.js";
import type { Encoder } from "./encoder.js";

/** The files that a model was read from, and how its texts were cleaned. */
interface ModelFiles {
  readonly weights: string;
  readonly tokenizer: string;
  readonly clean: string;
}

/** A hash of the weights' and the tokenizer's files, the configuration, and what texts and images go through. */
export const modelIdentity = (encoder: Encoder, from: ModelFiles): string => hashOf(partsOf(encoder, from));

/** The same with the engine that computes, whose rounding is its own. */
export const modelKey = (engine: Engine, encoder: Encoder, from: ModelFiles): string =>
  hashOf([...partsOf(encoder, from), [engine.name, engine.capabilities.device]]);

function partsOf({ options }: Encoder, from: ModelFiles): unknown[] {
  const { clip, pipeline, normalization, tokenizer } = options;
  return [
    ...filesOf(from.weights).map(digestOfFile),
    digestOfFile(from.tokenizer),
    from.clean,
    clip.config,
    tokenizer.toJSON(),
    pipeline,
    normalization,
  ];
}

const hashOf = (parts: readonly unknown[]): string =>
  createHash("sha256").update(JSON.stringify(parts)).digest("hex");
