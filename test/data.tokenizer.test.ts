import assert from "node:assert/strict";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { gunzipSync, gzipSync } from "node:zlib";
import { UsageError } from "../src/core/errors.js";
import { cleanings, repairText } from "../src/data/tokenizer/clean.js";
import { unescapeHtml } from "../src/data/tokenizer/html.js";
import { loadTokenizer } from "../src/data/tokenizer/load.js";
import { saveTokenizer } from "../src/data/tokenizer/save.js";
import type { Tokenizer } from "../src/data/tokenizer/tokenizer.js";
import { trainBpe } from "../src/data/tokenizer/train-bpe.js";

const fixtureAt = (name: string) =>
  fileURLToPath(new URL(`../../test/fixtures/tokenizer/${name}`, import.meta.url));
const fixture = (name: string) => JSON.parse(readFileSync(fixtureAt(name), "utf8"));
const folder = mkdtempSync(join(tmpdir(), "clipwright-tokenizer-"));
after(() => rmSync(folder, { recursive: true }));
const at = (name: string) => join(folder, name);
const usage = (pattern: RegExp) => (error: unknown) =>
  error instanceof UsageError && pattern.test(error.message);

interface ClipFixture {
  vocabulary: string;
  cases: [string, number[]][];
  fitted: [string, number[]][];
  cleaned: [string, string][];
}
interface LearnedFixture {
  vocabSize: number;
  corpus: string[];
  merges: string[];
  cases: number[][];
}
interface FamilyFixture {
  tokenizer: Record<string, unknown>;
  whole: number[][];
  fitted: number[][];
}

const clip = fixture("clip.json") as ClipFixture;
const learned = fixture("learned.json") as LearnedFixture;
const huggingFace = fixture("huggingface.json") as {
  texts: string[];
  families: Record<string, FamilyFixture>;
};

writeFileSync(at("vocabulary.txt"), clip.vocabulary);
writeFileSync(at("vocabulary.txt.gz"), gzipSync(clip.vocabulary));

describe("cleanings.lower", () => {
  test("equals ftfy, html.unescape twice and white space as open_clip joins them", () => {
    for (const [text, cleaned] of clip.cleaned)
      assert.equal(cleanings.lower(text), cleaned, JSON.stringify(text));
  });

  test("repairs what went wrong twice, before its signs are touched", () => {
    const wrong = (text: string) => Buffer.from(text).toString("latin1");
    for (const text of ["café œuvre", "Łódź — Đà Nẵng", "фото 東京 😀"]) {
      assert.equal(repairText(wrong(wrong(text))), text);
    }
    assert.equal(repairText("Ã¢â‚¬Å“quotedÃ¢â‚¬\u009d"), '"quoted"');
  });

  test("leaves letters alone that look like mojibake but are meant", () => {
    for (const text of [
      "AÑO NUEVO Ã NOITE",
      "São Paulo à noite, Île-de-France, Ångström, Ðorđe",
      "«Où est-ce?» – “Là”…",
      "Ärger, Übung & Öl ±5 °C ½",
      "â ê î ô û",
    ]) {
      const composed = repairText(text).replace(/["']/g, "?");
      assert.equal(composed, text.replace(/[“”"']/g, "?"), text);
    }
  });

  test("never fails, whatever the code units", () => {
    for (let unit = 0; unit < 0x10000; unit += 7) {
      const text = `a${String.fromCharCode(unit)}b&#${unit};`;
      assert.equal(typeof cleanings.canonicalize(text), "string");
    }
  });
});

describe("unescapeHtml", () => {
  test("takes the longest name, with or without semicolon where HTML allows that", () => {
    assert.equal(unescapeHtml("&notit; &notin; &amp;lt; &ampx &eacute &Eacute;"), "¬it; ∉ &lt; &x é É");
    assert.equal(unescapeHtml("&bogus; & &; &#; &#x; &fjlig; &#x1F600;"), "&bogus; & &; &#; &#x; fj 😀");
    assert.equal(unescapeHtml("&#0;&#128;&#xD800;&#1;&#x110000;&#13;"), "\ufffd€\ufffd\ufffd\r");
  });
});

describe("loadTokenizer of CLIP's vocabulary", () => {
  const tokenizer = loadTokenizer(at("vocabulary.txt.gz"));

  test("gives open_clip's ids", () => {
    for (const [text, ids] of clip.cases) {
      const expected = [tokenizer.startTokenId, ...ids, tokenizer.endTokenId];
      assert.deepEqual(tokenizer.encode(text), expected, JSON.stringify(text));
    }
  });

  test("pads with 0 and cuts so that the end token stays, as open_clip does", () => {
    const lengths = new Int32Array(clip.fitted.length);
    const ids = tokenizer.encodeBatch(
      clip.fitted.map(([text]) => text),
      undefined,
      lengths,
    );
    clip.fitted.forEach(([text, expected], row) => {
      const got = [...ids.subarray(row * 77, row * 77 + 77)];
      assert.deepEqual(got, expected, JSON.stringify(text.slice(0, 60)));
      assert.equal(got[lengths[row]! - 1], tokenizer.endTokenId);
    });
  });

  test("is the same from plain text and after being saved", () => {
    for (const name of ["saved.txt.gz", "saved.txt"]) {
      saveTokenizer(tokenizer, at(name));
      const again = loadTokenizer(at(name), { contextLength: 16 });
      assert.equal(again.contextLength, 16);
      assert.deepEqual(again.encode("a photo of a cat"), tokenizer.encode("a photo of a cat"));
    }
    assert.equal(gunzipSync(readFileSync(at("saved.txt.gz"))).toString(), clip.vocabulary);
    assert.deepEqual(loadTokenizer(at("vocabulary.txt")).toJSON(), tokenizer.toJSON());
  });

  test("names the line of a merge that cannot be", () => {
    const lines = clip.vocabulary.split("\n");
    writeFileSync(at("broken.txt"), [...lines.slice(0, 9), "qqq zzz</w>", ...lines.slice(9)].join("\n"));
    assert.throws(() => loadTokenizer(at("broken.txt")), usage(/broken\.txt:10: must be two tokens.*qqq/));
  });
});

describe("trainBpe", () => {
  const { vocabSize, corpus } = learned;

  test("learns what Hugging Face's trainer learns, and gives its ids", () => {
    const { tokenizer } = trainBpe(corpus, { vocabSize, contextLength: 77 });
    const model = tokenizer.toHuggingFace().model as { merges: [string, string][] };
    assert.deepEqual(
      model.merges.map((pair) => pair.join(" ")),
      learned.merges,
    );
    corpus.forEach((text, i) => {
      assert.deepEqual(tokenizer.encode(text), learned.cases[i], JSON.stringify(text));
    });
  });

  test("does not depend on the order of the captions", () => {
    const one = trainBpe(corpus, { vocabSize }).tokenizer.toHuggingFace();
    assert.deepEqual(trainBpe([...corpus].reverse(), { vocabSize }).tokenizer.toHuggingFace(), one);
  });

  test("is read back from its tokenizer.json, by us and by the Hugging Face library, with the same ids", () => {
    const { tokenizer } = trainBpe(corpus, { vocabSize, contextLength: 24 });
    saveTokenizer(tokenizer, at("tokenizer.json"));
    const again = loadTokenizer(at("tokenizer.json"));
    const theirs = loadTokenizer(at("tokenizer.json"), { endToken: "<|endoftext|>" });
    assert.deepEqual([again.kind, theirs.kind], ["learned", "huggingface"]);
    assert.deepEqual(again.toJSON(), tokenizer.toJSON());
    assert.deepEqual({ ...theirs.toJSON(), kind: "learned" }, tokenizer.toJSON());
    assert.deepEqual(again.encodeBatch(corpus), tokenizer.encodeBatch(corpus));
    for (const text of corpus) {
      assert.deepEqual(theirs.encode(text), tokenizer.encode(text), JSON.stringify(text));
    }
    assert.deepEqual(theirs.encodeBatch(corpus), tokenizer.encodeBatch(corpus));
  });

  test("has ids for every text: bytes stand in for what it never saw", () => {
    const { tokenizer } = trainBpe(["a cat", "a dog"], { vocabSize: 300 });
    const ids = tokenizer.encode("猫 😀 \ud800 \u0000 Ω");
    assert.ok(ids.every((id) => Number.isInteger(id) && id >= 0 && id < tokenizer.vocabSize));
    assert.ok(tokenizer.vocabSize < 300, "two short captions have few pairs");
  });

  test("chooses the size by the corpus: pairs must be seen often enough", () => {
    const captions = Array.from({ length: 3000 }, (_, i) => `a photo of thing${i % 500} and word${i % 37}`);
    const { report, tokenizer } = trainBpe(captions);
    assert.equal(report.minPairCount, 2);
    assert.equal(report.words, captions.join(" ").match(/[a-z]+|\d/g)!.length);
    assert.equal(report.vocabSize, tokenizer.vocabSize);
    const strict = trainBpe(captions, { minPairCount: 1000 });
    assert.ok(strict.tokenizer.vocabSize < tokenizer.vocabSize);
    // "▁thing" and the like are one token each, so a caption is start, words and digits, end.
    assert.equal(tokenizer.encode("a photo of thing").length, 6);
  });

  test("chooses a context length that holds 99 % of the captions", () => {
    const captions = [...Array.from({ length: 199 }, () => "a cat"), "a cat ".repeat(50)];
    const { report, tokenizer } = trainBpe(captions);
    assert.deepEqual([tokenizer.contextLength, report.cutShare], [8, 1 / 200]);
  });

  test("keeps case when asked to", () => {
    const { tokenizer } = trainBpe(["A Cat", "a cat"], { lowercase: false });
    assert.notDeepEqual(tokenizer.encode("A Cat"), tokenizer.encode("a cat"));
    saveTokenizer(tokenizer, at("cased.json"));
    assert.deepEqual(loadTokenizer(at("cased.json")).encode("A Cat"), tokenizer.encode("A Cat"));
  });

  test("learns from scripts without spaces and from very long words", () => {
    const { tokenizer } = trainBpe(["一只猫".repeat(500), "x".repeat(5000)], { vocabSize: 300 });
    assert.ok(tokenizer.encode("一只猫".repeat(500)).length < 1000);
  });

  test("refuses captions without words and sizes that cannot be", () => {
    assert.throws(() => trainBpe([]), usage(/captions must hold words.*0 captions/));
    assert.throws(() => trainBpe(["", "  "]), usage(/got 2 captions without any/));
    assert.throws(
      () => trainBpe(["a"], { vocabSize: 100 }),
      usage(/vocabSize must be an integer from 259.*got vocabSize=100/),
    );
    assert.throws(
      () => trainBpe(["a"], { contextLength: 2 }),
      usage(/contextLength must be an integer from 3/),
    );
  });
});

describe("loadTokenizer of a Hugging Face tokenizer.json", () => {
  const open = (family: string, options = {}): Tokenizer => {
    mkdirSync(at(family), { recursive: true });
    writeFileSync(at(`${family}/tokenizer.json`), JSON.stringify(huggingFace.families[family]!.tokenizer));
    return loadTokenizer(at(family), options);
  };

  for (const [family, { whole, fitted }] of Object.entries(huggingFace.families)) {
    test(`gives the ids of Python's tokenizers for ${family}, padded and cut alike`, () => {
      const tokenizer = open(family);
      assert.equal(tokenizer.contextLength, 24);
      huggingFace.texts.forEach((text, i) => {
        assert.deepEqual(tokenizer.encode(text), whole[i], JSON.stringify(text));
      });
      assert.deepEqual([...tokenizer.encodeBatch(huggingFace.texts)], fitted.flat());
    });
  }

  test("finds the start, end and padding tokens", () => {
    const tokens = (t: Tokenizer) => [t.startTokenId, t.endTokenId, t.padTokenId];
    assert.deepEqual(tokens(open("bert")), [2, 3, 0]);
    assert.deepEqual(tokens(open("t5")), [undefined, 1, 0]);
    assert.deepEqual(tokens(open("gpt2")), [undefined, undefined, 0]);
    assert.deepEqual(tokens(open("clip")), [0, 1, 1]);
    assert.deepEqual(tokens(open("bert", { endToken: "[CLS]", padToken: "[MASK]" })), [2, 2, 4]);
    assert.throws(
      () => open("bert", { endToken: "<eos>" }),
      usage(/endToken must be in the vocabulary; got endToken="<eos>"/),
    );
  });

  test("takes what tokenizer.json lacks from tokenizer_config.json beside it", () => {
    mkdirSync(at("config"));
    const { padding: _, truncation: __, ...bare } = huggingFace.families.gpt2!.tokenizer;
    writeFileSync(at("config/tokenizer.json"), JSON.stringify(bare));
    assert.throws(
      () => loadTokenizer(at("config"), { contextLength: 9 }),
      usage(/must name a padding token/),
    );
    const config = {
      model_max_length: 9,
      eos_token: { content: "<|endoftext|>" },
      pad_token: "<|endoftext|>",
    };
    writeFileSync(at("config/tokenizer_config.json"), JSON.stringify({ ...config, padding_side: "left" }));
    const tokenizer = loadTokenizer(at("config"));
    assert.deepEqual([tokenizer.contextLength, tokenizer.endTokenId, tokenizer.padTokenId], [9, 0, 0]);
    const row = [...tokenizer.encodeBatch(["a"])];
    assert.deepEqual(row, [...Array(9 - tokenizer.encode("a").length).fill(0), ...tokenizer.encode("a")]);
    writeFileSync(at("config/tokenizer_config.json"), JSON.stringify({ pad_token: "<|endoftext|>" }));
    assert.throws(() => loadTokenizer(at("config")), usage(/context length must be given/));
  });

  test("is the same after being saved with another context length", () => {
    const tokenizer = open("bert").withContextLength(6);
    saveTokenizer(tokenizer, at("bert6.json"));
    const again = loadTokenizer(at("bert6.json"));
    assert.equal(again.contextLength, 6);
    assert.deepEqual(again.encodeBatch(huggingFace.texts), tokenizer.encodeBatch(huggingFace.texts));
  });
});

describe("Tokenizer.encodeBatch", () => {
  test("writes into shared memory and checks its size", () => {
    const tokenizer = loadTokenizer(at("vocabulary.txt"), { contextLength: 8 });
    const shared = new Int32Array(new SharedArrayBuffer(2 * 8 * 4));
    shared.fill(-1);
    assert.equal(tokenizer.encodeBatch(["a", "b"], shared), shared);
    assert.deepEqual([...shared], [...tokenizer.encodeBatch(["a", "b"])]);
    assert.throws(
      () => tokenizer.encodeBatch(["a"], shared),
      usage(/out must be i32\[1,8\], 8 long; got length=16/),
    );
    assert.throws(
      () => tokenizer.encodeBatch(["a"], undefined, new Int32Array(2)),
      usage(/lengths must be i32\[1\]/),
    );
  });
});

describe("loadTokenizer", () => {
  test("says what is wrong with a path", () => {
    const cases: [string, string, RegExp][] = [
      ["empty", "", /must be a tokenizer\.json or CLIP's.*it is empty/],
      ["prose.txt", "hello there", /it is neither/],
      ["merges.txt", "#version: 0.2\nĠ t\nĠ a\n", /GPT-2's merges/],
      ["spiece.model", "\n\x0e\n<unk>", /SentencePiece/],
      ["vocab.txt", "[PAD]\n[UNK]\n", /a vocabulary alone/],
      [
        "config.json",
        '{"architectures":[],"hidden_size":1}',
        /no "model"; its keys are architectures, hidden_size/,
      ],
      ["torn.json", '{"model":', /torn\.json:1:10: must be JSON/],
      [
        "odd.json",
        '{"model":{"type":"Odd"}}',
        /odd\.json: model must be one of BPE, WordPiece, .*; got "Odd"/,
      ],
      ["bad.gz", "\x1f\x8bnothing", /cannot be unzipped/],
    ];
    for (const [name, content, pattern] of cases) {
      writeFileSync(at(name), content, "latin1");
      assert.throws(() => loadTokenizer(at(name), { contextLength: 8 }), usage(pattern), name);
    }
    assert.throws(
      () => loadTokenizer(at("vocabulary.tx")),
      usage(/no such file \(ENOENT\)\. Did you mean "vocabulary\.txt"/),
    );
    mkdirSync(at("bare"));
    assert.throws(() => loadTokenizer(at("bare")), usage(/the folder must hold one of tokenizer\.json/));
  });

  test("finds the usual names in a folder", () => {
    mkdirSync(at("run"));
    copyFileSync(at("vocabulary.txt.gz"), at("run/bpe_simple_vocab_16e6.txt.gz"));
    assert.equal(loadTokenizer(at("run")).kind, "clip");
  });

  test("refuses a tokenizer with more ids than the model has embeddings", () => {
    const { vocabSize } = loadTokenizer(at("vocabulary.txt"));
    assert.equal(loadTokenizer(at("vocabulary.txt"), { vocabSize }).vocabSize, vocabSize);
    const small = { vocabSize: vocabSize - 1 };
    assert.throws(
      () => loadTokenizer(at("vocabulary.txt"), small),
      usage(/must hold every token; got a model of vocabSize=813/),
    );
    assert.throws(
      () => loadTokenizer(at("vocabulary.txt"), { contextLength: 2 }),
      usage(/contextLength must be an integer from 3/),
    );
  });
});
