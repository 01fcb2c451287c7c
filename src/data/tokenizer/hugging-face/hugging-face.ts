/** Any Hugging Face tokenizer.json, with that family's padding and cutting: the ids of the Rust library. */

import { UsageError } from "../../../core/errors.js";
import { WordCache } from "../byte-pairs.js";
import { type Cleaning, cleanings } from "../clean.js";
import {
  checkContextLength,
  type Framed,
  fitBatch,
  summaryOf,
  type Tokenizer,
  type TokenizerSummary,
  type VocabularyFile,
} from "../tokenizer.js";
import { addedTokensIn, type Section, splitterOf } from "./added-tokens.js";
import { modelOf } from "./model.js";
import { normalizerOf } from "./normalizers.js";
import { type Frame, frameOf } from "./post-processor.js";
import { preTokenizerOf } from "./pre-tokenizers.js";

export interface HuggingFaceOptions {
  /** Tokens of a padded text. Default: what the file says under truncation, padding or `model_max_length`. */
  readonly contextLength?: number;
  /** The token where end-token pooling looks. Default: the last that the post-processor adds, else `eos_token`. */
  readonly endToken?: string;
  /** Default: the file's padding, `pad_token`, a token named pad, else the end token. */
  readonly padToken?: string;
  /** Default: `none`. open_clip uses `whitespace`, for SigLIP `canonicalize`. */
  readonly clean?: Cleaning;
  /** Runs what a file's own regular expressions may never end with. Default: a plain call. */
  readonly within?: WithinTime;
}

/** What `work` gives; undefined where it was stopped after `limitMs`. */
export type WithinTime = <T>(limitMs: number, work: () => T) => { readonly value: T } | undefined;

const unlimited: WithinTime = (_, work) => ({ value: work() });

/** The parts of tokenizer.json that say how texts are padded and cut. */
interface TokenizerFile {
  readonly truncation?: { readonly max_length?: number; readonly direction?: string } | null;
  readonly padding?: {
    readonly strategy?: unknown;
    readonly direction?: string;
    readonly pad_id?: number;
  } | null;
}

/** What stands beside tokenizer.json. */
export const CONFIG_NAME = "tokenizer_config.json";

export type TokenizerConfig = Readonly<Record<string, unknown>>;

/** A name in tokenizer_config.json: plain, or an object with `content`. */
function nameIn(config: TokenizerConfig, key: string): string | undefined {
  const value = config[key];
  const content = (value as { content?: unknown } | null | undefined)?.content ?? value;
  return typeof content === "string" ? content : undefined;
}

const isLeft = (direction: unknown): boolean => String(direction).toLowerCase() === "left";
const padNames = ["<pad>", "[PAD]", "<|pad|>", "<PAD>"];

export class HuggingFaceTokenizer implements Tokenizer {
  readonly kind = "huggingface";
  readonly fileName = "tokenizer.json";
  readonly vocabSize: number;
  readonly contextLength: number;
  readonly startTokenId?: number;
  readonly endTokenId?: number;
  readonly padTokenId: number;
  readonly padSide: "left" | "right";
  readonly cutSide: "left" | "right";
  private readonly pipeline: TextPipeline;
  private readonly clean: (text: string) => string;

  /** Throws a `UsageError` naming `path` when the file cannot be run, or context length or padding are nowhere given. */
  constructor(
    private readonly file: Readonly<Record<string, unknown>>,
    private readonly path: string,
    private readonly options: HuggingFaceOptions = {},
    private readonly config: TokenizerConfig = {},
    pipeline = new TextPipeline(file, path),
  ) {
    const json = file as unknown as TokenizerFile;
    this.pipeline = pipeline;
    this.clean = cleanings[options.clean ?? "none"];
    const { prefix, suffix, highestId } = pipeline;
    this.vocabSize = highestId + 1;

    const end = this.idOf(options.endToken, "endToken") ?? suffix.at(-1) ?? this.idIn("eos_token");
    if (end !== undefined) this.endTokenId = end;
    const start = prefix[0];
    if (start !== undefined) this.startTokenId = start;
    const pad =
      this.idOf(options.padToken, "padToken") ??
      json.padding?.pad_id ??
      this.idIn("pad_token") ??
      padNames.map((name) => pipeline.added.get(name)).find((id) => id !== undefined) ??
      end;
    if (pad === undefined) {
      throw new UsageError(`${path}: must name a padding token; it has none. Give padToken (--pad-token).`);
    }
    if (!(Number.isInteger(pad) && pad >= 0 && pad <= highestId)) {
      throw new UsageError(
        `${path}: padding.pad_id must be an id of the vocabulary; got ${JSON.stringify(pad)}.`,
      );
    }
    this.padTokenId = pad;
    this.padSide = isLeft(json.padding?.direction ?? config.padding_side) ? "left" : "right";
    this.cutSide = isLeft(json.truncation?.direction ?? config.truncation_side) ? "left" : "right";

    const contextLength = options.contextLength ?? statedLength(json, config);
    if (contextLength === undefined) {
      throw new UsageError(
        `${path}: the context length must be given; the file states none. Set contextLength.`,
      );
    }
    checkContextLength(path, contextLength, prefix.length + suffix.length);
    this.contextLength = contextLength;
  }

  encode(text: string): number[] {
    const { prefix, suffix } = this.pipeline;
    return [...prefix, ...this.within(() => this.body(text)), ...suffix];
  }

  encodeBatch(texts: readonly string[], out?: Int32Array, lengths?: Int32Array): Int32Array {
    const { prefix, suffix } = this.pipeline;
    const frame = (text: string): Framed => ({ prefix, body: this.body(text), suffix });
    return this.within(() => fitBatch(frame, this, texts, out, lengths));
  }

  withContextLength(contextLength: number): HuggingFaceTokenizer {
    const options = { ...this.options, contextLength };
    return new HuggingFaceTokenizer(this.file, this.path, options, this.config, this.pipeline);
  }

  toJSON(): TokenizerSummary {
    return summaryOf(this);
  }

  /**
   * The tokenizer.json as it was read, but padding and cutting to this context length; and a tokenizer_config.json
   * with the tokens that only that names.
   */
  toFiles(): readonly VocabularyFile[] {
    const { contextLength } = this;
    const padToken = this.pipeline.tokenOf(this.padTokenId) ?? "";
    const file = {
      ...this.file,
      truncation: {
        direction: this.cutSide === "left" ? "Left" : "Right",
        max_length: contextLength,
        strategy: "LongestFirst",
        stride: 0,
      },
      padding: {
        strategy: { Fixed: contextLength },
        direction: this.padSide === "left" ? "Left" : "Right",
        pad_to_multiple_of: null,
        pad_id: this.padTokenId,
        pad_type_id: 0,
        pad_token: padToken,
      },
    };
    const { endTokenId: end } = this;
    const names = {
      ...(end === undefined ? {} : { eos_token: this.pipeline.tokenOf(end) }),
      pad_token: padToken,
      model_max_length: contextLength,
    };
    const config = { ...this.config, ...names };
    return [
      { name: this.fileName, text: `${JSON.stringify(file, null, 1)}\n` },
      { name: CONFIG_NAME, text: `${JSON.stringify(config, null, 1)}\n` },
    ];
  }

  private body(text: string): number[] {
    return this.pipeline.encode(this.clean(text));
  }

  /** Runs `work`; where the file brings its own expressions, with a limit of time. */
  private within<T>(work: () => T): T {
    if (!this.pipeline.hasPatterns) return work();
    const { within = unlimited } = this.options;
    const done = within(TIME_LIMIT_MS, work);
    if (done !== undefined) return done.value;
    throw new UsageError(
      `${this.path}: its regular expressions must be done with a batch of texts within ${TIME_LIMIT_MS / 1000} s; they were not. Use another tokenizer.`,
    );
  }

  private idOf(token: string | undefined, option: string): number | undefined {
    if (token === undefined) return undefined;
    const id = this.pipeline.idOf(token);
    if (id !== undefined) return id;
    throw new UsageError(`${this.path}: ${option} must be in the vocabulary; got ${option}="${token}".`);
  }

  private idIn(key: string): number | undefined {
    const name = nameIn(this.config, key);
    return name === undefined ? undefined : this.pipeline.idOf(name);
  }
}

/** For a batch; thousands of long captions take a hundredth of it. */
const TIME_LIMIT_MS = 20_000;

/** From a text to ids: added tokens, normalizer, pre-tokenizer, model; and what the post-processor puts around. */
class TextPipeline implements Frame {
  readonly prefix: readonly number[];
  readonly suffix: readonly number[];
  readonly highestId: number;
  /** Whether the file brings regular expressions of its own. */
  readonly hasPatterns: boolean;
  /** The ids of added tokens. */
  readonly added: ReadonlyMap<string, number>;
  private readonly vocabulary: ReadonlyMap<string, number>;
  private readonly sectionsOf: (text: string) => { readonly section: Section; readonly first: boolean }[];
  private readonly idsOf: (text: string, first: boolean) => number[];

  /** Throws a `UsageError` naming `path` and the key for what is not built or not whole. */
  constructor(file: Readonly<Record<string, unknown>>, path: string) {
    const model = modelOf(file.model, path);
    const normalize = normalizerOf(file.normalizer, path);
    const preTokenize = preTokenizerOf(file.pre_tokenizer, path);
    const { prefix, suffix } = frameOf(file.post_processor, path);
    const added = addedTokensIn(file.added_tokens, path);
    this.prefix = prefix;
    this.suffix = suffix;
    this.vocabulary = model.vocabulary;
    this.added = new Map(added.map(({ content, id }) => [content, id]));
    this.highestId = [...model.vocabulary.values(), ...this.added.values(), ...prefix, ...suffix].reduce(
      (highest, id) => Math.max(highest, id),
      -1,
    );
    this.hasPatterns = JSON.stringify([file.normalizer, file.pre_tokenizer])?.includes('"Regex"') === true;
    const asGiven = splitterOf(
      added.filter(({ normalized }) => !normalized),
      ({ content }) => content,
    );
    const asNormalized = splitterOf(
      added.filter(({ normalized }) => normalized),
      ({ content }) => normalize(content),
    );
    this.sectionsOf = (text) =>
      asGiven(text).flatMap((given, i) => {
        if (typeof given === "number") return [{ section: given, first: false }];
        return asNormalized(normalize(given)).map((section, j) => ({ section, first: i + j === 0 }));
      });
    const words = new WordCache((piece) => model.encode(piece));
    this.idsOf = (text, first) => preTokenize(text, first).flatMap((piece) => [...words.get(piece)]);
  }

  encode(text: string): number[] {
    return this.sectionsOf(text).flatMap(({ section, first }) =>
      typeof section === "number" ? [section] : this.idsOf(section, first),
    );
  }

  idOf(token: string): number | undefined {
    return this.added.get(token) ?? this.vocabulary.get(token);
  }

  tokenOf(id: number): string | undefined {
    for (const tokens of [this.added, this.vocabulary]) {
      for (const [token, each] of tokens) if (each === id) return token;
    }
    return undefined;
  }
}

/** The context length that the files state, if they do; transformers writes 1e30 for "none". */
function statedLength(json: TokenizerFile, config: TokenizerConfig): number | undefined {
  const fixed = (json.padding?.strategy as { Fixed?: number } | undefined)?.Fixed;
  const most = config.model_max_length;
  return (
    json.truncation?.max_length ?? fixed ?? (typeof most === "number" && most <= 65536 ? most : undefined)
  );
}
