/**
 * Clipwright as a library: `import { train } from "clipwright"`. What the command line does, as typed functions.
 *
 * Failures are of three classes: `UsageError` (what the caller can mend, in one line), `Unsupported` (an engine cannot
 * run a graph) and `InternalError` (a fault of Clipwright). Each has a `code`; a `UsageError` has the `key`, `file` and
 * `line` at fault where they are known.
 */

export {
  applySelection,
  compare,
  crossfit,
  evaluate,
  evaluationTable,
  exportModel,
  findLabelFaults,
  findPreset,
  formatInspection,
  inspectDataset,
  loadModel,
  loadTokenizer,
  makeClip,
  makeLadder,
  makeSelection,
  openDataset,
  openEngine,
  openModel,
  parseClipConfig,
  preparePicture,
  profileData,
  readFindings,
  readStudies,
  readTable,
  runTask,
  scorePairs,
  studiesPage,
  studyPage,
  summarize,
  summarizeTable,
  train,
  watchData,
} from "./api/checked.js";
export type { EvaluateOptions, SuiteScore } from "./api/evaluate.js";
export type { OpenModel, OpenModelOptions } from "./api/open-model.js";
export { collectRuns, formatPlan, makePlan, planCoverage, writePlan } from "./api/plan.js";
export { agreementOf, dawidSkene, faultsLeft, openReview, readReviewLog } from "./api/review.js";
export {
  formatAnswer,
  openStudy,
  type RunStudyOptions,
  runStudy,
  type StudyHandle,
  type StudyOptions,
} from "./api/study.js";
export { classify, embedImages, makeIndex, openIndex, search } from "./api/use.js";
export type { DType, TypedArray } from "./core/dtype.js";
export { InternalError, Unsupported, UsageError, type UsageErrorDetails } from "./core/errors.js";
export type { Shape, TensorType } from "./core/shape.js";
export type { PageServer, ServeOptions } from "./core/web/listen.js";
export type { LabelFaults } from "./curate/fit/accuracy/confident-learning.js";
export type { CrossfitOptions, CrossfitScores } from "./curate/fit/crossfit/crossfit.js";
export type { CrossfitPlan } from "./curate/fit/crossfit/plan.js";
export type { DawidSkene, DawidSkeneOptions } from "./curate/review/agreement/dawid-skene.js";
export type { Agreement, Rating } from "./curate/review/agreement/measures.js";
export type { ReviewerReport, ReviewReport } from "./curate/review/agreement/report.js";
export type { ReadVerdicts } from "./curate/review/log/log.js";
export type { PairId, Verdict } from "./curate/review/log/verdict.js";
export type { FaultsLeft, Stratum } from "./curate/review/order/faults-left.js";
export type { Decision, Outcome } from "./curate/review/outcome.js";
export type { Review, ReviewOptions } from "./curate/review/review.js";
export { scoreFamilies } from "./curate/scores/index.js";
export type { ScoredPairs, ScorePairsOptions } from "./curate/scores/run/score-pairs.js";
export type {
  ScoreColumn,
  ScoreFamily,
  ScoreHost,
  ScoreRow,
  ScoreValue,
  ScoreValues,
} from "./curate/scores/score.js";
export type { ExampleGroup } from "./curate/select/examples.js";
export type { Rule } from "./curate/select/rules.js";
export type { Combination } from "./curate/select/score.js";
export type { Ladder, RuleOutcome, SelectionOptions, SelectionReport } from "./curate/select/select.js";
export type { SqlRow } from "./curate/tables/database.js";
export type { ReadTableOptions } from "./curate/tables/read.js";
export type { ColumnSummary, TableSummary } from "./curate/tables/summary.js";
export type { DriftThresholds } from "./curate/watch/compare.js";
export type { DataProfile } from "./curate/watch/profile.js";
export type { DriftCheck, ProfileOptions, WatchModel, WatchOptions } from "./curate/watch/watch.js";
export type { ClassNames } from "./data/class-names.js";
export type {
  Dataset,
  DatasetOptions,
  Inspection,
  InspectOptions,
  Sample,
  SkippedSample,
  SourceDescription,
  SourceSpec,
} from "./data/index.js";
export type { CorruptionName } from "./data/pixels/corrupt/corruption.js";
export type { TableColumn, TableInfo } from "./data/selections/form.js";
export type { Selected, SelectOptions } from "./data/selections/select.js";
export type { LoadTokenizerOptions } from "./data/tokenizer/json.js";
export { saveTokenizer } from "./data/tokenizer/save.js";
export type { Tokenizer, TokenizerKind, TokenizerSummary } from "./data/tokenizer/tokenizer.js";
export type { Capabilities, CompileOptions, DeviceBuffer, Engine, Executable } from "./engines/engine.js";
export { OnnxRuntime, type OnnxRuntimeOptions } from "./engines/onnxruntime.js";
export { type EngineListing, type EngineName, type EngineOptions, listEngines } from "./engines/registry.js";
export type { MetricComparison, PairComparison, ScoredRun } from "./evaluate/compare.js";
export type { TaskRun } from "./evaluate/evaluate.js";
export type { Features } from "./evaluate/features/features.js";
export {
  type EmbeddedImages,
  type EmbeddedTexts,
  type FeatureRows,
  type FeatureSource,
  freshFeatures,
  type Progress,
} from "./evaluate/features/source.js";
export { FeatureStore, type FeatureStoreOptions } from "./evaluate/features/store.js";
export { Encoder, type EncoderOptions, type ImageFeatures } from "./evaluate/model/encoder.js";
export type { LoadedModel } from "./evaluate/model/load-model.js";
export type { ModelSource } from "./evaluate/model/locate.js";
export { type PretrainedModel, pretrainedModels } from "./evaluate/pretrained/catalog.js";
export type { CorruptedScore, EvaluationContext, EvaluationRecord } from "./evaluate/records.js";
export type { BootstrapOptions, Interval } from "./evaluate/statistics/bootstrap.js";
export type { GroupComparison, Needed } from "./evaluate/statistics/groups.js";
export type { McNemar } from "./evaluate/statistics/many.js";
export type { CorruptionsInput } from "./evaluate/suites/corruptions.js";
export type { ImageNetName } from "./evaluate/suites/imagenet.js";
export type { ScoredTask, SetRole } from "./evaluate/suites/score.js";
export {
  type ClassNamesInput,
  defineSuite,
  type SuiteInput,
  type SuiteSetInput,
} from "./evaluate/suites/suite.js";
export { tasks } from "./evaluate/tasks/index.js";
export { type RetrievalDetails, retrievalTask } from "./evaluate/tasks/retrieval.js";
export type {
  EvaluationSet,
  KnownClasses,
  Metric,
  Task,
  TaskContext,
  TaskOutcome,
  TaskScore,
} from "./evaluate/tasks/task.js";
export { type ZeroshotDetails, zeroshotTask } from "./evaluate/tasks/zeroshot.js";
export type { ExportFormName, ExportOptions, ExportResult } from "./export/export.js";
export type { Trial, Variant, VariantScore } from "./export/form.js";
export type { NumberFormName } from "./export/onnx/numbers/number-forms.js";
export type { PreparedPicture } from "./export/prepare-picture.js";
export * as graph from "./graph/index.js";
export type { Clip } from "./models/clip.js";
export type { ClipConfig } from "./models/config/config.js";
export type { PreprocessConfig } from "./models/config/preprocess.js";
export type { ModelSummary } from "./models/presets/catalog.js";
export type { Preset } from "./models/presets/preset.js";
export { presets } from "./models/presets/presets.js";
export { type TextSize, textSizes } from "./models/text/text-sizes.js";
export type { StudiesPageOptions } from "./report/studies/page.js";
export type { StudyPageOptions } from "./report/study/page.js";
export type { Guess } from "./serve/classify/classify.js";
export type { ClassifyOptions } from "./serve/classify/pictures.js";
export type { MadeIndex, MakeIndexOptions } from "./serve/index/make.js";
export type { NearestOptions, PictureIndex } from "./serve/index/open.js";
export type { Found, Picture, SearchQuery } from "./serve/index/search.js";
export type { IndexInfo, PictureName } from "./serve/search/layout.js";
export type { Hit } from "./serve/search/search.js";
export type { VectorType } from "./serve/search/vectors.js";
export type { Answer } from "./study/answer/answer.js";
export type {
  Findings,
  FoundCell,
  FoundCurve,
  FoundPanel,
  FoundScore,
} from "./study/answer/findings.js";
export type { PlannedRun } from "./study/design/cells.js";
export {
  defineStudy,
  type FactorInput,
  type LevelInput,
  type PartInput,
  type QuestionInput,
  type RegimeInput,
  type StudyInput,
  type StudySizes,
} from "./study/design/study.js";
export { paperCurves } from "./study/paper/curves.js";
export { paperFacts } from "./study/paper/facts.js";
export {
  type PaperCurve,
  type PaperExperiment,
  type PaperFact,
  type PaperMetric,
  type PaperPoint,
  type PaperRegime,
  paperSource,
} from "./study/paper/paper.js";
export type { CollectedRuns } from "./study/past/collect.js";
export type { PastRun, PastScore } from "./study/past/past-run.js";
export type { Advice } from "./study/plan/advice.js";
export type { BudgetInput } from "./study/plan/budget.js";
export type { Coverage, Expected } from "./study/plan/expected.js";
export type { PlannedOption, PlanOptions, TrainingPlan } from "./study/plan/plan.js";
export type { DeviceProfile } from "./study/plan/profile.js";
export type { Asked, Evidence, Predicted } from "./study/predict/predict.js";
export type { Outlook } from "./study/run/outlook.js";
export type { StudyOutcome } from "./study/study.js";
export type { RunStart, ScoreLine, StepReport, TrainHooks, TrainResult } from "./train/hooks.js";
export { defineRecipe, type Recipe, type RecipeInput } from "./train/recipe/recipe.js";
