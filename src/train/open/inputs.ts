/** The second step of opening a run: its data, and the model's description fitted to them. */

import { areNumbers, classesOf, datasetLabels } from "../../data/class-names.js";
import type { Dataset } from "../../data/index.js";
import { saveTokenizer } from "../../data/tokenizer/save.js";
import type { Recipe } from "../recipe/recipe.js";
import { openRunData, type RunData } from "./data.js";
import type { OpenFolder } from "./folder.js";
import { prepareModel, type RunModel, saveModelConfig } from "./model.js";
import { type Pipelines, pipelinesOf } from "./pipelines.js";

export interface Inputs {
  readonly data: RunData;
  readonly model: RunModel;
  readonly pipelines: Pipelines;
}

/** What the caller brings, and the recipe's words for it then do not count. */
export interface GivenInputs {
  /** In the place of `trainData`. */
  readonly trainSet?: Dataset | undefined;
  /** File of a vocabulary, where one would be learned. */
  readonly vocabulary?: string | undefined;
}

/** Opens the data, and learns or loads the tokenizer. A run that goes on keeps the one in its folder. */
export async function openInputs(
  folder: OpenFolder,
  { trainSet, vocabulary }: GivenInputs = {},
): Promise<Inputs> {
  const { recipe, processes, hooks, run, path, resumed } = folder;
  const say = (line: string) => hooks.onMessage?.(line, "note");
  const data = await openRunData(recipe, say, processes, run, trainSet);
  const pairs = data.train.length;
  if (run !== undefined && resumed === undefined && pairs < FEW_PAIRS && recipe.pretrained === undefined)
    hooks.onMessage?.(
      `Only ${pairs} pairs: a model that starts from nothing learns little from so few. What helps: weights to start from (clipwright train finetune --train-data … --pretrained NAME; clipwright models --pretrained lists some), several captions a picture, changed pictures (--augment), and --val-split, which shows when it memorizes.`,
      "note",
    );
  const classNames = classNamesOf(recipe, data);
  const fitted = (stored: string | undefined) =>
    prepareModel(recipe, { train: data.train, classNames, stored });
  const known = recipe.tokenizer === "bpe" ? vocabulary : undefined;
  let model: RunModel | undefined;
  if (run !== undefined) {
    model = await fitted(resumed === undefined ? known : path);
    saveTokenizer(model.tokenizer, run.file(model.tokenizer.fileName));
    saveModelConfig(run.file, model);
  }
  await processes.share("tokenizer", () => true);
  model ??= await fitted(path);
  const { cut, textLength } = model;
  // Every process reads all captions: one tells of them.
  if (run !== undefined && cut.captions > CUT_SHARE * cut.of)
    hooks.onMessage?.(
      `${cut.captions} of ${cut.of} captions are longer than the ${textLength} tokens that are read, and are cut, e.g. "${cut.example}".`,
      "warning",
    );
  return { data, model, pipelines: pipelinesOf(recipe, model) };
}

/** Fewer are told. */
const FEW_PAIRS = 1000;

/** A larger share of cut captions is told by itself. */
const CUT_SHARE = 0.02;

/** Names of the classes that prompts may name: of the training images, and of those that are classified. */
function classNamesOf(recipe: Recipe, { train, zeroshot }: RunData): string[] {
  const of = (dataset: Dataset | undefined, file: string | undefined) => {
    const labels = dataset === undefined ? [] : datasetLabels(dataset);
    if (dataset === undefined || labels.length === 0 || (file === undefined && areNumbers(labels))) return [];
    return classesOf(labels, dataset.name, file).names;
  };
  const { classnames, zeroshotClassnames = classnames } = recipe;
  return [...of(train, classnames), ...of(zeroshot, zeroshotClassnames)];
}
