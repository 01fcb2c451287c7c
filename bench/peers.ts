/**
 * `npm run bench:peers`: our train step and open_clip's on PyTorch, in turns, each in a process of its own, on the
 * same model, batch, context and threads. Prints a table of medians and of the ratio round by round.
 *
 *     npm run bench:peers -- --case ViT-S-32:32:77 --case ViT-B-32:16:77 --rounds 3 --steps 5 --threads 2
 *
 * Needs a Python with torch and open_clip_torch (`--python PATH`); without it, it says so and measures ours alone.
 */

import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

interface Measured {
  readonly imagesPerSecond: number;
  readonly peakMemoryBytes: number;
  readonly shareOfMatmul?: number;
  readonly gflops?: number;
}

interface Case {
  readonly model: string;
  readonly batch: string;
  readonly context: string;
}

const { values } = parseArgs({
  options: {
    case: { type: "string", multiple: true, default: ["ViT-S-32:32:77", "ViT-B-32:16:77"] },
    rounds: { type: "string", default: "3" },
    steps: { type: "string", default: "5" },
    threads: { type: "string", default: "2" },
    python: { type: "string", default: "python3" },
    precision: { type: "string", multiple: true, default: ["f32"] },
    json: { type: "boolean", default: false },
  },
});

const MAIN = fileURLToPath(new URL("../src/cli/main.js", import.meta.url));
const PEER = fileURLToPath(new URL("../../bench/open_clip_step.py", import.meta.url));

function measure(command: string, words: readonly string[]): Measured | undefined {
  const { status, stdout, stderr } = spawnSync(command, words, { encoding: "utf8", maxBuffer: 2 ** 26 });
  if (status === 0) return JSON.parse(stdout.slice(stdout.indexOf("{")));
  process.stderr.write(`${command} ${words.join(" ")}\n${(stderr ?? "not found").slice(-400)}\n`);
  return undefined;
}

const common = ({ model, batch, context }: Case) => [
  ...["--model", model, "--batch", batch, "--context", context],
  ...["--steps", values.steps, "--threads", values.threads],
];
const ours = (c: Case) => measure(process.execPath, [MAIN, "bench", "step", ...common(c), "--json"]);
const theirs = (c: Case, precision: string) =>
  measure(values.python, [PEER, ...common(c), "--precision", precision]);

const median = (list: readonly number[]): number =>
  [...list].sort((a, b) => a - b)[list.length >> 1] ?? Number.NaN;
const gib = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(2)} GiB`;

const results = [];
for (const text of values.case) {
  const [model, batch = "32", context = "77"] = text.split(":");
  const one: Case = { model: model!, batch, context };
  for (const precision of values.precision) {
    const pairs: { ours: Measured; theirs: Measured | undefined }[] = [];
    for (let round = 0; round < Number(values.rounds); round++) {
      const mine = ours(one);
      if (mine === undefined) process.exit(1);
      pairs.push({ ours: mine, theirs: theirs(one, precision) });
    }
    const of = (f: (p: (typeof pairs)[number]) => number | undefined) =>
      median(pairs.map(f).filter((x): x is number => x !== undefined));
    results.push({
      ...one,
      precision,
      imagesPerSecond: of((p) => p.ours.imagesPerSecond),
      peerImagesPerSecond: of((p) => p.theirs?.imagesPerSecond),
      ratio: of((p) => (p.theirs ? p.ours.imagesPerSecond / p.theirs.imagesPerSecond : undefined)),
      ratios: pairs.map((p) => (p.theirs ? p.ours.imagesPerSecond / p.theirs.imagesPerSecond : undefined)),
      shareOfMatmul: of((p) => p.ours.shareOfMatmul),
      gflops: of((p) => p.ours.gflops),
      peakMemory: gib(of((p) => p.ours.peakMemoryBytes)),
      peerPeakMemory: gib(of((p) => p.theirs?.peakMemoryBytes)),
    });
  }
}
if (values.json) process.stdout.write(`${JSON.stringify(results, null, 2)}\n`);
else {
  process.stdout.write(
    "| model | batch, tokens | ours, f32, images/s | open_clip | its precision | ratio (rounds) | share of matmul | memory, ours / open_clip |\n|---|---|---|---|---|---|---|---|\n",
  );
  for (const r of results) {
    const rounds = r.ratios.map((x) => x?.toFixed(2) ?? "–").join(", ");
    process.stdout.write(
      `| ${r.model} | ${r.batch}, ${r.context} | ${r.imagesPerSecond.toFixed(2)} | ${r.peerImagesPerSecond.toFixed(2)} | ${r.precision} | **${r.ratio.toFixed(2)}** (${rounds}) | ${(100 * r.shareOfMatmul).toFixed(0)} % | ${r.peakMemory} / ${r.peerPeakMemory} |\n`,
    );
  }
}
