/** Noise on 8-bit pixels, from 16 random bits a value: a deviate is the quantile at (bits + ½) / 65,536. */

import jstat from "jstat";
import { type Key, philox } from "../../../core/random.js";

const STEPS = 65_536;

/** `count` numbers uniform in 0 … 65,535: of each of Philox's words the low half, then the high one. */
export function halfWords(key: Key, count: number): Uint16Array {
  const out = new Uint16Array(Math.ceil(count / 8) * 8);
  const counter = new Uint32Array(4);
  const block = new Uint32Array(4);
  for (let at = 0; at < count; at += 8) {
    philox(key, counter, block);
    counter[0]!++;
    for (let w = 0; w < 4; w++) {
      out[at + 2 * w] = block[w]!;
      out[at + 2 * w + 1] = block[w]! >>> 16;
    }
  }
  return out.subarray(0, count);
}

/** Each value by its own 16 bits, rounded and cut to 0 … 255. */
function noisy(pixels: Uint8Array, key: Key, value: (x: number, bits: number) => number): Uint8Array {
  const bits = halfWords(key, pixels.length);
  return pixels.map((x, i) => Math.max(0, Math.min(255, Math.floor(value(x, bits[i]!) + 0.5))));
}

const { normal } = jstat as unknown as {
  readonly normal: { inv(p: number, mean: number, deviation: number): number };
};

let normals: Float64Array | undefined;

/** x + normal noise of deviation `sigma`, a share of the range. */
export function gaussianNoise(pixels: Uint8Array, sigma: number, key: Key): Uint8Array {
  normals ??= Float64Array.from({ length: STEPS }, (_, bits) => normal.inv((bits + 0.5) / STEPS, 0, 1));
  const quantiles = normals;
  return noisy(pixels, key, (x, bits) => x + 255 * sigma * quantiles[bits]!);
}

/** As many photons as a Poisson variable of mean x·`photons` counts, x in 0 … 1. */
export function shotNoise(pixels: Uint8Array, photons: number, key: Key): Uint8Array {
  const counts = Array.from({ length: 256 }, (_, x) => new Poisson((x * photons) / 255));
  return noisy(pixels, key, (x, bits) => (255 * counts[x]!.quantile((bits + 0.5) / STEPS)) / photons);
}

/** A share `amount` of the values becomes 0 or 255, as many of the one as of the other. */
export function impulseNoise(pixels: Uint8Array, amount: number, key: Key): Uint8Array {
  const low = (amount / 2) * STEPS;
  return noisy(pixels, key, (x, bits) => (bits + 0.5 < low ? 0 : bits + 0.5 > STEPS - low ? 255 : x));
}

class Poisson {
  /** Chance of at most k, up to where 16 bits tell no difference from 1. */
  private readonly upTo: number[] = [];

  constructor(private readonly mean: number) {
    let chance = Math.exp(-mean);
    let sum = chance;
    this.upTo.push(sum);
    for (let k = 1; 1 - sum > 0.25 / STEPS; k++) {
      chance *= mean / k;
      sum += chance;
      this.upTo.push(sum);
    }
  }

  /** The least k with a chance of at least `q` of at most k. */
  quantile(q: number): number {
    const { upTo } = this;
    let k = Math.min(upTo.length - 1, Math.floor(this.mean));
    while (k > 0 && upTo[k - 1]! >= q) k--;
    while (k < upTo.length - 1 && upTo[k]! < q) k++;
    return k;
  }
}
