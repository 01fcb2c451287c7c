/** Image encoders against timm's and open_clip's own, in evaluation and in training. */

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { SafetensorsFile } from "../src/core/safetensors.js";
import { formatType, type TensorType } from "../src/core/shape.js";
import type { Engine } from "../src/engines/engine.js";
import { gradients } from "../src/graph/grad.js";
import { mul, sum } from "../src/graph/ops/index.js";
import { trace } from "../src/graph/trace.js";
import { type Clip, makeClip } from "../src/models/clip.js";
import { type ClipConfig, parseClipConfig } from "../src/models/config/config.js";
import { encoderOf, imageEncoders } from "../src/models/image/encoders.js";
import { familyOf } from "../src/models/image/timm.js";
import { trunkFamilies } from "../src/models/image/trunks.js";
import { noiseTypes } from "../src/nn/noise.js";
import { type ParameterSpecs, parameterTypes, type Training } from "../src/nn/parameters.js";
import { assertClose } from "./support/close.js";
import { enginesForSteps } from "./support/engines.js";
import { fixture } from "./support/fixture.js";

/** Error allowed, of the largest number in the tensor; the oracle is float64. */
const RELATIVE = 1e-4;

const goldens = readdirSync(fixture("encoders"))
  .filter((file) => file.endsWith(".json"))
  .map((file) => file.replace(".json", ""));

const configOf = (name: string): ClipConfig =>
  parseClipConfig(JSON.parse(readFileSync(fixture(`encoders/${name}.json`), "utf8")), `${name}.json`);

const visual = (specs: ParameterSpecs): ParameterSpecs =>
  Object.fromEntries(Object.entries(specs).filter(([name]) => name.startsWith("visual.")));

/** Features and embeddings in both modes, statistics after the training pass, and every gradient. */
function bothModes(clip: Clip, images: TensorType, cotangent: TensorType) {
  const variables = parameterTypes(visual(clip.variables));
  const names = Object.keys(visual(clip.parameters));
  const noise = noiseTypes(clip.noise, images.shape[0]!);
  return trace({ variables, image: images, cotangent, noise }, (x) => {
    const given: Training = { noise: x.noise, replicas: 1, statistics: {} };
    const pass = (training?: Training) => {
      const features = clip.imageFeatures(x.variables, x.image, training);
      return { features, embedding: clip.projectImage(x.variables, features) };
    };
    const train = pass(given);
    const found = gradients(
      sum(mul(train.embedding, x.cotangent)),
      names.map((name) => x.variables[name]!),
    );
    return {
      eval: pass(),
      train,
      statistics: given.statistics,
      gradient: Object.fromEntries(names.map((name, i) => [name, found[i]!])),
    };
  });
}

async function compare(engine: Engine, name: string): Promise<void> {
  using file = new SafetensorsFile(fixture(`encoders/${name}.safetensors`));
  const clip = makeClip(configOf(name));
  const read = (tensor: string) => file.read(tensor) as Float32Array;
  const images = file.info("image");
  const graph = bothModes(clip, images, file.info("cotangent"));
  using executable = await engine.compile(graph, { name });
  const inputs = graph.inputs.map(({ name: path, tensor }) => {
    const stored = path === "images" ? "image" : path.replace("variables.", "initial.");
    return [path, engine.upload(tensor, read(stored))] as const;
  });
  const outputs = await executable.run(Object.fromEntries(inputs));
  const sizeOf = (values: Float32Array) => values.reduce((m, v) => Math.max(m, Math.abs(v)), 0);
  const gradients = file.names.filter((n) => n.startsWith("gradient."));
  const steepest = Math.max(...gradients.map((n) => sizeOf(read(n))));
  for (const [path, buffer] of Object.entries(outputs)) {
    const expected = read(path);
    const largest = sizeOf(expected);
    const got = (await engine.download(buffer)) as Float32Array;
    // A gradient that is 0 (a bias before a norm) comes out as the rounding of terms as large as the others'.
    const floor = largest < 1e-12 * steepest ? 1e-3 * steepest : 1e-3;
    const scale = Math.max(largest, path.startsWith("gradient.") ? floor : 0);
    const relative = (v: number) => v / scale;
    assertClose(got.map(relative), expected.map(relative), RELATIVE, `${name}: ${path}`);
    buffer[Symbol.dispose]();
  }
  const wanted = file.names.filter((n) => /^(eval|train|statistics|gradient)\./.test(n)).sort();
  assert.deepEqual(Object.keys(outputs).sort(), wanted);
  for (const [, buffer] of inputs) buffer[Symbol.dispose]();
}

describe("image encoders", () => {
  it("each have a golden model", () => {
    const configs = goldens.map(configOf).map(({ vision_cfg }) => vision_cfg);
    const kinds = new Set(configs.map((vision) => encoderOf(vision).name));
    const families = new Set(configs.flatMap((vision) => familyOf(vision) ?? []));
    // test/train.golden.test.ts holds the ViT's
    const lacking = imageEncoders
      .map(({ name }) => name)
      .filter((name) => name !== "ViT" && !kinds.has(name));
    assert.deepEqual(lacking, []);
    assert.deepEqual(
      trunkFamilies.map(({ name }) => name).filter((name) => !families.has(name)),
      [],
    );
  });

  for (const name of goldens) {
    it(`declare PyTorch's variables, by name and shape: ${name}`, () => {
      using file = new SafetensorsFile(fixture(`encoders/${name}.safetensors`));
      const theirs = file.names
        .filter((n) => n.startsWith("initial."))
        .map((n) => `${n.slice("initial.".length)} ${formatType(file.info(n))}`);
      const types = parameterTypes(visual(makeClip(configOf(name)).variables));
      assert.deepEqual(
        Object.entries(types)
          .map(([n, type]) => `${n} ${formatType(type)}`)
          .sort(),
        theirs.sort(),
      );
    });
  }

  for (const { title, open } of enginesForSteps) {
    for (const name of goldens) {
      it(`give PyTorch's features, statistics and gradients on ${title}: ${name}`, async () => {
        await using engine = await open();
        await compare(engine, name);
      });
    }
  }
});
