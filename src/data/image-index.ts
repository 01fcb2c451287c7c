/** Where the bytes of every image lie: plain data, which goes to worker threads as it is. */

import { join } from "node:path";
import { shared } from "./columns/numbers.js";
import { type Texts, textAt } from "./columns/texts.js";
import type { OwnPreparation } from "./pixels/pipeline.js";

/** A part of a file with holes: `size` bytes that lie at `offset` belong at `at`. */
export interface Piece {
  readonly at: number;
  readonly offset: number;
  readonly size: number;
}

/** Where image bytes come from; an entry of `ImageIndex.container` points at one of these. */
export type Container =
  /** Whole files: `offset` is the position in `paths`, which start from `root` if there is one. */
  | { readonly kind: "files"; readonly root?: string; readonly paths: Texts }
  /**
   * A range of one file: `offset` and `size` in bytes. `origin` is the file that was unpacked into `path`, where the
   * images of a source (Parquet) cannot be read in place.
   */
  | { readonly kind: "range"; readonly path: string; readonly origin?: string }
  /** One file with holes: zeros, and over them pieces of `path`. */
  | { readonly kind: "pieces"; readonly path: string; readonly pieces: readonly Piece[] }
  /** A line of a JSONL file with base64 in one column: `offset` and `size` of the line in bytes. */
  | { readonly kind: "base64"; readonly path: string; readonly column: string };

/** The place of every image, in columns; structured-cloneable. */
export interface ImageIndex {
  readonly containers: readonly Container[];
  /** Position in `containers`, per image. */
  readonly container: Uint32Array;
  readonly offset: Float64Array;
  readonly size: Float64Array;
  /** What is done with every image of this set before a model sees it, besides what the model asks for. */
  readonly prepared?: OwnPreparation;
  /** Absent: these are all images of one source, as it was opened. */
  readonly origin?: Origin;
}

/** The sources that images were chosen from. What is kept of an image belongs to its source, whatever part is used. */
export interface Origin {
  /** Each as it was opened. */
  readonly sources: readonly ImageIndex[];
  /** Of each image its row in the sources laid end to end; absent: all of them in order. */
  readonly rows?: Uint32Array;
}

export const originOf = (images: ImageIndex): Origin => images.origin ?? { sources: [images] };

/** The first row of each source where they lie end to end. */
export function startsOf(sources: readonly ImageIndex[]): number[] {
  let end = 0;
  return sources.map(({ container }) => {
    end += container.length;
    return end - container.length;
  });
}

/** Which source a row is of. */
export const sourceAt = (starts: readonly number[], row: number): number =>
  starts.length === 1 ? 0 : starts.findLastIndex((start) => start <= row);

/** The images at `at`, in that order; every index must be one of an image. */
export function pickImages(images: ImageIndex, at: Uint32Array): ImageIndex {
  const { sources, rows: before } = originOf(images);
  const container = shared.u32(at.length);
  const offset = shared.f64(at.length);
  const size = shared.f64(at.length);
  const rows = shared.u32(at.length);
  for (const [k, i] of at.entries()) {
    container[k] = images.container[i]!;
    offset[k] = images.offset[i]!;
    size[k] = images.size[i]!;
    rows[k] = before?.[i] ?? i;
  }
  return { ...images, container, offset, size, origin: { sources, rows } };
}

/** Images one after the other, as they are stored. */
export function joinImages(parts: readonly ImageIndex[]): ImageIndex {
  const starts = startsOf(parts);
  const length = starts.at(-1)! + parts.at(-1)!.container.length;
  const container = shared.u32(length);
  const offset = shared.f64(length);
  const size = shared.f64(length);
  const containers: Container[] = [];
  for (const [p, part] of parts.entries()) {
    const start = starts[p]!;
    offset.set(part.offset, start);
    size.set(part.size, start);
    for (let i = 0; i < part.container.length; i++)
      container[start + i] = part.container[i]! + containers.length;
    for (const c of part.containers) containers.push(c);
  }
  return { containers, container, offset, size, origin: joinOrigins(parts, starts, length) };
}

/** Parts of one source stay parts of that one. */
function joinOrigins(parts: readonly ImageIndex[], starts: readonly number[], length: number): Origin {
  const origins = parts.map(originOf);
  const sources = [...new Set(origins.flatMap((origin) => origin.sources))];
  const whole = sources.reduce((sum, { container }) => sum + container.length, 0);
  if (whole === length && origins.every(({ rows }) => rows === undefined)) return { sources };
  const sourceStarts = startsOf(sources);
  const rows = shared.u32(length);
  for (const [p, origin] of origins.entries()) {
    const ownStarts = startsOf(origin.sources);
    const moved = origin.sources.map((source, s) => sourceStarts[sources.indexOf(source)]! - ownStarts[s]!);
    for (let i = 0; i < parts[p]!.container.length; i++) {
      const row = origin.rows?.[i] ?? i;
      rows[starts[p]! + i] = row + moved[sourceAt(ownStarts, row)]!;
    }
  }
  return { sources, rows };
}

/** The path of a file of a container. */
export const filePath = ({ root, paths }: Extract<Container, { kind: "files" }>, offset: number): string => {
  const path = textAt(paths, offset);
  return root === undefined ? path : join(root, path);
};
