/** A run's folder that was never trained: a small model with random weights, and a recipe of the test's. */

import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { realDisk } from "../../src/core/disk.js";
import { writeCheckpoint } from "../../src/storage/checkpoint.js";
import { fixture } from "./fixture.js";

/** Makes the folder `run` with a checkpoint of 3 steps; gives it. */
export function makeRun(run: string, recipe: object): string {
  const model = fixture("embed");
  mkdirSync(join(run, "checkpoints"), { recursive: true });
  for (const file of ["open_clip_config.json", "bpe_simple_vocab_16e6.txt.gz"])
    cpSync(join(model, file), join(run, file));
  const weights = readFileSync(join(model, "open_clip_model.safetensors"));
  writeCheckpoint(realDisk, join(run, "checkpoints"), 3, { "params.safetensors": weights }, {});
  writeFileSync(join(run, "config.json"), JSON.stringify(recipe));
  return run;
}
