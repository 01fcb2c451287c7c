/** Everything that the rest of Clipwright needs of the data, tokenizers apart. */
export type {
  Dataset,
  Sample,
  SourceDescription,
  SourceKind,
  SourceRange,
} from "./dataset.js";
export { concatDatasets, subset } from "./dataset.js";
export type { Container, ImageIndex } from "./image-index.js";
export {
  type EvaluationBatch,
  type EvaluationBatchOptions,
  evaluationBatches,
} from "./loading/evaluation.js";
export {
  type Batch,
  createLoader,
  type Loader,
  type LoaderOptions,
  type LoaderStats,
  type SkippedSample,
} from "./loading/loader.js";
export { type DuplicateGroup, type DuplicateOptions, duplicateGroups } from "./look/duplicates.js";
export { type Examined, type ExamineOptions, examineImages } from "./look/examine.js";
export { changeOfData, type DataChange, type DataFingerprint, fingerprintOf } from "./look/fingerprint.js";
export {
  type Dropped,
  type DropReason,
  type Inspection,
  type InspectOptions,
  inspectDataset,
  SMALLEST_SIDE,
} from "./look/inspect.js";
export { formatInspection } from "./look/inspection-text.js";
export { type Normalization, type NormalizationName, normalizations } from "./normalizations.js";
export { type DatasetOptions, openDataset, type SourceFormat, type SourceSpec } from "./open.js";
export { findPolicy, type Policy, policyList, policyNames } from "./pixels/augment/policies.js";
export type { ColorJitter, InkJitter } from "./pixels/augment/steps.js";
export {
  type EvaluationOptions,
  evaluationPipeline,
  type Pipeline,
  preprocessImage,
  type TrainingOptions,
  trainingPipeline,
  viewPipeline,
} from "./pixels/pipeline.js";
export type { Rgb } from "./pixels/read/image.js";
export type { Orientation, Transparency } from "./pixels/read/reading.js";
export type { ResizeMode } from "./pixels/resize/fit.js";
export type { Filter } from "./pixels/resize/resample.js";
export { type Split, type SplitOptions, splitByImage } from "./split.js";
