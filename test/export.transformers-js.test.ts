/** Exports to transformers.js, opened by transformers.js and by ONNX Runtime for browsers, offline. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import {
  AutoProcessor,
  AutoTokenizer,
  CLIPTextModelWithProjection,
  CLIPVisionModelWithProjection,
  env,
  pipeline,
  RawImage,
} from "@huggingface/transformers";
import * as web from "onnxruntime-web";
import sharp from "sharp";
import { exportModel, preparePicture } from "../src/api/checked.js";
import { OnnxRuntime } from "../src/engines/onnxruntime.js";
import { loadModel } from "../src/evaluate/model/load-model.js";
import { scratchFolder } from "./data.helpers.js";
import { exportFamilies, familyRun, leastCosine } from "./support/export-run.js";

const scratch = scratchFolder();
const engine = new OnnxRuntime();
const TEXTS = ["two cats", "a dog on the mat", "quite another text that is too long for eight tokens"];
const LABELS = ["cat", "dog", "mat"];

/** A photo-like picture, with detail that resizing without smoothing turns to noise. */
const photo = (width: number, height: number): Promise<Buffer> =>
  sharp(
    Uint8Array.from({ length: width * height * 3 }, (_, i) => {
      const [x, y] = [Math.floor(i / 3) % width, Math.floor(i / 3 / width)];
      return 128 + 60 * Math.sin(x / 9 + (i % 3)) * Math.cos(y / 13) + 60 * Math.sin(x * y * 0.7);
    }),
    { raw: { width, height, channels: 3 } },
  )
    .png()
    .toBuffer();

before(() => {
  env.allowRemoteModels = false;
  env.localModelPath = scratch;
  env.useFSCache = false;
});
after(() => engine[Symbol.asyncDispose]());

describe("exportModel to transformers.js", () => {
  for (const [family, config] of Object.entries(exportFamilies)) {
    test(`${family}: transformers.js gives the model's vectors and probabilities for prepared pictures`, async () => {
      const run = familyRun(join(scratch, `${family} run`), config);
      const name = family.replaceAll(" ", "-");
      const folder = join(scratch, name);
      await exportModel({ path: run }, { to: "transformers.js", out: folder });
      using model = await loadModel(engine, { path: run });
      const E = model.clip.config.embed_dim;
      const pictures = await Promise.all([photo(201, 133), photo(77, 215), photo(99, 98)]);
      const images = await model.encoder.embedImages(pictures);
      const texts = await model.encoder.embedTexts(TEXTS);

      const options = { dtype: "fp32" } as const;
      const vision = await CLIPVisionModelWithProjection.from_pretrained(name, options);
      const processor = await AutoProcessor.from_pretrained(name, {});
      const embed = async (raw: RawImage[]) => (await vision(await processor(raw))).image_embeds.data;
      const prepared = await Promise.all(
        pictures.map(async (picture) => {
          const { data, width, height, channels } = await preparePicture(picture, folder);
          return new RawImage(data, width, height, channels);
        }),
      );
      const withHelper = leastCosine(await embed(prepared), images, E);
      assert(withHelper > 0.9999, `prepared pictures: ${withHelper}`);
      const plain = await Promise.all(
        pictures.map((picture) => RawImage.fromBlob(new Blob([new Uint8Array(picture)]))),
      );
      const withoutHelper = leastCosine(await embed(plain), images, E);
      assert(withoutHelper < 0.9999, `resized by transformers.js, without smoothing: ${withoutHelper}`);

      const text = await CLIPTextModelWithProjection.from_pretrained(name, options);
      const tokenizer = await AutoTokenizer.from_pretrained(name);
      const tokens = tokenizer(TEXTS, { padding: true, truncation: true });
      const found = leastCosine((await text(tokens)).text_embeds.data, texts, E);
      assert(found > 0.9999, `texts: ${found}`);

      const classify = await pipeline("zero-shot-image-classification", name, options);
      const template = { hypothesis_template: "two {}" };
      const got = await classify(prepared[0]!, LABELS, template);
      const labels = await model.encoder.embedTexts(LABELS.map((label) => `two ${label}`));
      const scale = await model.encoder.scale();
      const weights = LABELS.map((_, i) => {
        const row = labels.subarray(i * E, (i + 1) * E);
        return Math.exp(scale * row.reduce((sum, x, k) => sum + x * images[k]!, 0));
      });
      const total = weights.reduce((a, b) => a + b);
      for (const { label, score } of got as { label: string; score: number }[]) {
        const expected = weights[LABELS.indexOf(label)]! / total;
        assert(Math.abs(score - expected) < 1e-4, `${label}: ${score}, expected ${expected}`);
      }
    });
  }

  test("every form of the numbers opens in Node and in WebAssembly, where q8 is the default", async () => {
    const run = familyRun(join(scratch, "forms run"), exportFamilies.ConvNeXt!);
    const dtypes = ["fp32", "fp16", "int8", "q8", "q4"] as const;
    await exportModel({ path: run }, { to: "transformers.js", out: join(scratch, "forms"), dtypes });
    using model = await loadModel(engine, { path: run });
    const E = model.clip.config.embed_dim;
    const S = model.clip.config.vision_cfg.image_size;
    const pixels = Float32Array.from({ length: 3 * S * S }, (_, i) => Math.sin(i / 50));
    web.env.wasm.numThreads = 1;
    web.env.logLevel = "error";
    let expected: Float32Array | undefined;
    for (const dtype of dtypes) {
      const suffix = { fp32: "", fp16: "_fp16", int8: "_int8", q8: "_quantized", q4: "_q4" }[dtype];
      const bytes = readFileSync(join(scratch, "forms", "onnx", `vision_model${suffix}.onnx`));
      const session = await web.InferenceSession.create(bytes, { executionProviders: ["wasm"] });
      const outputs = await session.run({ pixel_values: new web.Tensor("float32", pixels, [1, 3, S, S]) });
      const found = outputs.image_embeds!.data as Float32Array;
      expected ??= found;
      assert(leastCosine(found, expected, E) > 0.95, `${dtype} in WebAssembly`);
      await session.release();
      const classify = await pipeline("zero-shot-image-classification", "forms", { dtype });
      const picture = new RawImage(new Uint8Array(S * S * 3).fill(90), S, S, 3);
      const scores = (await classify(picture, LABELS)) as { score: number }[];
      assert(Math.abs(scores.reduce((sum, { score }) => sum + score, 0) - 1) < 1e-5, dtype);
    }
  });
});
