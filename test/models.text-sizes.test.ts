import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { completeClipConfig, extensionsIn, parseClipConfig } from "../src/models/config/config.js";
import { textSpecs } from "../src/models/text/text.js";
import { textSizes } from "../src/models/text/text-sizes.js";
import { countParameters, type ParameterSpecs } from "../src/nn/parameters.js";

const configOf = (name: keyof typeof textSizes) => {
  const { config: text_cfg, embedDim: embed_dim } = textSizes[name];
  return parseClipConfig({ embed_dim, vision_cfg: {}, text_cfg }, name);
};

const specsOf = (name: keyof typeof textSizes): ParameterSpecs =>
  textSpecs(completeClipConfig(configOf(name)));

/** Millions, the embedding of tokens left out: TinyCLIP's names, e.g. "ViT-8M-16-Text-3M". */
const tinyClip = { "tinyclip-3m": 3, "tinyclip-19m": 19, "tinyclip-29m": 29 } as const;

/** Millions: "# Params (M) (img + txt)" in apple/ml-mobileclip's README. */
const mobileClip = { "mobileclip-s1": 63.4, "mobileclip-b": 63.4, "mobileclip2-s3": 123.6 } as const;

const entries = <K extends string>(published: Readonly<Record<K, number>>) =>
  Object.entries(published) as [K, number][];

describe("textSizes", () => {
  it("have the published parameters", () => {
    assert.deepEqual(Object.keys({ ...tinyClip, ...mobileClip }), Object.keys(textSizes));
    for (const [name, millions] of entries(tinyClip)) {
      const { "token_embedding.weight": _, ...rest } = specsOf(name);
      assert.equal(Math.round(countParameters(rest) / 1e6), millions, name);
    }
    for (const [name, millions] of entries(mobileClip)) {
      // 123.650 is published as 123.6: the last digit is cut off, not rounded.
      assert.equal(Math.floor(countParameters(specsOf(name)) / 1e5) / 10, millions, name);
    }
  });

  it("are to the unit what open_clip builds from its own configurations", () => {
    // sum(p.numel()) of open_clip 3.3.0's text towers: MobileCLIP-S1.json, MobileCLIP-B.json, MobileCLIP2-S3.json
    const counted = { "mobileclip-s1": 63428096, "mobileclip-b": 63428096, "mobileclip2-s3": 123650304 };
    for (const [name, parameters] of entries(counted)) {
      assert.equal(countParameters(specsOf(name)), parameters, name);
    }
  });

  it("can be read by open_clip", () => {
    for (const name of Object.keys(textSizes) as (keyof typeof textSizes)[]) {
      assert.deepEqual(extensionsIn(configOf(name)), [], name);
    }
  });
});
