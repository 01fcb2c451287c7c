/** How often each of many texts occurs, by 53-bit hashes of them: 12 bytes a slot, of which at most 2 in 3 are taken. */

/** 53 bits of a text (two multiplicative hashes over its UTF-16, mixed as MurmurHash3 ends); never 0. */
export function hashOf(text: string): number {
  let a = 0xdeadbeef;
  let b = 0x41c6ce57;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    a = Math.imul(a ^ unit, 0x9e3779b1);
    b = Math.imul(b ^ unit, 0x5f356495);
  }
  a = Math.imul(a ^ (a >>> 16), 0x85ebca6b) ^ Math.imul(b ^ (b >>> 13), 0xc2b2ae35);
  b = Math.imul(b ^ (b >>> 16), 0x85ebca6b) ^ Math.imul(a ^ (a >>> 13), 0xc2b2ae35);
  return (b & 0x1fffff) * 2 ** 32 + (a >>> 0) || 1;
}

export class HashCounts {
  private keys = new Float64Array(1024);
  private counts = new Uint32Array(1024);
  private taken = 0;

  add(hash: number): void {
    const at = this.slotOf(hash);
    if (this.keys[at] === 0) {
      this.keys[at] = hash;
      this.taken++;
    }
    this.counts[at]!++;
    if (3 * this.taken > 2 * this.keys.length) this.grow();
  }

  /** 0 where it never came. */
  countOf(hash: number): number {
    return this.counts[this.slotOf(hash)]!;
  }

  /** Forgets what came less often than `least`. */
  prune(least: number): void {
    const { keys, counts } = this;
    this.taken = 0;
    for (const count of counts) if (count >= least) this.taken++;
    let slots = 1024;
    while (2 * slots < 3 * this.taken + 2) slots *= 2;
    this.rehash(keys, counts, slots, least);
  }

  get size(): number {
    return this.taken;
  }

  private slotOf(hash: number): number {
    const { keys } = this;
    let at = hash % keys.length;
    while (keys[at] !== 0 && keys[at] !== hash) at = (at + 1) % keys.length;
    return at;
  }

  private grow(): void {
    this.rehash(this.keys, this.counts, 2 * this.keys.length, 1);
  }

  private rehash(keys: Float64Array, counts: Uint32Array, slots: number, least: number): void {
    this.keys = new Float64Array(slots);
    this.counts = new Uint32Array(slots);
    for (const [from, hash] of keys.entries()) {
      if (hash === 0 || counts[from]! < least) continue;
      const at = this.slotOf(hash);
      this.keys[at] = hash;
      this.counts[at] = counts[from]!;
    }
  }
}
