/** `clipwright export`: a model as other libraries read it. */

import { UsageError } from "../../core/errors.js";
import { openDataset } from "../../data/index.js";
import type { Engine } from "../../engines/engine.js";
import { openEngine } from "../../engines/registry.js";
import { locateModel, type ModelSource } from "../../evaluate/model/locate.js";
import { openSuite } from "../../evaluate/suites/open.js";
import { chooseTasks, type ScoredTask, scoreSet } from "../../evaluate/suites/score.js";
import { loadSuite } from "../../evaluate/suites/suite.js";
import type { EvaluationSet } from "../../evaluate/tasks/task.js";
import { exportFormNames, exportForms, exportModel } from "../../export/export.js";
import type { Trial } from "../../export/form.js";
import { numberFormNames, numberForms } from "../../export/onnx/numbers/number-forms.js";
import { variantRows } from "../../export/variants-table.js";
import { choice, defaulted, flag, list, optional, real, text, type Values } from "../../settings/fields.js";
import { heldOutSets } from "../../train/run/data.js";
import { alignColumns } from "../columns.js";
import { defineCommand } from "../command.js";
import { ProgressLine } from "../progress-line.js";
import { modelOptions } from "../scoring.js";

const { model, tokenizer, checkpoint, ema, workers, threads } = modelOptions;

const trialOptions = {
  dtype: optional(
    list(choice(numberFormNames), { separator: "," }),
    `Forms of the numbers, for onnx and transformers.js: ${numberFormNames.map((name) => `${name}, ${numberForms[name].about}`).join("; ")}. fp32 otherwise, and for transformers.js q8.`,
  ),
  testData: optional(
    list(text("SOURCE"), { separator: "::" }),
    "What each form is scored on: images with captions, labels, or both; what the run held out otherwise.",
  ),
  suite: optional(text("FILE"), "Instead of --test-data: a suite of named sets (docs/evaluation.md)."),
  classnames: optional(text("FILE"), "Names of the classes of --test-data, one a line, or JSON."),
  maxLoss: defaulted(
    real({ min: 0, max: 100 }),
    1,
    "Points of a score that a form of the numbers may lose and still be written: top-1, or R@5 of retrieval.",
  ),
};

export const exportCommand = defineCommand({
  name: "export",
  summary: "Write a model as open_clip, transformers, ONNX Runtime or transformers.js read it.",
  description: `MODEL is a run, or another model as clipwright embed takes it. ${exportFormNames.map((name) => `${name}: ${exportForms[name].about}.`).join(" ")} Each folder has the tokenizer and a model card. What a form cannot say is refused with the reason.`,
  positionals: [
    { name: "MODEL", doc: "Run, checkpoint, model folder, name, or file of weights.", required: true },
  ],
  options: {
    Export: {
      to: defaulted(choice(exportFormNames), "open_clip", "The form."),
      out: optional(text("DIR"), "The folder to make; MODEL-FORM beside the model's folder otherwise."),
      name: optional(text("OWNER/NAME"), "Name for the card, and on the hub; the folder's otherwise."),
      license: optional(text("ID"), "Licence for the card, as the hub names it: mit, apache-2.0, …"),
      json: defaulted(flag(), false, "Print what was written, and what was found, as JSON."),
    },
    "Forms of the numbers": trialOptions,
    Model: { model, tokenizer, checkpoint, ema, workers, threads },
  },
  examples: [
    [
      "clipwright export runs/flickr --to open_clip --out flickr-clip",
      'For open_clip: "local-dir:flickr-clip".',
    ],
    ["clipwright export runs/flickr --to hf --out flickr-hf --license mit", "For CLIPModel.from_pretrained."],
    [
      "clipwright export runs/flickr --to transformers.js --dtype fp32,fp16,q8,q4",
      "For browsers and Node; each form scored on what the run held out.",
    ],
  ],
  async run({ options, positionals, terminal }) {
    const [path] = positionals as [string];
    using progress = new ProgressLine(terminal);
    const { to, name, license, dtype: dtypes, maxLoss, json, ...source } = options;
    const out =
      options.out ??
      `${path
        .replace(/[/\\]+$/, "")
        .replace(/^hf-hub:/, "")
        .replace(/\W+$/, "")}-${to}`;
    const from: ModelSource = { path, ...source, say: progress.say, progress: progress.show };
    const several = exportForms[to].dtypes !== undefined;
    await using engine = several ? await openEngine("onnxruntime", { threads: options.threads }) : undefined;
    const trial = engine && (await trialFor(engine, from, options, progress));
    const { files, variants } = await exportModel(from, { to, out, name, license, dtypes, maxLoss, trial });
    progress.clear();
    if (json) terminal.out(`${JSON.stringify({ out, files, variants }, null, 1)}\n`);
    else {
      const table = variants.length === 0 ? "" : `${alignColumns(variantRows(variants))}\n`;
      terminal.out(`${table}${out}\n${files.map((file) => `  ${file}\n`).join("")}`);
    }
    return 0;
  },
});

/** What the forms of the numbers are scored on; undefined where there is nothing to score on, which is told. */
async function trialFor(
  engine: Engine,
  source: ModelSource,
  options: Values<typeof trialOptions> & Pick<Trial, "workers" | "threads">,
  progress: ProgressLine,
): Promise<Trial | undefined> {
  const { run, step } = await locateModel(source);
  const sets = await setsFor(run, options, progress);
  if (sets === undefined) return undefined;
  const { workers, threads } = options;
  return {
    ...{ engine, workers, threads, onProgress: progress.show },
    async score(features) {
      const scored: ScoredTask[] = [];
      const where = step === undefined ? {} : { step };
      for (const { tasks = ["auto"], name, ...set } of sets)
        scored.push(...(await scoreSet(features, set, chooseTasks(tasks, set), { name, where })));
      return scored;
    },
  };
}

interface TrialSet extends EvaluationSet {
  readonly tasks?: readonly string[] | undefined;
  readonly name?: string | undefined;
}

async function setsFor(
  run: string | undefined,
  { testData, suite, classnames }: Values<typeof trialOptions>,
  progress: ProgressLine,
): Promise<readonly TrialSet[] | undefined> {
  if (testData !== undefined && suite !== undefined) {
    throw new UsageError("export: forms are scored on one thing; got --test-data and --suite. Keep one.", {
      key: "suite",
    });
  }
  const onProgress = progress.say;
  if (suite !== undefined)
    return (await openSuite(await loadSuite(suite), { onProgress })).filter(({ role }) => role !== "train");
  if (testData !== undefined) {
    const dataset = await openDataset(testData, { onProgress });
    return [{ dataset, ...(classnames !== undefined && { classnames }) }];
  }
  try {
    if (run !== undefined) return await heldOutSets(run, progress.say);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
  }
  progress.say("The forms of the numbers are not scored: the model has held nothing out. Give --test-data.");
  return undefined;
}
