/** Weights of other layouts are told by name, with the remedy. */

import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { UsageError } from "../src/core/errors.js";
import { weightsFile } from "../src/evaluate/model/locate.js";

const refused = (body: () => unknown, message: RegExp) =>
  assert.throws(body, (error) => {
    assert(error instanceof UsageError, String(error));
    assert.match(error.message, message);
    assert(!error.message.includes("\n"));
    return true;
  });

suite("weights that are not open_clip's safetensors", () => {
  test("names that open_clip would look up", () => {
    refused(
      () => weightsFile("hf-hub:timm/ViT-B-16-SigLIP@main"),
      /^hf-hub:timm\S+: models .* not fetched\. Download it \(hf download timm\/ViT-B-16-SigLIP --local-dir FOLDER\)/,
    );
    refused(() => weightsFile("local-dir:models/x"), /without local-dir:\. Give models\/x\.$/);
  });
});
