import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { UsageError } from "../src/core/errors.js";
import {
  type ClipConfig,
  completeClipConfig,
  extensionsIn,
  parseClipConfig,
} from "../src/models/config/config.js";
import { encoderOf } from "../src/models/image/encoders.js";
import type { CompleteVitConfig } from "../src/models/image/vit.js";
import { findPreset, presets } from "../src/models/presets/presets.js";

interface Counted {
  readonly config: ClipConfig;
  readonly vision: number;
  readonly text: number;
  readonly total: number;
  readonly vision_without_projection: number;
  readonly text_without_projection: number;
}

const fixture = new URL("../../test/fixtures/preset_counts.json", import.meta.url);
const counted = (JSON.parse(readFileSync(fixture, "utf8")) as { presets: Record<string, Counted> }).presets;

/** Parameters of `layers` pre-norm blocks: two norms, four C×C maps with biases, the MLP, two layer scales. */
function blocks(width: number, layers: number, mlpRatio: number, layerScale: number | null): number {
  const hidden = Math.trunc(width * mlpRatio);
  const scale = layerScale === null ? 0 : 2 * width;
  return layers * (4 * width + 4 * (width * width + width) + 2 * width * hidden + hidden + width + scale);
}

/** Sizes by counting on paper, apart from both the models and PyTorch. */
function countOnPaper(config: ClipConfig): { vision: number; text: number; total: number } {
  const { embed_dim, vision_cfg, text_cfg: t } = completeClipConfig(config);
  const v = vision_cfg as CompleteVitConfig;
  const tokens = (v.image_size / v.patch_size) ** 2 + (v.class_token ? 1 : 0);
  const embedding =
    3 * v.patch_size ** 2 * v.width +
    (v.conv_bias ? v.width : 0) +
    (v.class_token ? v.width : 0) +
    tokens * v.width;
  const norms = (v.no_ln_pre ? 1 : 2) * 2 * v.width;
  const project = (width: number, bias: boolean) => width * embed_dim + (bias ? embed_dim : 0);
  const vision =
    embedding +
    norms +
    blocks(v.width, v.layers, v.mlp_ratio, v.ls_init_value) +
    project(v.pool_type === "flat" ? tokens * v.width : v.width, v.proj_bias);
  const text =
    (t.vocab_size + t.context_length + 2) * t.width +
    blocks(t.width, t.layers, t.mlp_ratio, t.ls_init_value) +
    project(t.width, t.proj_bias);
  return { vision, text, total: vision + text + 1 };
}

const hasVit = ({ config }: { config: ClipConfig }): boolean => encoderOf(config.vision_cfg).name === "ViT";

describe("presets", () => {
  it("have the sizes that PyTorch counts, to the unit; test/models.catalog.test.ts counts the other towers", () => {
    assert.deepEqual(Object.keys(counted).sort(), presets.map((preset) => preset.name).sort());
    for (const { name, config } of presets.filter(hasVit)) {
      const { vision, text, total } = counted[name]!;
      assert.deepEqual(countOnPaper(config), { vision, text, total }, name);
    }
  });

  it("have open_clip's own configurations under its names", () => {
    for (const { name, family, config } of presets) {
      if (family !== "open_clip") continue;
      const theirs = parseClipConfig(counted[name]!.config, name);
      assert.deepEqual(completeClipConfig(config), completeClipConfig(theirs), name);
    }
  });

  it("have the totals that open_clip publishes", () => {
    // docs/model_profile.csv of open_clip
    const published = {
      "ViT-B-32": 151_277_313,
      "ViT-B-16": 149_620_737,
      "ViT-S-16": 62_257_537,
      "ViT-S-32": 63_085_825,
      "ViT-L-16": 427_739_393,
      RN50: 102_007_137,
      RN101: 119_688_033,
      RN50x4: 178_300_601,
    };
    for (const [name, total] of Object.entries(published)) {
      assert.equal(counted[name]!.total, total, name);
    }
  });

  it("have the published trunk sizes of the paper's encoders and its one text tower", () => {
    // timm's sizes less the 1000-way head
    const trunks = {
      "paper-Ti-16": 5_524_416,
      "paper-S-16": 21_665_664,
      "paper-B-32": 87_455_232,
      "paper-B-16": 85_798_656,
      "paper-L-16": 303_301_632,
      "paper-RN50": 23_508_032,
      "paper-ConvNeXt-T": 27_820_128,
      "paper-Swin-T": 27_519_354,
      "paper-Mixer-B-32": 59_524_428,
    };
    for (const [name, trunk] of Object.entries(trunks)) {
      assert.equal(counted[name]!.vision_without_projection, trunk, name);
      assert.equal(counted[name]!.text_without_projection, 109_644_288, name);
    }
  });

  it("use extensions only where the paper's models and those for minutes need them", () => {
    for (const { name, config } of presets) {
      const own = /^paper-.*-\d+$/.test(name) && hasVit({ config }) ? ["vision_cfg.conv_bias"] : [];
      const small =
        /^clipwright-.*m$/.test(name) && !hasVit({ config }) ? ["vision_cfg.timm_model_args"] : [];
      const brief =
        config.text_cfg.layers === 0
          ? ["vision_cfg.pool_type", "vision_cfg.class_token", "text_cfg.pool_type"]
          : [];
      assert.deepEqual(extensionsIn(config), [...own, ...small, ...brief], name);
    }
  });

  it("are read back unchanged from their JSON", () => {
    for (const { name, config } of presets) {
      assert.deepEqual(parseClipConfig(JSON.parse(JSON.stringify(config)), name), config);
    }
  });

  it("cannot be changed by a caller", () => {
    assert.throws(() => Object.assign(findPreset("ViT-B-32").config.vision_cfg, { width: 1 }), TypeError);
  });
});

describe("findPreset", () => {
  it("suggests the nearest name", () => {
    assert.throws(
      () => findPreset("ViT-B32"),
      new UsageError(
        'model: must be the name of a preset or a .json file; got model=ViT-B32. Did you mean "ViT-B-32"?',
      ),
    );
  });
});
