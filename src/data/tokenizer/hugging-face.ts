/** Any Hugging Face tokenizer.json, run by @huggingface/tokenizers, with that family's padding and cutting. */

import { Tokenizer as LibraryTokenizer } from "@huggingface/tokenizers";
import { UsageError } from "../../core/errors.js";
import { writeFileAtomic } from "../../core/files.js";
import { type Cleaning, cleanings } from "./clean.js";
import {
  checkContextLength,
  type Framed,
  fitBatch,
  summaryOf,
  type Tokenizer,
  type TokenizerSummary,
} from "./tokenizer.js";

export interface HuggingFaceOptions {
  /** Tokens of a padded text. Default: what the file says under truncation, padding or `model_max_length`. */
  readonly contextLength?: number;
  /** The token where end-token pooling looks. Default: the last that the post-processor adds, else `eos_token`. */
  readonly endToken?: string;
  /** Default: the file's padding, `pad_token`, a token named pad, else the end token. */
  readonly padToken?: string;
  /** Default: `none`. open_clip uses `whitespace`, for SigLIP `canonicalize`. */
  readonly clean?: Cleaning;
}

/** What is used of the library, whose own types do not resolve under Node's rules. */
interface HuggingFaceModel {
  /** An id is undefined for a token that the vocabulary lacks. */
  encode(
    text: string,
    options: { add_special_tokens: boolean },
  ): { ids: (number | undefined)[]; tokens: string[] };
  token_to_id(token: string): number | undefined;
  id_to_token(id: number): string | undefined;
  get_vocab(): Map<string, number>;
}

/** The parts of tokenizer.json that are read here; the model is the library's business. */
interface TokenizerFile {
  readonly truncation?: { readonly max_length?: number; readonly direction?: string } | null;
  readonly padding?: {
    readonly strategy?: unknown;
    readonly direction?: string;
    readonly pad_id?: number;
  } | null;
  readonly added_tokens?: readonly { readonly content: string; readonly id: number }[] | null;
  readonly model: unknown;
}

/** tokenizer_config.json, which stands beside tokenizer.json. */
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
  private readonly model: HuggingFaceModel;
  private readonly prefix: readonly number[];
  private readonly suffix: readonly number[];
  private readonly clean: (text: string) => string;
  private readonly lowers: boolean;

  /** Throws a `UsageError` naming `path` when the file cannot be run, or context length or padding are nowhere given. */
  constructor(
    private readonly file: Readonly<Record<string, unknown>>,
    private readonly path: string,
    private readonly options: HuggingFaceOptions = {},
    private readonly config: TokenizerConfig = {},
  ) {
    const json = file as unknown as TokenizerFile;
    this.model = loadModel(file, config, path);
    this.clean = cleanings[options.clean ?? "none"];
    this.lowers = /"type":"Lowercase"|"lowercase":true/.test(JSON.stringify(file.normalizer ?? null));
    this.vocabSize = highestId(this.model) + 1;
    const { prefix, suffix } = this.probe();
    this.prefix = prefix;
    this.suffix = suffix;

    const end = this.idOf(options.endToken, "endToken") ?? suffix.at(-1) ?? this.idIn("eos_token");
    if (end !== undefined) this.endTokenId = end;
    const start = prefix[0];
    if (start !== undefined) this.startTokenId = start;
    const pad =
      this.idOf(options.padToken, "padToken") ??
      json.padding?.pad_id ??
      this.idIn("pad_token") ??
      json.added_tokens?.find(({ content }) => padNames.includes(content))?.id ??
      end;
    if (pad === undefined) {
      throw new UsageError(`${path}: must name a padding token; it has none. Give padToken (--pad-token).`);
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
    return [...this.prefix, ...this.body(text), ...this.suffix];
  }

  encodeBatch(texts: readonly string[], out?: Int32Array, lengths?: Int32Array): Int32Array {
    const frame = (text: string): Framed => ({
      prefix: this.prefix,
      body: this.body(text),
      suffix: this.suffix,
    });
    return fitBatch(frame, this, texts, out, lengths);
  }

  withContextLength(contextLength: number): HuggingFaceTokenizer {
    return new HuggingFaceTokenizer(this.file, this.path, { ...this.options, contextLength }, this.config);
  }

  toJSON(): TokenizerSummary {
    return summaryOf(this);
  }

  /** Writes tokenizer.json as it was read, but padding and cutting to this context length. */
  save(path: string): void {
    const { contextLength } = this;
    const padToken = this.model.id_to_token(this.padTokenId) ?? "";
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
    writeFileAtomic(path, `${JSON.stringify(file, null, 1)}\n`);
  }

  private body(text: string): number[] {
    return this.idsOf(this.clean(text), false);
  }

  private idsOf(text: string, special: boolean): number[] {
    // Rust lowers letter by letter, JavaScript a final Σ to ς; σ is safe from both.
    const safe = this.lowers ? text.replaceAll("Σ", "σ") : text;
    const { ids, tokens } = this.model.encode(safe, { add_special_tokens: special });
    const unknown = ids.indexOf(undefined);
    if (unknown >= 0) {
      throw new UsageError(
        `${this.path}: must have an id for "${tokens[unknown]}" or an unknown token; it has neither. ` +
          "Use a tokenizer with byte fallback or an unk_token.",
      );
    }
    return ids as number[];
  }

  /** What the post-processor puts before and after a text. */
  private probe(): { prefix: number[]; suffix: number[] } {
    const bare = this.idsOf("a", false);
    const dressed = this.idsOf("a", true);
    for (let at = 0; at + bare.length <= dressed.length; at++) {
      if (bare.every((id, i) => dressed[at + i] === id)) {
        return { prefix: dressed.slice(0, at), suffix: dressed.slice(at + bare.length) };
      }
    }
    throw new UsageError(
      `${this.path}: the post-processor must keep a text in one piece; this one does not.`,
    );
  }

  private idOf(token: string | undefined, option: string): number | undefined {
    if (token === undefined) return undefined;
    const id = this.model.token_to_id(token);
    if (id !== undefined) return id;
    throw new UsageError(`${this.path}: ${option} must be in the vocabulary; got ${option}="${token}".`);
  }

  private idIn(key: string): number | undefined {
    const name = nameIn(this.config, key);
    return name === undefined ? undefined : this.model.token_to_id(name);
  }
}

function loadModel(
  file: Readonly<Record<string, unknown>>,
  config: TokenizerConfig,
  path: string,
): HuggingFaceModel {
  // The library wants these keys to be there; a file may leave them out.
  const whole = {
    normalizer: null,
    pre_tokenizer: null,
    post_processor: null,
    decoder: null,
    ...file,
    added_tokens: file.added_tokens ?? [],
  };
  // Only token names matter to ids; other settings of tokenizer_config.json are for other software.
  const names = ["bos_token", "eos_token", "unk_token", "pad_token"].flatMap((key) => {
    const name = nameIn(config, key);
    return name === undefined ? [] : [[key, name]];
  });
  try {
    return new LibraryTokenizer(whole, Object.fromEntries(names)) as HuggingFaceModel;
  } catch (error) {
    throw new UsageError(
      `${path}: must be a Hugging Face tokenizer.json; ${(error as Error).message}. Give a whole tokenizer.json.`,
      { cause: error },
    );
  }
}

function highestId(model: HuggingFaceModel): number {
  let highest = -1;
  for (const id of model.get_vocab().values()) highest = Math.max(highest, id);
  return highest;
}

/** The context length that the files state, if they do; transformers writes 1e30 for "none". */
function statedLength(json: TokenizerFile, config: TokenizerConfig): number | undefined {
  const fixed = (json.padding?.strategy as { Fixed?: number } | undefined)?.Fixed;
  const most = config.model_max_length;
  return (
    json.truncation?.max_length ?? fixed ?? (typeof most === "number" && most <= 65536 ? most : undefined)
  );
}
