/**
 * Weights and what is computed of them in f16; inputs and outputs stay f32. What f16 cannot hold stays f32 too: squares and
 * lengths, token ids, what norms divide by.
 */

import { type OnnxProgram, onnxDataType } from "../../../graph/emit/onnx-program.js";
import { floatsOf } from "../tensors.js";
import { rewriteNodes } from "./rewrite-nodes.js";

/** Operators that need the range of f32: sums of squares, their roots, what is divided by them, and positions of largest ids. */
const WIDE = new Set([
  "ReduceSum",
  "ReduceSumSquare",
  "ReduceMean",
  "Sqrt",
  "Div",
  "Max",
  "Pow",
  "Exp",
  "ArgMax",
]);

/** f16's least number, which stands for minus infinity in masks. */
const LOWEST = -65_504;

/** What a name stands for: numbers in f16, in f32, or no floats. */
type Form = "half" | "full" | "none";

export function toHalfProgram(program: OnnxProgram): OnnxProgram {
  const forms = new Map<string, Form>();
  for (const { name, dtype } of program.inputs) forms.set(name, dtype === "f32" ? "full" : "none");
  for (const [name, { dtype }] of program.constants) forms.set(name, dtype === "f32" ? "full" : "none");
  const outputs = new Set(program.outputs.map(({ name }) => name));
  return rewriteNodes(
    program,
    (node, write) => {
      const isFloat = (name: string) => name !== "" && (forms.get(name) ?? "none") !== "none";
      const inputs = node.inputs.filter(isFloat);
      if (inputs.length === 0 || node.type === "Cast") {
        // Of whole numbers only a cast makes floats.
        const toFloat = node.type === "Cast" && node.attributes.to === onnxDataType.f32;
        for (const name of node.outputs) forms.set(name, toFloat ? "full" : "none");
        return undefined;
      }
      const isSquare = node.type === "Mul" && node.inputs[0] === node.inputs[1];
      const givesOutput = node.outputs.some((name) => outputs.has(name));
      const form: Form = WIDE.has(node.type) || isSquare || givesOutput ? "full" : "half";
      const gives: Form = node.type === "ArgMax" || node.type === "Shape" ? "none" : form;
      const inForm = (name: string): string => {
        const known = write.known(name);
        if (!isFloat(name) || (known === undefined ? forms.get(name) : "full") === form) return name;
        return write.once(`${form} of ${name}`, () =>
          known === undefined
            ? write.node("Cast", [name], { to: onnxDataType[form === "half" ? "f16" : "f32"] })
            : write.constant(
                "f16",
                known.shape,
                floatsOf(known).map((x) => Math.max(LOWEST, x)),
              ),
        );
      };
      for (const name of node.outputs) forms.set(name, gives);
      write.node(node.type, node.inputs.map(inForm), node.attributes, {
        outputs: node.outputs,
        domain: node.domain,
      });
      return true;
    },
    "f16",
  );
}
