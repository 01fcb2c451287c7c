/** The training loss on pairs that are not trained on, from features that an evaluation has made anyway. */

import { keyFromSeed, Random } from "../core/random.js";
import type { TensorType } from "../core/shape.js";
import type { Engine, Executable } from "../engines/engine.js";
import { type Interval, meanInterval } from "../evaluate/bootstrap.js";
import type { Features } from "../evaluate/features.js";
import { trace } from "../graph/trace.js";
import { pairLosses } from "./loss.js";

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
 * Measures `clipLoss` on held-out pairs in batches of the training's size, so that the two losses compare; in one
 * smaller batch where there are fewer pairs. A pair is an image and its first caption. Batches are drawn once, by
 * a fixed shuffle, since neighbours in a data set are often alike; what does not fill a batch is left out.
 */
export class HeldOutLoss implements Disposable {
  private compiled: { readonly size: number; readonly executable: Executable } | undefined;

  constructor(
    private readonly engine: Engine,
    private readonly batchSize: number,
  ) {}

  /**
   * Mean over the pairs, with its interval; undefined when there are fewer than two pairs.
   * @param logitScale the factor on the cosines.
   */
  async measure(pairs: HeldOutPairs, logitScale: number): Promise<Interval | undefined> {
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
      losses.push(...(await this.run(executable, { images, texts, textIds, logitScale })));
    }
    return meanInterval(losses);
  }

  /** Loss of every pair of a batch. */
  private async run(
    executable: Executable,
    batch: { images: Float32Array; texts: Float32Array; textIds: Int32Array; logitScale: number },
  ): Promise<number[]> {
    const values = {
      ...batch,
      imageIds: batch.textIds.map((_, i) => i),
      scale: Float32Array.of(batch.logitScale),
    };
    const inputs = Object.fromEntries(
      executable.graph.inputs.map(({ name, tensor }) => [
        name,
        this.engine.upload(tensor, values[name as Exclude<keyof typeof values, "logitScale">], {
          adopt: true,
        }),
      ]),
    );
    const outputs = await executable.run(inputs);
    const byImage = (await this.engine.download(outputs.byImage!)) as Float32Array;
    const byText = (await this.engine.download(outputs.byText!)) as Float32Array;
    const losses = Array.from(byImage, (loss, i) => (loss + byText[i]!) / 2);
    for (const buffer of [...Object.values(inputs), ...Object.values(outputs)]) buffer[Symbol.dispose]();
    return losses;
  }

  private async compile(B: number, E: number): Promise<Executable> {
    if (this.compiled?.size === B) return this.compiled.executable;
    this[Symbol.dispose]();
    const features: TensorType = { dtype: "f32", shape: [B, E] };
    const ids: TensorType = { dtype: "i32", shape: [B] };
    const scale: TensorType = { dtype: "f32", shape: [] };
    const graph = trace({ images: features, texts: features, scale, imageIds: ids, textIds: ids }, (x) => {
      const [byImage, byText] = pairLosses(x, x);
      return { byImage, byText };
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
