import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { suite, test } from "node:test";
import { fileURLToPath } from "node:url";
import { type Cell, cellsOf, runsOf } from "../src/study/design/cells.js";
import { loadStudy, type Study } from "../src/study/design/study.js";
import { gmacsOf } from "../src/study/run/facts.js";
import { readSizedModel } from "../src/train/open/model.js";
import { checkRecipe } from "../src/train/recipe/recipe.js";

const folder = fileURLToPath(new URL("../recipes/studies/", import.meta.url));
/** Pairs that the data of a size hold: all drawings, of which the studies take a quarter; CC3M; the paper's. */
const pairs = { small: 131_341, medium: 2_900_000, paper: 3_400_000_000 };
type Size = keyof typeof pairs;

/** Cells in small, medium, paper, and samples that the runs of one seed see in small. */
const expected: Readonly<Record<string, readonly [number, number, number, number]>> = {
  quantity: [20, 20, 20, 953_994],
  quality: [17, 17, 17, 426_855],
  "vit-sizes": [27, 33, 105, 682_983],
  encoders: [45, 55, 105, 1_138_305],
  "encoder-rates": [30, 30, 20, 985_050],
  augmentation: [24, 16, 16, 2_770_380],
  strategies: [56, 68, 128, 1_500_000],
};

const open = (name: string, size: Size): Promise<Study> => loadStudy(`${folder}${name}.js`, { size });

/** The cells as a dry run counts them, without the data. */
const planned = (study: Study, size: Size, of = (): number => 0.003): readonly Cell[] =>
  cellsOf(study, {
    pairsOf: () => (study.name === "quality-small" ? 32_835 : pairs[size]),
    gmacsOf: of,
  });

suite("recipes/studies", () => {
  test("are those that are tested", () => {
    const files = readdirSync(folder).filter((file) => file.endsWith(".js"));
    assert.deepEqual(files.map((file) => file.slice(0, -3)).sort(), Object.keys(expected).sort());
  });

  test("are found by name; a name that is near is offered", async () => {
    assert.equal((await loadStudy("quality", { size: "medium" })).name, "quality-medium");
    await assert.rejects(
      loadStudy("qualty", { size: "small" }),
      /or one of augmentation, .* Did you mean "quality"\?/,
    );
  });

  for (const [name, [...counts]] of Object.entries(expected))
    test(`${name}: every combination is a recipe of a model that there is, in each size`, async () => {
      for (const [at, size] of (["small", "medium", "paper"] as const).entries()) {
        const study = await open(name, size);
        assert.equal(study.name, `${name}-${size}`);
        const cells = planned(study, size);
        assert.equal(cells.length, counts[at], size);
        assert.equal(runsOf(study, cells).length, cells.length * study.seeds.length);
        for (const model of new Set(cells.map(({ recipe }) => recipe.model)))
          readSizedModel(checkRecipe({ ...study.recipe, model, steps: 1 } as never));
        for (const { recipe, pairs: own } of cells)
          assert.ok(
            recipe.batchSize! <= own / 8,
            `${size}: batches of ${recipe.batchSize} from ${own} pairs`,
          );
      }
    });

  test("small encoders cost the same within a fifth, ViTs grow", async () => {
    const costs = async (name: string) => {
      const { factors, recipe } = await open(name, "small");
      return factors[0]!.levels.map((level) =>
        gmacsOf(checkRecipe({ ...recipe, ...level.recipe, steps: 1 })),
      );
    };
    const alike = await costs("encoders");
    assert.ok(Math.max(...alike) < 1.2 * Math.min(...alike), alike.join());
    const growing = await costs("vit-sizes");
    assert.deepEqual(
      growing,
      growing.toSorted((a, b) => a - b),
    );
  });
});
