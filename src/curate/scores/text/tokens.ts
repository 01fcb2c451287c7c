/** What a model's tokenizer makes of a caption. */

import { UsageError } from "../../../core/errors.js";
import { loadTokenizer } from "../../../data/tokenizer/load.js";
import { integer, optional, text } from "../../../settings/fields.js";
import type { CaptionFamily } from "../score.js";

export const tokensFamily: CaptionFamily = {
  name: "tokens",
  about: "How many tokens a caption has, and whether a model would see only its beginning.",
  how: "Counted with start and end, as they lie in the context.",
  source: "the tokenizer that --tokenizer names",
  over: "caption",
  byDefault: false,
  settings: {
    tokenizer: optional(
      text("PATH"),
      "tokenizer.json, CLIP's vocabulary, or the folder of one, for the family tokens.",
    ),
    contextLength: optional(integer(2), "Tokens that the model sees; the tokenizer's own otherwise."),
  },
  columns: [
    { name: "tokens", kind: "count", about: "Tokens of the whole caption, start and end among them." },
    { name: "is_cut", kind: "flag", better: "lower", about: "The caption has more tokens than the context." },
  ],
  async open({ settings }) {
    const { tokenizer: path, contextLength } = settings as { tokenizer?: string; contextLength?: number };
    if (path === undefined)
      throw new UsageError("scores: tokens needs a tokenizer. Name its file or folder with --tokenizer.");
    const tokenizer = loadTokenizer(path, contextLength === undefined ? {} : { contextLength });
    return (caption) => {
      const tokens = tokenizer.encode(caption).length;
      return { tokens, is_cut: tokens > tokenizer.contextLength };
    };
  },
};
