/**
 * `npm run demo`: trains a CLIP on emoji in six styles and lets it name a seventh, by the public commands:
 *
 *     clipwright train emoji-demo
 *     clipwright evaluate runs/emoji-demo --suite examples/emoji/suite.json
 *     clipwright report runs/emoji-demo --data … --queries …
 */

import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { alignColumns } from "../../src/cli/columns.js";
import { type EvaluationRecord, evaluationTable, parseEvaluation } from "../../src/evaluate/records.js";
import { type CorruptionTable, corruptionTables } from "../../src/evaluate/suites/corruptions.js";
import { EXAMPLE_FOLDER, HELD_OUT_STYLES, installSets, prepare, type Summary } from "./prepare.js";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
const MAIN = join(ROOT, "dist/src/cli/main.js");
const RUN = "runs/emoji-demo";
const DATA = relative(ROOT, join(EXAMPLE_FOLDER, "data"));
const SUITE = relative(ROOT, join(EXAMPLE_FOLDER, "suite.json"));

const QUERIES = [
  "red apple",
  "sailboat",
  "crying face",
  "birthday cake",
  "violin",
  "snowman",
  "police car",
  "octopus",
];

/** Runs a command of the public interface, as a user would type it. */
function clipwright(...words: string[]): string {
  process.stderr.write(`\n$ clipwright ${words.map((w) => (/[\s;]/.test(w) ? `"${w}"` : w)).join(" ")}\n`);
  const quiet = words.includes("--json");
  const { status, stdout } = spawnSync(process.execPath, [MAIN, ...words], {
    cwd: ROOT,
    stdio: ["inherit", quiet ? "pipe" : "inherit", "inherit"],
    encoding: "utf8",
  });
  if (status !== 0) process.exit(status ?? 1);
  return stdout ?? "";
}

async function main(): Promise<void> {
  const started = performance.now();
  process.chdir(ROOT);
  if (!existsSync(join(EXAMPLE_FOLDER, "node_modules")))
    process.stderr.write("Fetching the emoji sets from npm …\n");
  await installSets();
  const summary = await prepare({
    onProgress: (done, total) => process.stderr.write(`\rDrawing ${done} of ${total} emoji`),
  });
  process.stderr.write(`\n${licenceLines(summary)}`);

  clipwright("train", "emoji-demo");
  const records = parseEvaluation(clipwright("evaluate", RUN, "--suite", SUITE, "--json"));
  const [first] = HELD_OUT_STYLES;
  const about = join(RUN, "about.json");
  mkdirSync(RUN, { recursive: true });
  writeFileSync(about, JSON.stringify(aboutPage(summary, records), null, 2));
  const folder = `${DATA}/${first}`;
  clipwright(
    "report",
    RUN,
    ...["--data", `${folder}/test/0.tar`, "--name", first, "--classnames", `${folder}/classnames.txt`],
    ...["--templates", `${folder}/zeroshot_classification_templates.txt`],
    ...["--queries", QUERIES.join(";"), "--about", about],
  );

  const minutes = (performance.now() - started) / 60_000;
  process.stdout.write(`\n${evaluationTable(records)}`);
  const [{ title, columns, rows }] = corruptionTables(records) as [CorruptionTable];
  process.stdout.write(`\n${title}\n${alignColumns([columns, ...rows])}`);
  process.stdout.write(
    `\n${summary.classes} names, and none of these styles was trained on.\n` +
      `${minutes.toFixed(1)} minutes in all. Open ${RUN}/report.html to see the pictures.\n` +
      `Search them, and try classes of your own: npx clipwright serve ${RUN} --images ${folder}/test/0.tar --classnames ${folder}/classnames.txt\n`,
  );
}

const licenceLines = (summary: Summary): string =>
  summary.styles.map((s) => `  ${s.title} by ${s.author}, ${s.licence} (${s.split})\n`).join("");

function aboutPage(summary: Summary, records: readonly EvaluationRecord[]) {
  const find = (metric: string) => records.find((record) => record.metric === metric)!;
  const percent = (x: number) => `${(100 * x).toFixed(1)} %`;
  const card = (label: string, metric: string) => {
    const { value, low, high } = find(metric);
    return { label, value: percent(value), detail: `${percent(low)} to ${percent(high)}` };
  };
  const drawings = summary.styles.filter((s) => s.split === "train").reduce((n, s) => n + s.drawings, 0);
  return {
    title: "A CLIP that names emoji in a style it has never seen",
    summary: `Trained for minutes on ${drawings.toLocaleString("en-US")} drawings in six styles; asked to name drawings of a seventh, among ${summary.classes.toLocaleString("en-US")} names. Guessing would be right once in ${summary.classes.toLocaleString("en-US")}.`,
    headline: [
      card("first name right", "acc1"),
      card("among five", "acc5"),
      card("picture found by its name, first of all", "image_retrieval_recall@1"),
      card("first name right by the 10 nearest drawings of the six styles", "knn_acc1@10"),
    ],
    notes: ["Made by: npm ci && npm run demo"],
    licences: summary.styles.map((s) => ({
      name: `${s.title} (${s.author})`,
      licence: s.licence,
      source: s.home,
    })),
  };
}

await main();
