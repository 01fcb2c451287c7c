/** What a picture's file is: its size, its format, its fingerprints. */

import { coarse } from "../../../data/copies/group.js";
import type { Hash } from "../../../data/copies/perceptual-hash.js";
import type { PictureFamily } from "../score.js";

const hex = (hash: Hash): string => hash.map((word) => word.toString(16).padStart(8, "0")).join("");

/** A reason in few words, the same for all pictures with the same fault and in every run: what decoders say is neither. */
function reasonOf(error: string): string {
  const known =
    /^image: (cannot be decoded \(no format known[^)]*\)|cannot be (?:read|decoded)|is empty|its format, .*, is not read)/;
  return known.exec(error)?.[1] ?? "cannot be decoded";
}

export const pictureFamily: PictureFamily = {
  name: "picture",
  about: "Size, format and fingerprints of the picture's file, and why it cannot be read where it cannot.",
  how: "Width and height as stored, before any turn that EXIF asks for. Of animations the first frame is looked at.",
  source: "phash as the ImageHash library has it (Zauner 2010)",
  over: "picture",
  byDefault: true,
  columns: [
    {
      name: "broken",
      kind: "text",
      better: "lower",
      about: "Why the picture cannot be read or decoded, in a few words; NULL where it can.",
    },
    { name: "width", kind: "count", unit: "px", about: "Width as stored." },
    { name: "height", kind: "count", unit: "px", about: "Height as stored." },
    { name: "image_bytes", kind: "count", unit: "bytes", about: "Size of the file." },
    { name: "format", kind: "text", about: "“jpeg”, “png”, …: by the first bytes." },
    { name: "is_animated", kind: "flag", about: "The file has more than one frame." },
    { name: "bytes_hash", kind: "text", about: "First 64 bits of the SHA-256 of the file, 16 hex digits." },
    {
      name: "pixel_hash",
      kind: "text",
      about: "First 64 bits of the SHA-256 of size and pixels, 16 hex digits: equal where pixels are.",
    },
    { name: "phash", kind: "text", about: "64-bit perceptual hash, 16 hex digits." },
    {
      name: "miniature",
      kind: "text",
      about: "The picture in 4 × 4 pixels, 48 bytes RGB in base64: tells apart what hashes confuse.",
    },
  ],
  score({ sizeBytes, sha256, picture, error }) {
    return {
      broken: error === undefined ? null : reasonOf(error),
      image_bytes: sha256 === undefined ? null : sizeBytes,
      bytes_hash: sha256?.slice(0, 16) ?? null,
      ...(picture && {
        width: picture.width,
        height: picture.height,
        format: picture.format,
        is_animated: picture.measured?.animated ?? null,
        pixel_hash: picture.measured?.pixelSha256.slice(0, 16) ?? null,
        phash: picture.perceptual === undefined ? null : hex(picture.perceptual.hash),
        miniature: Buffer.from(coarse(picture.miniature)).toString("base64"),
      }),
    };
  },
};
