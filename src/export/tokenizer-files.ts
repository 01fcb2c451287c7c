/** A tokenizer as a folder that transformers' `AutoTokenizer` opens. */

import { existsSync } from "node:fs";
import { join } from "node:path";
import { readJsonObject, writeJsonAtomic } from "../core/files.js";
import { ClipTokenizer } from "../data/tokenizer/clip.js";
import { CONFIG_NAME } from "../data/tokenizer/hugging-face/hugging-face.js";
import { specialTokens } from "../data/tokenizer/learned.js";
import { saveTokenizer } from "../data/tokenizer/save.js";
import type { Tokenizer } from "../data/tokenizer/tokenizer.js";

/** Two ids that change places: of rows of the token embedding, and of the vocabulary. */
export type Swap = readonly [number, number];

/**
 * Writes tokenizer.json and tokenizer_config.json. transformers makes a `CLIPTokenizer` anew from its vocabulary, with a
 * pipeline of its own, so that a class is named which takes the file as it is.
 */
export function writeTokenizer(tokenizer: Tokenizer, folder: string, swap?: Swap): void {
  const path = join(folder, "tokenizer.json");
  const isClip = tokenizer instanceof ClipTokenizer;
  if (isClip) writeJsonAtomic(path, tokenizer.toHuggingFace());
  else saveTokenizer(tokenizer, path);
  if (swap !== undefined) writeJsonAtomic(path, swapped(readJsonObject(path), swap));
  const configPath = join(folder, CONFIG_NAME);
  const [pad, start, end] = specialTokens;
  const names =
    tokenizer.kind === "learned"
      ? { pad_token: pad, bos_token: start, eos_token: end }
      : isClip
        ? { pad_token: end, bos_token: start, eos_token: end, unk_token: end }
        : {};
  writeJsonAtomic(configPath, {
    ...(existsSync(configPath) ? readJsonObject(configPath) : {}),
    ...names,
    tokenizer_class: "PreTrainedTokenizerFast",
    model_max_length: tokenizer.contextLength,
  });
}

/** The file of a learned vocabulary with two ids in each other's place. Merges go by their order, not by ids. */
function swapped(file: Record<string, unknown>, [a, b]: Swap): Record<string, unknown> {
  const other = (id: unknown): unknown => (id === a ? b : id === b ? a : id);
  const model = file.model as { readonly vocab: Readonly<Record<string, number>> };
  const added = file.added_tokens as { readonly id: number }[];
  const post = file.post_processor as {
    readonly special_tokens: Readonly<Record<string, { readonly ids: number[] }>>;
  };
  return {
    ...file,
    added_tokens: added
      .map((token) => ({ ...token, id: other(token.id) as number }))
      .sort((x, y) => x.id - y.id),
    post_processor: {
      ...post,
      special_tokens: Object.fromEntries(
        Object.entries(post.special_tokens).map(([name, token]) => [
          name,
          { ...token, ids: token.ids.map(other) },
        ]),
      ),
    },
    model: {
      ...model,
      vocab: Object.fromEntries(Object.entries(model.vocab).map(([token, id]) => [token, other(id)])),
    },
  };
}
