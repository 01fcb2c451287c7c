/** Finding a text among many without holding them: a table of hashes and positions, 8 bytes a slot. */

/** 32 bits of a text: FNV-1a over its UTF-16, mixed as MurmurHash3 ends. */
function hashOf(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}

export class TextLookup {
  /** Of each slot the position and 1, or 0 where it is free; and the hash. */
  private slots = new Int32Array(2 * 256);
  private count = 0;

  /** `textAt` gives the text at a position that was added. */
  constructor(private readonly textAt: (position: number) => string) {}

  /** The position of a text that is equal; where there is none, `position` is added as its, and given back. */
  findOrAdd(text: string, position: number): number {
    const hash = hashOf(text);
    const at = this.search(hash, text);
    const { slots } = this;
    if (slots[at] !== 0) return slots[at]! - 1;
    slots[at] = position + 1;
    slots[at + 1] = hash;
    if (2 * ++this.count > slots.length / 2) this.grow();
    return position;
  }

  /** The position of a text that is equal; undefined where there is none. */
  find(text: string): number | undefined {
    const known = this.slots[this.search(hashOf(text), text)]!;
    return known === 0 ? undefined : known - 1;
  }

  /** The slot of a text that is equal, or the free one where it would stand. */
  private search(hash: number, text: string): number {
    const { slots } = this;
    let at = this.slotOf(hash);
    while (slots[at] !== 0 && !(slots[at + 1] === hash && this.textAt(slots[at]! - 1) === text))
      at = this.after(at);
    return at;
  }

  private slotOf(hash: number): number {
    return (2 * (hash >>> 0)) % this.slots.length;
  }

  private after(at: number): number {
    return (at + 2) % this.slots.length;
  }

  /** Twice the slots, so that half of them stay free. */
  private grow(): void {
    const old = this.slots;
    this.slots = new Int32Array(2 * old.length);
    for (let i = 0; i < old.length; i += 2) {
      if (old[i] === 0) continue;
      let at = this.slotOf(old[i + 1]!);
      while (this.slots[at] !== 0) at = this.after(at);
      this.slots[at] = old[i]!;
      this.slots[at + 1] = old[i + 1]!;
    }
  }
}
