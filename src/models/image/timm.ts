/**
 * Image towers made of timm's models, as open_clip has them (its `timm_model.py`): the trunk under `visual.trunk`,
 * pooled by itself, and a linear projection `visual.head.proj`. Architectures and their arguments have timm's names.
 */

import { z } from "zod";
import { didYouMean, UsageError } from "../../core/errors.js";
import { linear, linearSpecs } from "../../nn/layers.js";
import { prefixed, uniformInit, zeros } from "../../nn/parameters.js";
import { type Complete, flag, refuse, side } from "../config/fields.js";
import type { ImageEncoder } from "./encoder.js";
import type { TrunkFamily } from "./trunk.js";
import { trunkFamilies } from "./trunks.js";

/** open_clip's `CLIPVisionCfg` for a timm model. */
export interface TimmConfig {
  /** An architecture, e.g. `"convnext_tiny"`. */
  readonly timm_model_name: string;
  /**
   * Extension. Arguments of timm's `create_model` beside the name, e.g. `{ depths: [2, 2, 6, 2] }`: what the trunk
   * differs in from the architecture named.
   */
  readonly timm_model_args?: Readonly<Record<string, unknown>>;
  /** Side of the square input, pixels. Default 224. */
  readonly image_size?: number;
  /** Stochastic depth: share of the samples whose last residual branch is left out in training. Default the family's. */
  readonly timm_drop_path?: number | null;
  /** The mean; `""` is the model's own pooling, which is the mean in every family that is built. Default `"avg"`. */
  readonly timm_pool?: "" | "avg";
  /** Only a linear projection is built. */
  readonly timm_proj?: "linear";
  /** True: the projection has a bias. Default false. */
  readonly timm_proj_bias?: boolean;
}

type CompleteTimmConfig = Complete<TimmConfig>;

const defaults = {
  timm_model_args: {},
  image_size: 224,
  timm_drop_path: null,
  timm_pool: "avg",
  timm_proj: "linear",
  timm_proj_bias: false,
} as const;

interface Named {
  readonly family: TrunkFamily;
  readonly args: object;
}

const architectures: ReadonlyMap<string, Named> = new Map(
  trunkFamilies.flatMap((family) =>
    Object.entries(family.architectures).map(([name, args]) => [name, { family, args }] as const),
  ),
);

function findArchitecture(name: string, where: string): Named {
  const named = architectures.get(name);
  if (named !== undefined) return named;
  const hint =
    didYouMean(name, architectures.keys()) || ` Known here: ${[...architectures.keys()].join(", ")}.`;
  throw new UsageError(
    `${where}: vision_cfg.timm_model_name must be an architecture that is built; got "${name}".${hint}`,
  );
}

/** The family of a configuration, and all of its arguments. Throws `UsageError`. */
function trunkOf({ timm_model_name: name, timm_model_args: own }: TimmConfig, where = "model"): Named {
  const named = findArchitecture(name, where);
  const { family } = named;
  const args = { ...named.args, ...own };
  const parsed = family.args.safeParse(args);
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!;
    const key = issue.code === "unrecognized_keys" ? issue.keys[0]! : issue.path.join(".");
    throw new UsageError(
      `${where}: ${issue.message.toLowerCase()}; got vision_cfg.timm_model_args.${key}=` +
        `${JSON.stringify((own as Record<string, unknown> | undefined)?.[key.split(".")[0]!])}. ` +
        `${family.name} takes ${Object.keys(named.args).join(", ")}.`,
    );
  }
  return { family, args: parsed.data };
}

/** Name of the family of timm's models that a `vision_cfg` is of, if of one. */
export const familyOf = (vision: object): string | undefined =>
  "timm_model_name" in vision
    ? architectures.get((vision as TimmConfig).timm_model_name)?.family.name
    : undefined;

const schema = z.strictObject({
  timm_model_name: z.string(),
  timm_model_args: z.record(z.string(), z.unknown()).exactOptional(),
  image_size: side.exactOptional(),
  timm_drop_path: z.number().min(0).lt(1).nullable().exactOptional(),
  timm_pool: z.enum(["", "avg"]).exactOptional(),
  timm_proj: z.literal("linear").exactOptional(),
  timm_proj_bias: flag,
});

export const timm: ImageEncoder<TimmConfig, CompleteTimmConfig> = {
  name: "timm",
  describes: (vision) => vision.timm_model_name != null,
  identify: ({ timm_model_name: name }, where) => void findArchitecture(String(name), where),
  schema,
  refused: {
    ...refuse("Nothing is fetched; remove the key and give the weights as a file.", {
      timm_model_pretrained: false,
    }),
    ...refuse("Dropout before the projection is not built; remove the key.", { timm_drop: 0 }),
    ...refuse("Dropping patches is part of training, not of the model; set it in the recipe.", {
      patch_dropout: 0,
    }),
    ...refuse("Only the pooled vector is given out; remove the key.", { output_tokens: false }),
  },
  complete: (vision) => ({ ...defaults, ...vision }),
  check(vision, _, where) {
    const { family, args } = trunkOf(vision, where);
    const { image_size: size = defaults.image_size } = vision;
    const step = family.sizeStep(args);
    if (size % step === 0) return;
    throw new UsageError(
      `${where}: vision_cfg.image_size must be a multiple of ${step} for this ${family.name}; got image_size=${size}. Nearest: ${Math.max(1, Math.round(size / step)) * step}.`,
    );
  },
  extensions: ({ timm_model_args: args }) => (Object.keys(args).length > 0 ? ["timm_model_args"] : []),
  sizeStep(vision) {
    const { family, args } = trunkOf(vision);
    return family.sizeStep(args);
  },
  build(vision, { embedDim, rematerialize, dropPath, fullSize }) {
    const { family, args } = trunkOf(vision);
    const trunk = family.build(args, {
      imageSize: vision.image_size,
      fullSize,
      dropPath: dropPath ?? vision.timm_drop_path ?? family.dropPath ?? 0,
      rematerialize,
    });
    const bound = uniformInit(trunk.width ** -0.5);
    return {
      parameters: {
        ...prefixed("trunk", trunk.parameters),
        ...prefixed(
          "head.proj",
          linearSpecs(trunk.width, embedDim, bound, vision.timm_proj_bias ? zeros : undefined),
        ),
      },
      statistics: prefixed("trunk", trunk.statistics ?? {}),
      noise: prefixed("trunk", trunk.noise ?? {}),
      width: trunk.width,
      depth: {
        count: trunk.depth.count,
        of: (name) =>
          name.startsWith("trunk.") ? trunk.depth.of(name.slice("trunk.".length)) : trunk.depth.count - 1,
      },
      stored: {
        projection: ["head.proj.weight", "head.proj.bias"],
        fromTrunk: (name) => (name.startsWith(`${family.classifier}.`) ? undefined : `trunk.${name}`),
        sizeBound: family.sizeBound,
      },
      tokens: trunk.tokens,
      features: (p, images, kept) => trunk.features(p.in("trunk"), images, kept),
      project: (p, features) => linear(p.in("head.proj"), features, { bias: vision.timm_proj_bias }),
    };
  },
};
