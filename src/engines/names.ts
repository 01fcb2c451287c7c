/** Engines by name. */

export const engineNames = ["onnxruntime", "openvino", "xla"] as const;
export type EngineName = (typeof engineNames)[number];
/** What `--engine` takes: a name, or `auto` for the best of them on this machine. */
export const engineChoices = ["auto", ...engineNames] as const;
