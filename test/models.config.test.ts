import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { UsageError } from "../src/core/errors.js";
import { makeClip } from "../src/models/clip.js";
import { completeClipConfig, extensionsIn, parseClipConfig } from "../src/models/config/config.js";
import type { CompleteVitConfig } from "../src/models/image/vit.js";

const tiny = () => ({
  embed_dim: 16,
  vision_cfg: { image_size: 32, patch_size: 8, width: 64, layers: 2 },
  text_cfg: { context_length: 12, vocab_size: 64, width: 32, heads: 2, layers: 2 },
});

/** `tiny` with keys put over the top level and the towers. */
const altered = (top: object, vision: object = {}, text: object = {}) => ({
  ...tiny(),
  ...top,
  vision_cfg: { ...tiny().vision_cfg, ...vision },
  text_cfg: { ...tiny().text_cfg, ...text },
});

function refusal(json: unknown): string {
  try {
    parseClipConfig(json, "model.json");
  } catch (error) {
    assert.ok(error instanceof UsageError, String(error));
    return error.message;
  }
  throw new assert.AssertionError({ message: "was accepted" });
}

describe("absurd sizes are refused before a model is built", () => {
  it("names the key, its value and the most that it may be", () => {
    const cases: readonly (readonly [object, string, number])[] = [
      [altered({ embed_dim: 1e9 }), "embed_dim", 1e6],
      [altered({}, { image_size: 1e7 }), "vision_cfg.image_size", 8192],
      [altered({}, { layers: 1e9 }), "vision_cfg.layers", 1000],
      [altered({}, { width: 2 ** 40 }), "vision_cfg.width", 1e6],
      [altered({}, { mlp_ratio: 1e6 }), "vision_cfg.mlp_ratio", 256],
      [altered({}, {}, { context_length: 1e6 }), "text_cfg.context_length", 65_536],
      [altered({}, {}, { vocab_size: 1e10 }), "text_cfg.vocab_size", 1e6],
    ];
    for (const [json, key, most] of cases) {
      const message = refusal(json);
      assert.ok(message.includes(key), message);
      assert.ok(message.includes(String(most)), message);
    }
    assert.match(refusal(altered({}, {}, { layers: 5000 })), /text_cfg\.layers/);
    const timm = {
      timm_model_name: "convnext_tiny",
      timm_model_args: { depths: [3, 3, 1e8, 3] },
      image_size: 64,
    };
    assert.match(refusal({ ...tiny(), vision_cfg: timm }), /depths/);
  });

  it("adds parameters up: each size may be sound and the whole is not", () => {
    const huge = { width: 1e6, heads: 1, layers: 1000 };
    assert.throws(
      () => makeClip(parseClipConfig(altered({}, {}, huge), "model.json")),
      (error: Error) =>
        error instanceof UsageError &&
        /at most 100 G parameters; got 1\.20e\+7 G, of which .* is \[/.test(error.message),
    );
  });
});

describe("parseClipConfig", () => {
  it("takes the configurations of the golden models", () => {
    const url = new URL("../../test/fixtures/golden_clip.json", import.meta.url);
    const { variants } = JSON.parse(readFileSync(url, "utf8"));
    const extensions = variants.map((variant: { name: string; config: unknown }) => {
      assert.deepEqual(parseClipConfig(variant.config, variant.name), variant.config);
      return extensionsIn(parseClipConfig(variant.config, variant.name));
    });
    const bigVision = ["class_token", "conv_bias", "proj_bias"].map((key) => `vision_cfg.${key}`);
    assert.deepEqual(extensions, [[], [], [], [...bigVision, "text_cfg.pool_type"]]);
  });

  it("takes model_cfg of a file from the hub", () => {
    assert.deepEqual(parseClipConfig({ model_cfg: tiny(), preprocess_cfg: {} }, "hub"), tiny());
  });

  it("drops options of open_clip at values that change nothing", () => {
    const json = altered(
      { custom_text: false, init_logit_bias: null },
      { patch_dropout: 0, timm_model_name: null, qk_norm: false, block_type: null },
      { proj_type: "linear", embed_cls: false, hf_model_name: null },
    );
    assert.deepEqual(parseClipConfig(json, "model.json"), tiny());
  });

  it("keeps the padding's id, which pooling over words needs", () => {
    const json = altered({}, {}, { pad_id: 1 });
    assert.equal(parseClipConfig(json, "model.json").text_cfg.pad_id, 1);
  });

  it("refuses patches side by side next to a class token", () => {
    assert.match(refusal(altered({}, { pool_type: "flat" }, {})), /pool_type="flat" takes the patches alone/);
  });

  it("names the tower that is not built, not its details", () => {
    const timm = { ...altered({ custom_text: true }), vision_cfg: { timm_model_name: "vit_base" } };
    assert.match(
      refusal(timm),
      /^model\.json: vision_cfg\.timm_model_name must be an architecture that is built; got "vit_base"/,
    );
    assert.match(
      refusal(altered({}, {}, { hf_model_name: "roberta" })),
      /got text_cfg\.hf_model_name="roberta"/,
    );
    assert.match(
      refusal(altered({ multimodal_cfg: { width: 512 } }, { attentional_pool: true })),
      /got multimodal_cfg=.*CoCa/,
    );
  });

  it("refuses each other option that it would have to ignore", () => {
    const cases: [object, string][] = [
      [altered({ custom_text: true }), "custom_text=true"],
      [altered({}, { attentional_pool: true }), "vision_cfg.attentional_pool=true"],
      [altered({}, { patch_dropout: 0.5 }), "vision_cfg.patch_dropout=0.5"],
      [altered({}, { pos_embed_type: "sin_cos_2d" }), 'vision_cfg.pos_embed_type="sin_cos_2d"'],
      [altered({}, { scale_fc: true }), "vision_cfg.scale_fc=true"],
      [altered({}, {}, { embed_cls: true }), "text_cfg.embed_cls=true"],
      [
        altered({}, {}, { tokenizer_kwargs: { clean: "lower" } }),
        'text_cfg.tokenizer_kwargs={"clean":"lower"}',
      ],
      [altered({}, {}, { proj_type: "none" }), 'text_cfg.proj_type="none"'],
    ];
    for (const [json, got] of cases) assert.ok(refusal(json).includes(`got ${got}. `), refusal(json));
  });

  it("refuses unknown keys with the nearest spelling", () => {
    assert.equal(
      refusal(altered({}, { patchsize: 8 })),
      'model.json: unknown key; got vision_cfg.patchsize. Did you mean "patch_size"?',
    );
    assert.match(refusal(altered({ zzz: 1 })), /got zzz\. Known here: embed_dim, quick_gelu/);
    assert.match(refusal(altered({ constructor: 1 })), /unknown key; got constructor/);
  });

  it("refuses values of the wrong kind and names the key", () => {
    assert.match(refusal(altered({}, { width: "wide" })), /got vision_cfg\.width="wide"/);
    assert.match(refusal(altered({}, {}, { layers: 2.5 })), /got text_cfg\.layers=2\.5/);
    assert.match(refusal(altered({}, {}, { pool_type: "none" })), /"argmax".*got text_cfg\.pool_type="none"/);
    assert.match(
      refusal(altered({}, { norm_kwargs: { epsilon: 1 } })),
      /got vision_cfg\.norm_kwargs\.epsilon=1/,
    );
    assert.match(refusal(altered({ embed_dim: undefined })), /got embed_dim=undefined/);
    assert.match(refusal({ ...tiny(), text_cfg: 3 }), /must have text_cfg; got text_cfg=3/);
    assert.match(refusal([1]), /must be a JSON object; got \[1\]/);
  });

  it("refuses sizes that do not fit each other", () => {
    assert.match(
      refusal(altered({}, { image_size: 33 })),
      /image_size=33, patch_size=8\. Nearest: image_size=32/,
    );
    assert.match(refusal(altered({}, { width: 96 })), /width=96, head_width=64/);
    assert.match(refusal(altered({}, {}, { heads: 5 })), /width=32, heads=5\. Nearest: width=30/);
    assert.match(refusal(altered({}, { class_token: false })), /Set vision_cfg\.pool_type to "avg"/);
    assert.match(refusal(altered({}, {}, { pool_type: "eos", eos_id: 64 })), /eos_id=64, vocab_size=64/);
    assert.match(
      refusal(altered({ quick_gelu: true }, { act_kwargs: { approximate: "tanh" } })),
      /quick_gelu/,
    );
  });
});

describe("completeClipConfig", () => {
  it("fills in what open_clip assumes", () => {
    const complete = completeClipConfig({
      embed_dim: 512,
      vision_cfg: { norm_kwargs: { eps: 1e-6 }, act_kwargs: null },
      text_cfg: { hf_tokenizer_name: "any" },
    });
    const { text_cfg, init_logit_scale } = complete;
    const vision_cfg = complete.vision_cfg as CompleteVitConfig;
    assert.deepEqual([vision_cfg.layers, vision_cfg.width, vision_cfg.patch_size], [12, 768, 16]);
    assert.deepEqual(
      [vision_cfg.norm_kwargs, vision_cfg.act_kwargs],
      [{ eps: 1e-6 }, { approximate: "none" }],
    );
    assert.deepEqual([text_cfg.norm_kwargs.eps, text_cfg.heads, text_cfg.vocab_size], [1e-5, 8, 49408]);
    assert.equal(init_logit_scale, 2.6592600369327779);
    assert.ok(!("hf_tokenizer_name" in text_cfg));
  });
});
