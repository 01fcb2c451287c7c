/**
 * The linear probe beside scikit-learn's: logistic regression of made features, ours with its sweep of penalties, theirs one
 * fit (L-BFGS) at the penalty that ours chose, in turns. Seconds, accuracy on test rows, and the ratio round by round.
 *
 *     npx tsc -p . && node dist/bench/probe.js --rows 50000 --width 512 --classes 1000 --rounds 1 --python PATH
 *
 * Features are of unit length, with few large directions as encoders have them, around a centre for each class. Needs a Python
 * with NumPy and scikit-learn; without it, ours is measured alone.
 */

import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { writeNpy } from "../src/core/npy.js";
import { keyFromSeed, Random } from "../src/core/random.js";
import { OnnxRuntime } from "../src/engines/onnxruntime.js";
import { predict } from "../src/evaluate/linear/classifier.js";
import { fitLogistic } from "../src/evaluate/linear/logistic.js";

const { values } = parseArgs({
  options: {
    rows: { type: "string", default: "50000" },
    width: { type: "string", default: "512" },
    classes: { type: "string", default: "1000" },
    rounds: { type: "string", default: "1" },
    /** How far class centres lie apart, in standard deviations within a class. */
    apart: { type: "string", default: "0.25" },
    /** Where scikit-learn stops: at its default, 1e-4, it ends far from the optimum of weak penalties. */
    tolerance: { type: "string", default: "1e-6" },
    python: { type: "string", default: "python3" },
  },
});
const N = Number(values.rows);
const D = Number(values.width);
const C = Number(values.classes);
const TEST = Math.min(10_000, N);
const PEER = fileURLToPath(new URL("../../bench/sklearn_probe.py", import.meta.url));

const random = new Random(keyFromSeed(1));
const centres = Float32Array.from({ length: C * D }, () => random.normal());
function draw(rows: number) {
  const data = new Float32Array(rows * D);
  const labels = Int32Array.from({ length: rows }, (_, i) => i % C);
  for (let i = 0; i < rows; i++) {
    let squares = 0;
    for (let d = 0; d < D; d++) {
      const x =
        (Number(values.apart) * centres[labels[i]! * D + d]! + random.normal()) / Math.sqrt(1 + d / 8);
      data[i * D + d] = x;
      squares += x * x;
    }
    for (let d = 0; d < D; d++) data[i * D + d]! /= Math.sqrt(squares);
  }
  return { features: { data, rows, width: D }, labels };
}

const train = draw(N);
const test = draw(TEST);
const folder = mkdtempSync(join(tmpdir(), "probe-"));
try {
  for (const [name, { features, labels }] of Object.entries({ train, test })) {
    writeNpy(join(folder, `${name}.npy`), { dtype: "f32", shape: [features.rows, D], data: features.data });
    writeNpy(join(folder, `${name}_labels.npy`), { dtype: "i32", shape: [features.rows], data: labels });
  }
  const engine = new OnnxRuntime();
  for (let round = 0; round < Number(values.rounds); round++) {
    const start = performance.now();
    const probe = await fitLogistic(engine, train.features, train.labels, C);
    const ours = (performance.now() - start) / 1000;
    const guesses = await predict(engine, probe.classifier, test.features);
    const accuracy = guesses.reduce((n, guess, i) => n + (guess === test.labels[i] ? 1 : 0), 0) / TEST;
    const tried = probe.tried
      .map((t) => `${t.penalty.toPrecision(2)}: ${(100 * t.accuracy).toFixed(1)}`)
      .join(", ");
    console.error(
      `ours     ${ours.toFixed(1)} s, ${(100 * accuracy).toFixed(2)} %, sweep included (${tried})`,
    );
    const peer = spawnSync(values.python, [PEER, folder, String(probe.penalty), values.tolerance], {
      encoding: "utf8",
    });
    if (peer.status !== 0) {
      console.error(`scikit-learn did not run: ${peer.stderr.trim().split("\n").at(-1)}`);
      continue;
    }
    const theirs = JSON.parse(peer.stdout) as { seconds: number; accuracy: number; iterations: number };
    console.error(
      `sklearn  ${theirs.seconds.toFixed(1)} s, ${(100 * theirs.accuracy).toFixed(2)} %, one fit of ${theirs.iterations} iterations; ratio ${(theirs.seconds / ours).toFixed(2)}`,
    );
  }
  await engine[Symbol.asyncDispose]();
} finally {
  rmSync(folder, { recursive: true, force: true });
}
