/** Models as others store them: PyTorch's files, and the JSON of transformers' folders. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { sizeOf } from "../../../src/core/dtype.js";
import { sizeOfShape } from "../../../src/core/shape.js";
import { makeClip } from "../../../src/models/clip.js";
import { readModelFile } from "../../../src/models/config/model-file.js";
import { openWeights } from "../../../src/models/weights/open.js";
import { fixture } from "../../support/fixture.js";
import type { FuzzTarget } from "../target.js";

export const pytorch: FuzzTarget = {
  name: "pytorch",
  seeds: async () =>
    ["plain", "legacy", "checkpoint", "script"].map((name) => ({
      "x.pt": readFileSync(fixture(`import/${name}.pt`)),
    })),
  words: [
    "ctorch._utils\n_rebuild_tensor_v2\n",
    "cos\nsystem\n",
    "ctorch\nFloatStorage\n",
    "archive/data.pkl",
    "\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f",
    "\x86",
    "Q",
    "R",
    "b",
    "2",
    "u",
  ],
  async run(folder) {
    using file = await openWeights(join(folder, "x.pt"));
    for (const name of file.names) {
      const { dtype, shape } = file.info(name);
      const data = file.read(name);
      assert.equal(data.length, sizeOfShape(shape));
      assert.equal(data.BYTES_PER_ELEMENT, sizeOf(dtype));
    }
  },
};

export const clipFolder: FuzzTarget = {
  name: "clip-folder",
  seeds: async () =>
    ["quick", "gelu", "square"].map((name) =>
      Object.fromEntries(
        ["config.json", "preprocessor_config.json"].map((file) => [
          file,
          readFileSync(fixture(`import/clip-${name}/${file}`)),
        ]),
      ),
    ),
  words: ['"text_config_dict":', '"hidden_act":"gelu"', '"eos_token_id":2', '"size":224', "null", "1e99"],
  async run(folder) {
    const { config, preprocess } = readModelFile(join(folder, "config.json"));
    assert.ok(Object.keys(makeClip(config).variables).length > 0);
    assert.ok([...preprocess.mean, ...preprocess.std].every(Number.isFinite));
  },
};
