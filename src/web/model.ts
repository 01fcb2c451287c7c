/** A model that was exported to onnx or transformers.js, in a browser. */

import { UsageError } from "../core/errors.js";
import type { TokenizerConfig } from "../data/tokenizer/hugging-face/hugging-face.js";
import { tokenizerOf } from "../data/tokenizer/json.js";
import type { Tokenizer } from "../data/tokenizer/tokenizer.js";
import { evaluationOptions } from "../evaluate/model/preprocess.js";
import type { PreprocessConfig } from "../models/config/preprocess.js";
import type { WebNumberForm } from "../serve/site/layout.js";
import { fetchBytes, fetchObject, folderUrl } from "./fetched.js";
import { type Picture, type Preparing, preparePixels } from "./pictures.js";
import type { WebRuntime, WebSession, WebTensor } from "./runtime.js";

/** Files' endings by the form of their numbers, as transformers.js has them. */
const SUFFIX: Readonly<Record<WebNumberForm, string>> = {
  ...{ fp32: "", fp16: "_fp16", q8: "_quantized", int8: "_int8", q4: "_q4" },
};

export interface WebModelOptions {
  /** `import * as ort from "onnxruntime-web"`. */
  readonly runtime: WebRuntime;
  /** Which of the exported forms. Default `fp32`. */
  readonly dtype?: WebNumberForm;
  /** Where it runs, the wanted first; ONNX Runtime's own choice otherwise: `["webgpu", "wasm"]`. */
  readonly executionProviders?: readonly string[];
  /** Towers to open; a page that only searches by words needs no picture tower. Default both. */
  readonly towers?: readonly ("text" | "vision")[];
  readonly signal?: AbortSignal;
}

/** Texts and pictures to unit vectors of one space. */
export interface WebModel {
  /** Width of the vectors, E. */
  readonly width: number;
  /** Side of the square that the picture tower sees, in pixels. */
  readonly imageSize: number;
  readonly tokenizer: Tokenizer;
  /** f32[B,E], flat: of unit length each. */
  embedTexts(texts: readonly string[]): Promise<Float32Array>;
  /** f32[B,E], flat. Throws `UsageError` for a picture that the browser cannot decode. */
  embedPictures(pictures: readonly Picture[]): Promise<Float32Array>;
  /** The bytes [size,size,3] that the picture tower is shown. */
  preparePicture(picture: Picture): Promise<Uint8Array>;
  close(): Promise<void>;
}

/**
 * Opens the export at an address, relative to the page. Throws `UsageError` naming the file that is missing or is something
 * else, and for a tower that is used and was not opened.
 */
export async function openWebModel(folder: string | URL, options: WebModelOptions): Promise<WebModel> {
  const { runtime, dtype = "fp32", towers = ["text", "vision"], signal, executionProviders } = options;
  const at = folderUrl(folder);
  const file = (name: string): URL => new URL(name, at);
  const [config, processor, tokenizerFile, tokenizerConfig] = await Promise.all(
    ["config.json", "preprocessor_config.json", "tokenizer.json", "tokenizer_config.json"].map((name) =>
      fetchObject(file(name), signal),
    ),
  );
  const preprocess = preprocessOf(processor!, file("preprocessor_config.json"));
  const tokenizer = tokenizerOf(
    tokenizerFile!,
    tokenizerConfig as TokenizerConfig,
    file("tokenizer.json").href,
  );
  const open = async (tower: "text" | "vision"): Promise<WebSession | undefined> => {
    if (!towers.includes(tower)) return undefined;
    const program = await fetchBytes(file(`onnx/${tower}_model${SUFFIX[dtype]}.onnx`), signal);
    return runtime.InferenceSession.create(program, executionProviders && { executionProviders });
  };
  // In a browser programs are loaded one at a time.
  const text = await open("text");
  const vision = await open("vision");
  return new Model(runtime, text, vision, tokenizer, preprocess, Number(config!.projection_dim));
}

interface Pixels extends Preparing {
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

function preprocessOf(processor: Readonly<Record<string, unknown>>, url: URL): Pixels {
  const own = processor.preprocess_cfg as PreprocessConfig | undefined;
  const size = (processor.crop_size as { readonly height?: unknown } | undefined)?.height;
  if (own?.mean === undefined || typeof size !== "number") {
    throw new UsageError(
      `${url.href}: must be of an export to onnx or transformers.js; got no preprocess_cfg. Export the model again.`,
    );
  }
  return { ...evaluationOptions(own), size, mean: own.mean, std: own.std };
}

class Model implements WebModel {
  readonly imageSize: number;

  constructor(
    private readonly runtime: WebRuntime,
    private readonly text: WebSession | undefined,
    private readonly vision: WebSession | undefined,
    readonly tokenizer: Tokenizer,
    private readonly pixels: Pixels,
    readonly width: number,
  ) {
    this.imageSize = pixels.size;
  }

  async embedTexts(texts: readonly string[]): Promise<Float32Array> {
    const session = opened(this.text, "text");
    if (texts.length === 0) return new Float32Array();
    const { contextLength } = this.tokenizer;
    const dims = [texts.length, contextLength];
    const lengths = new Int32Array(texts.length);
    const ids = this.tokenizer.encodeBatch(texts, undefined, lengths);
    const mask = BigInt64Array.from(ids, (_, i) => {
      const row = Math.floor(i / contextLength);
      return i % contextLength < lengths[row]! ? 1n : 0n;
    });
    const feeds: Record<string, WebTensor> = {
      input_ids: new this.runtime.Tensor("int64", BigInt64Array.from(ids, BigInt), dims),
      attention_mask: new this.runtime.Tensor("int64", mask, dims),
    };
    const wanted = Object.fromEntries(session.inputNames.map((name) => [name, feeds[name]!]));
    return (await session.run(wanted)).text_embeds!.data as Float32Array;
  }

  async embedPictures(pictures: readonly Picture[]): Promise<Float32Array> {
    const session = opened(this.vision, "vision");
    if (pictures.length === 0) return new Float32Array();
    const { size, mean, std } = this.pixels;
    const area = size * size;
    const values = new Float32Array(pictures.length * 3 * area);
    for (const [b, picture] of pictures.entries()) {
      const bytes = await this.preparePicture(picture);
      for (let channel = 0; channel < 3; channel++) {
        const [offset, factor] = [mean[channel]!, 1 / std[channel]!];
        const to = (3 * b + channel) * area;
        for (let i = 0; i < area; i++) values[to + i] = (bytes[3 * i + channel]! / 255 - offset) * factor;
      }
    }
    const tensor = new this.runtime.Tensor("float32", values, [pictures.length, 3, size, size]);
    return (await session.run({ pixel_values: tensor })).image_embeds!.data as Float32Array;
  }

  preparePicture = (picture: Picture): Promise<Uint8Array> => preparePixels(picture, this.pixels);

  async close(): Promise<void> {
    await Promise.all([this.text?.release(), this.vision?.release()]);
  }
}

function opened(session: WebSession | undefined, tower: string): WebSession {
  if (session !== undefined) return session;
  throw new UsageError(`model: the ${tower} tower was not opened. Name it in towers.`);
}
