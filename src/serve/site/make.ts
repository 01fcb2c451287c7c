/** A site of files: the page that `clipwright serve` shows, its index and its model, for any web server. */

import { copyFileSync, existsSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { makeFolder, namesIn } from "../../core/disk.js";
import { InternalError, UsageError } from "../../core/errors.js";
import { withFileErrors, writeFileAtomic, writeJsonAtomic } from "../../core/files.js";
import { makeWholeFolder } from "../../core/new-folder.js";
import type { Progress } from "../../evaluate/features/source.js";
import type { ModelSource } from "../../evaluate/model/locate.js";
import { exportModel } from "../../export/export.js";
import { mapOf } from "../index/map.js";
import type { PictureIndex } from "../index/open.js";
import type { Description } from "../page/source.js";
import { fileNames, INDEX_FILE } from "../search/layout.js";
import { icon, pageDocument } from "../server/document.js";
import { pageStyle } from "../server/style.js";
import { RUNTIMES, SITE, type SiteInfo, type WebNumberForm } from "./layout.js";

export interface SiteOptions {
  /** The folder to make; a site that is there is replaced. */
  readonly out: string;
  /** The model of the index. */
  readonly model: ModelSource;
  readonly description: Description;
  /** Form of the model's numbers. Default `q8`. */
  readonly dtype?: WebNumberForm | undefined;
  /** Whether the picture tower is there, too, so that pictures can be dropped. Default true. */
  readonly pictures?: boolean | undefined;
  /** Whether the runtime for WebGPU is there, too. Default false. */
  readonly webgpu?: boolean | undefined;
  readonly onProgress?: ((progress: Progress) => void) | undefined;
}

export interface SiteSize {
  /** Bytes of all files. */
  readonly bytes: number;
  /** Bytes that a browser fetches until the first search by words has its answer, before compression. */
  readonly firstSearchBytes: number;
}

/** Writes the site. Throws `UsageError` where `out` holds something else, or onnxruntime-web is not installed. */
export async function makeSite(index: PictureIndex, options: SiteOptions): Promise<SiteSize> {
  const { out, model, description, dtype = "q8", pictures = true, webgpu = false, onProgress } = options;
  const runtimes = [...RUNTIMES.wasm, ...(webgpu ? RUNTIMES.webgpu : [])];
  const runtime = runtimeFolder();
  const hasMap = (await mapOf(index, onProgress)) !== undefined;
  return makeWholeFolder(
    out,
    "site",
    async (folder) => {
      const put = (name: string, text: string) => writeFileAtomic(join(folder, name), text);
      const { title } = description;
      put(
        "index.html",
        pageDocument(title, { script: SITE.script, style: SITE.style, icon: SITE.icon, isStatic: true }),
      );
      put(SITE.script, pageScript());
      put(SITE.style, pageStyle);
      put(SITE.icon, icon);
      const map = hasMap ? { map: fileNames.map } : {};
      const info: SiteInfo = { description, dtype, pictures, webgpu, ...map };
      writeJsonAtomic(join(folder, SITE.info), info);
      copyFiles(runtime, join(folder, SITE.runtime), runtimes);
      const { files } = index.info;
      copyFiles(index.folder, join(folder, SITE.index), [INDEX_FILE]);
      const kept = namesIn(join(index.folder, files)).filter((name) => !UNREAD.has(name));
      copyFiles(join(index.folder, files), join(folder, SITE.index, files), kept);
      await exportModel(model, { to: "transformers.js", out: join(folder, SITE.model), dtypes: [dtype] });
      dropPrograms(join(folder, SITE.model, "onnx"), pictures);
      return sizeOf(folder);
    },
    SITE.info,
  );
}

/** Of an index, what no page reads. */
const UNREAD: ReadonlySet<string> = new Set([fileNames.contents, fileNames.graph]);

/** Takes away what the page does not run: both towers in one, and pictures' where they cannot be dropped. */
function dropPrograms(folder: string, pictures: boolean): void {
  for (const name of namesIn(folder))
    if (name.startsWith("model") || (name.startsWith("vision") && !pictures)) rmSync(join(folder, name));
}

function copyFiles(from: string, to: string, names: readonly string[]): void {
  withFileErrors("write", to, () => {
    makeFolder(to);
    for (const name of names) copyFileSync(join(from, name), join(to, name));
  });
}

/** What a browser has no use for before a first search by words has its answer. */
const LATER = /^(?:vision|thumbnails-|map|README|variants|ort.*webgpu|.*asyncify)/;

function sizeOf(folder: string): SiteSize {
  let [bytes, firstSearchBytes] = [0, 0];
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const { size } = statSync(join(entry.parentPath, entry.name));
    bytes += size;
    if (!LATER.test(entry.name)) firstSearchBytes += size;
  }
  return { bytes, firstSearchBytes };
}

/** The page's script with all that it imports, as it was built. */
function pageScript(): string {
  const path = fileURLToPath(new URL("../../web/site/bundle.js", import.meta.url));
  if (!existsSync(path))
    throw new InternalError(`the page of sites is not built; there is no ${path}: npm run build`);
  return readFileSync(path, "utf8");
}

/** Where onnxruntime-web keeps its programs: the caller's, else one that is installed with Clipwright. */
function runtimeFolder(): string {
  for (const from of [pathToFileURL(resolve("package.json")).href, import.meta.url]) {
    try {
      return dirname(createRequire(from).resolve("onnxruntime-web"));
    } catch {
      // Looked for elsewhere, and told below.
    }
  }
  throw new UsageError(
    "site: needs onnxruntime-web, which runs the model in browsers; it is not installed. Install it: npm install onnxruntime-web.",
  );
}
