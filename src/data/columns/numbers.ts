/** Columns of numbers that grow, in memory that worker threads share. */

type Numbers = Uint32Array | Int32Array | Float64Array;

const u32 = (length: number): Uint32Array => new Uint32Array(new SharedArrayBuffer(4 * length));
const i32 = (length: number): Int32Array => new Int32Array(new SharedArrayBuffer(4 * length));
const f64 = (length: number): Float64Array => new Float64Array(new SharedArrayBuffer(8 * length));

/** Zeros in shared memory, by the kind of number. */
export const shared = { u32, i32, f64 } as const;

/** Numbers one after the other; twice the memory whenever it is full. */
export class GrowingColumn<T extends Numbers> {
  length = 0;
  /** The numbers, and room behind them; another array after each growth. */
  values: T;

  constructor(private readonly make: (length: number) => T) {
    this.values = make(256);
  }

  /** Gives the number's position. */
  push(value: number): number {
    if (this.length === this.values.length) this.values = this.copy(2 * this.length);
    this.values[this.length] = value;
    return this.length++;
  }

  /** The numbers so far, in as much memory as they need. */
  done(): T {
    return this.copy(this.length);
  }

  private copy(length: number): T {
    const values = this.make(length);
    values.set(this.values.subarray(0, Math.min(length, this.length)));
    return values;
  }
}
