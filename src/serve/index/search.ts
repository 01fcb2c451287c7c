/** Searching an index by words or by a picture. */

import type { Encoder } from "../../evaluate/model/encoder.js";
import type { LoadedModel } from "../../evaluate/model/load-model.js";
import type { PictureName } from "../search/layout.js";
import type { Hit } from "../search/search.js";
import { requireModelOf } from "./model.js";
import type { NearestOptions, PictureIndex } from "./open.js";

/** A picture by its path, or as encoded bytes (JPEG, PNG, …). */
export type Picture = string | Uint8Array;

/** What is looked for: words, or a picture. */
export type SearchQuery = { readonly text: string } | { readonly picture: Picture };

/** A picture of an index that was found. */
export interface Found extends Hit, PictureName {}

/** The pictures most like `query`, best first. Throws a `UsageError` where `model` is not the one that made the index. */
export async function searchIndex(
  index: PictureIndex,
  model: Pick<LoadedModel, "encoder" | "identity">,
  query: string | SearchQuery,
  options: NearestOptions = {},
): Promise<Found[]> {
  requireModelOf(index, model);
  const vector = await embedQuery(model.encoder, typeof query === "string" ? { text: query } : query);
  const [hits = []] = await index.nearest([vector], options);
  return hits.map((hit) => ({ ...hit, ...index.name(hit.row) }));
}

/** The unit vector of words or of a picture. */
export const embedQuery = (
  encoder: Pick<Encoder, "embedTexts" | "embedImages">,
  query: SearchQuery,
): Promise<Float32Array> =>
  "text" in query ? encoder.embedTexts([query.text]) : encoder.embedImages([query.picture]);
