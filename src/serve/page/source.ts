/**
 * What the page asks for, whoever answers: a server (`server-source.ts`), or files that a browser searches by itself. Everything is
 * vectors and rows; probabilities are computed in the page.
 */

import type { Filter } from "../search/filter.js";
import type { PictureMap, PictureName } from "../search/layout.js";
import type { Hit } from "../search/search.js";

/** What the page shows. */
export interface Description {
  readonly title: string;
  /** Pictures. */
  readonly rows: number;
  /** Labels that pictures have, most frequent first; none where they have none. */
  readonly labels: readonly string[];
  /** What multiplies cosines for probabilities, and how it was found, in words. */
  readonly scale: { readonly value: number; readonly about: string };
  /** Another where the pictures or the model are others than before. */
  readonly version: string;
  /** The model, in words: its run and step. */
  readonly model: string;
  /** Whether a training is followed: `training` then tells of it. */
  readonly follows?: boolean | undefined;
}

/** A picture that was found; `score` is the cosine, absent where nothing was looked for. */
export interface FoundPicture extends PictureName {
  readonly row: number;
  readonly score?: Hit["score"] | undefined;
}

/** How a run goes. */
export interface Training {
  readonly state: "running" | "done" | "stopped";
  /** Last step, and how many there will be where that is known. */
  readonly step: number;
  readonly steps?: number | undefined;
  /** Seconds of the run's clock, and what is left by its speed. */
  readonly seconds: number;
  readonly secondsLeft?: number | undefined;
  /** Share of the time in which the trainer waited for data, lately. */
  readonly dataWait: number;
  readonly samplesPerSecond: number;
  /** Curves: x are steps. */
  readonly curves: readonly {
    readonly title: string;
    readonly unit: string;
    readonly points: readonly (readonly [step: number, value: number])[];
  }[];
  /** What the run has warned of, oldest first. */
  readonly warnings: readonly { readonly step: number; readonly text: string }[];
  /** The checkpoint whose pictures are shown, and whether a newer one is being embedded. */
  readonly shown?: number | undefined;
  readonly embedding: boolean;
}

export interface PictureSource {
  describe(): Promise<Description>;
  /** A unit vector a text. */
  embedTexts(texts: readonly string[]): Promise<Float32Array[]>;
  /** The unit vector of a picture; absent where pictures cannot be embedded. */
  readonly embedPicture?: ((picture: Blob) => Promise<Float32Array>) | undefined;
  /** Vectors of rows, of unit length but for rounding. */
  vectors(rows: readonly number[]): Promise<Float32Array[]>;
  /** The `k` rows most like a unit vector, best first. */
  nearest(vector: Float32Array, k: number, filter: Filter): Promise<FoundPicture[]>;
  /** Pictures in their own order, from the `from`th that passes the filter on, and how many pass it. */
  browse(from: number, count: number, filter: Filter): Promise<{ found: FoundPicture[]; total: number }>;
  name(row: number): Promise<FoundPicture>;
  /** An address for `<img src>`. */
  thumbnail(row: number): Promise<string> | string;
  /** Undefined where there is none; a share from 0 to 1 while it is computed. */
  map(): Promise<PictureMap | number | undefined>;
  readonly training?: (() => Promise<Training>) | undefined;
}
