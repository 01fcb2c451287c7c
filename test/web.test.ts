/** The build for browsers: in Chromium, exported models and indexes give what they give in Node. */

import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { after, before, suite, test } from "node:test";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import type { Browser, Page } from "playwright-core";
import sharp from "sharp";
import { exportModel, openDataset } from "../src/api/checked.js";
import { evaluationPipeline, preprocessImage } from "../src/data/pixels/pipeline.js";
import { OnnxRuntime } from "../src/engines/onnxruntime.js";
import { loadModel } from "../src/evaluate/model/load-model.js";
import { evaluationOptions } from "../src/evaluate/model/preprocess.js";
import { makeIndex, openIndex, search } from "../src/index.js";
import { openaiPreprocess, type PreprocessConfig } from "../src/models/config/preprocess.js";
import { scratchFolder } from "./data.helpers.js";
import { noBrowser, openBrowser, openPage } from "./support/browser.js";
import { exportFamilies, familyRun, leastCosine } from "./support/export-run.js";
import { servePages } from "./support/pages.js";

const root = fileURLToPath(new URL("../../", import.meta.url));
const folder = scratchFolder();
const engine = new OnnxRuntime();
const S = exportFamilies.ViT!.vision_cfg.image_size as number;
const E = exportFamilies.ViT!.embed_dim;
const TEXTS = ["two cats", "A Dog on the mat!", "more words than there is room for in eight tokens"];

/** Smooth light with fine detail, as photographs have it; a fourth channel of alpha where it is asked for. */
const pixelsOf = (width: number, height: number, channels: 3 | 4): Uint8Array =>
  Uint8Array.from({ length: width * height * channels }, (_, i) => {
    const [pixel, channel] = [Math.floor(i / channels), i % channels];
    const [x, y] = [pixel % width, Math.floor(pixel / width)];
    if (channel === 3) return (x * 255) / width;
    return 128 + 60 * Math.sin(x / 9 + channel) * Math.cos(y / 13) + 50 * Math.sin((x * y) / 40);
  });

const drawn = (width: number, height: number, channels: 3 | 4 = 3) =>
  sharp(pixelsOf(width, height, channels), { raw: { width, height, channels } });

/** By name; odd sizes throughout. */
const pictures: Readonly<Record<string, Promise<Buffer>>> = {
  "photo.jpg": drawn(201, 133).jpeg({ quality: 92 }).toBuffer(),
  "turned.jpg": drawn(77, 215)
    .withMetadata({ orientation: 6 })
    .jpeg({ quality: 92, chromaSubsampling: "4:4:4" })
    .toBuffer(),
  "grey.jpg": drawn(99, 98).greyscale().jpeg().toBuffer(),
  "drawing.png": drawn(131, 77).png().toBuffer(),
  "palette.png": drawn(120, 90).png({ palette: true, colours: 16 }).toBuffer(),
  "transparent.png": drawn(101, 64, 4).png().toBuffer(),
  "lossless.webp": drawn(64, 91).webp({ lossless: true }).toBuffer(),
  "transparent.webp": drawn(90, 61, 4).webp({ lossless: true, exact: true }).toBuffer(),
  "small.png": drawn(9, 11).png().toBuffer(),
};

/** Preprocessing by the name of its model. */
const preprocessings: Readonly<Record<string, PreprocessConfig>> = {
  open_clip: { ...openaiPreprocess, transparency: "pillow" },
  "white, squash": { ...openaiPreprocess, resize_mode: "squash", transparency: [255, 255, 255] },
  "exif, longest": {
    ...openaiPreprocess,
    ...{
      resize_mode: "longest",
      exif_orientation: true,
      fill_color: [10, 200, 90],
      interpolation: "bilinear",
    },
  },
  down: { ...openaiPreprocess, crop_rounding: "down" },
};

/** What runs in the page, by name. */
const PAGE = `<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><script type="module">
  import * as web from "/dist/src/web/index.js";
  import * as runtime from "/ort/ort.wasm.min.mjs";
  runtime.env.wasm.numThreads = 1;
  const message = (work) => work.then(() => "nothing", (error) => error.message);
  globalThis.embed = async ([name, files, texts]) => {
    const model = await web.openWebModel("/data/" + name, { runtime });
    const blobs = await Promise.all(files.map(async (file) => (await fetch("/data/pictures/" + file)).blob()));
    const prepared = [];
    for (const blob of blobs) prepared.push(Array.from(await model.preparePicture(blob)));
    const images = Array.from(await model.embedPictures(blobs));
    const vectors = Array.from(await model.embedTexts(texts));
    const ids = Array.from(model.tokenizer.encodeBatch(texts));
    await model.close();
    return { prepared, images, texts: vectors, ids };
  };
  globalThis.find = async (text) => {
    const model = await web.openWebModel("/data/export-0/", { runtime, towers: ["text"] });
    const pieces = [];
    const index = await web.openWebIndex("/data/index", { onPiece: (...of) => pieces.push(...of) });
    const hits = await index.search(await model.embedTexts([text]), { k: 5 });
    const similar = await index.similar(hits[0].row, { k: 3 });
    const { width, height } = await createImageBitmap(await index.thumbnail(hits[0].row));
    const refused = await message(model.embedPictures([new Blob(["no picture"])]));
    return { hits, similar, pieces, side: Math.max(width, height), refused };
  };
  globalThis.fail = async () => {
    const model = await web.openWebModel("/data/export-0", { runtime });
    return {
      missing: await message(web.openWebModel("/data/nowhere", { runtime })),
      form: await message(web.openWebModel("/data/export-0", { runtime, dtype: "q4" })),
      noIndex: await message(web.openWebIndex("/data/export-0")),
      picture: await message(model.embedPictures([new Blob(["<svg></svg>"])])),
      broken: await message(model.embedPictures([new Blob([new Uint8Array([255, 216, 255, 224])])])),
    };
  };
</script>`;

interface Embedded {
  readonly prepared: readonly (readonly number[])[];
  readonly images: readonly number[];
  readonly texts: readonly number[];
  readonly ids: readonly number[];
}

interface Found {
  readonly hits: readonly { readonly row: number; readonly score: number; readonly key: string }[];
  readonly similar: readonly { readonly row: number }[];
  readonly pieces: readonly number[];
  readonly side: number;
  readonly refused: string;
}

suite("clipwright/web", { skip: noBrowser() }, () => {
  let browser: Browser;
  let site: { readonly address: string; close(): void };
  let page: Page;
  let troubles: string[];

  before(async () => {
    for (const [i, preprocess] of Object.values(preprocessings).entries()) {
      const run = familyRun(join(folder, `run ${i}`), exportFamilies.ViT!, preprocess);
      await exportModel(
        { path: run },
        { to: "transformers.js", out: join(folder, `export-${i}`), dtypes: ["fp32", "q8"] },
      );
    }
    for (const [name, bytes] of Object.entries(pictures)) {
      mkdirSync(join(folder, "pictures"), { recursive: true });
      writeFileSync(join(folder, "pictures", name), await bytes);
    }
    const folders = {
      dist: join(root, "dist"),
      ort: join(root, "node_modules", "onnxruntime-web", "dist"),
      data: folder,
    };
    site = await servePages(folders, { "/": PAGE });
    browser = await openBrowser();
    ({ page, troubles } = await openPage(browser, site.address));
    await page.waitForFunction("globalThis.fail !== undefined");
  });

  after(async () => {
    await browser?.close();
    site?.close();
    await engine[Symbol.asyncDispose]();
  });

  /** Calls what `PAGE` defines. */
  const inPage = <T>(name: string, given: unknown = null): Promise<T> =>
    page.evaluate(`${name}(${JSON.stringify(given)})`) as Promise<T>;

  for (const [i, [name, preprocess]] of Object.entries(preprocessings).entries()) {
    test(`${name}: the pixels and vectors of pictures and texts are Node's`, async () => {
      const found = await inPage<Embedded>("embed", [`export-${i}`, Object.keys(pictures), TEXTS]);
      const run = join(folder, `run ${i}`, "checkpoints", "step-00000004", "params.safetensors");
      using model = await loadModel(engine, { path: run });
      const bytes = await Promise.all(Object.values(pictures));
      const pipeline = evaluationPipeline(S, evaluationOptions(preprocess));
      for (const [at, file] of Object.keys(pictures).entries()) {
        const expected = await preprocessImage(bytes[at]!, pipeline);
        const off = expected.map((value, k) => Math.abs(value - found.prepared[at]![k]!));
        const worst = Math.max(...off);
        // Decoders of JPEG may round a colour otherwise.
        assert(worst <= (file.endsWith(".jpg") ? 3 : 1), `${file}: off by up to ${worst}`);
      }
      const images = leastCosine(Float32Array.from(found.images), await model.encoder.embedImages(bytes), E);
      assert(images >= 0.9999, `pictures: ${images}`);
      assert.deepEqual(found.ids, Array.from(model.encoder.options.tokenizer.encodeBatch(TEXTS)));
      const texts = leastCosine(Float32Array.from(found.texts), await model.encoder.embedTexts(TEXTS), E);
      assert(texts >= 0.9999, `texts: ${texts}`);
    });
  }

  test("an index is searched as in Node, and gives names and thumbnails", async () => {
    const run = join(folder, "run 0", "checkpoints", "step-00000004", "params.safetensors");
    using model = await loadModel(engine, { path: run });
    const dataset = await openDataset([join(folder, "pictures")], { captionsOptional: true });
    const out = join(folder, "index");
    await makeIndex(model, dataset, { out, modelPath: run });
    const index = openIndex(out);
    const expected = await search(index, model, TEXTS[0]!, { k: 5 });
    const found = await inPage<Found>("find", TEXTS[0]);
    assert.deepEqual(
      found.hits.map(({ key }) => key),
      expected.map(({ key }) => key),
    );
    for (const [i, { score }] of found.hits.entries()) assert(Math.abs(score - expected[i]!.score) < 1e-5);
    assert(found.similar.every(({ row }) => row !== found.hits[0]!.row));
    assert.equal(found.similar.length, 3);
    assert.deepEqual(found.pieces, [1, 1]);
    assert(found.side > 0 && found.side <= 192);
    assert.match(found.refused, /vision tower was not opened/);
    index.close();
  });

  test("what is not there, or is something else, is told by its address", async () => {
    const told = await inPage<Record<string, string>>("fail");
    assert.match(told.missing!, /\/data\/nowhere\/config\.json: cannot be fetched; the server says 404/);
    assert.match(told.form!, /text_model_q4\.onnx: cannot be fetched/);
    assert.match(told.noIndex!, /index\.json: cannot be fetched/);
    assert.match(told.picture!, /drawing \(SVG, XML\)/);
    assert.match(told.broken!, /picture: cannot be decoded/);
    // Chromium tells of every 404 by itself.
    assert.deepEqual(
      troubles.filter((line) => !line.includes("404")),
      [],
    );
  });
});

test("clipwright/web bundles without anything of Node, within 110 kB", async () => {
  const { outputFiles } = await build({
    entryPoints: [join(dirname(fileURLToPath(import.meta.url)), "../src/web/index.js")],
    ...{ bundle: true, minify: true, write: false, format: "esm", platform: "browser", logLevel: "silent" },
  });
  const [file] = outputFiles;
  assert(file!.contents.length <= 110_000, `${file!.contents.length} bytes`);
  assert(!file!.text.includes("node:"));
});
