/** Parameters from stored weights. */

import { allFinite, decode, type TypedArray } from "../../core/dtype.js";
import { UsageError } from "../../core/errors.js";
import type { StoredTensor } from "../../core/safetensors.js";
import { formatType, type Shape, sameShape } from "../../core/shape.js";
import type { ParameterSpecs } from "../../nn/parameters.js";
import { openWeights } from "./open.js";

/** Tensors of open_clip's, OpenAI's and timm's checkpoints that hold no parameter of ours. */
const ignored =
  /(^|\.)(attn_mask|num_batches_tracked|position_ids|relative_position_index)$|^(input_resolution|context_length|vocab_size)$/;

/** What OpenAI's archives hold beside the parameters (open_clip tells them by these, too). */
const OPENAI = ["input_resolution", "context_length", "vocab_size"];

export interface ReadWeightsOptions {
  /** Our name of a stored tensor; undefined: it is not wanted. Default: the same. */
  readonly rename?: (stored: string) => string | undefined;
  /** Parameters that the file may lack. Default: none. */
  readonly mayMiss?: (name: string) => boolean;
  /** Makes a tensor of another shape fit, or throws; undefined: it does not fit. */
  readonly fit?: (name: string, stored: StoredTensor, read: () => Float32Array) => Float32Array | undefined;
  /** What to do where names or shapes do not fit. */
  readonly remedy?: string;
  /** Whether the model has QuickGELU, which OpenAI's own archives need and do not say. Default: not checked. */
  readonly quickGelu?: boolean;
}

/**
 * Parameters of `specs` from the file, as f32: all of them, but for what it may lack. Throws `UsageError` naming the
 * file and what is missing, of another shape, unknown, or not finite.
 */
export async function readWeights(
  path: string,
  specs: ParameterSpecs,
  { rename = (name) => name, mayMiss = () => false, fit, remedy, quickGelu }: ReadWeightsOptions = {},
): Promise<Record<string, Float32Array>> {
  using file = await openWeights(path);
  if (quickGelu === false && OPENAI.every((name) => file.names.includes(name))) {
    throw new UsageError(
      `${path}: OpenAI's own weights need QuickGELU; got a model with GELU. Give the model whose name ends in -quickgelu, e.g. --model ViT-B-32-quickgelu.`,
      { file: path },
    );
  }
  const storedAs = new Map<string, string>();
  for (const stored of file.names) {
    const name = ignored.test(stored) ? undefined : rename(stored);
    if (name !== undefined) storedAs.set(name, stored);
  }
  const missing = Object.keys(specs).filter((name) => !storedAs.has(name) && !mayMiss(name));
  const extra = [...storedAs].filter(([name]) => specs[name] === undefined).map(([, stored]) => stored);
  if (missing.length > 0 || extra.length > 0) {
    throw new UsageError(
      `${path}: must hold this model's parameters; got missing=${listed(missing)}, unknown=${listed(extra)}. ${remedy ?? "Check --model."}`,
    );
  }
  const values: Record<string, Float32Array> = {};
  const misfits: string[] = [];
  for (const [name, { shape }] of Object.entries(specs)) {
    const stored = storedAs.get(name);
    if (stored === undefined) continue;
    const info = file.info(stored);
    const read = () => asF32(info, file.read(stored));
    const value = sameNumbers(info.shape, shape) ? read() : fit?.(name, info, read);
    if (value === undefined) misfits.push(`"${name}" must be [${shape.join(",")}]; got ${formatType(info)}`);
    else if (!allFinite("f32", value)) throw new UsageError(notFinite(path, stored));
    else values[name] = value;
  }
  if (misfits.length === 0) return values;
  const more = misfits.length > 1 ? `, and ${misfits.length - 1} more of another shape` : "";
  throw new UsageError(
    `${path}: ${misfits[0]}${more}. ${remedy ?? "Check --model, image size and vocabulary."}`,
  );
}

const notFinite = (path: string, name: string): string =>
  `${path}: weights must be finite; got NaN or infinity in "${name}". The training that gave them diverged: take an earlier checkpoint.`;

const asF32 = ({ dtype }: StoredTensor, data: TypedArray): Float32Array =>
  data instanceof Float32Array ? data : Float32Array.from(decode(dtype, data));

/** Whether shapes differ by leading ones at most, as timm's positions [1,P,C] from [P,C]. */
function sameNumbers(stored: Shape, own: Shape): boolean {
  const extra = stored.length - own.length;
  return extra >= 0 && stored.slice(0, extra).every((d) => d === 1) && sameShape(stored.slice(extra), own);
}

const listed = (names: readonly string[]): string =>
  names.length === 0
    ? "none"
    : `${names.slice(0, 3).join(", ")}${names.length > 3 ? `, … (${names.length})` : ""}`;
