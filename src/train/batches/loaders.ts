/** The loader of a run whose images change their size on the way: one at a time. */

import type { Loader } from "../../data/index.js";

export class Loaders implements AsyncDisposable {
  private current: Loader;

  /** @param make the run's loader for images of a size. */
  constructor(
    private readonly make: (imageSize: number) => Loader,
    private imageSize: number,
  ) {
    this.current = make(imageSize);
  }

  /** Samples in one pass, whatever the size. */
  get samplesPerEpoch(): number {
    return this.current.samplesPerEpoch;
  }

  /** The loader for images of a size. That of another is closed: batches that it made must be released. */
  async at(imageSize: number): Promise<Loader> {
    if (imageSize !== this.imageSize) {
      await this.current.close();
      this.current = this.make(imageSize);
      this.imageSize = imageSize;
    }
    return this.current;
  }

  stats = (): ReturnType<Loader["stats"]> => this.current.stats();

  async [Symbol.asyncDispose](): Promise<void> {
    await this.current.close();
  }
}
