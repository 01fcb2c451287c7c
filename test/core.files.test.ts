import assert from "node:assert/strict";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { makeFolder } from "../src/core/disk.js";
import { UsageError } from "../src/core/errors.js";
import {
  appendLineDurably,
  fileError,
  readJson,
  readJsonLines,
  readText,
  withFileErrors,
  writeFileAtomic,
  writeJsonAtomic,
} from "../src/core/files.js";

const folder = mkdtempSync(join(tmpdir(), "clipwright-files-"));
after(() => rmSync(folder, { recursive: true }));
const at = (name: string) => join(folder, name);
const usage = (pattern: RegExp) => (error: unknown) =>
  error instanceof UsageError && pattern.test(error.message);

describe("writeFileAtomic", () => {
  test("replaces the whole content and leaves nothing beside it", () => {
    writeFileAtomic(at("a.txt"), "a longer first content");
    writeFileAtomic(at("a.txt"), new Uint8Array([0x68, 0xc3, 0xa9]));
    assert.equal(readFileSync(at("a.txt"), "utf8"), "hé");
    assert.equal(existsSync(at("a.txt.tmp")), false);
  });

  test("a write that fails midway leaves the old content and no pieces", () => {
    writeFileAtomic(at("b.txt"), "old");
    function* pieces() {
      yield new TextEncoder().encode("half of the n");
      assert.equal(existsSync(at("b.txt.tmp")), true);
      throw new Error("the power went");
    }
    assert.throws(() => writeFileAtomic(at("b.txt"), pieces()), /the power went/);
    assert.equal(readFileSync(at("b.txt"), "utf8"), "old");
    assert.equal(existsSync(at("b.txt.tmp")), false);
  });

  test("the pieces of a killed process are overwritten", () => {
    writeFileSync(at("c.txt.tmp"), "x".repeat(1000));
    writeFileAtomic(at("c.txt"), "new");
    assert.equal(readFileSync(at("c.txt"), "utf8"), "new");
  });

  test("says in one line what the file system refused", () => {
    writeFileSync(at("plain"), "");
    mkdirSync(at("folder"));
    assert.throws(
      () => writeFileAtomic(at("missing/x"), ""),
      usage(/cannot write .*missing.x: the folder .* does not exist/),
    );
    assert.throws(() => writeFileAtomic(at("plain/x"), ""), usage(/a part of the path is a file.*ENOTDIR/));
    assert.throws(() => writeFileAtomic(at("folder"), "x"), usage(/cannot write .*folder.*EISDIR/));
    assert.equal(existsSync(at("folder.tmp")), false);
  });
});

describe("makeFolder", () => {
  test("makes what is missing, and says of a read-only disk that it is one", () => {
    makeFolder(at("deep/er"));
    makeFolder(at("deep/er"));
    assert.ok(existsSync(at("deep/er")));
    writeFileSync(at("deep/file"), "");
    assert.throws(() => makeFolder(at("deep/file/x")), /ENOTDIR/);
    assert.throws(() => makeFolder(at("deep/file")), /EEXIST/);
    const made: string[] = [];
    const readOnly = (path: string) => {
      made.push(path);
      throw Object.assign(new Error("EROFS: read-only file system, mkdir"), { code: "EROFS" });
    };
    const make = () => withFileErrors("open the run", at("ro/run"), () => makeFolder(at("ro/run"), readOnly));
    assert.throws(make, usage(/cannot open the run .*: the file system is read-only \(EROFS\)/));
    assert.deepEqual(made, [at("ro")]);
  });
});

describe("fileError", () => {
  test("maps a full disk, a read-only one and missing permission, and keeps the cause", () => {
    for (const [code, words] of [
      [
        "ENOSPC",
        /disk is full, \d+ MB free \(ENOSPC\)\. Free some space .*nothing that was complete before is touched\.$/,
      ],
      ["EDQUOT", /quota/],
      ["EROFS", /read-only/],
      ["EACCES", /permission was denied/],
    ] as const) {
      const cause = Object.assign(new Error(`${code}: it said`), { code });
      const mapped = fileError(cause, "write", "/runs/x") as UsageError;
      assert.ok(usage(words)(mapped), `${code}: ${mapped.message}`);
      assert.equal(mapped.message.includes("\n"), false);
      assert.equal(mapped.cause, cause);
    }
  });

  test("leaves errors alone that are not the file system's", () => {
    const own = new UsageError("other");
    assert.equal(fileError(own, "read", "x"), own);
    const type = Object.assign(new TypeError("bad"), { code: "ERR_INVALID_ARG_TYPE" });
    assert.equal(fileError(type, "read", "x"), type);
  });
});

describe("appendLineDurably", () => {
  test("appends lines", () => {
    appendLineDurably(at("m.jsonl"), '{"step":1}');
    appendLineDurably(at("m.jsonl"), '{"step":2}');
    assert.equal(readFileSync(at("m.jsonl"), "utf8"), '{"step":1}\n{"step":2}\n');
    assert.throws(() => appendLineDurably(at("m.jsonl"), "a\nb"), usage(/must not hold a newline/));
  });

  test("removes the torn line of a killed process, and completes a whole one", () => {
    writeFileSync(at("torn.jsonl"), '{"step":1}\n{"step":2,"lo');
    appendLineDurably(at("torn.jsonl"), '{"step":2}');
    assert.equal(readFileSync(at("torn.jsonl"), "utf8"), '{"step":1}\n{"step":2}\n');
    writeFileSync(at("bare.jsonl"), '{"step":1}');
    appendLineDurably(at("bare.jsonl"), '{"step":2}');
    assert.equal(readFileSync(at("bare.jsonl"), "utf8"), '{"step":1}\n{"step":2}\n');
    writeFileSync(at("only.jsonl"), '{"ste');
    appendLineDurably(at("only.jsonl"), '{"step":1}');
    assert.equal(readFileSync(at("only.jsonl"), "utf8"), '{"step":1}\n');
  });

  test("finds the end of the last line when the torn one is longer than the window", () => {
    writeFileSync(at("long.jsonl"), `{"step":1}\n"${"x".repeat(200_000)}`);
    appendLineDurably(at("long.jsonl"), '{"step":2}');
    assert.equal(readFileSync(at("long.jsonl"), "utf8"), '{"step":1}\n{"step":2}\n');
  });

  test("reports a full disk", { skip: existsSync("/dev/full") ? false : "no /dev/full here" }, () => {
    symlinkSync("/dev/full", at("full.jsonl"));
    assert.throws(() => appendLineDurably(at("full.jsonl"), "{}"), usage(/cannot append to .*disk is full/));
  });
});

describe("readJson and readJsonLines", () => {
  test("give values, without a byte order mark", () => {
    writeJsonAtomic(at("v.json"), { a: [1, "é"] });
    assert.deepEqual(readJson(at("v.json")), { a: [1, "é"] });
    writeFileSync(at("bom.json"), "\ufeff[1]");
    assert.deepEqual(readJson(at("bom.json")), [1]);
    writeFileSync(at("l.jsonl"), '{"a":1}\r\n\n[2]\n');
    assert.deepEqual(readJsonLines(at("l.jsonl")), [{ a: 1 }, [2]]);
  });

  test("name the file, the line and the column of a mistake", () => {
    writeFileSync(at("bad.json"), '{\n  "a": 1,\n  b: 2\n}');
    assert.throws(() => readJson(at("bad.json")), usage(/bad\.json:3:3: must be JSON/));
    writeFileSync(at("cut.json"), '{"a": 1,\n"b"');
    assert.throws(() => readJson(at("cut.json")), usage(/cut\.json:2:4: must be JSON/));
    writeFileSync(at("bad.jsonl"), '{"a":1}\n{"a":}\n{"a":3}\n');
    assert.throws(() => readJsonLines(at("bad.jsonl")), usage(/bad\.jsonl:2:6: must be JSON/));
  });

  test("skip the unfinished last line of a killed process, not a bad one in the middle", () => {
    writeFileSync(at("t.jsonl"), '{"a":1}\n{"a":');
    assert.deepEqual(readJsonLines(at("t.jsonl")), [{ a: 1 }]);
  });

  test("suggest the nearest name when the file is not there", () => {
    writeFileAtomic(at("config.json"), "{}");
    assert.throws(
      () => readText(at("confg.json")),
      usage(/no such file \(ENOENT\)\. Did you mean "config\.json"\? Check the path\.$/),
    );
    assert.throws(
      () => readText(at("folde/config.json")),
      usage(/the folder .*folde does not exist \(ENOENT\)\. .*Check the path\.$/),
    );
  });

  test("suggest a symbolic link, too, and say of one that leads nowhere where it points", () => {
    writeFileAtomic(at("settings.json"), "{}");
    symlinkSync("settings.json", at("linked.json"));
    symlinkSync("gone.json", at("dangling.json"));
    assert.throws(() => readText(at("linkd.json")), usage(/Did you mean "linked\.json"\?/));
    assert.throws(
      () => readText(at("dangling.json")),
      usage(/is a symbolic link to gone\.json, which does not exist/),
    );
  });
});
