/** A small index with its model, served: pictures of seeds, half with a label, one with a caption that would be markup. */

import { join } from "node:path";
import { openDataset } from "../../src/data/index.js";
import { OnnxRuntime } from "../../src/engines/onnxruntime.js";
import { loadModel } from "../../src/evaluate/model/load-model.js";
import { makeIndex } from "../../src/serve/index/make.js";
import { PictureIndex } from "../../src/serve/index/open.js";
import type { Training } from "../../src/serve/page/source.js";
import { servePictures } from "../../src/serve/server/app.js";
import { Served } from "../../src/serve/server/served.js";
import { pngOf, put } from "../data.helpers.js";
import { fixture } from "./fixture.js";

export const HOSTILE = `<img src=x onerror="alert(1)"><script>alert(2)</script>"'&`;

/** Makes the index of `count` pictures in `folder`, and serves it until it is disposed of. */
export async function servedPictures(
  folder: string,
  {
    count = 70,
    host = "127.0.0.1",
    training,
  }: { count?: number; host?: string; training?: () => Training } = {},
) {
  for (let i = 0; i < count; i++) {
    const path = `pictures/${i % 2 ? "odd" : "even"}/${String(i).padStart(3, "0")}`;
    put(folder, `${path}.png`, await pngOf(i));
    put(
      folder,
      `${path}.json`,
      JSON.stringify({ caption: i === 1 ? HOSTILE : `caption ${i}`, label: i % 2 ? "odd" : "even" }),
    );
  }
  const engine = new OnnxRuntime({ threads: 1 });
  const path = fixture("embed");
  const model = await loadModel(engine, { path, workers: 1, imageBatch: 8, textBatch: 4 });
  const dataset = await openDataset(join(folder, "pictures"), { name: "seeds", labelKey: "label" });
  const out = join(folder, "index");
  await makeIndex(model, dataset, { out, modelPath: path });
  const index = PictureIndex.open(out);
  const scale = { value: 20, about: "not calibrated: planted" };
  const problems: string[] = [];
  let served = new Served({
    index,
    encoder: model.encoder,
    scale,
    title: "seeds & co",
    model: "fixture, step 1",
  });
  const server = await servePictures(
    { current: () => served, ...(training && { training }) },
    { host, onProblem: (line) => problems.push(line) },
  );
  return {
    server,
    index,
    model,
    problems,
    url: server.urls[0]!,
    /** Shows the same pictures as another model's. */
    change(words: string) {
      served = new Served({
        index: PictureIndex.of(out, { ...index.info, plan: words }),
        encoder: model.encoder,
        scale,
        title: "seeds & co",
        model: words,
      });
    },
    async [Symbol.asyncDispose]() {
      await server.close();
      index.close();
      model[Symbol.dispose]();
      await engine[Symbol.asyncDispose]();
    },
  };
}
