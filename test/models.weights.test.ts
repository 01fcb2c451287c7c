/** Weights of other layouts are told by name, with the remedy. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { suite, test } from "node:test";
import { UsageError } from "../src/core/errors.js";
import { writeSafetensors } from "../src/core/safetensors.js";
import { weightsFile } from "../src/evaluate/model/load-model.js";
import { readWeights } from "../src/models/weights/weights.js";
import { put, scratchFolder } from "./data.helpers.js";

const folder = scratchFolder();

const refused = (body: () => unknown, message: RegExp) =>
  assert.throws(body, (error) => {
    assert(error instanceof UsageError, String(error));
    assert.match(error.message, message);
    assert(!error.message.includes("\n"));
    return true;
  });

/** A file of safetensors with these names. */
function named(name: string, ...tensors: string[]): string {
  const path = join(folder, name);
  const data = new Float32Array(1);
  writeSafetensors(
    path,
    tensors.map((name) => ({ name, dtype: "f32", shape: [1], data })),
  );
  return path;
}

suite("weights that are not open_clip's safetensors", () => {
  test("names that open_clip would look up", () => {
    refused(
      () => weightsFile("hf-hub:timm/ViT-B-16-SigLIP@main"),
      /^hf-hub:timm\S+: models .* not fetched\. Download it \(hf download timm\/ViT-B-16-SigLIP --local-dir FOLDER\)/,
    );
    refused(() => weightsFile("local-dir:models/x"), /without local-dir:\. Give models\/x\.$/);
  });

  test("PyTorch's own form, whatever the file is called", () => {
    const zip = put(folder, "weights.safetensors", "PK\x03\x04 and more");
    const pickle = put(folder, "weights.pt", Buffer.from([0x80, 2, 0x8a, 0x0a]));
    for (const path of [zip, pickle]) {
      refused(() => readWeights(path, {}), /is of PyTorch's own form .*Convert it in Python: .*torch\.load/);
    }
  });

  test("a folder that holds nothing else", () => {
    put(folder, "hub/pytorch_model.bin", "PK");
    refused(() => weightsFile(join(folder, "hub")), /hub\/pytorch_model\.bin: is of PyTorch's own form/);
  });

  test("the names of transformers, and those of several processes", () => {
    const transformers = named("t.safetensors", "logit_scale", "vision_model.post_layernorm.weight");
    refused(() => readWeights(transformers, {}), /names are those of Hugging Face's CLIPModel/);
    const module = named("m.safetensors", "module.logit_scale", "module.visual.proj");
    refused(() => readWeights(module, {}), /every name begins with module\..*removeprefix\('module\.'\)/);
  });
});
