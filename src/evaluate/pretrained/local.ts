/** Models by name: what open_clip calls them, and the hub; a path stays what it is. */

import { existsSync } from "node:fs";
import { didYouMean, UsageError } from "../../core/errors.js";
import { pretrainedModels } from "./catalog.js";
import { type FetchOptions, fetchModel, type HubModel } from "./hub.js";

const NAME = /^[\w.-]+\/[\w.-]+$/;
const isName = (text: string): boolean => NAME.test(text) && !/(^|\/)\.+(\/|$)/.test(text);

/**
 * The model of the hub that `path` names: `hf-hub:OWNER/NAME[@REVISION]`, or MODEL/TAG of the catalog where no such path
 * is here; undefined for a path. Throws `UsageError` for a name that cannot be.
 */
export function hubModelOf(path: string): HubModel | undefined {
  if (!path.startsWith("hf-hub:")) {
    const known = existsSync(path) ? undefined : pretrainedModels.find(({ name }) => name === path);
    return known && { repository: known.repository };
  }
  const [repository = "", revision, ...rest] = path.slice("hf-hub:".length).split("@");
  if (isName(repository) && revision !== "" && rest.length === 0) return { repository, revision };
  throw new UsageError(
    `${path}: must be hf-hub:OWNER/NAME, or hf-hub:OWNER/NAME@REVISION. Write e.g. hf-hub:laion/CLIP-ViT-B-32-laion2B-s34B-b79K.`,
  );
}

/** A path here for `path`: a model that is named is fetched unless it was. `local-dir:` of open_clip is taken off. */
export async function localPath(path: string, options: FetchOptions = {}): Promise<string> {
  const model = hubModelOf(path);
  if (model !== undefined) return fetchModel(model, options);
  if (path.startsWith("local-dir:")) return path.slice("local-dir:".length);
  if (existsSync(path) || !isName(path)) return path;
  const near = didYouMean(
    path,
    pretrainedModels.map(({ name }) => name),
  );
  if (near === "") return path;
  throw new UsageError(
    `${path}: is no file, no folder, and no pretrained model.${near} clipwright models --pretrained lists those that have names.`,
  );
}
