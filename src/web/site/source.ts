/** The page's pictures, from files beside it: the browser embeds and searches by itself. */

import type { Description, FoundPicture, PictureSource } from "../../serve/page/source.js";
import { type Filter, filterOf } from "../../serve/search/filter.js";
import { type PictureMap, type PictureName, readMap } from "../../serve/search/layout.js";
import { RUNTIMES, SITE, type SiteInfo } from "../../serve/site/layout.js";
import { fetchBytes, fetchObject, folderUrl } from "../fetched.js";
import { openWebModel, type WebModel } from "../model.js";
import { openWebIndex, type WebIndex } from "../picture-index.js";
import type { WebRuntime } from "../runtime.js";

/** Addresses of thumbnails that are kept. */
const THUMBNAILS = 2000;

/** The parts of onnxruntime-web that are set before it is used. */
interface RuntimeModule extends WebRuntime {
  readonly env: { readonly wasm: { numThreads?: number; wasmPaths?: string } };
}

/** @param folder where `site.json` lies. */
export async function siteSource(folder: URL): Promise<PictureSource> {
  const info = (await fetchObject(new URL(SITE.info, folder))) as unknown as SiteInfo;
  const index = await openWebIndex(new URL(`${SITE.index}/`, folder));
  return new SiteSource(folder, info, index);
}

class SiteSource implements PictureSource {
  readonly embedPicture: PictureSource["embedPicture"];
  private runtime: Promise<{ runtime: RuntimeModule; executionProviders: readonly string[] }> | undefined;
  private readonly towers = new Map<"text" | "vision", Promise<WebModel>>();
  private readonly thumbnails = new Map<number, Promise<string>>();
  private readonly filtered = new Map<string, Promise<ReadonlySet<number>>>();

  constructor(
    private readonly folder: URL,
    private readonly info: SiteInfo,
    private readonly index: WebIndex,
  ) {
    this.embedPicture = info.pictures ? (picture) => this.pictureVector(picture) : undefined;
  }

  describe = async (): Promise<Description> => this.info.description;

  async embedTexts(texts: readonly string[]): Promise<Float32Array[]> {
    const model = await this.tower("text");
    const flat = await model.embedTexts(texts);
    return texts.map((_, i) => flat.subarray(i * model.width, (i + 1) * model.width));
  }

  vectors = (rows: readonly number[]): Promise<Float32Array[]> =>
    Promise.all(rows.map((row) => this.index.vector(row)));

  async nearest(vector: Float32Array, k: number, filter: Filter): Promise<FoundPicture[]> {
    const passed = await this.passing(filter);
    const accepts = passed && ((row: number) => passed.has(row));
    return this.index.search(vector, { k, accepts });
  }

  async browse(
    from: number,
    count: number,
    filter: Filter,
  ): Promise<{ found: FoundPicture[]; total: number }> {
    const passed = await this.passing(filter);
    const total = passed?.size ?? this.index.info.rows;
    const length = Math.max(0, Math.min(count, total - from));
    const rows = passed && [...passed].slice(from, from + length);
    const found = Array.from({ length }, (_, i) => this.name(rows?.[i] ?? from + i));
    return { found: await Promise.all(found), total };
  }

  name = async (row: number): Promise<FoundPicture> => ({ row, ...(await this.index.name(row)) });

  thumbnail(row: number): Promise<string> {
    const known = this.thumbnails.get(row);
    if (known !== undefined) return known;
    const address = this.index.thumbnail(row).then((blob) => URL.createObjectURL(blob));
    this.thumbnails.set(row, address);
    address.catch(() => this.thumbnails.delete(row));
    const [oldest] = this.thumbnails;
    if (this.thumbnails.size > THUMBNAILS && oldest !== undefined) {
      this.thumbnails.delete(oldest[0]);
      void oldest[1].then((old) => URL.revokeObjectURL(old));
    }
    return address;
  }

  async map(): Promise<PictureMap | undefined> {
    const { map } = this.info;
    if (map === undefined) return undefined;
    const { files } = this.index.info;
    const bytes = await fetchBytes(new URL(`${SITE.index}/${files}/${map}`, this.folder));
    return readMap(bytes.buffer);
  }

  private async pictureVector(picture: Blob): Promise<Float32Array> {
    return (await this.tower("vision")).embedPictures([picture]);
  }

  /** The rows that pass, ascending; undefined where every one does. */
  private passing(filter: Filter): Promise<ReadonlySet<number>> | undefined {
    const passes = filterOf(filter);
    if (passes === undefined) return undefined;
    const key = JSON.stringify([filter.label, filter.words]);
    const known = this.filtered.get(key) ?? this.rowsOf(passes);
    this.filtered.set(key, known);
    return known;
  }

  private async rowsOf(passes: (name: PictureName) => boolean): Promise<ReadonlySet<number>> {
    const rows = new Set<number>();
    let row = 0;
    for await (const name of this.index.names()) {
      if (passes(name)) rows.add(row);
      row++;
    }
    return rows;
  }

  /** A tower is fetched when it is first needed; what could not be fetched is asked for again. */
  private tower(tower: "text" | "vision"): Promise<WebModel> {
    const known = this.towers.get(tower);
    if (known !== undefined) return known;
    const { dtype } = this.info;
    this.runtime ??= this.openRuntime();
    const opened = this.runtime.then((where) =>
      openWebModel(new URL(`${SITE.model}/`, this.folder), { ...where, dtype, towers: [tower] }),
    );
    this.towers.set(tower, opened);
    opened.catch(() => {
      this.towers.delete(tower);
      this.runtime = undefined;
    });
    return opened;
  }

  private async openRuntime() {
    const { webgpu } = this.info;
    const gpu = (navigator as { gpu?: { requestAdapter(): Promise<object | null> } }).gpu;
    const hasGpu = webgpu && (await gpu?.requestAdapter().catch(() => null)) != null;
    const [module] = RUNTIMES[hasGpu ? "webgpu" : "wasm"];
    const from = folderUrl(new URL(`${SITE.runtime}/`, this.folder));
    const runtime = (await import(new URL(module, from).href)) as RuntimeModule;
    runtime.env.wasm.wasmPaths = from.href;
    // Threads share memory, which a page may only where its server says so.
    if (!globalThis.crossOriginIsolated) runtime.env.wasm.numThreads = 1;
    return { runtime, executionProviders: hasGpu ? ["webgpu", "wasm"] : ["wasm"] };
  }
}
