/** Where a run's weights start: from a whole CLIP, or from an image tower alone. */

import { UsageError } from "../../core/errors.js";
import { formatType } from "../../core/shape.js";
import { weightsFile } from "../../evaluate/model/locate.js";
import { type Clip, towerOf } from "../../models/clip.js";
import { openWeights } from "../../models/weights/open.js";
import { resamplePositions } from "../../models/weights/stored.js";
import { type ReadWeightsOptions, readWeights } from "../../models/weights/weights.js";
import type { ParameterSpecs } from "../../nn/parameters.js";
import type { Start } from "../recipe/start-fields.js";

/** Parameters and statistics that a run starts from. */
export interface WarmStart {
  /** By the CLIP's names. */
  readonly values: Readonly<Record<string, Float32Array>>;
  /** Names of the CLIP's variables that `values` lacks: they start as in a run from nothing. */
  readonly fresh: readonly string[];
  /** One line on it, for people. */
  readonly about: string;
}

/**
 * Reads what the recipe starts from; undefined where it starts from nothing.
 * @throws UsageError naming the file, and what is missing, unknown, or of a shape that cannot be made to fit.
 */
export async function warmStart(start: Start, clip: Clip): Promise<WarmStart | undefined> {
  const { pretrained, pretrainedImage } = start;
  const path = pretrained ?? pretrainedImage;
  if (path === undefined) return undefined;
  const file = await weightsFile(path);
  const values = await (pretrained === undefined ? readImageTower(file, clip) : readWhole(file, clip));
  const fresh = Object.keys(clip.variables).filter((name) => values[name] === undefined);
  const own = fresh.filter((name) => pretrained !== undefined || towerOf(name) === "image");
  const about = `${pretrained === undefined ? "image tower" : "weights"} of ${file}${own.length === 0 ? "" : `, ${own.join(", ")} anew`}`;
  return { values, fresh, about };
}

/**
 * Throws `UsageError` now, and not after the data are read, where the weights are missing or no such file.
 * @param say told of checkpoints that are passed over.
 */
export async function requireWeights(
  { pretrained, pretrainedImage }: Pick<Start, "pretrained" | "pretrainedImage">,
  say?: (line: string) => void,
): Promise<void> {
  const path = pretrained ?? pretrainedImage;
  if (path !== undefined) await namesOf(await weightsFile(path, say));
}

/** All of a CLIP. A bias of the logits may be missing or superfluous: it belongs to the loss. */
function readWhole(file: string, clip: Clip): Promise<Record<string, Float32Array>> {
  return readWeights(file, clip.variables, {
    rename: (name) => (name === "logit_bias" && clip.variables[name] === undefined ? undefined : name),
    mayMiss: (name) => name === "logit_bias",
    fit: fitTo(file, clip),
    remedy: "Give --model, image size and --tokenizer as it was trained with.",
    quickGelu: clip.config.quick_gelu,
  });
}

/** `visual.*` of a CLIP's file, or a trunk stored by itself. */
async function readImageTower(file: string, clip: Clip): Promise<Record<string, Float32Array>> {
  const specs: ParameterSpecs = Object.fromEntries(
    Object.entries(clip.variables).filter(([name]) => name.startsWith("visual.")),
  );
  const fit = fitTo(file, clip);
  if ((await namesOf(file)).some((name) => name.startsWith("visual."))) {
    return readWeights(file, specs, {
      rename: (name) => (name.startsWith("visual.") ? name : undefined),
      fit,
      remedy: "Give the --model of this image tower, with the embed_dim of its projection.",
    });
  }
  const { projection, fromTrunk } = clip.stored;
  return readWeights(file, specs, {
    rename(name) {
      const own = fromTrunk(name);
      return own === undefined ? undefined : `visual.${own}`;
    },
    mayMiss: (name) => projection.includes(name.slice("visual.".length)),
    fit,
    remedy: "Give the --model of this trunk.",
  });
}

async function namesOf(path: string): Promise<readonly string[]> {
  using file = await openWeights(path);
  return file.names;
}

/** Positions for another image size or fewer tokens; what else is of another shape has a reason or is told as it is. */
const fitTo =
  (file: string, clip: Clip): NonNullable<ReadWeightsOptions["fit"]> =>
  (name, stored, read) => {
    const { positions, sizeBound } = clip.stored;
    const [rows, channels] = clip.variables[name]!.shape as [number, number];
    const [storedRows, storedChannels] = stored.shape.slice(-2) as [number, number];
    if (name === "token_embedding.weight" && channels === storedChannels) {
      throw new UsageError(
        `${file}: the tokenizer must be the one of the weights; got ${rows} tokens, and ${storedRows} in the file. Give it with --tokenizer.`,
      );
    }
    if (name === "positional_embedding" && channels === storedChannels) {
      // Shorter texts only ever meet the first positions.
      if (rows < storedRows) return read().slice(0, rows * channels);
      throw new UsageError(
        `${file}: the weights have positions for texts of ${storedRows} tokens; got a context length of ${rows}. Lower --force-context-length.`,
      );
    }
    if (positions !== undefined && name === `visual.${positions.name}` && channels === storedChannels) {
      const { extra } = positions;
      const side = (n: number) => Math.sqrt(n - extra);
      if (Number.isInteger(side(rows)) && Number.isInteger(side(storedRows)))
        return resamplePositions(read(), channels, extra, side(rows));
    }
    if (sizeBound?.names.test(name)) {
      throw new UsageError(
        `${file}: "${name}" must be [${clip.variables[name]!.shape.join(",")}] for images of ${clip.config.vision_cfg.image_size} pixels; got ${formatType(stored)}. ${sizeBound.why}.`,
      );
    }
    return undefined;
  };
