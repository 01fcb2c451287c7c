/** Which format a file has, by its first bytes: those that are read, and those that are known but not. */

/** `jpeg`, `png`, `webp`, … */
export type ImageFormat = "jpeg" | "png" | "webp" | "gif" | "tiff" | "avif" | "bmp";

/** A format by its first bytes: `{ unread }` where it is known but cannot be read, undefined where it is unknown. */
export function sniffFormat(bytes: Uint8Array): ImageFormat | { readonly unread: string } | undefined {
  const head = String.fromCharCode(...bytes.subarray(0, 64));
  const at = (offset: number, magic: string): boolean => head.startsWith(magic, offset);
  if (at(0, "\xff\xd8\xff")) return "jpeg";
  if (at(0, "\x89PNG\r\n\x1a\n")) return "png";
  if (at(0, "GIF87a") || at(0, "GIF89a")) return "gif";
  if (at(0, "RIFF") && at(8, "WEBP")) return "webp";
  if (at(0, "BM")) return "bmp";
  if (at(8, "CR\x02")) return { unread: "raw photograph (CR2)" };
  if (at(0, "II*\0") || at(0, "MM\0*") || at(0, "II+\0") || at(0, "MM\0+")) return "tiff";
  if (at(4, "ftyp")) return formatOfBrands(head);
  const known = Object.entries(magics).find(([magic]) => at(0, magic));
  if (known !== undefined) return { unread: known[1] };
  const text = head
    .replace(/^\xef\xbb\xbf/, "")
    .trimStart()
    .toLowerCase();
  if (text.startsWith("<svg") || text.startsWith("<?xml")) return { unread: "drawing (SVG, XML)" };
  if (text.startsWith("<!doctype html") || text.startsWith("<html")) return { unread: "web page" };
  return undefined;
}

/** An ISO media file names its brand, and those that it is compatible with. */
function formatOfBrands(head: string): ImageFormat | { readonly unread: string } {
  const length = (head.charCodeAt(2) << 8) | head.charCodeAt(3);
  const brands = head.slice(8, Math.max(12, length)).match(/.{4}/gs) ?? [];
  if (brands.some((brand) => brand === "avif" || brand === "avis")) return "avif";
  if (brands[0] === "crx ") return { unread: "raw photograph (CR3)" };
  if (brands.some((brand) => /^(hei|hev|mif1|msf1)/.test(brand))) return { unread: "HEIC" };
  return { unread: "video (MP4)" };
}

const magics: Readonly<Record<string, string>> = {
  "\xff\x0a": "JPEG XL",
  "\0\0\0\x0cJXL ": "JPEG XL",
  "\0\0\0\x0cjP  ": "JPEG 2000",
  "\xff\x4f\xff\x51": "JPEG 2000",
  "\0\0\x01\0": "icon (ICO)",
  "8BPS": "Photoshop document (PSD)",
  "%PDF": "PDF",
  FUJIFILM: "raw photograph (RAF)",
  IIRO: "raw photograph (ORF)",
  "IIU\0": "raw photograph (RW2)",
  "v/1\x01": "OpenEXR",
  "#?RADIANCE": "Radiance HDR",
  P4: "Netpbm",
  P5: "Netpbm",
  P6: "Netpbm",
};

/** Endings of pictures that are not read, with their format. */
export const unreadEndings: Readonly<Record<string, string>> = {
  heic: "HEIC",
  heif: "HEIC",
  jxl: "JPEG XL",
  jp2: "JPEG 2000",
  j2k: "JPEG 2000",
  ico: "icon (ICO)",
  psd: "Photoshop document (PSD)",
  svg: "drawing (SVG)",
  exr: "OpenEXR",
  hdr: "Radiance HDR",
  tga: "Targa",
  ppm: "Netpbm",
  pgm: "Netpbm",
  ...Object.fromEntries(
    ["arw", "cr2", "cr3", "dng", "nef", "orf", "pef", "raf", "rw2", "srw"].map((ending) => [
      ending,
      `raw photograph (${ending.toUpperCase()})`,
    ]),
  ),
};
