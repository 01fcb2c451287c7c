import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, test } from "node:test";
import { formatInspection, inspectDataset, openDataset } from "../src/data/index.js";
import { pngOf, put, scratchFolder, tarMember } from "./data.helpers.js";

const folder = scratchFolder();
const images = await Promise.all([0, 1, 2].map((i) => pngOf(i)));
const END = Buffer.alloc(1024);
const pair = (i: number): Buffer[] => [
  tarMember(`${i}.png`, images[i]!),
  tarMember(`${i}.txt`, Buffer.from(`picture ${i}`)),
];
let tars = 0;
const open = (parts: readonly Uint8Array[], options = {}) =>
  openDataset(put(folder, `t${tars++}.tar`, Buffer.concat(parts)), options);
const keys = async (parts: readonly Uint8Array[]): Promise<string[]> => {
  const dataset = await open(parts, { strict: true });
  return Array.from({ length: dataset.length }, (_, i) => dataset.sample(i).key);
};
const pax = (records: readonly (readonly [key: string, value: string])[]): Buffer => {
  const body = records.map(([key, value]) => {
    const rest = ` ${key}=${value}\n`;
    let length = rest.length + 1;
    while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
    return `${length}${rest}`;
  });
  return tarMember("PaxHeader", Buffer.from(body.join("")), "x");
};

describe("a tar is read as Python's tarfile reads it:", () => {
  test("folders and links that state a size have no bytes", async () => {
    const sized = (name: string, type: string, link = "") =>
      tarMember(name, Buffer.alloc(0), type, { size: 4096, link });
    for (const type of ["2", "3", "4", "5", "6"]) {
      assert.deepEqual(await keys([...pair(0), sized("d/", type), ...pair(1), END]), ["0", "1"]);
    }
    assert.deepEqual(await keys([...pair(0), sized("h", "1", "0.txt"), ...pair(1), END]), ["0", "1"]);
    assert.deepEqual(await keys([tarMember("old/", Buffer.alloc(0), "\0"), ...pair(1), END]), ["1"]);
  });

  test("a hard link that brings its bytes all the same is passed over whole", async () => {
    const link = tarMember("x.png", images[2]!, "1", { link: "nowhere.png" });
    assert.deepEqual(await keys([...pair(0), link, ...pair(1), END]), ["0", "1"]);
  });

  test("a link to another member stands for it", async () => {
    const link = (name: string, target: string, type: string) =>
      tarMember(name, Buffer.alloc(0), type, { link: target });
    const parts = [
      tarMember("a/0.png", images[0]!),
      link("a/1.png", "a/0.png", "1"),
      tarMember("a/1.txt", Buffer.from("a hard link")),
      link("b/2.png", "../a/0.png", "2"),
      tarMember("b/2.txt", Buffer.from("a symbolic link")),
      END,
    ];
    const dataset = await open(parts);
    const found = [0, 1, 2].map((i) => dataset.sample(i));
    assert.deepEqual(
      found.map(({ key }) => key),
      ["a/0", "a/1", "b/2"],
    );
    assert.deepEqual(found[2]!.captions, ["a symbolic link"]);
    for (const i of [0, 1, 2]) assert.deepEqual(Buffer.from(await dataset.readBytes(i)), images[0]);
  });

  describe("files with holes", () => {
    // 3,000 bytes: zeros but for 600 from 512 on, and 100 at the end
    const whole = Buffer.alloc(3000);
    for (let i = 512; i < 1112; i++) whole[i] = i % 251;
    whole.fill(7, 2900);
    const extents = [
      [512, 600],
      [2900, 100],
    ];
    const data = Buffer.concat(extents.map(([at, size]) => whole.subarray(at, at! + size!)));
    const isWhole = async (parts: readonly Uint8Array[]) => {
      const dataset = await open([...parts, ...pair(1), END], { strict: true });
      assert.equal(dataset.length, 2);
      assert.equal(dataset.sample(0).key, "s");
      assert.deepEqual(Buffer.from(await dataset.readBytes(0)), whole);
      assert.equal(dataset.images.size[0], 3000);
    };
    const numbers = extents.flat().map(String);

    test("of GNU's old format", async () => {
      const fields = Buffer.alloc(126);
      const put12 = (value: number, at: number) =>
        fields.write(`${value.toString(8).padStart(11, "0")}\0`, at);
      for (const [i, value] of extents.flat().entries()) put12(value, 12 * i);
      put12(3000, 483 - 386);
      await isWhole([tarMember("s.png", data, "S", { at386: fields.subarray(0, 109) })]);
    });

    test("of the pax formats 0.0, 0.1 and 1.0", async () => {
      const names = ["GNU.sparse.offset", "GNU.sparse.numbytes"];
      const listed = numbers.map((n, i) => [names[i % 2]!, n] as const);
      await isWhole([pax([["GNU.sparse.size", "3000"], ...listed]), tarMember("s.png", data)]);
      const map = [["GNU.sparse.map", numbers.join(",")]] as const;
      await isWhole([pax([["GNU.sparse.size", "3000"], ...map]), tarMember("s.png", data)]);
      const head = Buffer.alloc(512);
      head.write(`2\n${numbers.join("\n")}\n`);
      const records = [
        ["GNU.sparse.major", "1"],
        ["GNU.sparse.minor", "0"],
        ["GNU.sparse.name", "s.png"],
        ["GNU.sparse.realsize", "3000"],
      ] as const;
      await isWhole([pax(records), tarMember("GNUSparseFile.0/s.png", Buffer.concat([head, data]))]);
    });
  });
});

describe("a damaged tar", () => {
  const parts = [...pair(0), ...pair(1)];
  const bytes = Buffer.concat([...parts, END]);
  const cut = (length: number): Buffer[] => [bytes.subarray(0, length)];
  const members = bytes.length - END.length;
  const cases: [what: string, parts: Uint8Array[], told: RegExp, samples: number][] = [
    ["without an end marker", parts, /has no end marker after \d+ bytes/, 2],
    [
      "with a cut header",
      cut(members - 700),
      /is cut short; got \d+ bytes, the last header is incomplete/,
      2,
    ],
    ["with a cut member", cut(1000), /is cut short; got 1000 bytes, the member at byte 0 needs/, 0],
    [
      "with cut padding",
      cut(members - 100),
      /is cut short; got \d+ bytes, \d+ with the last member's padding/,
      2,
    ],
    [
      "with a negative size",
      [...parts, tarMember("x.png", Buffer.alloc(0), "0", { sizeField: "-0000001000\0" }), END],
      /is damaged; got a size that is none in the header at byte/,
      2,
    ],
    [
      "with a negative size in base 256",
      [...parts, tarMember("x.png", Buffer.alloc(0), "0", { sizeField: "\xff".repeat(12) }), END],
      /is damaged; got a size that is none/,
      2,
    ],
    [
      "with noise between members",
      [...parts, Buffer.alloc(512, 3), END],
      /is damaged; got a bad header at byte/,
      2,
    ],
    ["that goes on after its end", [...parts, END, ...pair(2), END], /goes on after its end marker/, 2],
  ];
  for (const [what, content, told, samples] of cases) {
    test(`${what} is told, and refused with strict`, async () => {
      if (samples === 0) await assert.rejects(open(content), told);
      else {
        const lines: string[] = [];
        const dataset = await open(content, { onProgress: (line: string) => void lines.push(line) });
        assert.equal(dataset.length, samples);
        const [problem] = dataset.description[0]!.problems;
        assert.match(problem!, told);
        assert.match(problem!, /^damaged tars, of which the rest is left out: 1 \(t\d+\.tar /);
        assert.deepEqual(lines.length, 1);
        assert.match(lines[0]!, told);
        const report = formatInspection(await inspectDataset(dataset, { workers: 1 }));
        assert.match(report, /problem +damaged tars/);
      }
      await assert.rejects(open(content, { strict: true }), told);
    });
  }

  test("among whole ones is counted", async () => {
    put(folder, "some/0.tar", bytes);
    for (const i of [1, 2, 3, 4]) put(folder, `some/${i}.tar`, Buffer.concat(pair(2)));
    const { length, description } = await openDataset(join(folder, "some"));
    assert.equal(length, 6);
    assert.match(description[0]!.problems.join(), /left out: 4 \(1\.tar .*, 2\.tar .*, 3\.tar .*, …\)/);
  });

  test("is never taken as whole, wherever it is cut", async () => {
    for (let length = 1; length < bytes.length - 1; length += 97) {
      const whole = await open(cut(length), { strict: true }).then(
        () => true,
        (error: Error) => {
          assert.equal(error.name, "UsageError");
          return false;
        },
      );
      // One block of zeros is an end, if not the one that POSIX asks for.
      assert.equal(whole, length >= members + 512, `cut at ${length} of ${bytes.length}`);
    }
  });
});

test("a tar's label is its .cls, unless a field of the .json is asked for and there", async () => {
  const parts = [
    ...[...pair(0), tarMember("0.cls", Buffer.from("7")), tarMember("0.json", Buffer.from('{"name":"cat"}'))],
    ...[...pair(1), tarMember("1.cls", Buffer.from("8")), END],
  ];
  const labels = async (options = {}) => {
    const dataset = await open(parts, options);
    return [0, 1].map((i) => dataset.sample(i).label);
  };
  assert.deepEqual(await labels(), ["7", "8"]);
  assert.deepEqual(await labels({ labelKey: "name" }), ["cat", "8"]);
});
