/**
 * Selecting from a table of ten million pairs: time and memory of three rules, and of applying the
 * selection to as many pairs.
 *
 * `node dist/bench/select.js [--pairs 10000000] [--threads 2] [--keep FOLDER]`, after `npm run build`; takes 3 GB of disk.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { version } from "../src/core/version.js";
import { makeSelection } from "../src/curate/select/select.js";
import { openTables } from "../src/curate/tables/database.js";
import type { Dataset } from "../src/data/index.js";
import { pairColumns, type TableInfo } from "../src/data/selections/form.js";
import { selectFrom } from "../src/data/selections/select.js";

const { values } = parseArgs({
  options: {
    pairs: { type: "string", default: "10000000" },
    threads: { type: "string", default: "2" },
    keep: { type: "string" },
    step: { type: "string" },
  },
});
const pairs = Number(values.pairs);
const folder = values.keep ?? mkdtempSync(join(tmpdir(), "clipwright-curation-"));
mkdirSync(folder, { recursive: true });
const scores = join(folder, "scores.parquet");
const selection = join(folder, "selection.parquet");

/** A table as `curate score` makes it, from random numbers. */
async function makeTable(): Promise<void> {
  const info: TableInfo = {
    format: 1,
    kind: "scores",
    sources: [{ name: "shards", source: "shards/", samples: pairs }],
    clipwright: version(),
    made: new Date().toISOString(),
    columns: [
      ...pairColumns,
      { name: "words", kind: "count", about: "Words." },
      { name: "language", kind: "text", about: "Language." },
      { name: "clip_score", kind: "number", about: "Cosine.", better: "higher" },
      { name: "duplicate_group", kind: "count", about: "Group." },
    ],
  };
  // A seed of DuckDB's own: the table is the same every time.
  const empty = join(fileURLToPath(new URL("../../test/fixtures/curate", import.meta.url)), "scores.parquet");
  await using database = await openTables({ tables: { any: empty }, writes: [scores] });
  await database.write(
    `SELECT 'shards' AS source, printf('%05d%05d', i // 10000, i % 10000) AS key, 0::INTEGER AS caption_index,
       md5(i::VARCHAR) AS uid,
       concat_ws(' ', 'a picture of', hash(i) % 5003, 'and', hash(i + 1) % 70001, 'beside', i % 977) AS caption,
       NULL::VARCHAR AS label,
       (hash(i, 1) % 20)::INTEGER AS words,
       CASE WHEN hash(i, 2) % 10 < 6 THEN 'en' ELSE 'de' END AS language,
       (hash(i, 3) % 1000003) / 1000003.0 AS clip_score,
       (CASE WHEN hash(i, 4) % 20 = 0 THEN hash(i, 5) % 250000 ELSE i END)::INTEGER AS duplicate_group
     FROM range(${pairs}) AS t(i)`,
    scores,
    info,
  );
}

/** Data whose keys are those of the table, and whose pictures are nowhere. */
function madeData(): Dataset {
  const digits = (n: number): string => String(n).padStart(5, "0");
  return {
    name: "shards",
    length: pairs,
    description: [],
    sources: [{ name: "shards", start: 0, length: pairs }],
    images: {
      containers: [],
      container: new Uint32Array(pairs),
      offset: new Float64Array(pairs),
      size: new Float64Array(pairs),
    },
    sample: (i) => ({
      key: `${digits(Math.floor(i / 10_000))}${digits(i % 10_000)}`,
      captions: ["a caption"],
    }),
    readBytes: async () => new Uint8Array(0),
  };
}

/** Peak of the process's memory, MiB. */
const peakMiB = (): number => process.resourceUsage().maxRSS / 1024;

/** Wall-clock, and what the cores computed: on a busy machine the first says little. */
function report(what: string, started: number): void {
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  const { user, system } = process.cpuUsage();
  const busy = ((user + system) / 1e6).toFixed(1);
  process.stdout.write(`${what}: ${seconds} s, ${busy} core seconds, at most ${Math.round(peakMiB())} MiB\n`);
}

if (values.step === "select") {
  const started = performance.now();
  const { kept, rows, rules } = await makeSelection(scores, selection, {
    rules: [
      { kind: "where", sql: "language = 'en' AND words > 2" },
      { kind: "unique", group: "duplicate_group", best: "clip_score" },
      { kind: "top", score: "clip_score", share: 0.3 },
    ],
    threads: Number(values.threads),
  });
  report(`three rules over ${rows} pairs, ${kept} kept`, started);
  for (const { name, drops, dropsAlone } of rules)
    process.stdout.write(`  ${name}: ${dropsAlone} alone, ${drops} in order\n`);
} else if (values.step === "apply") {
  const started = performance.now();
  const { images } = await selectFrom(madeData(), selection);
  report(`applying it to as many pairs, ${images.kept} kept`, started);
} else {
  try {
    if (!existsSync(scores)) {
      const started = performance.now();
      await makeTable();
      report(`made ${pairs} rows, ${Math.round(statSync(scores).size / 2 ** 20)} MiB`, started);
    }
    for (const step of ["select", "apply"]) {
      // Each in a process of its own, whose peak is its own.
      const words = [process.argv[1]!, "--step", step, "--keep", folder, "--threads", values.threads];
      spawnSync(process.execPath, words, { stdio: "inherit" });
    }
  } finally {
    if (values.keep === undefined) rmSync(folder, { recursive: true, force: true });
  }
}
