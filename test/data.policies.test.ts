import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { type Key, keyFromSeed, Random } from "../src/core/random.js";
import { findPolicy, policyList, policyNames, trainingPipeline, viewPipeline } from "../src/data/index.js";
import { Canvas } from "../src/data/pixels/augment/canvas.js";
import { type OperationName, operations } from "../src/data/pixels/augment/operations/index.js";
import { drawStep, type Step } from "../src/data/pixels/augment/steps.js";
import { drawImage } from "../src/data/pixels/pipeline.js";
import type { RawImage } from "../src/data/pixels/read/image.js";
import { argumentAt, magnitudeOf, type ScaleName } from "../src/data/pixels/resize/scales.js";

const random = new Random(keyFromSeed(8));
const image: RawImage = {
  width: 40,
  height: 36,
  channels: 3,
  data: Uint8Array.from({ length: 40 * 36 * 3 }, () => random.integer(256)),
};

/** What a policy did with `key`, after its crop. */
function notesOf(policy: string, key: Key): string[] {
  const notes: string[] = [];
  const pipeline = trainingPipeline(32, { policy });
  drawImage(image, pipeline, key, new Uint8Array(32 * 32 * 3), (words) => notes.push(words));
  return notes;
}

/** How often each word came first in a note, over `count` keys. */
function counted(policy: string, count: number): Map<string, number> {
  const found = new Map<string, number>();
  for (let seed = 0; seed < count; seed++) {
    for (const note of notesOf(policy, keyFromSeed(seed))) {
      const word = note.split(" ")[0]!;
      found.set(word, (found.get(word) ?? 0) + 1);
    }
  }
  return found;
}

describe("findPolicy", () => {
  test("reads parameters, fills in the rest, and reads its own name back", () => {
    assert.equal(findPolicy("randaugment").name, "randaugment:2,9");
    assert.equal(findPolicy("randaugment-16:3").name, "randaugment-16:3,10");
    const policy = findPolicy("stacked-randaugment:1,4.5,0.3");
    assert.equal(policy.name, "stacked-randaugment:1,4.5,0.3");
    assert.deepEqual(findPolicy(policy.name), policy);
    assert.deepEqual(
      policyList.map(({ name }) => findPolicy(name).name),
      policyList.map(({ name }) => name),
    );
    assert.equal(policyNames.length, policyList.length);
  });

  test("refuses what there is not, in one line with the remedy", () => {
    assert.throws(
      () => findPolicy("randaugmnt"),
      /^UsageError: augment: there is no such policy; got "randaugmnt"\. Did you mean "randaugment"\? There are none, crop-flip, /,
    );
    assert.throws(
      () => findPolicy("simclr:1"),
      /simclr takes no parameters; got "simclr:1"\. Write simclr\./,
    );
    assert.throws(
      () => findPolicy("randaugment:1,2,3"),
      /at most 2; got .* Write randaugment:N,M such as randaugment:2,9/,
    );
    assert.throws(() => findPolicy("randaugment:1.5,9"), /N of randaugment:N,M is a whole number 0 … 16/);
    assert.throws(() => findPolicy("randaugment:2,"), /M of randaugment:N,M is a number 0 … 30/);
    assert.throws(() => findPolicy("randaugment:2,99"), /Write randaugment:2,9\./);
    assert.throws(() => findPolicy("toString"), /no such policy/);
  });

  test("gives plain data, which goes to workers as it is", () => {
    for (const { name } of policyList) {
      const pipeline = trainingPipeline(32, { policy: name });
      assert.deepEqual(structuredClone(pipeline), pipeline);
      assert.deepEqual(JSON.parse(JSON.stringify(pipeline)), pipeline);
    }
  });
});

describe("policies", () => {
  test("randaugment draws N of the paper's 14 operations, evenly, with both signs", () => {
    const found = counted("randaugment:3,9", 1000);
    found.delete("flip");
    assert.equal(
      [...found.values()].reduce((a, b) => a + b),
      3000,
    );
    assert.equal(found.size, 14);
    // 3000 / 14 = 214 ± 5 deviations of 14.
    for (const [name, count] of found) assert.ok(count > 143 && count < 286, `${name} ${count}`);
    const turns = new Set<string>();
    for (let seed = 0; seed < 200; seed++) {
      for (const note of notesOf("randaugment", keyFromSeed(seed)))
        if (note.startsWith("rotate")) turns.add(note);
    }
    assert.deepEqual([...turns].sort(), ["rotate 27", "rotate −27"]);
  });

  test("randaugment-16 draws the code's 16", () => {
    const found = counted("randaugment-16", 300);
    found.delete("flip");
    assert.equal(found.size, 16);
    for (const name of ["invert", "cutout", "solarize-add"]) assert.ok(found.has(name));
    assert.ok(!found.has("identity"));
  });

  test("stacked-randaugment keeps the code's order, and simaugment is the same without randaugment", () => {
    const kinds = (name: string): string[] => findPolicy(name).steps.map(({ kind }) => kind);
    assert.deepEqual(kinds("stacked-randaugment"), ["jitter", "choose", "grayscale", "warp", "blur"]);
    assert.deepEqual(kinds("simaugment"), ["jitter", "grayscale", "warp", "blur"]);
    const found = counted("simaugment", 600);
    const share = (name: string): number => found.get(name)! / 600;
    assert.ok(Math.abs(share("hue") - 0.8) < 0.08);
    assert.ok(Math.abs(share("grayscale") - 0.2) < 0.08);
    assert.ok(Math.abs(share("warp") - 0.5) < 0.1);
    assert.ok(Math.abs(share("blur") - 0.5) < 0.1);
    assert.ok(Math.abs(share("flip") - 0.5) < 0.1);
  });

  test("simclr is SLIP's view, and autoaugment has 25 pairs", () => {
    assert.deepEqual(findPolicy("simclr"), {
      name: "simclr",
      scale: [0.08, 1],
      ratio: [3 / 4, 4 / 3],
      flip: 0.5,
      steps: [
        { kind: "jitter", brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.1, probability: 0.8 },
        { kind: "grayscale", probability: 0.2 },
        { kind: "blur", sigma: [0.1, 2], probability: 0.5 },
      ],
    });
    const [step] = findPolicy("autoaugment").steps;
    assert.ok(
      step?.kind === "sub-policy" && step.lists.length === 25 && step.lists.every((l) => l.length === 2),
    );
  });

  test("trivialaugment does one thing, at levels of all strengths", () => {
    const strengths = new Set<string>();
    for (let seed = 0; seed < 1500; seed++) {
      const notes = notesOf("trivialaugment", keyFromSeed(seed)).filter((note) => note !== "flip");
      assert.equal(notes.length, 1);
      if (notes[0]!.startsWith("rotate")) strengths.add(notes[0]!.replace("−", ""));
    }
    assert.ok(strengths.size > 22 && strengths.has("rotate 135"), [...strengths].join());
  });

  test("a level that an operation has no argument for changes nothing of the draw", () => {
    const key = keyFromSeed(4);
    const draw = (level: number): Uint8Array => {
      const canvas = new Canvas(8);
      canvas.begin().set(image.data.subarray(0, 192));
      const step: Step = {
        kind: "choose",
        operations: ["equalize"],
        count: 1,
        level,
        scale: "code",
        fill: [0, 0, 0],
      };
      drawStep(canvas, step, new Random(key));
      return canvas.pixels().slice();
    };
    assert.deepEqual(draw(1), draw(9));
  });
});

describe("argumentAt", () => {
  const at = (scale: ScaleName, name: OperationName, level: number, side = 224, negative = false): number =>
    argumentAt(magnitudeOf(scale, name)!, level, side, negative);

  test("equals big_vision's code at level 10 and beyond", () => {
    const code = (name: OperationName, level: number): number => Number(at("code", name, level).toFixed(9));
    assert.deepEqual(
      (
        [
          "rotate",
          "shear-x",
          "translate-y",
          "posterize",
          "solarize",
          "solarize-add",
          "cutout",
          "color",
        ] as const
      ).map((name) => [code(name, 10), code(name, 15), code(name, 9)]),
      [
        [30, 45, 27],
        [0.3, 0.45, 0.27],
        [100, 150, 90],
        [4, 6, 3],
        [256, 256, 230],
        [110, 165, 99],
        [40, 60, 36],
        [1.9, 2.8, 1.72],
      ],
    );
  });

  test("equals AutoAugment's table at 9, and TrivialAugment's at its ends", () => {
    assert.equal(at("autoaugment", "posterize", 9), 7);
    assert.equal(at("autoaugment", "solarize", 9), 230);
    assert.equal(Number(at("autoaugment", "translate-x", 10, 331).toFixed(9)), 150);
    assert.deepEqual(
      [0, 5, 10].map((level) => at("wide", "posterize", level)),
      [8, 5, 2],
    );
    assert.deepEqual(
      [0, 10].map((level) => at("wide", "solarize", level)),
      [255, 0],
    );
    assert.deepEqual(
      [false, true].map((sign) => Number(at("wide", "color", 10, 224, sign).toFixed(9))),
      [1.99, 0.01],
    );
  });

  test("lengths shrink with the image, signs turn", () => {
    assert.equal(at("code", "cutout", 10, 56), 10);
    assert.equal(at("code", "translate-x", 10, 112, true), -50);
  });
});

describe("trainingPipeline", () => {
  const steps = (options: Parameters<typeof trainingPipeline>[1]): string[] =>
    trainingPipeline(32, options).augmentation!.steps.map(({ kind }) => kind);
  const jitter = { brightness: 0.1, contrast: 0, saturation: 0, hue: 0, probability: 1 };
  const ink = { gain: 0.1, saturation: 0.1, channel: 0.1, probability: 1 };

  test("takes crop and flip from the policy unless they are said", () => {
    const of = (options: Parameters<typeof trainingPipeline>[1]): unknown => {
      const { crop, flip } = trainingPipeline(32, options).augmentation!;
      return [crop.kind === "resized" && crop.scale, flip];
    };
    assert.deepEqual(of({}), [[0.9, 1], 0]);
    assert.deepEqual(of({ policy: "randaugment" }), [[0.08, 1], 0.5]);
    assert.deepEqual(of({ policy: "randaugment", scale: [0.5, 1], flip: 0 }), [[0.5, 1], 0]);
  });

  test("puts jitter before and grey after the policy's steps, or in the place of its own", () => {
    assert.deepEqual(steps({ policy: "randaugment", jitter, ink, grayscale: 0.1 }), [
      "jitter",
      "ink",
      "choose",
      "grayscale",
    ]);
    const { augmentation } = trainingPipeline(32, { policy: "simclr", jitter, grayscale: 0 });
    assert.deepEqual(augmentation!.steps, [
      { kind: "jitter", ...jitter },
      { kind: "grayscale", probability: 0 },
      { kind: "blur", sigma: [0.1, 2], probability: 0.5 },
    ]);
    assert.throws(() => trainingPipeline(32, { policy: "simclrr" }), /Did you mean "simclr"/);
  });

  test("one step's draws do not depend on the others", () => {
    const draw = (options: Parameters<typeof trainingPipeline>[1]): Uint8Array => {
      const out = new Uint8Array(32 * 32 * 3);
      drawImage(image, trainingPipeline(32, options), keyFromSeed(3), out);
      return out;
    };
    const flip = draw({ policy: "none", flip: 1 });
    assert.deepEqual(
      draw({ policy: "none", flip: 1, grayscale: 0, jitter: { ...jitter, probability: 0 } }),
      flip,
    );
    assert.deepEqual(draw({ policy: "randaugment:0,9", scale: [0.9, 1], flip: 1 }), flip);
  });

  test("viewPipeline shares what is kept, and has its own crop and steps", () => {
    const base = trainingPipeline(32, { keepSize: 40, resize: "squash", policy: "none", flip: 1 });
    const view = viewPipeline(base, "simclr");
    assert.equal(view.keepSize, 40);
    assert.equal(view.resize, "squash");
    assert.deepEqual(view.augmentation, trainingPipeline(32, { policy: "simclr" }).augmentation);
  });
});

test("docs/augmentation.md has every policy with its parameters, and every operation", () => {
  const page = readFileSync(new URL("../../docs/augmentation.md", import.meta.url), "utf8");
  for (const { name } of policyList) assert.ok(page.includes(`| \`${name}\` |`), name);
  const rows = page.split("\n").filter((line) => line.startsWith("| "));
  const first = new Set(
    rows.flatMap((row) =>
      row
        .split("|")[1]!
        .split(",")
        .map((name) => name.trim()),
    ),
  );
  for (const name of Object.keys(operations)) assert.ok(first.has(name), name);
});
