/** Parameters from safetensors under open_clip's names. */

import { decode } from "../core/dtype.js";
import { UsageError } from "../core/errors.js";
import { SafetensorsFile } from "../core/safetensors.js";
import { formatType, sameShape } from "../core/shape.js";
import type { ParameterSpecs } from "../nn/parameters.js";

/** Tensors of open_clip's and OpenAI's checkpoints that hold no parameter of ours. */
const ignored =
  /(^|\.)(attn_mask|num_batches_tracked|position_ids)$|^(input_resolution|context_length|vocab_size)$/;

/**
 * All parameters of `specs` from the file, as f32. Throws `UsageError` naming the file and what is missing, of
 * another shape, or unknown.
 */
export function readWeights(path: string, specs: ParameterSpecs): Record<string, Float32Array> {
  using file = new SafetensorsFile(path);
  const missing = Object.keys(specs).filter((name) => !file.has(name));
  const extra = file.names.filter((name) => specs[name] === undefined && !ignored.test(name));
  if (missing.length > 0 || extra.length > 0) {
    const list = (names: readonly string[]) =>
      names.length === 0
        ? "none"
        : `${names.slice(0, 3).join(", ")}${names.length > 3 ? `, … (${names.length})` : ""}`;
    throw new UsageError(
      `${path}: must hold this model's parameters; got missing=${list(missing)}, unknown=${list(extra)}. Check --model.`,
    );
  }
  return Object.fromEntries(
    Object.entries(specs).map(([name, { shape }]) => {
      const info = file.info(name);
      if (!sameShape(info.shape, shape)) {
        throw new UsageError(
          `${path}: "${name}" must be [${shape.join(",")}]; got ${formatType(info)}. Check --model, image size and vocabulary.`,
        );
      }
      const data = file.read(name);
      return [name, data instanceof Float32Array ? data : Float32Array.from(decode(info.dtype, data))];
    }),
  );
}
