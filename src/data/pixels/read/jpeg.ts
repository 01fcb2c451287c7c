/** What a JPEG says of itself before it is decoded. */

export interface JpegHeader {
  readonly width: number;
  readonly height: number;
  readonly components: number;
  /** How it is coded, by the marker of its frame: 0 baseline, 1 extended, 2 progressive, others are rare. */
  readonly coding: number;
  /** Whether an EXIF segment comes before the frame: it may say how the picture is turned. */
  readonly exif: boolean;
}

/** What the frame header of a JPEG says, of 8 bits a sample; undefined where there is none. */
export function jpegHeader(bytes: Uint8Array): JpegHeader | undefined {
  if (bytes[0] !== 0xff || bytes[1] !== 0xd8) return undefined;
  const short = (at: number): number => (bytes[at]! << 8) | bytes[at + 1]!;
  let exif = false;
  for (let at = 2; at + 9 < bytes.length && bytes[at] === 0xff; at += 2 + short(at + 2)) {
    const marker = bytes[at + 1]!;
    if (marker === 0xda || marker === 0xff) return undefined; // the scan, or padding
    if (marker === 0xe1 && short(at + 4) === 0x4578 && short(at + 6) === 0x6966) exif = true; // APP1, "Exif"
    // SOF0 … SOF15, without the tables and extensions among them
    if (marker < 0xc0 || marker > 0xcf || marker === 0xc4 || marker === 0xc8 || marker === 0xcc) continue;
    const header = {
      height: short(at + 5),
      width: short(at + 7),
      components: bytes[at + 9]!,
      coding: marker - 0xc0,
      exif,
    };
    return bytes[at + 4] === 8 && header.width > 0 && header.height > 0 ? header : undefined;
  }
  return undefined;
}
