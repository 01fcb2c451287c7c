/** Where the bytes of every image lie: plain data, which goes to worker threads as it is. */

import { join } from "node:path";
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
}

/** The path of a file of a container. */
export const filePath = ({ root, paths }: Extract<Container, { kind: "files" }>, offset: number): string => {
  const path = textAt(paths, offset);
  return root === undefined ? path : join(root, path);
};
