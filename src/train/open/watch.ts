/** The fifth step of opening a run, in process 0: what watches over the steps. */

import type { Dataset } from "../../data/dataset.js";
import { packedInCache } from "../../data/loading/packed/open.js";
import type { Pipeline } from "../../data/pixels/pipeline.js";
import { pipelineSheet, sheetImages } from "../../data/pixels/show/sheet.js";
import { Encoder } from "../../evaluate/model/encoder.js";
import { countParameters, type ParameterSpecs } from "../../nn/parameters.js";
import type { Picker } from "../pick/picker.js";
import { ratesInWords } from "../recipe/rates.js";
import type { Recipe } from "../recipe/recipe.js";
import { openReporters, type ReportPicture } from "../report-to/index.js";
import type { Run } from "../run/folder.js";
import { HeldOutLoss } from "../watch/held-out.js";
import { makeScoring } from "../watch/scoring.js";
import { Supervisor } from "../watch/supervisor.js";
import type { OpenBatches } from "./batches.js";
import type { OpenFolder } from "./folder.js";
import type { Inputs } from "./inputs.js";
import type { OpenStep } from "./step.js";

/** Dispose it to free the programs that score. */
export interface OpenWatch extends Disposable {
  readonly supervisor: Supervisor;
}

/**
 * Compiles the towers for scores, and tells what the run turned out to be.
 * @param started when this sitting began, by `performance.now()`.
 */
export async function openWatch(
  folder: OpenFolder & { readonly run: Run },
  inputs: Inputs,
  { loaders, plan }: OpenBatches,
  step: OpenStep,
  started: number,
): Promise<OpenWatch> {
  const { recipe, processes, hooks, run, guard } = folder;
  const { data, model, pipelines } = inputs;
  const { engine, clip, phases, runner, compileSeconds } = step;
  const encoder = await guard(
    "compiling the towers",
    Encoder.create(engine, {
      clip,
      tokenizer: model.tokenizer,
      pipeline: pipelines.evaluation,
      normalization: pipelines.normalization,
      workers: recipe.workers,
      packed: packedInCache(recipe.imageDisk),
    }),
  );
  const heldOut = new HeldOutLoss(engine, recipe.batchSize, phases.all[0]!.strategy.pairs);
  const { val, zeroshot, probe, reference } = data;
  const reports = openReporters(run, recipe.reportTo ?? []);
  if (recipe.reportTo?.includes("tensorboard"))
    reports.picture(await shownPicture(data.train, pipelines.train, recipe));
  const supervisor = new Supervisor({
    started,
    recipe,
    hooks,
    run,
    plan,
    dataset: data.train,
    loaders,
    runner,
    phases,
    guard,
    reports,
    evaluate: makeScoring({
      recipe,
      heldOut,
      encoder,
      runner,
      ema: recipe.emaDecay > 0,
      val,
      zeroshotData: zeroshot,
      probeData: probe,
      reference,
      say: (note) => hooks.onMessage?.(note, "note"),
    }),
    compileSeconds,
    has: { val: val !== undefined, zeroshot: zeroshot !== undefined, reference: reference !== undefined },
  });
  await supervisor.begin(describe(folder, inputs, loaders.samplesPerEpoch, step));
  processes.forward("stop", undefined, () => supervisor.stop());
  processes.forward("finish", undefined, () => supervisor.finish());
  return {
    supervisor,
    [Symbol.dispose]() {
      encoder[Symbol.dispose]();
      heldOut[Symbol.dispose]();
    },
  };
}

/** A sheet of a few pictures of the data, and of what the model is shown of them. */
async function shownPicture(
  data: Dataset,
  pipeline: Pipeline,
  { name, augment, seed }: Recipe,
): Promise<ReportPicture> {
  const words = { title: name, subtitle: `what the model is shown; policy ${augment}` };
  const images = await sheetImages(data, SHOWN_IMAGES);
  const png = await pipelineSheet(images, pipeline, { ...words, draws: SHOWN_EPOCHS, seed });
  return { tag: "data/shown", png };
}

const SHOWN_IMAGES = 6;
const SHOWN_EPOCHS = 4;

/** On the data, the model and the steps, for people; parts are joined by "; ". */
function describe(
  { recipe, processes }: OpenFolder,
  { model }: Inputs,
  images: number,
  { clip, trained, start, phases, picker }: OpenStep,
): string {
  const whole = countParameters(clip.parameters);
  const locked = countParameters(trained) === whole ? "" : ` (${millions(trained)} M of them trained)`;
  const among = processes.count === 1 ? "" : ` over ${processes.count} processes`;
  return [
    `${images} images, ${millions(clip.parameters)} M parameters${locked}, batch ${recipe.batchSize}${among}`,
    ratesInWords(recipe),
    ...(start === undefined ? [] : [start.about]),
    `${model.note}, context ${model.tokenizer.contextLength}${cutNote(model)}`,
    phases.describe(),
    ...(picker === undefined ? [] : [costOfPicking(picker)]),
  ].join("; ");
}

function costOfPicking(picker: Picker): string {
  const { towers, products } = picker.macs();
  const giga = (macs: number) => (macs / 1e9).toPrecision(3);
  return `picking a batch takes ${giga(towers + products)} GMAC forward, ${giga(products)} of them to compare its pairs`;
}

const millions = (specs: ParameterSpecs): string => (countParameters(specs) / 1e6).toFixed(1);

const cutNote = ({ cut }: Inputs["model"]): string =>
  cut.captions === 0 ? "" : `, ${cut.captions} of ${cut.of} captions cut`;
