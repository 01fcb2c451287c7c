/** What was made last, up to a limit. */

/** Values by key; the longest unused go. */
export class Kept<K, V> {
  private readonly values = new Map<K, V>();
  private total = 0;

  /** @param sizeOf of a value, in the unit of `limit`. */
  constructor(
    private readonly limit: number,
    private readonly sizeOf: (value: V) => number,
  ) {}

  get(key: K, make: () => V): V {
    const kept = this.values.get(key);
    if (kept !== undefined) {
      // What was asked for last is kept longest.
      this.values.delete(key);
      this.values.set(key, kept);
      return kept;
    }
    const made = make();
    this.values.set(key, made);
    this.total += this.sizeOf(made);
    for (const [oldest, value] of this.values) {
      if (this.total <= this.limit || oldest === key) break;
      this.values.delete(oldest);
      this.total -= this.sizeOf(value);
    }
    return made;
  }

  clear(): void {
    this.values.clear();
    this.total = 0;
  }
}
