/** The part of onnxruntime-web that is used: `import * as ort from "onnxruntime-web"` is one. */

export interface WebTensor {
  readonly data: unknown;
  readonly dims: readonly number[];
}

export interface WebSession {
  readonly inputNames: readonly string[];
  run(feeds: Readonly<Record<string, WebTensor>>): Promise<Readonly<Record<string, WebTensor>>>;
  release(): Promise<void>;
}

export interface WebRuntime {
  readonly InferenceSession: {
    create(program: Uint8Array, options?: { executionProviders?: readonly string[] }): Promise<WebSession>;
  };
  readonly Tensor: new (
    type: "float32" | "int64",
    data: Float32Array | BigInt64Array,
    dims: readonly number[],
  ) => WebTensor;
}
