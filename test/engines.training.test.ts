/** `clipwright train` on XLA's devices: killed on four, continued on four, two and one. Part of test:xla. */

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { before, describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { pngOf, put, scratchFolder } from "./data.helpers.js";
import { assertClose } from "./support/close.js";
import { enginesForSteps, quickFlags } from "./support/engines.js";

const main = fileURLToPath(new URL("../src/cli/main.js", import.meta.url));
const folder = scratchFolder();
const pathOf = (name: string, ...more: string[]) => join(folder, "runs", name, ...more);

/** Six rows a batch, which four devices do not divide. */
const settings = (name: string, devices: number): string[] =>
  [
    `--model ${join(folder, "tiny.json")} --train-data ${join(folder, "pairs")} --logs ${join(folder, "runs")}`,
    `--name ${name} --engine xla --devices ${devices} --steps 16 --batch-size 6 --vocab-size 280 --workers 1`,
    "--log-every-n-steps 1 --save-frequency 2steps --keep-last 9 --crop-scale 0.5,1 --ema-decay 0.9",
  ]
    .join(" ")
    .split(" ");

async function clipwright(words: readonly string[], interrupt?: (child: ChildProcess) => Promise<void>) {
  const flags = Object.entries(quickFlags).map(([name, value]) => `--${name}=${value}`);
  const child = spawn(process.execPath, [main, "train", ...words], {
    stdio: ["ignore", "ignore", "pipe"],
    env: { ...process.env, XLA_FLAGS: flags.join(" ") },
  });
  let err = "";
  child.stderr.on("data", (piece) => {
    err += piece;
  });
  const ended = once(child, "close");
  await interrupt?.(child);
  const [code] = await ended;
  return { code, err };
}

const losses = (name: string): number[] =>
  readFileSync(pathOf(name, "metrics.jsonl"), "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line).loss);

const weights = (name: string): string[] => {
  const last = readdirSync(pathOf(name, "checkpoints")).sort().at(-1)!;
  return ["params", "optimizer", "ema"].map(
    (file) =>
      last + readFileSync(pathOf(name, "checkpoints", last, `${file}.safetensors`)).toString("base64"),
  );
};

if (enginesForSteps.some((e) => e.target === "stablehlo")) {
  describe("clipwright train on four devices, killed", () => {
    before(async () => {
      put(
        folder,
        "tiny.json",
        JSON.stringify({
          embed_dim: 8,
          vision_cfg: { image_size: 16, patch_size: 8, width: 16, head_width: 8, layers: 1 },
          text_cfg: { context_length: 8, width: 16, heads: 2, layers: 1 },
        }),
      );
      for (let i = 0; i < 24; i++) {
        put(folder, `pairs/${i}.png`, await pngOf(i, 20, 18));
        put(folder, `pairs/${i}.txt`, `picture number ${i}\nsomething of kind ${i % 3}`);
      }
      const whole = await clipwright(settings("whole", 4));
      assert.equal(whole.code, 0, whole.err);
      const saved = pathOf("on-4", "checkpoints", "step-00000004");
      await clipwright(settings("on-4", 4), async (child) => {
        while (!existsSync(saved)) await delay(2);
        child.kill("SIGKILL");
      });
      for (const devices of [1, 2]) {
        cpSync(pathOf("on-4"), pathOf(`on-${devices}`), { recursive: true });
        // The copy has no writer.
        rmSync(pathOf(`on-${devices}`, "lock-1.json"), { force: true });
      }
    });

    for (const devices of [4, 2, 1]) {
      test(`it goes on with ${devices}`, async () => {
        const { code, err } = await clipwright(settings(`on-${devices}`, devices));
        assert.equal(code, 0, err);
        assert.match(err, /Continues .* from step \d+ of 16/);
        // Sums in another order; AdamW divides by small numbers.
        assertClose(losses(`on-${devices}`), losses("whole"), 1e-4, "losses");
        if (devices === 4) assert.deepEqual(weights("on-4"), weights("whole"), "to the bit");
      });
    }
  });
} else {
  test("clipwright train on XLA's devices", { skip: "NOT TESTED here: npm run test:xla does" }, () => {});
}
