/** A few things at a time, some more that wait, and no more than that. */

import { UsageError } from "../errors.js";

/** The server has more to do than it can. */
export class Busy extends UsageError {}

export class Turns {
  private running = 0;
  private readonly waiting: (() => void)[] = [];

  /** @param what is told, in the words of the message, when too many wait. */
  constructor(
    private readonly what: string,
    private readonly atOnce: number,
    private readonly mostWaiting: number,
  ) {}

  /** Does `work` when its turn comes. Throws `Busy` where too many wait. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.running >= this.atOnce) {
      if (this.waiting.length >= this.mostWaiting)
        throw new Busy(`${this.what}: too many are asked for at once. Try again.`);
      await new Promise<void>((resolve) => this.waiting.push(resolve));
    }
    this.running++;
    try {
      return await work();
    } finally {
      this.running--;
      this.waiting.shift()?.();
    }
  }
}
