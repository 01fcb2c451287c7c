/** A trained CLIP at work: images and texts to unit vectors, in batches of fixed size. */

import { InternalError, UsageError } from "../../core/errors.js";
import { readBytes } from "../../core/files.js";
import type { TensorType } from "../../core/shape.js";
import type { Dataset } from "../../data/dataset.js";
import { evaluationBatches } from "../../data/loading/evaluation.js";
import type { SkippedSample } from "../../data/loading/loader.js";
import type { PackedOptions } from "../../data/loading/packed/open.js";
import { type Pipeline, preprocessImage } from "../../data/pixels/pipeline.js";
import type { Tokenizer } from "../../data/tokenizer/tokenizer.js";
import type { DeviceBuffer, Engine, Executable } from "../../engines/engine.js";
import { trace } from "../../graph/trace.js";
import type { Clip } from "../../models/clip.js";
import { normalizeImages } from "../../nn/images.js";
import { parameterTypes } from "../../nn/parameters.js";
import { type Features, unitFeatures } from "../features/features.js";

export interface EncoderOptions {
  readonly clip: Clip;
  readonly tokenizer: Tokenizer;
  /** What a model sees of an image; its size is the model's. */
  readonly pipeline: Pipeline;
  readonly normalization: { readonly mean: readonly number[]; readonly std: readonly number[] };
  /** Images in one run of the graph. Default 64. */
  readonly imageBatch?: number | undefined;
  /** Texts in one run of the graph. Default 128. */
  readonly textBatch?: number | undefined;
  /** Threads that decode. Default: cores − 1. */
  readonly workers?: number | undefined;
  /** Where the decoded images of data sets are kept. Default: nowhere. */
  readonly packed?: PackedOptions | undefined;
}

export interface ImageFeatures {
  readonly features: Features;
  /** Sample of each row. */
  readonly indices: Uint32Array;
  /** Left out because unreadable. */
  readonly skipped: readonly SkippedSample[];
}

export interface ImageBatchFeatures {
  /** Unit vectors f32[n,E], flat; n may be 0. */
  readonly vectors: Float32Array;
  /** Sample of each row, [n]. */
  readonly indices: Uint32Array;
  /** Left out because unreadable. */
  readonly skipped: readonly SkippedSample[];
}

/** Throws a `UsageError` when every image of a set was skipped. */
export function requireReadable(name: string, rows: number, skipped: readonly SkippedSample[]): void {
  const [first] = skipped;
  if (rows > 0 || first === undefined) return;
  throw new UsageError(
    `data ${name}: must have an image that can be read; got ${skipped.length} broken, the first ${first.key}: ${first.reason}`,
  );
}

/** Compiled towers over parameters that somebody else owns (`use` gives them before each evaluation). */
export class Encoder implements Disposable {
  private parameters: Readonly<Record<string, DeviceBuffer>> = {};

  private constructor(
    readonly engine: Engine,
    readonly options: EncoderOptions,
    private readonly image: Executable,
    private readonly text: Executable,
    private readonly imageType: TensorType,
    private readonly textType: TensorType,
  ) {}

  /** Compiles both towers for the batches of `options`. */
  static async create(engine: Engine, options: EncoderOptions): Promise<Encoder> {
    const { clip, normalization, pipeline, tokenizer, imageBatch = 64, textBatch = 128 } = options;
    const params = parameterTypes(clip.variables);
    const images: TensorType = { dtype: "u8", shape: [imageBatch, pipeline.size, pipeline.size, 3] };
    const tokens: TensorType = { dtype: "i32", shape: [textBatch, tokenizer.contextLength] };
    const image = await engine.compile(
      trace({ params, images }, (x) => ({
        features: clip.encodeImage(
          x.params,
          normalizeImages(x.images, normalization.mean, normalization.std),
        ),
      })),
      { name: "image tower" },
    );
    const text = await engine.compile(
      trace({ params, tokens }, (x) => ({ features: clip.encodeText(x.params, x.tokens) })),
      { name: "text tower" },
    );
    return new Encoder(engine, options, image, text, images, tokens);
  }

  /** Parameters and statistics by name, in the engine's memory, for what follows. */
  use(parameters: Readonly<Record<string, DeviceBuffer>>): this {
    this.parameters = Object.fromEntries(
      Object.entries(parameters).map(([name, b]) => [`params.${name}`, b]),
    );
    return this;
  }

  /** The factor on cosines that the model has learned, for probabilities. */
  async scale(): Promise<number> {
    const buffer = this.parameters["params.logit_scale"];
    if (buffer === undefined) throw new InternalError("encoder: no logit_scale among its parameters");
    return Math.exp(Number((await this.engine.download(buffer))[0]));
  }

  /** Unit vectors [N,E] of texts, flat. `onBatch` is told the texts that are done. Throws `UsageError` for what is no list of texts. */
  embedTexts = async (
    texts: readonly string[],
    { onBatch }: { onBatch?: (done: number) => void } = {},
  ): Promise<Float32Array> => {
    if (!Array.isArray(texts) || texts.some((text) => typeof text !== "string")) {
      throw new UsageError(
        `embedTexts: texts must be a list of texts; got texts=${JSON.stringify(texts)}. Write ["a dog"] for one.`,
      );
    }
    const [B, T] = this.textType.shape as [number, number];
    const E = this.options.clip.config.embed_dim;
    const out = new Float32Array(texts.length * E);
    for (let at = 0; at < texts.length; at += B) {
      const part = texts.slice(at, at + B);
      const tokens = new Int32Array(B * T);
      this.options.tokenizer.encodeBatch(part, tokens.subarray(0, part.length * T));
      const features = await this.run(this.text, "tokens", this.textType, tokens);
      out.set(features.subarray(0, part.length * E), at * E);
      onBatch?.(at + part.length);
    }
    return out;
  };

  /** Positions of the texts that have more tokens than the model reads, and are cut. */
  cutTexts(texts: readonly string[]): number[] {
    const { tokenizer } = this.options;
    return [...texts.keys()].filter((i) => tokenizer.encode(texts[i]!).length > tokenizer.contextLength);
  }

  /**
   * Unit vectors [n,E], flat, of pictures given by path or as encoded bytes (JPEG, PNG, …), prepared as the model was
   * trained. Throws a `UsageError` naming the picture that cannot be read.
   */
  embedImages = async (images: readonly (string | Uint8Array)[]): Promise<Float32Array> => {
    const isPicture = (image: unknown) => typeof image === "string" || image instanceof Uint8Array;
    if (!Array.isArray(images) || !images.every(isPicture)) {
      throw new UsageError(
        `embedImages: images must be a list of paths or encoded bytes; got images=${typeof images}. Write ["cat.jpg"] for one.`,
      );
    }
    const { clip, pipeline } = this.options;
    const [B, E] = [this.imageType.shape[0]!, clip.config.embed_dim];
    const pixels = pipeline.size ** 2 * 3;
    const out = new Float32Array(images.length * E);
    for (let at = 0; at < images.length; at += B) {
      const part = images.slice(at, at + B);
      const batch = new Uint8Array(part.length * pixels);
      for (const [i, image] of part.entries()) {
        batch.set(await this.prepared(image, `image ${at + i}`), i * pixels);
      }
      out.set(await this.embedPixels(batch), at * E);
    }
    return out;
  };

  /** What the model sees of a picture: u8[S,S,3]; `name` is what messages call one without a path. */
  private async prepared(image: string | Uint8Array, name: string): Promise<Uint8Array> {
    const bytes = typeof image === "string" ? readBytes(image) : image;
    try {
      return await preprocessImage(bytes, this.options.pipeline);
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      const what = typeof image === "string" ? image : name;
      throw new UsageError(error.message.replace(/^image/, what), { cause: error });
    }
  }

  /** Unit vectors [n,E], flat, of n images u8[n,S,S,3]; n may be less than the batch. */
  async embedPixels(images: Uint8Array): Promise<Float32Array> {
    const size = this.imageType.shape.slice(1).reduce((n, d) => n * d, 1);
    const E = this.options.clip.config.embed_dim;
    const n = images.length / size;
    if (n === 0) return new Float32Array();
    const B = this.imageType.shape[0]!;
    if (!Number.isInteger(n) || n > B)
      throw new InternalError(`encoder: got ${images.length} bytes for [${this.imageType.shape}]`);
    let full = images;
    if (n < B) {
      full = new Uint8Array(B * size);
      full.set(images);
    }
    return (await this.run(this.image, "images", this.imageType, full)).slice(0, n * E);
  }

  /**
   * Unit vectors of a data set's images batch by batch, in order, so that memory does not grow with the set; `chosen`
   * samples alone where it is given.
   */
  async *embedBatches(dataset: Dataset, chosen?: ArrayLike<number>): AsyncGenerator<ImageBatchFeatures> {
    const { pipeline, workers, packed } = this.options;
    const batches = evaluationBatches(dataset, {
      batchSize: this.imageType.shape[0]!,
      ...{ pipeline, packed },
      ...(workers === undefined ? {} : { workers }),
      ...(chosen === undefined ? {} : { indices: chosen }),
    });
    // The engine is at the next batch while the caller takes this one.
    let running: Promise<ImageBatchFeatures> | undefined;
    try {
      for await (const { images, indices, skipped } of batches) {
        const before = await running;
        running = this.embedPixels(images).then((vectors) => ({ vectors, indices, skipped }));
        running.catch(() => undefined); // thrown when its turn comes
        if (before !== undefined) yield before;
      }
      if (running !== undefined) yield await running;
    } finally {
      await running?.catch(() => undefined);
    }
  }

  /**
   * Unit vectors of a data set's images at once, in order. `onBatch` is told the images that are done. Throws `UsageError`
   * if none is readable.
   */
  async embedDataset(
    dataset: Dataset,
    { onBatch }: { onBatch?: (done: number) => void } = {},
  ): Promise<ImageFeatures> {
    const width = this.options.clip.config.embed_dim;
    const flat = new Float32Array(dataset.length * width);
    const kept = new Uint32Array(dataset.length);
    const skipped: SkippedSample[] = [];
    let rows = 0;
    for await (const batch of this.embedBatches(dataset)) {
      flat.set(batch.vectors, rows * width);
      kept.set(batch.indices, rows);
      rows += batch.indices.length;
      skipped.push(...batch.skipped);
      onBatch?.(rows + skipped.length);
    }
    requireReadable(dataset.name, rows, skipped);
    return {
      features: unitFeatures(flat.subarray(0, rows * width), width, `images of ${dataset.name}`),
      indices: kept.slice(0, rows),
      skipped,
    };
  }

  private async run(executable: Executable, name: string, type: TensorType, data: Uint8Array | Int32Array) {
    const input = this.engine.upload(type, data, { adopt: true });
    const outputs = await executable.run({ ...this.parameters, [name]: input });
    const features = (await this.engine.download(outputs.features!)) as Float32Array;
    const copy = features.slice();
    outputs.features![Symbol.dispose]();
    input[Symbol.dispose]();
    return copy;
  }

  /** Frees the towers' programs and the weights that it holds. */
  [Symbol.dispose](): void {
    this.image[Symbol.dispose]();
    this.text[Symbol.dispose]();
  }
}
