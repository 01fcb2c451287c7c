/** What tells one model from every other: everything but the data that decides its features. */

import { createHash } from "node:crypto";
import { closeSync, openSync, readSync } from "node:fs";
import { withFileErrors } from "../../core/files.js";
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

/** SHA-256 of a file's bytes, in hex. */
export function digestOfFile(path: string): string {
  const hash = createHash("sha256");
  const piece = new Uint8Array(2 ** 20);
  withFileErrors("read", path, () => {
    const file = openSync(path, "r");
    try {
      for (let n = readSync(file, piece); n > 0; n = readSync(file, piece)) hash.update(piece.subarray(0, n));
    } finally {
      closeSync(file);
    }
  });
  return hash.digest("hex");
}
