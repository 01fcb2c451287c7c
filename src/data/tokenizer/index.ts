/** Texts to token ids: open a tokenizer, or learn one from captions. */

export type { Cleaning } from "./clean.js";
export type { LoadTokenizerOptions } from "./json.js";
export { loadTokenizer } from "./load.js";
export { saveTokenizer } from "./save.js";
export { checkVocabSize, type Tokenizer, type TokenizerKind, type TokenizerSummary } from "./tokenizer.js";
export { type BpeReport, type TrainBpeOptions, trainBpe } from "./train-bpe.js";
