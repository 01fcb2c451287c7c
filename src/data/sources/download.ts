/** Files of data sets from the web, kept in the cache folder. */

import { type DownloadLimits, download as fetchFile } from "../../core/download/download.js";
import type { DatasetOptions } from "./options.js";
import { readTar } from "./tars/tar.js";
import { FileWindow } from "./tars/tar-fields.js";

/** The local copy of `url`; tars are known to be whole by their own end. Throws `UsageError` with the reason. */
export const download = (
  url: string,
  { cacheDir, onProgress }: DatasetOptions,
  limits: Partial<DownloadLimits> = {},
): Promise<string> =>
  fetchFile(url, { cacheDir, onProgress, ...(isTar(url) ? { ownEnd: tarDamage } : {}) }, limits);

const isTar = (url: string): boolean => URL.canParse(url) && /\.tar$/i.test(new URL(url).pathname);

function tarDamage(path: string): string | undefined {
  const file = new FileWindow(path);
  try {
    return readTar(file).damage;
  } finally {
    file.close();
  }
}
