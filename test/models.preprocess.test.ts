import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { UsageError } from "../src/core/errors.js";
import { evaluationOptions } from "../src/evaluate/model/preprocess.js";
import { openaiPreprocess, parsePreprocess } from "../src/models/config/preprocess.js";
import { readModel } from "../src/models/presets/read-model.js";
import { scratchFolder } from "./data.helpers.js";

const parse = (preprocess_cfg: unknown) => parsePreprocess({ preprocess_cfg }, "model.json");

describe("parsePreprocess", () => {
  it("takes open_clip's files, whose size is the model's, and fills up with OpenAI's values", () => {
    assert.deepEqual(parsePreprocess({}, "model.json"), openaiPreprocess);
    const hub = { size: [224, 224], mode: "RGB", resize_mode: "squash", fill_color: 0, std: null };
    assert.deepEqual(parse(hub), { ...openaiPreprocess, resize_mode: "squash", fill_color: 0 });
  });

  for (const [key, value] of Object.entries({
    interpolation: "random",
    resize_mode: "crop",
    mean: [0.5],
    std: [0.2, 0, 0.2],
    mode: "L",
    fill_color: 256,
    transparency: "white",
    exif_orientation: "yes",
  })) {
    it(`refuses ${key} of ${JSON.stringify(value)} by file and key`, () => {
      assert.throws(
        () => parse({ [key]: value }),
        (error: Error) => {
          assert.ok(error instanceof UsageError);
          const got = JSON.stringify(value).replace(/[[\]]/g, "\\$&");
          assert.match(
            error.message,
            new RegExp(`^model\\.json: preprocess_cfg\\.${key} must be .+; got ${got}\\. `),
          );
          return true;
        },
      );
    });
  }

  it("refuses a negative deviation, an unknown key, and what is no object", () => {
    assert.throws(() => parse({ std: [0.2, -0.2, 0.2] }), /std must be three numbers above 0/);
    assert.throws(() => parse({ resize_mod: "squash" }), /resize_mod\. Did you mean "resize_mode"\?/);
    assert.throws(() => parse("squash"), /preprocess_cfg must be an object; got "squash"/);
  });

  it("is what training reads a model's file by", () => {
    const file = join(scratchFolder(), "model.json");
    const model = {
      embed_dim: 8,
      vision_cfg: { image_size: 8, patch_size: 4, width: 64, layers: 1 },
      text_cfg: { context_length: 8, vocab_size: 64, width: 32, heads: 2, layers: 1 },
    };
    writeFileSync(file, JSON.stringify({ model_cfg: model, preprocess_cfg: { interpolation: "random" } }));
    assert.throws(() => readModel(file), /interpolation must be bicubic or bilinear; got "random"/);
  });
});

describe("evaluationOptions", () => {
  it("are open_clip's where the file does not say", () => {
    assert.deepEqual(evaluationOptions(openaiPreprocess), {
      resize: "shortest",
      filter: "bicubic",
      transparency: "pillow",
      fill: [0, 0, 0],
      orientation: "stored",
    });
    const said = parse({ transparency: [255, 255, 255], fill_color: 9, exif_orientation: true });
    const { transparency, fill, orientation } = evaluationOptions(said);
    assert.deepEqual([transparency, fill, orientation], [[255, 255, 255], [9, 9, 9], "exif"]);
  });
});
