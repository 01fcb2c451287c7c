/** Sizes and options of timm's and CLIP's ResNets. Their numbers are in models.encoders.test.ts. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { UsageError } from "../src/core/errors.js";
import { makeClip } from "../src/models/clip.js";
import { type ClipConfig, parseClipConfig } from "../src/models/config/config.js";
import { towerCosts } from "../src/models/presets/catalog.js";
import { countParameters, type ParameterSpecs } from "../src/nn/parameters.js";

const text = { context_length: 77, vocab_size: 49408, width: 512, heads: 8, layers: 12 };

const configOf = (vision: object, embed_dim = 1024, text_cfg: object = text): ClipConfig =>
  parseClipConfig({ embed_dim, vision_cfg: vision, text_cfg }, "model");

const below = (specs: ParameterSpecs, prefix: string): ParameterSpecs =>
  Object.fromEntries(Object.entries(specs).filter(([name]) => name.startsWith(prefix)));

const refuses = (vision: object, message: RegExp) =>
  assert.throws(
    () => makeClip(configOf(vision)),
    (error: Error) => {
      assert.ok(error instanceof UsageError, error.stack);
      assert.match(error.message, message);
      return true;
    },
  );

describe("timm's ResNets", () => {
  // Parameters without the classifier: `sum(p.numel() for p in timm.create_model(name, num_classes=0).parameters())`;
  // GMACs at 224 pixels: timm's results/model_benchmark_amp_nchw_rtx3090.csv, where it has the model (as gluon_… too).
  const sizes: [name: string, parameters: number, gmacs: number | undefined][] = [
    ["resnet10t", 4_922_488, undefined],
    ["resnet14t", 8_032_632, undefined],
    ["resnet18", 11_176_512, 1.82],
    ["resnet18d", 11_195_744, 2.06],
    ["resnet26", 13_946_176, 2.36],
    ["resnet26d", 13_965_408, 2.6],
    ["resnet26t", 13_962_872, undefined],
    ["resnet34", 21_284_672, 3.67],
    ["resnet50", 23_508_032, 4.11],
    ["resnet50c", 23_527_264, 4.35],
    ["resnet50d", 23_527_264, 4.35],
    ["resnet50s", 23_631_808, 5.47],
    ["resnet101", 42_500_160, 7.83],
    ["resnet152", 58_143_808, undefined],
    ["wide_resnet50_2", 66_834_240, 11.43],
    ["resnext50_32x4d", 22_979_904, 4.26],
  ];
  for (const [name, parameters, gmacs] of sizes) {
    it(`have timm's sizes: ${name}`, () => {
      const config = configOf({ timm_model_name: name });
      assert.equal(countParameters(below(makeClip(config).parameters, "visual.trunk.")), parameters);
      if (gmacs === undefined) return;
      const ours = towerCosts(config).image.macs / 1e9;
      assert.ok(Math.abs(ours / gmacs - 1) < 0.01, `${ours} of ${gmacs}`);
    });
  }

  it("take timm's arguments, and name those that they do not", () => {
    const base = { timm_model_name: "resnet18", image_size: 32 };
    refuses(
      { ...base, timm_model_args: { output_stride: 16 } },
      /timm_model_args\.output_stride=16\. ResNet takes/,
    );
    refuses({ ...base, timm_model_args: { layers: [1, 1] } }, /timm_model_args\.layers=\[1,1\]/);
    refuses(
      { ...base, timm_model_args: { base_width: 32 } },
      /a basicblock has base_width 64 and cardinality 1/,
    );
  });
});

describe("CLIP's ResNets", () => {
  const sizes: [name: string, vision: object, E: number, width: number, image: number, total: number][] = [
    ["RN50", { layers: [3, 4, 6, 3], width: 64, patch_size: null }, 1024, 512, 38_316_896, 102_007_137],
    ["RN101", { layers: [3, 4, 23, 3], width: 64, patch_size: null }, 512, 512, 56_259_936, 119_688_033],
    [
      "RN50x4",
      { image_size: 288, layers: [4, 6, 10, 6], width: 80, patch_size: null },
      640,
      640,
      87_137_080,
      178_300_601,
    ],
  ];
  for (const [name, vision, E, width, image, total] of sizes) {
    it(`have open_clip's sizes: ${name}`, () => {
      const config = configOf(vision, E, { ...text, width, heads: width / 64 });
      const { parameters } = makeClip(config);
      assert.equal(countParameters(below(parameters, "visual.")), image);
      assert.equal(countParameters(parameters), total);
    });
  }

  it("start every block as its shortcut", () => {
    const { parameters } = makeClip(configOf({ layers: [1, 1, 1, 1], width: 8, image_size: 32 }, 8));
    const init = (name: string) => parameters[`visual.${name}`]!.init;
    assert.deepEqual(init("layer2.0.bn3.weight"), { kind: "constant", value: 0 });
    assert.deepEqual(init("layer2.0.downsample.1.weight"), { kind: "constant", value: 1 });
    assert.deepEqual(init("bn3.weight"), { kind: "constant", value: 1 });
  });

  it("name what does not fit them", () => {
    const base = { layers: [1, 1, 1, 1], width: 8 };
    refuses(
      { ...base, image_size: 30 },
      /image_size must be even and at least 32 .* got image_size=30\. Nearest: 32/,
    );
    refuses({ ...base, image_size: 65 }, /Nearest: 66/);
    refuses({ ...base, width: 7 }, /width must be even/);
    refuses({ ...base, head_width: 48 }, /a multiple of head_width; got width=8, head_width=48/);
    refuses({ ...base, mlp_ratio: 2 }, /mlp_ratio=2\. It belongs to the vision transformer/);
    refuses({ ...base, patch_size: 16 }, /vision_cfg\.patch_size=16/);
    refuses({ layers: [1, 1, 1] }, /vision_cfg\.layers/);
  });
});
