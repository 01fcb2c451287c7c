/**
 * Clipwright as a library: `import { train } from "clipwright"`. What the command line does, as typed functions.
 *
 * Failures are of three classes: `UsageError` (what the caller can mend, in one line), `Unsupported` (an engine cannot
 * run a graph) and `InternalError` (a fault of Clipwright). Each has a `code`; a `UsageError` has the `key`, `file` and
 * `line` at fault where they are known.
 */

import type { TrainHooks, TrainResult } from "./train/hooks.js";
import { checkRecipe, type RecipeInput } from "./train/recipe/recipe.js";
import { train as trainChecked } from "./train/train.js";

export type { DType, TypedArray } from "./core/dtype.js";
export { InternalError, Unsupported, UsageError, type UsageErrorDetails } from "./core/errors.js";
export type { Shape, TensorType } from "./core/shape.js";
export {
  type Dataset,
  type DatasetOptions,
  formatInspection,
  type Inspection,
  type InspectOptions,
  inspectDataset,
  openDataset,
  type Sample,
  type SourceSpec,
} from "./data/index.js";
export { loadTokenizer } from "./data/tokenizer/load.js";
export type { Tokenizer } from "./data/tokenizer/tokenizer.js";
export type { DeviceBuffer, Engine, Executable } from "./engines/engine.js";
export { OnnxRuntime, type OnnxRuntimeOptions } from "./engines/onnxruntime.js";
export { listEngines, openEngine } from "./engines/registry.js";
export { runTask, type TaskRun } from "./evaluate/evaluate.js";
export type { Features } from "./evaluate/features/features.js";
export { type FeatureRows, type FeatureSource, freshFeatures } from "./evaluate/features/source.js";
export { FeatureStore, type FeatureStoreOptions } from "./evaluate/features/store.js";
export { Encoder, type EncoderOptions, type ImageFeatures } from "./evaluate/model/encoder.js";
export { type LoadedModel, loadModel, type ModelSource } from "./evaluate/model/load-model.js";
export { type EvaluationRecord, evaluationTable } from "./evaluate/records.js";
export { tasks } from "./evaluate/tasks/index.js";
export { type RetrievalDetails, retrievalTask } from "./evaluate/tasks/retrieval.js";
export type {
  EvaluationSet,
  Metric,
  Task,
  TaskContext,
  TaskOutcome,
  TaskScore,
} from "./evaluate/tasks/task.js";
export { type ZeroshotDetails, zeroshotTask } from "./evaluate/tasks/zeroshot.js";
export * as graph from "./graph/index.js";
export { type Clip, makeClip } from "./models/clip.js";
export { type ClipConfig, parseClipConfig } from "./models/config/config.js";
export type { PreprocessConfig } from "./models/config/preprocess.js";
export { type ModelSummary, summarize } from "./models/presets/catalog.js";
export type { Preset } from "./models/presets/preset.js";
export { findPreset, presets } from "./models/presets/presets.js";
export { type TextSize, textSizes } from "./models/text/text-sizes.js";
export type { RunStart, ScoreLine, StepReport, TrainHooks, TrainResult } from "./train/hooks.js";
export { defineRecipe, type RecipeInput } from "./train/recipe/recipe.js";

/**
 * Trains what `recipe` says (its keys: docs/recipe.md) in the folder `LOGS/NAME`. Called again with the same recipe, it
 * goes on from the latest checkpoint. Throws `UsageError` for what the caller can mend: a wrong setting, bad data, a full
 * disk, a loss that is not finite.
 */
export async function train(recipe: RecipeInput, hooks: TrainHooks = {}): Promise<TrainResult> {
  return trainChecked(checkRecipe(recipe), hooks);
}
