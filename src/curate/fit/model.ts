/** The CLIP by whose embeddings pairs are scored: how a person names it, and how it is opened. */

import { join } from "node:path";
import { cacheFolder } from "../../core/cache-folder.js";
import { UsageError } from "../../core/errors.js";
import { engineChoices, openEngine } from "../../engines/registry.js";
import type { FeatureSource } from "../../evaluate/features/source.js";
import { FeatureStore } from "../../evaluate/features/store.js";
import { loadModel } from "../../evaluate/model/load-model.js";
import { choice, defaulted, integer, optional, text } from "../../settings/fields.js";
import type { ScoreHost } from "../scores/score.js";

/** Settings of every family that computes with a model. */
export const engineFields = {
  engine: defaulted(choice(engineChoices), "auto", "What computes; auto: the best that is installed here."),
  threads: optional(integer(1, 1024), "Threads of the engine; all cores otherwise."),
};

/** Settings of every family that needs a trained CLIP. */
export const clipFields = {
  clip: optional(
    text("RUN|FILE"),
    "A trained CLIP: a run, a checkpoint of one, or open_clip's .safetensors. What it embeds is kept in the cache.",
  ),
  clipModel: optional(text("NAME|FILE"), "Of --clip: preset or JSON, where none lies beside it."),
  clipTokenizer: optional(text("FILE"), "Of --clip: its tokenizer, where none lies beside it."),
  ...engineFields,
};

interface ClipSettings {
  readonly clip?: string;
  readonly clipModel?: string;
  readonly clipTokenizer?: string;
  readonly engine?: (typeof engineChoices)[number];
  readonly threads?: number;
}

/**
 * Opens the model that the settings name, with the features that the cache keeps of it, for as long as `use` takes. Throws
 * `UsageError` where none is named: `family` needs it.
 */
export async function withClip<Result>(
  { settings, workers, onProgress, onNote }: ScoreHost,
  family: string,
  use: (source: FeatureSource) => Promise<Result>,
): Promise<Result> {
  const { clip, clipModel, clipTokenizer, engine: name = "auto", threads } = settings as ClipSettings;
  if (clip === undefined)
    throw new UsageError(
      `clip: the scores "${family}" need a trained CLIP; got none. Give --clip, or score by crossfit, which trains its own.`,
      { key: "clip" },
    );
  const engine = await openEngine(name, { threads });
  try {
    using model = await loadModel(engine, {
      path: clip,
      model: clipModel,
      tokenizer: clipTokenizer,
      optionPrefix: "clip-",
      workers,
      say: onNote,
    });
    const folder = join(cacheFolder(), "features");
    using store = new FeatureStore(model.encoder, { folder, model: model.key(), onProgress });
    return await use(store);
  } finally {
    await engine[Symbol.asyncDispose]();
  }
}
