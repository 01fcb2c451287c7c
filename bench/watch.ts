/**
 * `npm run bench:watch -- --data SOURCE [--embed-with RUN]`: how often `curate watch` gives an alarm where nothing has changed. The
 * pictures of one source are split at random, again and again: a part is profiled, another compared with it. Prints the share of
 * alarms with its interval, and what gave them.
 */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { keyFromSeed, Random } from "../src/core/random.js";
import { scorePairs } from "../src/curate/scores/run/score-pairs.js";
import { openTables } from "../src/curate/tables/database.js";
import { compareWith } from "../src/curate/watch/compare.js";
import { profileOf, type Vectors, vectorsOf } from "../src/curate/watch/spaces.js";
import { type PictureRow, WindowTally } from "../src/curate/watch/window.js";
import { openDataset } from "../src/data/index.js";
import { openEngine } from "../src/engines/registry.js";
import { loadModel } from "../src/evaluate/model/load-model.js";
import { clopperPearson } from "../src/evaluate/statistics/distributions.js";

const { values } = parseArgs({
  options: {
    data: { type: "string", multiple: true },
    "embed-with": { type: "string" },
    splits: { type: "string", default: "200" },
    now: { type: "string", default: "300" },
    engine: { type: "string", default: "auto" },
  },
});

const folder = mkdtempSync(join(tmpdir(), "watch-bench-"));
const table = join(folder, "scores.parquet");
const dataset = await openDataset(values.data!, { captionsOptional: true });
await scorePairs(dataset, { out: table });
await using database = await openTables({ tables: { scores: table } });
const columns = database.infos.scores!.columns;
const rows: PictureRow[] = await database.rows("SELECT * FROM scores WHERE caption_index = 0 ORDER BY row");

/** Every picture's and caption's vectors, made once. */
async function embedAll(): Promise<{ of(keys: readonly string[]): Partial<Vectors> }> {
  const path = values["embed-with"];
  if (path === undefined) return { of: () => ({}) };
  await using engine = await openEngine(values.engine as "auto", {});
  using model = await loadModel(engine, { path });
  const { features, indices } = await model.encoder.embedDataset(dataset);
  const width = features.width;
  const rowOf = new Map([...indices].map((sample, row) => [dataset.sample(sample).key, row]));
  const at = (data: Float32Array, chosen: readonly number[]) => {
    const out = new Float32Array(chosen.length * width);
    chosen.forEach((row, i) => {
      out.set(data.subarray(row * width, (row + 1) * width), i * width);
    });
    return { data: out, rows: chosen.length, width };
  };
  const captions = rows.map(({ caption }) => String(caption ?? ""));
  const texts = await model.encoder.embedTexts(captions);
  const captionOf = new Map(rows.map(({ key }, i) => [String(key), i]));
  return {
    of: (keys) => ({
      images: at(
        features.data,
        keys.flatMap((key) => rowOf.get(key) ?? []),
      ),
      texts: at(
        texts,
        keys.flatMap((key) => captionOf.get(key) ?? []),
      ),
    }),
  };
}

const embedded = await embedAll();
async function part(chosen: readonly number[]) {
  const tally = new WindowTally(columns);
  for (const i of chosen) tally.add(rows[i]!);
  const window = tally.window();
  const words = await vectorsOf(window.drawn, dataset, undefined);
  return { window, vectors: { ...words, ...embedded.of(window.drawn.map(({ key }) => key)) } };
}

const splits = Number(values.splits);
const size = Number(values.now);
const causes = new Map<string, number>();
let alarms = 0;
for (let seed = 0; seed < splits; seed++) {
  const order = [...new Random(keyFromSeed(seed)).permutation(rows.length)];
  const now = await part(order.slice(0, size));
  const before = await part(order.slice(size));
  const found = compareWith(profileOf(before.window, before.vectors), now.window, now.vectors);
  if (found.drifted) alarms++;
  for (const { name, drifted } of [...found.columns, ...found.spaces])
    if (drifted) causes.set(name, (causes.get(name) ?? 0) + 1);
  if (seed % 20 === 19)
    process.stderr.write(`${seed + 1} splits, ${alarms} alarms ${JSON.stringify([...causes])}\n`);
}
const { low, high } = clopperPearson(alarms, splits);
const percent = (x: number) => `${(100 * x).toFixed(1)} %`;
process.stdout.write(
  `${dataset.name}: ${alarms} alarms in ${splits} splits of ${rows.length - size} against ${size} pictures, ${percent(alarms / splits)} (95 %: ${percent(low)} to ${percent(high)})${[...causes].map(([name, n]) => `; ${name} ${n}`).join("")}\n`,
);
rmSync(folder, { recursive: true });
