/** Weights that are not a file here. */

import { UsageError } from "../../core/errors.js";

/** Throws a `UsageError` with the remedy for a name that open_clip would look up. */
export function refuseForeignPlace(path: string): void {
  const [, scheme, rest = ""] = /^(hf-hub|local-dir):(.*)$/.exec(path) ?? [];
  if (scheme === "hf-hub") {
    const [repository] = rest.split("@");
    throw new UsageError(
      `${path}: models of the Hugging Face hub are not fetched. Download it (hf download ${repository} --local-dir FOLDER), and give the folder.`,
    );
  }
  if (scheme === "local-dir") {
    throw new UsageError(`${path}: folders are given without local-dir:. Give ${rest || "the folder"}.`);
  }
}
