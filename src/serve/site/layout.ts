/** What a site of files holds, for who writes it and for the page that reads it. Plain TypeScript. */

import type { Description } from "../page/source.js";

/** Form of the numbers of an exported model, as transformers.js calls it. */
export type WebNumberForm = "fp32" | "fp16" | "q8" | "int8" | "q4";

/** `site.json`, beside `index.html`. */
export interface SiteInfo {
  readonly description: Description;
  /** Form of the model's numbers. */
  readonly dtype: WebNumberForm;
  /** Whether the picture tower is there: pictures can be dropped. */
  readonly pictures: boolean;
  /** Whether the runtime for WebGPU is there. */
  readonly webgpu: boolean;
  /** The index's map, where it has one. */
  readonly map?: string | undefined;
}

/** All beside `index.html`. */
export const SITE = {
  info: "site.json",
  script: "page.js",
  style: "style.css",
  icon: "icon.svg",
  model: "model",
  index: "index",
  runtime: "runtime",
} as const;

/** Of onnxruntime-web's `dist`, its own names: the module, and what it fetches. */
export const RUNTIMES = {
  wasm: ["ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm"],
  webgpu: [
    "ort.webgpu.min.mjs",
    "ort-wasm-simd-threaded.asyncify.mjs",
    "ort-wasm-simd-threaded.asyncify.wasm",
  ],
} as const;
