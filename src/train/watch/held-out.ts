/** The training loss on pairs that are not trained on, from features that an evaluation has made anyway. */

import type { TypedArray } from "../../core/dtype.js";
import { keyFromSeed, Random } from "../../core/random.js";
import type { TensorType } from "../../core/shape.js";
import type { Engine, Executable } from "../../engines/engine.js";
import type { Features } from "../../evaluate/features/features.js";
import { type Interval, meanInterval } from "../../evaluate/statistics/bootstrap.js";
import { trace } from "../../graph/trace.js";
import { acrossReplicas, BLOCK_LOGITS, type LogitValues, rowsAt, softmaxPairs } from "../strategies/loss.js";
import type { Strategy } from "../strategies/strategy.js";

/** Features of held-out pairs. */
export interface HeldOutPairs {
  /** Unit vectors [N,E]. */
  readonly images: Features;
  /** Unit vectors [M,E]. */
  readonly texts: Features;
  /** [M] words of each text. */
  readonly captions: readonly string[];
  /** [M] row of the image that each text belongs to. */
  readonly captionImage: ArrayLike<number>;
}

/**
 * Measures a strategy's loss on held-out pairs in batches of the training's size, so that the two losses compare; in one
 * smaller batch where there are fewer pairs. A pair is an image and its first caption. Batches are drawn once, by
 * a fixed shuffle, since neighbours in a data set are often alike; what does not fill a batch is left out.
 */
export class HeldOutLoss implements Disposable {
  private compiled: { readonly size: number; readonly executable: Executable } | undefined;

  constructor(
    private readonly engine: Engine,
    private readonly batchSize: number,
    private readonly loss: Strategy["pairs"] = softmaxPairs,
    /** Most logits at once: larger batches are taken in blocks of rows. */
    private readonly blockLogits = BLOCK_LOGITS,
  ) {}

  /**
   * Mean over the pairs, with its interval; undefined when there are fewer than two pairs.
   * @param logits the factor on the cosines, and what is added to them.
   */
  async measure(pairs: HeldOutPairs, logits: LogitValues): Promise<Interval | undefined> {
    const firstCaption = new Map<number, number>();
    for (let text = pairs.captionImage.length - 1; text >= 0; text--)
      firstCaption.set(pairs.captionImage[text]!, text);
    const rows = [...firstCaption].sort(([a], [b]) => a - b);
    const B = Math.min(this.batchSize, rows.length);
    if (B < 2) return undefined;
    const order = new Random(keyFromSeed(0)).permutation(rows.length);
    const E = pairs.images.width;
    const executable = await this.compile(B, E);
    const losses: number[] = [];
    for (let start = 0; start + B <= rows.length; start += B) {
      const images = new Float32Array(B * E);
      const texts = new Float32Array(B * E);
      const textIds = new Int32Array(B);
      const idOf = new Map<string, number>();
      for (let i = 0; i < B; i++) {
        const [image, text] = rows[order[start + i]!]!;
        images.set(pairs.images.data.subarray(image * E, (image + 1) * E), i * E);
        texts.set(pairs.texts.data.subarray(text * E, (text + 1) * E), i * E);
        const words = pairs.captions[text]!;
        if (!idOf.has(words)) idOf.set(words, i);
        textIds[i] = idOf.get(words)!;
      }
      losses.push(...(await this.run(executable, { images, texts, textIds }, logits)));
    }
    return meanInterval(losses);
  }

  /** Loss of every pair of a batch. */
  private async run(
    executable: Executable,
    batch: { images: Float32Array; texts: Float32Array; textIds: Int32Array },
    logits: LogitValues,
  ): Promise<number[]> {
    const values: Readonly<Record<string, TypedArray>> = {
      ...batch,
      imageIds: batch.textIds.map((_, i) => i),
      scale: Float32Array.of(logits.scale),
      bias: Float32Array.of(logits.bias),
    };
    const types = new Map(executable.graph.inputs.map(({ name, tensor }) => [name, tensor]));
    const upload = (name: string, data: TypedArray) =>
      this.engine.upload(types.get(name)!, data, { adopt: true });
    const inputs = Object.fromEntries(
      Object.entries(values).map(([name, data]) => [name, upload(name, data)]),
    );
    const B = batch.textIds.length;
    const b = types.get("places")!.shape[0]!;
    const losses: number[] = [];
    for (let first = 0; first < B; first += b) {
      // The last block repeats the last row.
      using places = upload(
        "places",
        Int32Array.from({ length: b }, (_, i) => Math.min(first + i, B - 1)),
      );
      const outputs = await executable.run({ ...inputs, places });
      const found = (await this.engine.download(outputs.losses!)) as Float32Array;
      losses.push(...found.subarray(0, B - first));
      outputs.losses![Symbol.dispose]();
    }
    for (const buffer of Object.values(inputs)) buffer[Symbol.dispose]();
    return losses;
  }

  private async compile(B: number, E: number): Promise<Executable> {
    if (this.compiled?.size === B) return this.compiled.executable;
    this[Symbol.dispose]();
    const features: TensorType = { dtype: "f32", shape: [B, E] };
    const ids: TensorType = { dtype: "i32", shape: [B] };
    const scale: TensorType = { dtype: "f32", shape: [] };
    const blocks = Math.ceil(B / Math.max(1, Math.floor(this.blockLogits / B)));
    const places: TensorType = { dtype: "i32", shape: [Math.ceil(B / blocks)] };
    const pairs = { images: features, texts: features, imageIds: ids, textIds: ids };
    const graph = trace({ ...pairs, places, scale, bias: scale }, (x) => {
      const { all } = acrossReplicas({ ...x, features: { images: x.images, texts: x.texts } }, 1);
      return { losses: this.loss(rowsAt(all, x.places), all, x) };
    });
    const executable = await this.engine.compile(graph, { name: "held-out loss" });
    this.compiled = { size: B, executable };
    return executable;
  }

  [Symbol.dispose](): void {
    this.compiled?.executable[Symbol.dispose]();
    this.compiled = undefined;
  }
}
