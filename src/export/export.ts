/** Writes a trained model down as other libraries read it. */

import { readdirSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { UsageError } from "../core/errors.js";
import { writeFileAtomic } from "../core/files.js";
import { makeWholeFolder } from "../core/new-folder.js";
import { openTokenizer } from "../evaluate/model/load-model.js";
import { locateModel, type ModelSource } from "../evaluate/model/locate.js";
import { makeClip } from "../models/clip.js";
import { readWeights } from "../models/weights/weights.js";
import { cardOf } from "./card.js";
import type { Exported, ExportForm, Trial, Variant } from "./form.js";
import { huggingFaceForm } from "./hugging-face.js";
import type { NumberFormName } from "./onnx/numbers/number-forms.js";
import { onnxForm, transformersJsForm } from "./onnx/onnx-forms.js";
import { openClipForm } from "./open-clip.js";

/** The forms by name. */
export const exportForms = Object.freeze({
  open_clip: openClipForm,
  hf: huggingFaceForm,
  onnx: onnxForm,
  "transformers.js": transformersJsForm,
} satisfies Record<string, ExportForm>);

export type ExportFormName = keyof typeof exportForms;

export const exportFormNames = Object.keys(exportForms) as readonly ExportFormName[];

export interface ExportOptions {
  readonly to: ExportFormName;
  /** The folder to make; it may be there if it is empty. */
  readonly out: string;
  /** OWNER/NAME on the hub, or a name, for the card. Default: the folder's own. */
  readonly name?: string | undefined;
  /** For the card, as the hub names it, e.g. `mit`. Default: none is stated. */
  readonly license?: string | undefined;
  /** Of onnx and transformers.js: forms of the numbers to write. Default fp32, and for transformers.js q8. */
  readonly dtypes?: readonly NumberFormName[] | undefined;
  /** What these forms are scored on. Default: they are not scored, and all are written. */
  readonly trial?: Trial | undefined;
  /** Share points that a form may lose against fp32 and still be written. Default 1. */
  readonly maxLoss?: number | undefined;
}

export interface ExportResult {
  /** Of the folder, sorted; folders as they are. */
  readonly files: readonly string[];
  /** What was found of the forms of the numbers; empty where the layout has one. */
  readonly variants: readonly Variant[];
}

/**
 * Exports the model of `source`; gives the files. They appear all at once.
 * @throws UsageError where the form cannot say what the model is, with the reasons, or the folder is in use
 */
export async function exportModel(source: ModelSource, options: ExportOptions): Promise<ExportResult> {
  const { to, out, license, trial, maxLoss: maxLossPoints = 1 } = options;
  const form: ExportForm = exportForms[to];
  if (options.dtypes !== undefined && form.dtypes === undefined) {
    throw new UsageError(
      `export: ${to} has its numbers in f32 alone; got dtype ${options.dtypes}. Leave it out, or export to onnx or transformers.js.`,
      { key: "dtype" },
    );
  }
  const dtypes = options.dtypes ?? form.dtypes ?? [];
  const located = await locateModel(source);
  const clip = makeClip(located.config);
  const model: Exported = {
    located,
    config: clip.config,
    tokenizer: openTokenizer(located.tokenizer, located.config, located.clean),
    values: await readWeights(located.weights, clip.variables, { quickGelu: clip.config.quick_gelu }),
    shapes: Object.fromEntries(Object.entries(clip.variables).map(([name, { shape }]) => [name, shape])),
    name: options.name ?? basename(resolve(out)),
  };
  const refusals = form.refusals(model);
  if (refusals.length > 0) {
    throw new UsageError(
      `export: ${to} cannot say what ${source.path} is: it has ${refusals.join(", ")}. ${form.remedy}.`,
      { key: "to" },
    );
  }
  const say = source.say ?? (() => {});
  return makeWholeFolder(out, "export", async (folder) => {
    const variants = (await form.write(model, folder, { dtypes, trial, maxLossPoints, say })) ?? [];
    writeFileAtomic(join(folder, "README.md"), cardOf(model, form, { license, variants }));
    return { files: readdirSync(folder).sort(), variants };
  });
}
