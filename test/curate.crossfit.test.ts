import assert from "node:assert/strict";
import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { suite, test } from "node:test";
import sharp from "sharp";
import { UsageError } from "../src/core/errors.js";
import { keyFromSeed, Random } from "../src/core/random.js";
import { crossfit } from "../src/curate/fit/crossfit/crossfit.js";
import { pictureGroups } from "../src/curate/fit/crossfit/folds.js";
import { scorePairs } from "../src/curate/scores/run/score-pairs.js";
import { openTables } from "../src/curate/tables/database.js";
import { openDataset } from "../src/data/index.js";
import { put, scratchFolder } from "./data.helpers.js";

const COLOURS = {
  red: [220, 40, 40],
  green: [40, 200, 60],
  blue: [50, 70, 230],
  grey: [120, 120, 120],
} as const;
const NAMES = Object.keys(COLOURS) as (keyof typeof COLOURS)[];
const PICTURES = 80;
const random = new Random(keyFromSeed(2));

/** Patches of about one colour. */
async function patches(colour: keyof typeof COLOURS): Promise<Buffer> {
  const cells = Uint8Array.from({ length: 4 * 4 * 3 }, (_, n) => {
    const value = COLOURS[colour][n % 3]! + 60 * (random.uniform() - 0.5);
    return Math.max(0, Math.min(255, value));
  });
  const image = sharp(cells, { raw: { width: 4, height: 4, channels: 3 } });
  return image.resize(24, 24, { kernel: "cubic", fit: "fill" }).png().toBuffer();
}

/** Every fifth picture has the next colour's caption; the last is a copy of the first, and one is no picture. */
async function plantedSet(folder: string): Promise<boolean[]> {
  const lines: string[] = [];
  const swapped: boolean[] = [];
  let first: Buffer | undefined;
  for (let i = 0; i < PICTURES; i++) {
    const colour = i === PICTURES - 1 ? 0 : i % NAMES.length;
    swapped.push(i % 5 === 2);
    const word = NAMES[(colour + (swapped[i] ? 1 : 0)) % NAMES.length]!;
    const bytes = i === PICTURES - 1 ? first! : await patches(NAMES[colour]!);
    first ??= bytes;
    put(folder, `images/${i}.png`, i === 11 ? Buffer.from("no picture") : bytes);
    lines.push(JSON.stringify({ filepath: `images/${i}.png`, caption: `a ${word} cloth`, label: word }));
  }
  put(folder, "pairs.jsonl", `${lines.join("\n")}\n`);
  return swapped;
}

const recipe = {
  model: {
    embed_dim: 16,
    vision_cfg: { image_size: 16, patch_size: 8, width: 32, layers: 1, head_width: 16, pool_type: "avg" },
    text_cfg: { context_length: 12, vocab_size: 300, width: 32, heads: 2, layers: 0, pool_type: "mean" },
  },
  vocabSize: 300,
  epochs: 16,
  batchSize: 20,
  lr: 5e-3,
  engine: "onnxruntime",
  threads: 1,
  workers: 1,
} as const;

suite("crossfit", () => {
  const folder = scratchFolder();
  test("finds swapped captions by models that saw neither the pair nor its copies, and goes on where it was", async () => {
    const swapped = await plantedSet(folder);
    const dataset = await openDataset(join(folder, "pairs.jsonl"));
    const rows = {
      length: PICTURES,
      sample: Uint32Array.from({ length: PICTURES }, (_, i) => i),
      caption: new Uint16Array(PICTURES),
    };
    const groups = await pictureGroups(dataset);
    assert.equal(groups[PICTURES - 1], groups[0], "a copy is of one group with its original");
    assert.equal(new Set(groups).size, PICTURES - 1);

    const options = { folder: join(folder, "crossfit"), seconds: 3600, folds: 2, repeats: 2, recipe };
    const seen: number[] = [];
    const { plan, ...scores } = await crossfit(dataset, rows, {
      ...options,
      onProgress: ({ done, total }) => seen.push(done / total),
    });
    assert.deepEqual([plan.folds, plan.repeats, plan.epochs], [2, 2, 16]);
    assert.equal(seen.at(-1), 1);
    assert(Number.isNaN(scores.score[11]!), "what is no picture has no score");
    const of = (wrong: boolean) =>
      Array.from(scores.score).filter((value, i) => swapped[i] === wrong && !Number.isNaN(value));
    const [right, wrong] = [of(false), of(true)];
    const wins = right.flatMap((r) => wrong.map((w) => Number(r > w)));
    const auc = wins.reduce((a, b) => a + b, 0) / wins.length;
    assert(auc > 0.9, `AUC ${auc}`);

    // As after a kill in the last model: what was found before is read, the rest is done again, to the same bits.
    rmSync(join(options.folder, "repeat-2-fold-2.npy"));
    rmSync(join(options.folder, "runs", "repeat-2-fold-2"), { recursive: true });
    const again = await crossfit(dataset, rows, options);
    assert.deepEqual(again.score, scores.score);
    assert(
      existsSync(join(options.folder, "runs", "repeat-1-fold-1", "checkpoints")),
      "a model is left of each fold",
    );

    await assert.rejects(
      crossfit(await openDataset(join(folder, "images"), { captionsOptional: true }), rows, options),
      (error: Error) => error instanceof UsageError && /begun with these data/.test(error.message),
    );
    await assert.rejects(
      crossfit(dataset, rows, { ...options, folder: join(folder, "many"), folds: 40 }),
      (error: Error) => error instanceof UsageError && error.message.startsWith("folds: "),
    );
    await assert.rejects(
      crossfit(dataset, rows, { ...options, folder: join(folder, "short"), seconds: 1e-6 }),
      (error: Error) => error instanceof UsageError && error.message.startsWith("time: "),
    );
  });

  test("leaves models by which the other families score, each row with what belongs to it", async () => {
    const dataset = await openDataset(join(folder, "pairs.jsonl"));
    const out = join(folder, "scores.parquet");
    await scorePairs(dataset, {
      out,
      scores: ["clip", "neighbours", "labels", "clusters", "targets", "siblings"],
      settings: {
        clip: join(folder, "crossfit", "runs", "repeat-1-fold-1"),
        engine: "onnxruntime",
        clusters: 4,
        copyCosine: 0.9999,
        targets: put(folder, "targets.txt", NAMES.map((name) => `a ${name} cloth\n`).join("")),
      },
    });
    await using tables = await openTables({ tables: { scores: out } });
    const rows = await tables.rows("SELECT * FROM scores");
    assert.equal(rows.length, PICTURES);
    const value = (row: number, column: string) => rows[row]![column]!;
    for (const column of [
      "clip_score",
      "clip_corrected",
      "cluster",
      "target",
      "label_fault",
      "neighbour_agreement",
    ])
      assert.equal(value(11, column), null, `${column} of what is no picture`);
    assert(
      rows.every((row) => row.sibling_agreement === null),
      "there is one caption a picture",
    );
    assert.deepEqual([value(0, "semantic_group"), value(PICTURES - 1, "semantic_group")], [0, 0]);
    assert.equal(value(0, "clip_score"), value(PICTURES - 1, "clip_score"));
    const mean = (column: string, of: (row: number) => boolean) => {
      const numbers = rows.flatMap((row, i) => (of(i) && row[column] !== null ? [Number(row[column])] : []));
      return numbers.reduce((a, b) => a + b, 0) / numbers.length;
    };
    const isSwapped = (row: number) => row % 5 === 2;
    for (const column of [
      "clip_score",
      "clip_corrected",
      "clip_margin",
      "neighbour_agreement",
      "label_confidence",
    ])
      assert(mean(column, (row) => !isSwapped(row)) > mean(column, isSwapped), column);
    const right = rows.filter((row, i) => row.target === `a ${NAMES[i === PICTURES - 1 ? 0 : i % 4]} cloth`);
    assert(right.length > PICTURES / 2, `${right.length} pictures have their target`);
    assert.equal(new Set(rows.map((row) => row.cluster).filter((cluster) => cluster !== null)).size, 4);

    await assert.rejects(
      scorePairs(dataset, {
        out: join(folder, "other.parquet"),
        scores: ["clip"],
        settings: { engine: "onnxruntime" },
      }),
      (error: Error) => error instanceof UsageError && error.message.startsWith("clip: "),
    );
  });
});
