/**
 * `npm run bench:encoders`: every family of image encoders on the demo's data, each for the same time. The demo's recipe
 * and text tower, the matched presets' image towers (clipwright models --match 50M, 200M, 800M); scored on the style
 * that nobody has seen. Needs the demo's data (`npm run demo` once) and a machine that does nothing else.
 *
 *     npm run bench:encoders                                # 15 models of 3 minutes
 *     npm run bench:encoders -- --time 60s --line 50        # one line, a minute each
 *
 * Prints a Markdown table as it goes. Runs are kept in runs/encoders-*; a finished one is not trained again.
 */

import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { type EvaluationRecord, parseEvaluation } from "../src/evaluate/records.js";
import type { ClipConfig } from "../src/models/config/config.js";
import { summarize } from "../src/models/presets/catalog.js";
import { presets } from "../src/models/presets/presets.js";
import { requireEmoji, scoreWords, withDemoText } from "./emoji-set.js";

const { values } = parseArgs({
  options: {
    time: { type: "string", default: "3m" },
    line: { type: "string", multiple: true, default: ["50", "200", "800"] },
    family: { type: "string", multiple: true },
  },
});

const MAIN = fileURLToPath(new URL("../src/cli/main.js", import.meta.url));
requireEmoji();

function clipwright(...words: string[]): string {
  const { status, stdout } = spawnSync(process.execPath, [MAIN, ...words], {
    stdio: ["ignore", "pipe", "inherit"],
    encoding: "utf8",
    maxBuffer: 2 ** 26,
  });
  if (status !== 0) process.exit(status ?? 1);
  return stdout;
}

/** Trains one image tower under the demo's text tower; gives the scores on the unseen style. */
function trainAndScore(name: string, config: ClipConfig): { run: string; scores: EvaluationRecord[] } {
  const run = `encoders-${name.replace("clipwright-", "")}-${values.time}`;
  const model = JSON.stringify(withDemoText(config));
  const size = String(config.vision_cfg.image_size);
  clipwright(
    "train",
    "emoji-demo",
    ...["--name", run, "--model", model, "--keep-size", size, "--time", values.time!],
  );
  const scores = parseEvaluation(clipwright(...scoreWords(`runs/${run}`)));
  return { run: `runs/${run}`, scores };
}

/** Images a second while training, and how many were seen: of the last line of metrics. */
function paceOf(run: string): { samples: number; seconds: number } {
  const lines = readFileSync(`${run}/metrics.jsonl`, "utf8").trim().split("\n");
  const last = JSON.parse(lines.at(-1)!) as { samplesSeen: number; seconds: number };
  return { samples: last.samplesSeen, seconds: last.seconds };
}

const out = (line: string) => process.stdout.write(`${line}\n`);
out("| model | pixels | M multiply-adds | M parameters | images/s | samples | minutes | top-1 | top-5 |");
out("| --- | --- | --- | --- | --- | --- | --- | --- | --- |");
const matched = presets.filter(({ name }) => values.line!.some((line) => name.endsWith(`-${line}m`)));
for (const preset of matched) {
  if (values.family !== undefined && !values.family.some((f) => preset.name.includes(`-${f}-`))) continue;
  const { imageGmacs, imageParams, imageSize } = summarize(preset);
  const { run, scores } = trainAndScore(preset.name, preset.config);
  const { samples, seconds } = paceOf(run);
  const score = (metric: string) => {
    const { value, low, high } = scores.find((s) => s.metric === metric)!;
    return [value, low, high].map((x) => (100 * x).toFixed(1));
  };
  const cell = ([value, low, high]: string[]) => `${value} % (${low} to ${high})`;
  out(
    `| ${preset.name} | ${imageSize} | ${(imageGmacs * 1e3).toFixed(0)} | ${(imageParams / 1e6).toFixed(1)} | ` +
      `${(samples / seconds).toFixed(0)} | ${samples} | ${(seconds / 60).toFixed(1)} | ${cell(score("acc1"))} | ${cell(score("acc5"))} |`,
  );
}
