/** Which engine trains a model fastest on this machine: every one that is installed, in turns. */

import { type EngineSpeeds, rememberSpeeds } from "../../engines/choose.js";
import { listEngines, openEngine } from "../../engines/registry.js";
import type { Precision } from "../recipe/machine-fields.js";
import { benchStep, type StepBenchOptions } from "./bench.js";

const ROUNDS = 2;

export interface EnginesBenchOptions extends Omit<StepBenchOptions, "precision"> {
  /** For the record. */
  readonly model: string;
  readonly threads?: number | undefined;
  /** Told of each measurement. */
  readonly say: (line: string) => void;
}

/**
 * Images a second of train steps on every usable engine, in f32 and in what `--precision auto` means on it; the better
 * of two rounds. What one cannot run is told and left out. Kept for `--engine auto`; gives the file as well.
 */
export async function benchEngines({
  model,
  threads,
  say,
  ...step
}: EnginesBenchOptions): Promise<{ speeds: EngineSpeeds; path: string }> {
  const imagesPerSecond: Record<string, number> = {};
  for (let round = 0; round < ROUNDS; round++) {
    for (const { engine: name, plugin } of listEngines().filter(({ usable }) => usable)) {
      await using engine = await openEngine(name, { threads, plugin, onChoice: say });
      const { preferredPrecision } = engine.capabilities;
      for (const precision of new Set<Precision>(["f32", preferredPrecision])) {
        const key = `${name} ${precision}`;
        try {
          const { imagesPerSecond: rate } = await benchStep(engine, { ...step, precision });
          imagesPerSecond[key] = Math.max(imagesPerSecond[key] ?? 0, rate);
          say(`${key}: ${rate.toPrecision(3)} images/s`);
        } catch (error) {
          say(`${key}: ${(error as Error).message}`);
        }
      }
    }
  }
  const speeds = { model, batchSize: step.batchSize, imagesPerSecond };
  return { speeds, path: rememberSpeeds(speeds) };
}
