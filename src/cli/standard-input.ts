/** `-` among pictures: standard input, a picture itself or a list of paths. */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { UsageError } from "../core/errors.js";
import { withFileErrors } from "../core/files.js";
import { sniffFormat } from "../data/pixels/read/format.js";

/** Sources without `-`; a picture of standard input lies in a file while this is held. */
export interface Sources extends Disposable {
  readonly sources: readonly string[];
}

/**
 * Takes the place of `-`: with a picture's bytes a file of them, else the lines as paths. Throws `UsageError` where nothing is
 * there, or `-` stands twice.
 */
export async function withStandardInput(
  words: readonly string[],
  input: NodeJS.ReadableStream = process.stdin,
): Promise<Sources> {
  const dashes = words.filter((word) => word === "-").length;
  if (dashes === 0) return { sources: words, [Symbol.dispose]: () => {} };
  if (dashes > 1) throw new UsageError("-: standard input is read once; got it twice. Leave one out.");
  const bytes = await buffer(input);
  if (bytes.length === 0)
    throw new UsageError("-: standard input must be a picture, or a list of paths; got nothing.");
  const put = (read: readonly string[]) => words.flatMap((word) => (word === "-" ? read : [word]));
  const format = sniffFormat(bytes);
  if (format === undefined) {
    const lines = bytes.toString("utf8").split(/\r?\n/);
    return { sources: put(lines.filter((line) => line.trim() !== "")), [Symbol.dispose]: () => {} };
  }
  if (typeof format !== "string") {
    throw new UsageError(
      `-: standard input is a ${format.unread}, which is not read. Convert it to JPEG or PNG.`,
    );
  }
  const folder = mkdtempSync(join(tmpdir(), "clipwright-"));
  const path = join(folder, `standard-input.${format}`);
  withFileErrors("write", path, () => writeFileSync(path, bytes));
  return { sources: put([path]), [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }) };
}
