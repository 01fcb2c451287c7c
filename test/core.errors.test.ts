import assert from "node:assert/strict";
import { join } from "node:path";
import { suite, test } from "node:test";
import { InternalError, Unsupported, UsageError, type UsageErrorDetails } from "../src/core/errors.js";
import { readJson, readText } from "../src/core/files.js";
import { checkAll, integer, optional } from "../src/settings/fields.js";
import { checkRecipe } from "../src/train/recipe/recipe.js";
import { put, scratchFolder } from "./data.helpers.js";

const folder = scratchFolder();

/** What a program sees of the error that `body` throws. */
function detailsOf(body: () => unknown): UsageErrorDetails {
  try {
    body();
  } catch (error) {
    assert(error instanceof UsageError, String(error));
    const { code, key, file, line } = error;
    return { code, key, file, line };
  }
  return assert.fail("nothing was thrown");
}

const none = { key: undefined, file: undefined, line: undefined };

suite("UsageError", () => {
  test("tells a program the setting at fault, as recipes spell it", () => {
    const batchSize = { ...none, code: "ERR_SETTING", key: "batchSize" };
    const fields = { batchSize: optional(integer(2), "Pairs.") };
    const label = (key: string) => `--${key.toLowerCase()}`;
    assert.deepEqual(
      detailsOf(() => checkAll(fields, { batchSize: 1 }, label)),
      batchSize,
    );
    const recipe = { model: "ViT-S-32", trainData: "x", steps: 3 };
    assert.deepEqual(
      detailsOf(() => checkRecipe({ ...recipe, batchSize: 1 })),
      batchSize,
    );
    // A rule over several settings.
    assert.deepEqual(
      detailsOf(() => checkRecipe({ ...recipe, epochs: 1 })),
      { ...batchSize, key: "steps" },
    );
  });

  test("tells the file, with the system's code, and the line", () => {
    const missing = join(folder, "missing.txt");
    assert.deepEqual(
      detailsOf(() => readText(missing)),
      { ...none, code: "ENOENT", file: missing },
    );
    const torn = put(folder, "torn.json", '{\n"a": 1,\n');
    assert.deepEqual(
      detailsOf(() => readJson(torn)),
      { ...none, code: "ERR_USAGE", file: torn, line: 3 },
    );
  });

  test("has a code even where there is nothing else to tell, as the other kinds have", () => {
    assert.equal(new UsageError("x: must be y.").code, "ERR_USAGE");
    assert.equal(new Unsupported("no", "matmul").code, "ERR_UNSUPPORTED");
    assert.equal(new InternalError("no").code, "ERR_INTERNAL");
  });
});
