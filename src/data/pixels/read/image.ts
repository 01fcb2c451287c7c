/** Decoded pixels: 8 bits a channel, channels side by side, rows from the top. */
export interface RawImage {
  readonly width: number;
  readonly height: number;
  /** 1 grey, 3 RGB, 4 RGB with alpha or CMYK. */
  readonly channels: number;
  /** height · width · channels bytes. */
  readonly data: Uint8Array;
}

export type Rgb = readonly [red: number, green: number, blue: number];

/** A rectangle in whole pixels. */
export interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** The part of `image` inside `box`, copied. */
export function crop(image: RawImage, box: Box): RawImage {
  const { channels } = image;
  const data = new Uint8Array(box.width * box.height * channels);
  for (let y = 0; y < box.height; y++) {
    const from = ((box.y + y) * image.width + box.x) * channels;
    data.set(image.data.subarray(from, from + box.width * channels), y * box.width * channels);
  }
  return { width: box.width, height: box.height, channels, data };
}

/** Half to even, as Python's `round`. */
export function roundHalfEven(x: number): number {
  const down = Math.floor(x);
  const rest = x - down;
  if (rest !== 0.5) return Math.round(x);
  return down % 2 === 0 ? down : down + 1;
}
