/** What a caller may say about a source; everything has a default that looks at the data. */
import type { SampleColumns } from "../columns/samples.js";
import type { SourceWords } from "../dataset.js";
import type { Container } from "../image-index.js";

export type SourceFormat = "folder" | "csv" | "tsv" | "jsonl" | "parquet" | "webdataset";

export interface DatasetOptions {
  /** Name in reports; default: from the path. */
  readonly name?: string;
  /** Overrules the detection of the format. */
  readonly format?: SourceFormat;
  /** Table column with the image's path or bytes; default: detected. open_clip's `--csv-img-key`. */
  readonly csvImgKey?: string;
  /** Table column or columns with captions; default: detected. open_clip's `--csv-caption-key`. */
  readonly csvCaptionKey?: string | readonly string[];
  /** Field separator of a CSV; default `auto`: comma, tab, semicolon or bar, whichever splits the first line. */
  readonly csvSeparator?: string;
  /** Table column or JSON field with the class; default: detected. */
  readonly labelKey?: string;
  /** File with names for the labels, of which captions are made where there are none: see `loadClassNames`. */
  readonly classnames?: string;
  /** Endings of images in tars and folders, `;`-separated, first match wins; open_clip's `--image-key`. */
  readonly imageKey?: string;
  /** Endings of caption files in tars and folders, `;`-separated; default `txt`. */
  readonly captionKey?: string;
  /** Field of .json files with the caption or captions; default: detected. */
  readonly jsonCaptionKey?: string;
  /** Folder that the paths in a table start from; default: the table's folder, else the working folder. */
  readonly imageRoot?: string;
  /** Encoding of captions in text files, CSV and JSON, e.g. `windows-1252`; default: a byte order mark's, else UTF-8. */
  readonly encoding?: string;
  /**
   * Takes pictures without captions or labels, too: folders of them, single files, globs of files. Default false:
   * refused, since pairs need captions.
   */
  readonly captionsOptional?: boolean;
  /** Makes an error of what is damaged or cannot be read; default: it is left out, counted and told. */
  readonly strict?: boolean;
  /** Where downloads and images unpacked from Parquet are kept; default $CLIPWRIGHT_CACHE or ~/.cache/clipwright. */
  readonly cacheDir?: string;
  /** Told about slow steps (a download, an unpacking), one line each. */
  readonly onProgress?: (line: string) => void;
}

/** Image endings that sharp reads, in the order in which several members of one sample are preferred. */
export const IMAGE_ENDINGS = ["jpg", "jpeg", "png", "webp", "gif", "tif", "tiff", "avif", "bmp"] as const;

/** Endings from an option such as `jpg;png`, lower case and without dots, or the default list. */
export const endings = (option: string | undefined, fallback: readonly string[]): readonly string[] =>
  option === undefined
    ? fallback
    : option
        .split(/[;,]/)
        .map((ending) => ending.trim().replace(/^\./, "").toLowerCase())
        .filter(Boolean);

/** Reading one source gives its samples, the places they point to, and how it was understood. */
export interface SourceReading {
  readonly containers: readonly Container[];
  readonly samples: SampleColumns;
  readonly description: SourceWords;
}
