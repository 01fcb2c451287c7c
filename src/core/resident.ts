/** The most main memory that this process holds while something is done. */

/** Between two looks. */
const EVERY_MS = 50;

/** The system's own mark since the process began, bytes. */
const highest = (): number => process.resourceUsage().maxRSS * 1024;

/** Looks from when it is made until it is disposed. */
export class ResidentPeak implements Disposable {
  private readonly before = highest();
  private most = process.memoryUsage.rss();
  private readonly timer = setInterval(() => this.look(), EVERY_MS).unref();

  /** The most so far, bytes: exact where the process never held as much before, else the most of many looks. */
  get bytes(): number {
    this.look();
    const now = highest();
    return now > this.before ? Math.max(now, this.most) : this.most;
  }

  [Symbol.dispose](): void {
    clearInterval(this.timer);
  }

  private look(): void {
    this.most = Math.max(this.most, process.memoryUsage.rss());
  }
}
