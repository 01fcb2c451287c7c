/**
 * An export to transformers.js, opened by it, against the model's own vectors of pictures: prepared by `preparePicture`, and
 * resized by transformers.js itself.
 *
 *     npm run build && node dist/bench/transformers-js.js MODEL IMAGES
 */

import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AutoProcessor, CLIPVisionModelWithProjection, env, RawImage } from "@huggingface/transformers";
import { exportModel, openModel, preparePicture } from "clipwright";

const [model, images] = process.argv.slice(2) as [string, string];
const work = mkdtempSync(join(tmpdir(), "transformers-js-"));
try {
  const folder = join(work, "model");
  await exportModel({ path: model }, { to: "transformers.js", out: folder, dtypes: ["fp32"] });
  Object.assign(env, { allowRemoteModels: false, localModelPath: work });
  const vision = await CLIPVisionModelWithProjection.from_pretrained("model", { dtype: "fp32" });
  const processor = await AutoProcessor.from_pretrained("model", {});
  const own = await openModel(model, { engine: "onnxruntime" });
  const cosines: { prepared: number[]; resized: number[] } = { prepared: [], resized: [] };
  for (const name of readdirSync(images).filter((each) => /\.(png|jpe?g)$/.test(each))) {
    const path = join(images, name);
    const expected = await own.encoder.embedImages([path]);
    const { data, width, height, channels } = await preparePicture(path, folder);
    const pictures = {
      prepared: new RawImage(data, width, height, channels),
      resized: await RawImage.read(path),
    };
    for (const [way, picture] of Object.entries(pictures)) {
      const { image_embeds } = await vision(await processor(picture));
      const found = image_embeds.data as Float32Array;
      cosines[way as keyof typeof cosines].push(expected.reduce((sum, x, i) => sum + x * found[i]!, 0));
    }
  }
  await own.close();
  for (const [way, list] of Object.entries(cosines)) {
    const mean = list.reduce((sum, x) => sum + x, 0) / list.length;
    process.stdout.write(
      `${way.padEnd(8)}  ${list.length} pictures  least cosine ${Math.min(...list).toFixed(6)}  mean ${mean.toFixed(6)}\n`,
    );
  }
} finally {
  rmSync(work, { recursive: true, force: true });
}
