/** An engine whose device a test has in its hand: it says what was done when, holds results back, and fails on demand. */

import type { DeviceBuffer, Engine, Executable } from "../../src/engines/engine.js";
import { OnnxRuntime } from "../../src/engines/onnxruntime.js";
import type { Graph } from "../../src/graph/graph.js";

export interface Watch {
  /** Told of each image batch that goes up, of each start of a step, and of each step whose numbers were read. */
  readonly on?: (event: "upload" | "start" | "read", step: number) => void;
  /** The numbers of a step can be read once this settles; a rejection is the device's failure in that step. */
  readonly device?: (step: number) => Promise<void>;
  /** Throws to refuse a program. */
  readonly compile?: (name: string) => void;
  /** Throws for a device that cannot even be closed. */
  readonly close?: () => void;
}

/** ONNX Runtime, watched. Steps are counted from `firstStep` + 1. */
export function watchedEngine(watch: Watch, firstStep = 0): Engine {
  const inner = new OnnxRuntime({ threads: 1 });
  let uploads = firstStep;
  let starts = firstStep;
  const { on = () => {} } = watch;
  const metrics = new Map<DeviceBuffer, number>();
  const isStep = (graph: Graph) => graph.outputs.some(({ name }) => name === "metrics.loss");
  return {
    name: inner.name,
    capabilities: inner.capabilities,
    async compile(graph, options): Promise<Executable> {
      watch.compile?.(options?.name ?? "");
      const program = await inner.compile(graph, options);
      return {
        graph: program.graph,
        async run(inputs) {
          if (isStep(graph)) on("start", ++starts);
          const outputs = await program.run(inputs);
          if (isStep(graph)) metrics.set(outputs["metrics.loss"]!, starts);
          return outputs;
        },
        plannedMemory: () => program.plannedMemory(),
        [Symbol.dispose]: () => program[Symbol.dispose](),
      };
    },
    upload(type, data, options) {
      if (options?.each && type.dtype === "u8") on("upload", ++uploads);
      return inner.upload(type, data, options);
    },
    async download(buffer) {
      const step = metrics.get(buffer);
      if (step !== undefined) {
        metrics.delete(buffer);
        await watch.device?.(step);
        on("read", step);
      }
      return inner.download(buffer);
    },
    peakMemory: () => inner.peakMemory(),
    stats: () => inner.stats(),
    async [Symbol.asyncDispose]() {
      watch.close?.();
      await inner[Symbol.asyncDispose]();
    },
  };
}
