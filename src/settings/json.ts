/** JSON files that a person may have edited, or a crash cut short, checked as a whole before anything is made of them. */

import type { z } from "zod";
import { UsageError } from "../core/errors.js";
import { readJson } from "../core/files.js";

/**
 * The value in a JSON file, as `schema` has it.
 * @param remedy what to do where it is something else.
 * @throws UsageError naming the file, and the line or the key.
 */
export function readCheckedJson<T>(path: string, schema: z.ZodType<T>, remedy: string): T {
  const result = schema.safeParse(readJson(path));
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const key = issue!.path.join(".");
  throw new UsageError(
    `${path}: ${key === "" ? "it" : key} must be what Clipwright wrote; got another value (${issue!.message}). ${remedy}`,
  );
}
