import assert from "node:assert/strict";
import { appendFileSync } from "node:fs";
import { join } from "node:path";
import { suite, test } from "node:test";
import { realDisk } from "../src/core/disk.js";
import { UsageError } from "../src/core/errors.js";
import { writeCheckpoint } from "../src/storage/checkpoint.js";
import { chooseCheckpoint, parseChoice } from "../src/storage/choose.js";
import { scratchFolder } from "./data.helpers.js";

const root = scratchFolder();

/** Checkpoints at steps 10, 20, … with these losses; undefined has no score. */
function checkpoints(name: string, losses: readonly (number | undefined)[]): string {
  const folder = join(root, name);
  losses.forEach((value, i) => {
    const score = value === undefined ? undefined : { metric: "val_loss", value };
    writeCheckpoint(realDisk, folder, 10 * (i + 1), { "params.safetensors": `w${i}` }, {}, score);
  });
  return folder;
}

suite("chooseCheckpoint", () => {
  const folder = checkpoints("scored", [3, 1.25, 2, undefined]);
  const chosen = (choice?: "best" | "last" | number, from = folder) => {
    const said: string[] = [];
    return { step: chooseCheckpoint(from, choice, (line) => said.push(line))?.step, said };
  };

  test("takes the best unasked, and says that there is a newer one", () => {
    const { step, said } = chosen();
    assert.equal(step, 20);
    assert.deepEqual(said, [
      "Takes step 20, the best by val_loss (1.25); the newest is step 40: --checkpoint last.",
    ]);
  });

  test("takes what is asked for without a word", () => {
    assert.deepEqual(chosen("best"), { step: 20, said: [] });
    assert.deepEqual(chosen("last"), { step: 40, said: [] });
    assert.deepEqual(chosen(30), { step: 30, said: [] });
  });

  test("without scores the last is taken; the best by nothing and a step that is not there are refused", () => {
    const plain = checkpoints("plain", [undefined, undefined]);
    assert.deepEqual(chosen(undefined, plain), { step: 20, said: [] });
    assert.throws(
      () => chosen("best", plain),
      (e) => e instanceof UsageError && /no checkpoint .* has a score; got checkpoint=best/.test(e.message),
    );
    assert.throws(() => chosen(25), /got step 25, and .* has 10, 20, 30, 40/);
    assert.equal(
      chooseCheckpoint(join(root, "none"), "best", () => {}),
      undefined,
    );
  });

  test("a damaged best is passed over for the next best", () => {
    const damaged = checkpoints("damaged", [1, 2, 3]);
    appendFileSync(join(damaged, "step-00000010", "params.safetensors"), "x");
    const { step, said } = chosen(undefined, damaged);
    assert.equal(step, 20);
    assert.equal(said.length, 1, "a checkpoint of another size is none at all");
  });
});

test("parseChoice reads best, last and a step", () => {
  assert.deepEqual(
    ["best", "last", "120", 7].map((word) => parseChoice(word, "checkpoint")),
    ["best", "last", 120, 7],
  );
  assert.throws(() => parseChoice("newest", "checkpoint"), /must be best, last or the number of a step/);
});
