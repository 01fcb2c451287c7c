/** The sets of a suite, opened: data with what belongs to them. */

import { UsageError } from "../../core/errors.js";
import { type Dataset, type DatasetOptions, openDataset } from "../../data/index.js";
import type { EvaluationSet } from "../tasks/task.js";
import { type BenchmarkFolder, benchmarkFolder } from "./clip-benchmark.js";
import type { Corruptions } from "./corruptions.js";
import { openImageNet } from "./imagenet.js";
import type { SetRole } from "./score.js";
import type { Suite, SuiteSet } from "./suite.js";

export interface OpenSet extends EvaluationSet {
  readonly role: SetRole;
  /** Undefined: those that suit the data. */
  readonly tasks: readonly string[] | undefined;
  /** Undefined: not corrupted. */
  readonly corruptions: Corruptions | undefined;
}

/** Opens every set that is scored, in order; what probes learn from is opened once. Throws `UsageError`. */
export async function openSuite(suite: Suite, options: DatasetOptions = {}): Promise<OpenSet[]> {
  const learned = new Map<string, Promise<Dataset>>();
  const open: OpenSet[] = [];
  for (const set of suite.sets) {
    if (set.role === "train") continue;
    const found = await openSet(set, options);
    const { train } = set;
    let part = found.train;
    if (train !== undefined && "set" in train) {
      const other = suite.sets.find(({ name }) => name === train.set)!;
      const known =
        learned.get(other.name) ?? openSet(other, options, "train").then(({ dataset }) => dataset);
      learned.set(other.name, known);
      part = await known;
    } else if (train !== undefined) {
      part = await openDataset(train.data, { ...options, ...(set.labelKey && { labelKey: set.labelKey }) });
    }
    const { role, tasks, corruptions } = set;
    open.push({ ...found, train: part, role, tasks, corruptions });
  }
  return open;
}

/** A set by itself; of a CLIP_benchmark folder the part `wanted`, and its training part beside it. */
async function openSet(
  set: SuiteSet,
  options: DatasetOptions,
  wanted: "train" | "test" = "test",
): Promise<EvaluationSet> {
  const { name, data, labelKey, imagenet: variant, fallback } = set;
  const own = { ...options, name, ...(labelKey && { labelKey }) };
  const { templates = fallback.templates, classnames = fallback.classnames } = set;
  if (variant !== undefined) {
    const found = await openImageNet({ ...set, variant, classnames }, own);
    return { ...found, templates };
  }
  const [only] = data;
  const folder = data.length === 1 ? await benchmarkFolder(only!, own) : undefined;
  if (folder === undefined) return { dataset: await openDataset(data, own), classnames, templates };
  return ofBenchmark(set, folder, wanted);
}

async function ofBenchmark(
  { name, classnames, templates, fallback }: SuiteSet,
  folder: BenchmarkFolder,
  wanted: "train" | "test",
): Promise<EvaluationSet> {
  const dataset = await folder.part(wanted);
  if (dataset === undefined) {
    throw new UsageError(
      `suite ${name}: has no ${wanted}/nshards.txt. Give data that probes can learn from.`,
    );
  }
  return {
    dataset,
    classnames: classnames ?? folder.classnames ?? fallback.classnames,
    templates: templates ?? folder.templates ?? fallback.templates,
    ...(wanted === "test" && folder.type === "classification" && { train: await folder.part("train") }),
  };
}
