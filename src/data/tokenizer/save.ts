/** Tokenizers as files. */

import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { writeFileAtomic } from "../../core/files.js";
import type { Tokenizer } from "./tokenizer.js";

/**
 * Writes the vocabulary to `path`, atomically, in its family's own format, gzipped when `path` ends in .gz; and what
 * belongs to it beside it.
 */
export function saveTokenizer(tokenizer: Pick<Tokenizer, "toFiles">, path: string): void {
  for (const [i, { name, text }] of tokenizer.toFiles().entries()) {
    const file = i === 0 ? path : join(dirname(path), name);
    writeFileAtomic(file, file.endsWith(".gz") ? gzipSync(text) : text);
  }
}
