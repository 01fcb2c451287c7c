/**
 * Randomness from explicit keys. A key is 64 bits; Philox 4×32-10 (Salmon et al. 2011, "Parallel random
 * numbers: as easy as 1, 2, 3") turns (key, counter) into 128 bits, so any element can be drawn on its own,
 * in any order, on any thread. There is no global generator.
 */

export interface Key {
  readonly hi: number;
  readonly lo: number;
}

const MULTIPLIER_0 = 0xd2511f53;
const MULTIPLIER_1 = 0xcd9e8d57;
const WEYL_0 = 0x9e3779b9;
const WEYL_1 = 0xbb67ae85;
const ROUNDS = 10;

/** High and low words of the 64-bit product of two 32-bit words. */
function multiplyWide(a: number, b: number, out: Uint32Array): void {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  const low = aLow * bLow;
  const mid1 = aHigh * bLow + (low >>> 16);
  const mid2 = aLow * bHigh + (mid1 & 0xffff);
  out[0] = (aHigh * bHigh + Math.floor(mid1 / 65536) + Math.floor(mid2 / 65536)) >>> 0;
  out[1] = Math.imul(a, b) >>> 0;
}

const wide0 = new Uint32Array(2);
const wide1 = new Uint32Array(2);

/** The four words of block `counter` (four words) under `key`, written into `out`. */
export function philox(key: Key, counter: Uint32Array, out: Uint32Array): void {
  let c0 = counter[0]!;
  let c1 = counter[1]!;
  let c2 = counter[2]!;
  let c3 = counter[3]!;
  let k0 = key.lo >>> 0;
  let k1 = key.hi >>> 0;
  for (let round = 0; round < ROUNDS; round++) {
    multiplyWide(MULTIPLIER_0, c0, wide0);
    multiplyWide(MULTIPLIER_1, c2, wide1);
    c0 = (wide1[0]! ^ c1 ^ k0) >>> 0;
    c2 = (wide0[0]! ^ c3 ^ k1) >>> 0;
    c1 = wide1[1]!;
    c3 = wide0[1]!;
    k0 = (k0 + WEYL_0) >>> 0;
    k1 = (k1 + WEYL_1) >>> 0;
  }
  out[0] = c0;
  out[1] = c1;
  out[2] = c2;
  out[3] = c3;
}

/** A key from an integer seed. */
export const keyFromSeed = (seed: number): Key => ({ hi: Math.floor(seed / 2 ** 32) >>> 0, lo: seed >>> 0 });

/** A new key from `key` and names or numbers: `foldIn(key, "shuffle", epoch)`. */
export function foldIn(key: Key, ...parts: (string | number)[]): Key {
  const out = new Uint32Array(4);
  let current = key;
  for (const part of parts) {
    const counter = new Uint32Array(4);
    if (typeof part === "number") {
      counter[0] = part >>> 0;
      counter[1] = Math.floor(part / 2 ** 32) >>> 0;
      counter[3] = 1;
    } else {
      counter[0] = fnv1a(part, 0x811c9dc5);
      counter[1] = fnv1a(part, 0x01000193);
      counter[3] = 2;
    }
    philox(current, counter, out);
    current = { hi: out[1]!, lo: out[0]! };
  }
  return current;
}

function fnv1a(text: string, basis: number): number {
  let hash = basis >>> 0;
  for (const byte of new TextEncoder().encode(text)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash;
}

/** A stream of draws from one key, in order. */
export class Random {
  private readonly counter = new Uint32Array(4);
  private readonly block = new Uint32Array(4);
  private used = 4;

  constructor(private readonly key: Key) {}

  /** A uniform 32-bit unsigned integer. */
  uint32(): number {
    if (this.used === 4) {
      philox(this.key, this.counter, this.block);
      this.used = 0;
      this.counter[0]!++; // wraps at 2^32
      if (this.counter[0] === 0) this.counter[1]!++;
    }
    return this.block[this.used++]!;
  }

  /** Uniform in [0, 1), with 53 random bits. */
  uniform(): number {
    return ((this.uint32() >>> 5) * 67108864 + (this.uint32() >>> 6)) / 9007199254740992;
  }

  /** A uniform integer in [0, n). */
  integer(n: number): number {
    return Math.floor(this.uniform() * n);
  }

  /** Standard normal, by Box and Muller. */
  normal(): number {
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()));
    return radius * Math.cos(2 * Math.PI * this.uniform());
  }

  /** Normal of standard deviation 1 before being cut at ±`bound`, redrawn outside. */
  truncatedNormal(bound = 2): number {
    for (;;) {
      const x = this.normal();
      if (Math.abs(x) <= bound) return x;
    }
  }

  /** 0 … n-1 in random order (Fisher and Yates). */
  permutation(n: number): Uint32Array {
    const out = new Uint32Array(n);
    for (let i = 0; i < n; i++) {
      const j = this.integer(i + 1);
      out[i] = out[j]!;
      out[j] = i;
    }
    return out;
  }
}
