import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { UsageError } from "../src/core/errors.js";
import { fromOniguruma } from "../src/data/tokenizer/hugging-face/pattern.js";
import { withinTime } from "../src/data/tokenizer/hugging-face/time-limit.js";
import { loadTokenizer } from "../src/data/tokenizer/load.js";
import { saveTokenizer } from "../src/data/tokenizer/save.js";
import type { Tokenizer } from "../src/data/tokenizer/tokenizer.js";
import { put, scratchFolder } from "./data.helpers.js";
import { fixture } from "./support/fixture.js";

interface Kind {
  tokenizer: Record<string, unknown>;
  digests: string;
}

// Made by test/fixtures/tokenizer/kinds.py with Hugging Face's Rust library.
const { texts, reveal, kinds } = JSON.parse(readFileSync(fixture("tokenizer/kinds.json"), "utf8")) as {
  texts: string[];
  reveal: object;
  kinds: Record<string, Kind>;
};
const DIGITS = 6;
const folder = scratchFolder();

/** A file whose padding token is its first, which these files need not say. */
function open(name: string, file: object): Tokenizer {
  const padding = { strategy: { Fixed: 64 }, direction: "Right", pad_id: 0 };
  return loadTokenizer(put(folder, `${name}/tokenizer.json`, JSON.stringify({ ...file, padding })));
}
const whole = ({ tokenizer }: Kind): Record<string, unknown> => ({
  ...tokenizer,
  model: tokenizer.model === "REVEAL" ? reveal : tokenizer.model,
});
const bytesAs = (parts: object): object => ({ model: reveal, ...parts });
const refusal = (pattern: RegExp) => (error: unknown) =>
  error instanceof UsageError && pattern.test(error.message) && !error.message.includes("\n");

describe("a tokenizer.json gives the ids of Hugging Face's library on hard texts:", () => {
  for (const [name, kind] of Object.entries(kinds)) {
    test(name, () => {
      const tokenizer = open(name, whole(kind));
      const wrong = texts.filter((text, i) => {
        const ids = tokenizer.encode(text).join(" ");
        const digest = createHash("sha256").update(ids).digest("hex").slice(0, DIGITS);
        return digest !== kind.digests.slice(i * DIGITS, (i + 1) * DIGITS);
      });
      assert.deepEqual(wrong, []);
    });
  }
});

describe("what is not known to be equal is refused by its name", () => {
  const cases: [object, RegExp][] = [
    [{ normalizer: { type: "Odd" } }, /: normalizer must be one of NFC, .*; got "Odd"\. /],
    [
      { normalizer: { type: "Sequence", normalizers: [{ type: "Odd" }] } },
      /: normalizer\.normalizers\[0\] must be one of/,
    ],
    [{ pre_tokenizer: { type: "UnicodeScripts" } }, /: pre_tokenizer must be .*; got "UnicodeScripts"/],
    [{ post_processor: {} }, /: post_processor must be one of .*; got no type/],
    [{ model: { type: "Odd" } }, /: model must be one of BPE, WordPiece, WordLevel, Unigram, .*"Odd"/],
    [{ model: { ...reveal, dropout: 0.1 } }, /: model\.dropout gives other ids every time/],
    [{ model: { ...reveal, merges: ["a b"] } }, /: model\.merges\[0\] must join two tokens/],
    [
      { model: { type: "WordLevel", vocab: { a: -1 } } },
      /: model\.vocab must hold ids from 0; got \["a",-1\]/,
    ],
    [{ model: { type: "Unigram", vocab: [["a"]] } }, /: model\.vocab must hold tokens and scores/],
    [
      { pre_tokenizer: { type: "Split", pattern: { Regex: "(?<a>b)" }, behavior: "Isolated" } },
      /: pre_tokenizer\.pattern must be .* alike; the group "\(\?<a>" is not read/,
    ],
    [{ pre_tokenizer: { type: "Split", pattern: { Regex: "(" } } }, /pattern must be .*Unterminated group/],
    [{ normalizer: { type: "Precompiled", precompiled_charsmap: "AAAA" } }, /must be whole; it is cut/],
    [{ added_tokens: [{ id: 1 }] }, /: added_tokens\[0\] must have content and an id/],
    [{ padding: { pad_id: 1e9 } }, /: padding\.pad_id must be an id of the vocabulary; got 1000000000/],
  ];
  for (const [parts, pattern] of cases) {
    test(JSON.stringify(parts).slice(0, 70), () => {
      const file = put(folder, "odd.json", JSON.stringify({ padding: { pad_id: 0 }, ...bytesAs(parts) }));
      assert.throws(() => loadTokenizer(file, { contextLength: 8 }), refusal(pattern));
    });
  }

  test("text that has no id, and no token that stands for it", () => {
    const tokenizer = open("bare", { model: { type: "WordLevel", vocab: { a: 0 } } });
    assert.throws(() => tokenizer.encode("b"), refusal(/must have an id for "b" or an unknown token/));
  });
});

describe("fromOniguruma", () => {
  test("means in JavaScript what it means there", () => {
    const matches = (source: string, text: string) => text.match(fromOniguruma(source));
    assert.deepEqual(matches("^.", "a\nb"), ["a", "b"]);
    assert.deepEqual(matches(".$", "a\r\nb"), ["\r", "b"]);
    assert.deepEqual(matches("\\s", "a\ufeffb\u0085c"), ["\u0085"]);
    assert.deepEqual(matches("\\d+", "12٣ Ⅷ"), ["12٣"]);
    assert.deepEqual(matches("(?i:'s|K)", "'S 'ſ k \u212a"), ["'S", "'ſ", "k", "\u212a"]);
    assert.deepEqual(matches("\\x{1F600}|\\h\\-", "😀 f-"), ["😀", "f-"]);
  });

  test("refuses what has no equal", () => {
    for (const source of ["(?i)a", "(?>a)", "a++", "[a[b]]", "[a&&b]", "\\G", "\\Ka", "(?i:[a])", "[\\b]"]) {
      assert.throws(() => fromOniguruma(source), /is not read|are not read/, source);
    }
  });
});

describe("a stranger's expressions have a limit of time", () => {
  test("withinTime stops an expression that would take for ever", () => {
    const never = () => /(a+)+$/.test(`${"a".repeat(40)}b`);
    assert.equal(withinTime(50, never), undefined);
    assert.deepEqual(
      withinTime(50, () => 3),
      { value: 3 },
    );
    assert.throws(
      () =>
        withinTime(50, () => {
          throw new UsageError("its own");
        }),
      UsageError,
    );
  });
});

describe("save", () => {
  test("keeps end and padding tokens that only tokenizer_config.json names", () => {
    const vocab = { "<pad>": 0, "<end>": 1, a: 2, cat: 3 };
    const model = { type: "WordLevel", vocab, unk_token: "<pad>" };
    const file = put(
      folder,
      "run/tokenizer.json",
      JSON.stringify({ model, pre_tokenizer: { type: "Whitespace" } }),
    );
    const config = {
      eos_token: { content: "<end>" },
      pad_token: "<pad>",
      padding_side: "left",
      truncation_side: "left",
    };
    put(folder, "run/tokenizer_config.json", JSON.stringify(config));
    const tokenizer = loadTokenizer(file, { contextLength: 4 });
    assert.deepEqual([tokenizer.endTokenId, tokenizer.padTokenId], [1, 0]);
    const saved = put(folder, "saved/tokenizer.json", "");
    saveTokenizer(tokenizer, saved);
    const again = loadTokenizer(join(folder, "saved"));
    assert.deepEqual(again.toJSON(), tokenizer.toJSON());
    assert.deepEqual(again.encodeBatch(["a cat"]), tokenizer.encodeBatch(["a cat"]));
    assert.deepEqual([...again.encodeBatch(["a cat"])], [0, 0, 2, 3]);
  });
});
