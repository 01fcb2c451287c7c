/**
 * `npm run bench:peers`: our train step and open_clip's on PyTorch, in turns, each in a process of its own, on the
 * same model, batch and context. Prints a table of medians and of the ratios round by round.
 *
 *     npm run bench:peers -- --case ViT-S-32:32:77 --case ViT-B-32:16:77 --rounds 3 --steps 5 --threads 2
 *     npm run bench:peers -- --case ViT-B-16:512:77 --case ViT-B-16:512:16      (on a GPU)
 *
 * Where PyTorch sees a GPU: ours on XLA in bf16 and bf16-results beside open_clip's amp_bf16, with and without
 * torch.compile. Elsewhere: ours on ONNX Runtime beside open_clip, both in f32. `--engine`, `--ours` and `--peer`
 * choose otherwise. Needs a Python with torch and open_clip_torch (`--python PATH`); without it, it says so and
 * measures ours alone.
 */

import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const { values } = parseArgs({
  options: {
    case: { type: "string", multiple: true },
    rounds: { type: "string", default: "3" },
    steps: { type: "string" },
    threads: { type: "string" },
    python: { type: "string", default: "python3" },
    device: { type: "string", default: "auto" },
    engine: { type: "string" },
    plugin: { type: "string" },
    /** Our precisions. */
    ours: { type: "string", multiple: true },
    /** f32, amp_bf16, or either with +compile. */
    peer: { type: "string", multiple: true },
    "grad-checkpointing": { type: "boolean", default: false },
    attention: { type: "string" },
    "xla-flag": { type: "string", multiple: true, default: [] },
    json: { type: "boolean", default: false },
  },
});

const MAIN = fileURLToPath(new URL("../src/cli/main.js", import.meta.url));
const PEER = fileURLToPath(new URL("../../bench/open_clip_step.py", import.meta.url));
/** torch.compile takes minutes; something that hangs should not take the night. */
const LIMIT_MS = 30 * 60_000;

interface Measured {
  readonly imagesPerSecond: number;
  readonly peakMemoryBytes: number;
  /** Ours only. */
  readonly macs?: number;
  readonly devices?: number;
  readonly matmulGflops?: number;
  readonly attention?: string;
  readonly precision?: string;
  readonly compileSeconds?: number;
  /** The peer's only: compiling included. */
  readonly firstStepSeconds?: number;
}

interface Case {
  readonly model: string;
  readonly batch: string;
  readonly context: string;
}

function call(command: string, words: readonly string[]): unknown {
  const { status, stdout, stderr, error } = spawnSync(command, words, {
    encoding: "utf8",
    maxBuffer: 2 ** 26,
    timeout: LIMIT_MS,
  });
  if (status === 0) return JSON.parse(stdout.slice(stdout.indexOf("{")));
  process.stderr.write(`${command} ${words.join(" ")}\n${(error?.message ?? stderr ?? "").slice(-1500)}\n`);
  return undefined;
}

function findDevice(): "cpu" | "cuda" {
  if (values.device === "cpu" || values.device === "cuda") return values.device;
  const found = spawnSync(values.python, ["-c", "import torch; print(torch.cuda.is_available())"], {
    encoding: "utf8",
  });
  if (found.status !== 0) process.stderr.write(`No peer: ${values.python} has no torch. Ours alone.\n`);
  return found.stdout?.trim() === "True" ? "cuda" : "cpu";
}

const device = findDevice();
const onGpu = device === "cuda";
const engine = values.engine ?? (onGpu ? "xla" : "onnxruntime");
const oursPrecisions = values.ours ?? (onGpu ? ["bf16", "bf16-results"] : ["f32"]);
const peers = values.peer ?? (onGpu ? ["amp_bf16", "amp_bf16+compile"] : ["f32"]);
const steps = values.steps ?? (onGpu ? "20" : "5");
const cases = values.case ?? (onGpu ? ["ViT-B-32:1024:77", "ViT-B-16:512:77"] : ["ViT-S-32:32:77"]);
const threads = onGpu ? undefined : (values.threads ?? "2");

const common = ({ model, batch, context }: Case): string[] => [
  ...["--model", model, "--batch", batch, "--context", context, "--steps", steps],
  ...(threads === undefined ? [] : ["--threads", threads]),
  ...(values["grad-checkpointing"] ? ["--grad-checkpointing"] : []),
];

function ours(one: Case, precision: string): Measured | undefined {
  const words = [
    ...[MAIN, "bench", "step", ...common(one), "--engine", engine, "--precision", precision, "--json"],
    ...(values.plugin === undefined ? [] : ["--plugin", values.plugin]),
    ...(values.attention === undefined ? [] : ["--attention", values.attention]),
    ...values["xla-flag"].flatMap((word) => ["--xla-flag", word]),
  ];
  const found = call(process.execPath, words) as { runs: [Measured] } | undefined;
  return found?.runs[0];
}

function theirs(one: Case, variant: string): Measured | undefined {
  const [precision, compile] = variant.split("+");
  const words = [PEER, ...common(one), "--precision", precision!, "--device", device];
  return call(values.python, compile === "compile" ? [...words, "--compile"] : words) as Measured | undefined;
}

const numbers = (list: readonly (number | undefined)[]): number[] => list.filter((x) => x !== undefined);
function median(list: readonly (number | undefined)[]): number | undefined {
  const sorted = numbers(list).sort((a, b) => a - b);
  return sorted[sorted.length >> 1];
}

interface Row extends Case {
  readonly what: string;
  readonly imagesPerSecond: number | undefined;
  /** Ours over each peer, by its name: the median, and round by round. */
  readonly ratios?: Readonly<Record<string, { median: number | undefined; rounds: (number | undefined)[] }>>;
  /** By our count of multiply-adds and our measured rate of products of the same format, for both. */
  readonly mfu: number | undefined;
  readonly peakMemoryBytes: number | undefined;
  readonly firstSeconds: number | undefined;
  readonly attention?: string | undefined;
}

const rows: Row[] = [];
for (const text of cases) {
  const [model, batch = "32", context = "77"] = text.split(":");
  const one: Case = { model: model!, batch, context };
  const rounds: { ours: (Measured | undefined)[]; theirs: (Measured | undefined)[] }[] = [];
  for (let round = 0; round < Number(values.rounds); round++) {
    // In turns, so that what else the machine does, and its temperature, meets all of them.
    rounds.push({
      ours: oursPrecisions.map((precision) => ours(one, precision)),
      theirs: peers.map((variant) => theirs(one, variant)),
    });
    process.stderr.write(`${text}: round ${round + 1} of ${values.rounds}\n`);
  }
  const anyOurs = rounds.flatMap((r) => r.ours).find((m) => m !== undefined);
  const describe = (list: readonly (Measured | undefined)[], isF32: boolean) => {
    const imagesPerSecond = median(list.map((m) => m?.imagesPerSecond));
    const secondsAStep = imagesPerSecond === undefined ? undefined : Number(batch) / imagesPerSecond;
    const sameFormat = (precision: string | undefined) => (precision === "f32") === isF32;
    const rate = median(
      rounds.flatMap((r) => r.ours.map((m) => (sameFormat(m?.precision) ? m?.matmulGflops : undefined))),
    );
    return {
      imagesPerSecond,
      mfu:
        secondsAStep === undefined || rate === undefined || anyOurs?.macs === undefined
          ? undefined
          : (2 * anyOurs.macs) / secondsAStep / 1e9 / rate,
      peakMemoryBytes: median(list.map((m) => m?.peakMemoryBytes)),
      firstSeconds: list.find((m) => m !== undefined)?.[anyFirst(list)],
    };
  };
  oursPrecisions.forEach((precision, i) => {
    const list = rounds.map((r) => r.ours[i]);
    const ratios = Object.fromEntries(
      peers.map((variant, j) => {
        const each = rounds.map((r) => quotient(r.ours[i], r.theirs[j]));
        return [variant, { median: median(each), rounds: each }];
      }),
    );
    const attention = list.find((m) => m !== undefined)?.attention;
    rows.push({
      ...one,
      what: `ours, ${precision}`,
      ...describe(list, precision === "f32"),
      ratios,
      attention,
    });
  });
  peers.forEach((variant, j) => {
    const list = rounds.map((r) => r.theirs[j]);
    rows.push({ ...one, what: `open_clip, ${variant}`, ...describe(list, variant.startsWith("f32")) });
  });
}

function anyFirst(list: readonly (Measured | undefined)[]): "compileSeconds" | "firstStepSeconds" {
  return list.some((m) => m?.compileSeconds !== undefined) ? "compileSeconds" : "firstStepSeconds";
}

function quotient(a: Measured | undefined, b: Measured | undefined): number | undefined {
  return a === undefined || b === undefined ? undefined : a.imagesPerSecond / b.imagesPerSecond;
}

if (values.json) process.stdout.write(`${JSON.stringify({ device, engine, rows }, null, 2)}\n`);
else {
  const fixed = (x: number | undefined, digits: number) => x?.toFixed(digits) ?? "–";
  const head = [
    ...["model", "batch, tokens", "what", "images/s", "MFU", "peak GiB", "compile s"],
    ...peers.map((variant) => `ratio to ${variant} (rounds)`),
  ];
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |\n`;
  process.stdout.write(line(head) + line(head.map(() => "---")));
  for (const row of rows) {
    process.stdout.write(
      line([
        row.model,
        `${row.batch}, ${row.context}`,
        row.attention === undefined ? row.what : `${row.what}, attention ${row.attention}`,
        fixed(row.imagesPerSecond, 2),
        row.mfu === undefined ? "–" : `${(100 * row.mfu).toFixed(0)} %`,
        fixed(row.peakMemoryBytes && row.peakMemoryBytes / 2 ** 30, 2),
        fixed(row.firstSeconds, 1),
        ...peers.map((variant) => {
          const ratio = row.ratios?.[variant];
          if (ratio === undefined) return "";
          return `**${fixed(ratio.median, 2)}** (${ratio.rounds.map((x) => fixed(x, 2)).join(", ")})`;
        }),
      ]),
    );
  }
}
// Ours must run; that a peer is missing was said above.
if (rows.some((row) => row.ratios !== undefined && row.imagesPerSecond === undefined)) process.exitCode = 1;
