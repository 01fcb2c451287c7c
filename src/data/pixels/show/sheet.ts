/** Contact sheets: what a policy makes of images, and each of its operations by itself, as PNG with labels. */
import sharp, { type OverlayOptions } from "sharp";
import { UsageError } from "../../../core/errors.js";
import { foldIn, keyFromSeed } from "../../../core/random.js";
import type { Dataset } from "../../dataset.js";
import { viewKey } from "../../loading/chance.js";
import { Canvas } from "../augment/canvas.js";
import type { Policy } from "../augment/policies.js";
import { drawImage, keepImage, type Pipeline, trainingPipeline } from "../pipeline.js";
import { decodeImage } from "../read/decode.js";
import type { Rgb } from "../read/image.js";
import { ON_WHITE } from "../read/reading.js";
import { fitSquare } from "../resize/fit.js";
import { resample } from "../resize/resample.js";
import { operationsOf } from "./showcase.js";

export interface SheetImage {
  /** Names it in messages. */
  readonly key: string;
  /** Its position in the data, which decides its chance as in training. */
  readonly index: number;
  /** Encoded. */
  readonly bytes: Uint8Array;
  /** Stands below it. */
  readonly caption: string;
}

/** `count` samples, evenly spread. */
export async function sheetImages(dataset: Dataset, count: number): Promise<SheetImage[]> {
  const wanted = Math.min(count, dataset.length);
  return Promise.all(
    Array.from({ length: wanted }, async (_, i) => {
      const index = Math.floor((i * dataset.length) / wanted);
      const { key, captions, label } = dataset.sample(index);
      return { key, index, bytes: await dataset.readBytes(index), caption: captions[0] ?? label ?? key };
    }),
  );
}

interface Tile {
  /** [size, size, 3] */
  readonly pixels: Uint8Array;
  readonly label: string;
}

interface Row {
  readonly tiles: readonly Tile[];
}

interface Page {
  readonly title: string;
  readonly subtitle: string;
  /** Over the columns, if any. */
  readonly heads: readonly string[];
  /** Of the labels. */
  readonly labelColor: string;
  readonly rows: readonly Row[];
  readonly size: number;
}

/** The colours of a report's page. */
const PAPER: Rgb = [253, 253, 251];
const PAPER_CSS = "#fdfdfb";
const INK = "#1b1e24";
const FAINT = "#667080";
const LINE = "#e4e6ea";
const FONT = "'Inter','Helvetica Neue',Helvetica,Arial,'DejaVu Sans',sans-serif";
const MARGIN = 36;
const GAP = 14;
const CORNER = 8;
const LABEL_SIZE = 12;
const LABEL_LINE = 16;
/** Width of a letter as a share of the type's size, about. */
const LETTER = 0.5;
const MAX_LABEL_LINES = 5;
/** A space at which a line does not end. */
const NO_BREAK = "\u00a0";

/**
 * `draws` views of every image under `policy`, as the first `draws` passes of a training with `seed` would have them;
 * the whole image first. Below each stands what was done after its crop.
 */
export const policySheet = (
  images: readonly SheetImage[],
  policy: Policy,
  { size, ...draws }: { readonly size: number } & Draws,
): Promise<Uint8Array> => {
  const words = { title: policy.name, subtitle: subtitleOf(policy) };
  return pipelineSheet(images, trainingPipeline(size, { policy }), { ...words, ...draws });
};

/** Which views a sheet shows. */
interface Draws {
  /** Passes over the data. */
  readonly draws: number;
  readonly seed: number;
}

/** As `policySheet`, of what a run's own pipeline makes of images. */
export async function pipelineSheet(
  images: readonly SheetImage[],
  pipeline: Pipeline,
  { title, subtitle, draws, seed }: { readonly title: string; readonly subtitle: string } & Draws,
): Promise<Uint8Array> {
  const { size } = pipeline;
  const key = foldIn(keyFromSeed(seed), "augment");
  const row = async (image: SheetImage): Promise<Row> => {
    const kept = await named(image, keepImage(image.bytes, pipeline));
    const tiles: Tile[] = [{ pixels: await whole(image, size), label: image.caption }];
    for (let pass = 0; pass < draws; pass++) {
      const pixels = new Uint8Array(size * size * 3);
      const notes: string[] = [];
      drawImage(kept, pipeline, viewKey(key, image.index, pass, 0), pixels, (words) => notes.push(words));
      tiles.push({
        pixels,
        label: notes.map((note) => note.replaceAll(" ", NO_BREAK)).join(`${NO_BREAK}· `),
      });
    }
    return { tiles };
  };
  return png({
    title,
    subtitle,
    heads: ["original", ...Array.from({ length: draws }, (_, i) => `epoch ${i + 1}`)],
    labelColor: FAINT,
    rows: await Promise.all(images.map(row)),
    size,
  });
}

/** Every operation of `policy` by itself on each image, `columns` side by side, the untouched image first. */
export async function operationSheet(
  images: readonly SheetImage[],
  policy: Policy,
  { size, columns }: { readonly size: number; readonly columns: number },
): Promise<Uint8Array> {
  const operations = operationsOf(policy, size);
  const rows: Row[] = [];
  for (const image of images) {
    const square = await centre(image, size);
    const tiles: Tile[] = [{ pixels: square, label: image.caption }];
    for (const { label, draw } of operations) {
      const canvas = new Canvas(size);
      canvas.begin().set(square);
      draw(canvas);
      tiles.push({ pixels: canvas.pixels(), label });
    }
    for (let at = 0; at < tiles.length; at += columns) rows.push({ tiles: tiles.slice(at, at + columns) });
  }
  return png({
    title: policy.name,
    subtitle: `${operations.length} operations, each by itself at its magnitude`,
    heads: [],
    labelColor: INK,
    rows,
    size,
  });
}

function subtitleOf({ scale, flip, steps }: Policy): string {
  const percent = (share: number): string => `${Math.round(share * 100)} %`;
  const crop = `crops of ${percent(scale[0])} to ${percent(scale[1])} of the area`;
  const mirrored = flip > 0 ? `, ${percent(flip)} mirrored` : "";
  const then = steps.map((step) => {
    if (step.kind === "choose") return `${step.count} of ${step.operations.length} operations`;
    if (step.kind === "sub-policy") return `one of ${step.lists.length} pairs of operations`;
    return `${step.kind} (${percent(step.probability)})`;
  });
  return `${crop}${mirrored}${then.length > 0 ? `, then ${then.join(", ")}` : ""}`;
}

/** `work` on an image, whose key a `UsageError` then begins with. */
async function named<T>({ key }: SheetImage, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw error instanceof UsageError ? new UsageError(`${key}: ${error.message}`) : error;
  }
}

/** The whole image within the square, paper around it. */
async function whole(image: SheetImage, size: number): Promise<Uint8Array> {
  const decoded = await named(image, decodeImage(image.bytes, ON_WHITE));
  return fitSquare(decoded, size, "longest", "bicubic", PAPER).data;
}

/** Its middle square. */
async function centre(of: SheetImage, size: number): Promise<Uint8Array> {
  const image = await named(of, decodeImage(of.bytes, ON_WHITE));
  const side = Math.min(image.width, image.height);
  const box = { x: (image.width - side) >> 1, y: (image.height - side) >> 1, width: side, height: side };
  return resample(image, size, size, "bicubic", box).data;
}

async function png({ title, subtitle, heads, labelColor, rows, size }: Page): Promise<Uint8Array> {
  const columns = Math.max(...rows.map(({ tiles }) => tiles.length));
  const width = 2 * MARGIN + columns * size + (columns - 1) * GAP;
  const letters = Math.max(8, Math.floor(size / (LABEL_SIZE * LETTER)));
  const marks: string[] = [];
  const text = (x: number, y: number, words: string, style: string): void => {
    marks.push(`<text x="${x}" y="${y}" ${style}>${escapeXml(words)}</text>`);
  };
  text(MARGIN, MARGIN + 22, title, `font-size="24" font-weight="600" fill="${INK}"`);
  const lead = wrap(subtitle, Math.floor((width - 2 * MARGIN) / (14 * LETTER)), 3);
  let y = MARGIN + 26;
  for (const line of lead) {
    y += 20;
    text(MARGIN, y, line, `font-size="14" fill="${FAINT}"`);
  }
  y += 24;
  if (heads.length > 0) {
    for (const [column, head] of heads.entries()) {
      text(MARGIN + column * (size + GAP), y + 8, head, `font-size="13" font-weight="600" fill="${INK}"`);
    }
    y += 20;
  }
  const placed: OverlayOptions[] = [];
  for (const { tiles } of rows) {
    const labels = tiles.map(({ label }) => wrap(label, letters, MAX_LABEL_LINES));
    for (const [column, { pixels }] of tiles.entries()) {
      const x = MARGIN + column * (size + GAP);
      placed.push({
        input: Buffer.from(pixels),
        raw: { width: size, height: size, channels: 3 },
        left: x,
        top: y,
      });
      marks.push(corners(x, y, size));
      for (const [i, line] of labels[column]!.entries()) {
        text(x, y + size + LABEL_LINE * (i + 1), line, `font-size="${LABEL_SIZE}" fill="${labelColor}"`);
      }
    }
    y += size + LABEL_LINE * Math.max(1, ...labels.map(({ length }) => length)) + GAP;
  }
  const height = y + MARGIN - GAP;
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" font-family="${FONT}">${marks.join("")}</svg>`;
  const [r, g, b] = PAPER;
  return sharp({ create: { width, height, channels: 3, background: { r, g, b } } })
    .composite([...placed, { input: Buffer.from(svg), left: 0, top: 0 }])
    .png({ compressionLevel: 9 })
    .toBuffer();
}

/** Paper over a tile's four corners, and a thin line round it, so that white images have an edge. */
function corners(x: number, y: number, size: number): string {
  const inner = size - 2 * CORNER;
  const arc = (dx: number, dy: number): string => `a${CORNER},${CORNER} 0 0 1 ${dx},${dy}`;
  const round = `M${x + CORNER},${y} h${inner} ${arc(CORNER, CORNER)} v${inner} ${arc(-CORNER, CORNER)} h${-inner} ${arc(-CORNER, -CORNER)} v${-inner} ${arc(CORNER, -CORNER)} z`;
  return `<path fill-rule="evenodd" fill="${PAPER_CSS}" d="M${x},${y} h${size} v${size} h${-size} z ${round}"/><rect x="${x + 0.5}" y="${y + 0.5}" width="${size - 1}" height="${size - 1}" rx="${CORNER}" fill="none" stroke="${LINE}" stroke-opacity="0.7"/>`;
}

/** Lines of at most `letters`, broken between words; what does not fit ends in an ellipsis. */
function wrap(words: string, letters: number, most: number): string[] {
  const lines: string[] = [];
  for (const word of words.split(/[^\S\u00a0]+/).filter((each) => each !== "")) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= letters)
      lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word.length > letters ? `${word.slice(0, letters - 1)}…` : word);
  }
  if (lines.length <= most) return lines;
  return [...lines.slice(0, most - 1), `${lines[most - 1]!.slice(0, letters - 1)}…`];
}

/** Text for XML: markup escaped, control characters left out. */
const escapeXml = (words: string): string =>
  [...words]
    .filter((letter) => letter >= " ")
    .join("")
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;");
