/** The forms that a program's numbers may take, by the names that transformers.js gives them. */

import type { OnnxProgram } from "../../../graph/emit/onnx-program.js";
import { toBlockProgram } from "./blocks.js";
import { toHalfProgram } from "./half.js";
import { toInt8Program } from "./int8.js";

interface NumberForm {
  /** After a file's name: `model_fp16.onnx`. */
  readonly suffix: string;
  readonly about: string;
  of(program: OnnxProgram): OnnxProgram;
}

export const numberForms = Object.freeze({
  fp32: { suffix: "", about: "as the model is", of: (program: OnnxProgram) => program },
  fp16: { suffix: "_fp16", about: "half the size, for WebGPU", of: toHalfProgram },
  int8: { suffix: "_int8", about: "8 bits, products of whole numbers", of: toInt8Program },
  q8: { suffix: "_quantized", about: "int8 under the name that browsers ask for first", of: toInt8Program },
  q4: { suffix: "_q4", about: "4 bits in blocks of 32", of: toBlockProgram },
} satisfies Record<string, NumberForm>);

export type NumberFormName = keyof typeof numberForms;

export const numberFormNames = Object.keys(numberForms) as readonly NumberFormName[];

/** `program` with its numbers in another form. */
export const quantized = (program: OnnxProgram, form: NumberFormName): OnnxProgram =>
  numberForms[form].of(program);
