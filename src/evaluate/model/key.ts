/** What tells one model from every other: everything but the data that decides its features. */

import { createHash } from "node:crypto";
import { closeSync, openSync, readSync } from "node:fs";
import { withFileErrors } from "../../core/files.js";
import type { Engine } from "../../engines/engine.js";
import { filesOf } from "../../models/weights/file.js";
import type { Encoder } from "./encoder.js";

/**
 * A hash of the weights' and the tokenizer's files, the configuration, what texts and images go through, and the engine
 * that computes.
 */
export function modelKey(
  engine: Engine,
  { options }: Encoder,
  from: { readonly weights: string; readonly tokenizer: string; readonly clean: string },
): string {
  const { clip, pipeline, normalization, tokenizer } = options;
  const parts = [
    ...filesOf(from.weights).map(digestOfFile),
    digestOfFile(from.tokenizer),
    from.clean,
    clip.config,
    tokenizer.toJSON(),
    pipeline,
    normalization,
    [engine.name, engine.capabilities.device],
  ];
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex");
}

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
