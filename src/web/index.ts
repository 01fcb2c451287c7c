/**
 * Clipwright in a browser: `import { openWebIndex, openWebModel } from "clipwright/web"`. A model that was exported to onnx
 * or transformers.js embeds texts and pictures with the pixels and tokens that it has in Node, and an index of
 * `clipwright index` is searched without a server. ONNX Runtime's web package runs the programs; it is the page's own.
 *
 * What the caller can mend is a `UsageError` with a `code`.
 */

export { UsageError, type UsageErrorDetails } from "../core/errors.js";
export { probabilities } from "../serve/search/probabilities.js";
export type { Hit, SearchOptions } from "../serve/search/search.js";
export type { WebNumberForm } from "../serve/site/layout.js";
export { openWebModel, type WebModel, type WebModelOptions } from "./model.js";
export { openWebIndex, type WebHit, type WebIndex, type WebIndexOptions } from "./picture-index.js";
export type { Picture } from "./pictures.js";
export type { WebRuntime, WebSession, WebTensor } from "./runtime.js";
