/** Which column, or JSON field, holds the image, the captions and the label, from the names that the field uses. */
import { didYouMean, UsageError } from "../../../core/errors.js";
import { givenNumbers } from "../../columns/given.js";
import { isUid } from "../../columns/uids.js";
import { IMAGE_ENDINGS } from "../options.js";

/** Names of image columns, from open_clip, Hugging Face image folders, img2dataset, COCO and Flickr tables. */
const IMAGE_NAMES = [
  "filepath",
  "file_path",
  "image_path",
  "img_path",
  "image",
  "img",
  "path",
  "file_name",
  "filename",
  "image_file",
  "image_name",
  "image_filename",
  "file",
  "jpg",
  "png",
  "webp",
  "image_bytes",
  "img_bytes",
  "bytes",
  "image_base64",
];

const CAPTION_NAMES = [
  "caption",
  "captions",
  "text",
  "texts",
  "txt",
  "title",
  "titles",
  "sentence",
  "sentences",
  "description",
  "descriptions",
  "alt_text",
  "alttext",
  "alt",
  "comment",
  "raw",
];

/** A name before a number: two classes are told better by "dog" than by 0. */
const LABEL_NAMES = ["classname", "class_name", "label_name", "category", "cls", "class", "label"];

const NUMBERED_CAPTION = /^(captions?|texts?|sentences?|titles?)[_-]?\d+$/;

const normal = (name: string): string => name.trim().toLowerCase().replaceAll("-", "_").replaceAll(" ", "_");

/** The columns of a table that matter. */
export interface Columns {
  readonly image: string;
  readonly captions: readonly string[];
  readonly label?: string;
}

export interface ColumnOptions {
  /** A table of pictures alone is taken, too. */
  readonly captionsOptional?: boolean;
  readonly csvImgKey?: string;
  readonly csvCaptionKey?: string | readonly string[];
  readonly labelKey?: string;
}

type Row = Readonly<Record<string, unknown>>;

const list = (names: readonly string[]): string => names.map((name) => `"${name}"`).join(", ");

function required(where: string, option: string, name: string, all: readonly string[]): string {
  if (all.includes(name)) return name;
  throw new UsageError(
    `${where}: has no column "${name}" (${option}); its columns are ${list(all)}.${didYouMean(name, all)}`,
  );
}

/** Whether a cell is an image: bytes, a {bytes, path} struct, base64, or a path with an image's ending. */
export function looksLikeImage(value: unknown): boolean {
  if (value instanceof Uint8Array) return true;
  if (typeof value === "string") {
    const ending = /\.([a-z]{3,4})$/i.exec(value.trim())?.[1]?.toLowerCase();
    return (
      (ending !== undefined && (IMAGE_ENDINGS as readonly string[]).includes(ending)) ||
      looksLikeBase64(value)
    );
  }
  if (value !== null && typeof value === "object") {
    const struct = value as Row;
    return (
      struct.bytes instanceof Uint8Array || (typeof struct.path === "string" && looksLikeImage(struct.path))
    );
  }
  return false;
}

/** Base64 of an image: a data address, or the first bytes of JPEG, PNG, GIF or WebP encoded. */
export const looksLikeBase64 = (value: string): boolean =>
  value.startsWith("data:image/") || (value.length > 64 && /^(\/9j\/|iVBORw0KGgo|R0lGOD|UklGR)/.test(value));

/**
 * The image, caption and label columns among `all`, given some first rows. Throws `UsageError` that lists the
 * columns and names the option when none or several fit.
 */
export function resolveColumns(
  where: string,
  all: readonly string[],
  firstRows: readonly Row[],
  options: ColumnOptions,
): Columns {
  const image =
    options.csvImgKey === undefined
      ? detectImage(where, all, firstRows)
      : required(where, "csvImgKey", options.csvImgKey, all);
  let captions: readonly string[];
  let label = options.labelKey === undefined ? undefined : required(where, "labelKey", options.labelKey, all);
  label ??= LABEL_NAMES.map((name) => all.find((c) => normal(c) === name && c !== image)).find(
    (c) => c !== undefined,
  );
  if (options.csvCaptionKey === undefined) {
    captions = detectCaptions(where, all, { image, label, ...options }, firstRows);
  } else {
    const wanted =
      typeof options.csvCaptionKey === "string" ? options.csvCaptionKey.split(";") : options.csvCaptionKey;
    captions = wanted.map((name) => required(where, "csvCaptionKey", name, all));
  }
  return label === undefined ? { image, captions } : { image, captions, label };
}

function detectImage(where: string, all: readonly string[], firstRows: readonly Row[]): string {
  const named = all.filter((c) => IMAGE_NAMES.includes(normal(c)));
  const filled = (c: string) => firstRows.some((row) => looksLikeImage(row[c]));
  let hits = named.filter(filled);
  if (hits.length === 0) hits = all.filter(filled);
  if (hits.length === 0) hits = named;
  if (hits.length === 1) return hits[0]!;
  if (hits.length > 1) {
    throw new UsageError(
      `${where}: the image could be any of the columns ${list(hits)}. Say which with csvImgKey (--csv-img-key).`,
    );
  }
  const web = all.find((c) => firstRows.some((row) => /^https?:\/\//.test(String(row[c]))));
  if (web !== undefined) {
    throw new UsageError(
      `${where}: the column "${web}" holds web addresses, not images. Download them first (img2dataset makes tars that open here).`,
    );
  }
  throw new UsageError(
    `${where}: no image column found; its columns are ${list(all)}. Name one with csvImgKey (--csv-img-key).`,
  );
}

function detectCaptions(
  where: string,
  all: readonly string[],
  { image, label, captionsOptional }: { image: string; label: string | undefined } & ColumnOptions,
  firstRows: readonly Row[],
): readonly string[] {
  const numbered = all.filter((c) => NUMBERED_CAPTION.test(normal(c)));
  const named = all.filter((c) => c !== image && CAPTION_NAMES.includes(normal(c)));
  const isText = (c: string) =>
    firstRows.length === 0 || firstRows.some((row) => captionsOf(row[c]).length > 0);
  const hits = named.filter(isText);
  if (hits.length === 1 && numbered.length === 0) return hits;
  if (hits.length === 0 && numbered.length > 0) return numbered;
  if (hits.length + numbered.length > 1) {
    throw new UsageError(
      `${where}: captions could be any of the columns ${list([...hits, ...numbered])}. Say which with csvCaptionKey (--csv-caption-key); several are separated by ";".`,
    );
  }
  if (label !== undefined) return [];
  const rest = all.filter((c) => c !== image && firstRows.some((row) => typeof row[c] === "string"));
  if (rest.length === 1 && all.length === 2) return rest;
  if (captionsOptional === true) return [];
  throw new UsageError(
    `${where}: no caption column found; its columns are ${list(all)}. Name one with csvCaptionKey (--csv-caption-key).`,
  );
}

/** Lists in lists and records in records are captions no deeper than this. */
const MOST_DEPTH = 4;

/**
 * Captions in a cell: a string, a number as a word, a list of them, or {raw} records as COCO's lists have; trimmed,
 * non-empty.
 */
export function captionsOf(value: unknown, depth = 0): string[] {
  if (depth > MOST_DEPTH) return [];
  if (value instanceof Uint8Array) return captionsOf(new TextDecoder().decode(value), depth);
  if (typeof value === "bigint" || (typeof value === "number" && Number.isFinite(value)))
    return [String(value)];
  if (typeof value === "string") {
    const text = value.trim();
    return text === "" ? [] : [text];
  }
  if (Array.isArray(value)) return value.flatMap((item) => captionsOf(item, depth + 1));
  if (value !== null && typeof value === "object") {
    const record = value as Row;
    return captionsOf(record.raw ?? record.caption ?? record.text, depth + 1);
  }
  return [];
}

/** A label in a cell, as text. */
export function labelOf(value: unknown): string | undefined {
  if (typeof value === "bigint" || (typeof value === "number" && Number.isFinite(value)))
    return String(value);
  return typeof value === "string" && value.trim() !== "" ? value.trim() : undefined;
}

/** What a row or a JSON object says of a pair beside its texts: a uid, as DataComp has it, and numbers. */
export interface Given {
  readonly uid?: string;
  readonly given?: Readonly<Record<string, number>>;
}

export function givenOf(record: Row): Given {
  const { uid } = record;
  const given = givenNumbers(record);
  return {
    ...(isUid(uid) && { uid: uid.toLowerCase() }),
    ...(given !== undefined && { given }),
  };
}

/** Captions, label, uid and numbers in a JSON object beside an image, with the fields they came from. */
export function annotationOf(
  record: Row,
  options: { readonly jsonCaptionKey?: string; readonly labelKey?: string },
): { captions: string[]; captionField?: string; label?: string; labelField?: string; own: Given } {
  const fields = Object.keys(record);
  const captionField =
    options.jsonCaptionKey ??
    CAPTION_NAMES.map((name) => fields.find((f) => normal(f) === name)).find(
      (f) => f !== undefined && captionsOf(record[f]).length > 0,
    );
  const captions = captionField === undefined ? [] : captionsOf(record[captionField]);
  const labelField =
    options.labelKey ??
    LABEL_NAMES.map((name) => fields.find((f) => normal(f) === name)).find(
      (f) => f !== undefined && labelOf(record[f]) !== undefined,
    );
  const label = labelField === undefined ? undefined : labelOf(record[labelField]);
  return {
    captions,
    ...(captions.length > 0 && captionField !== undefined ? { captionField } : {}),
    ...(label !== undefined && labelField !== undefined ? { label, labelField } : {}),
    own: givenOf(record),
  };
}

/** The captions of a .txt: one a line. */
export const captionLines = (text: string): string[] =>
  text
    .replace(/^\uFEFF/, "")
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== "");
