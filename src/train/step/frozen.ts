/** What of a model is trained, and how fast: locked towers (LiT: Zhai et al. 2022) and layer-wise learning rates. */

import { UsageError } from "../../core/errors.js";
import { type Clip, towerOf } from "../../models/clip.js";
import type { Depth } from "../../models/depth.js";
import type { Start } from "../recipe/start-fields.js";

/** Parameters of the CLIP that stay as they start. */
export interface Frozen {
  readonly names: ReadonlySet<string>;
  /**
   * Whether all parameters whose names begin with `under`, e.g. `visual.layer1.0.`, are locked. Then what is computed
   * with them is computed as in evaluation: batch norms by their running statistics, which stay, and without noise.
   */
  covers(under: string): boolean;
}

const OPTIONS = {
  image: { groups: "lockImageUnlockedGroups", option: "--lock-image-unlocked-groups" },
  text: { groups: "lockTextUnlockedLayers", option: "--lock-text-unlocked-layers" },
} as const;

const placeOf = (clip: Clip, name: string): { readonly depth: Depth; readonly group: number } | undefined => {
  const tower = towerOf(name);
  if (tower === "logits") return undefined;
  const depth = clip.depths[tower];
  return { depth, group: depth.of(name.replace(/^visual\./, "")) };
};

/**
 * What a recipe freezes; undefined where all is trained.
 * @param fresh parameters that do not start from weights: they are never locked.
 * @throws UsageError where more groups are unlocked than there are.
 */
export function frozenOf(start: Start, clip: Clip, fresh: ReadonlySet<string>): Frozen | undefined {
  const unlocked = {
    image: start.lockImage ? (start.lockImageUnlockedGroups ?? 0) : undefined,
    text: start.lockText ? (start.lockTextUnlockedLayers ?? 0) : undefined,
  };
  for (const tower of ["image", "text"] as const) {
    const { count } = clip.depths[tower];
    const { groups, option } = OPTIONS[tower];
    if ((unlocked[tower] ?? 0) >= count) {
      throw new UsageError(
        `${groups}: must leave one of the tower's ${count} groups locked; got ${groups}=${unlocked[tower]}. Lower ${option}, or train all of it without a lock.`,
      );
    }
  }
  const names = Object.keys(clip.parameters).filter((name) => {
    const tower = towerOf(name);
    if (tower === "logits" || unlocked[tower] === undefined || fresh.has(name)) return false;
    const { depth, group } = placeOf(clip, name)!;
    return group < depth.count - unlocked[tower];
  });
  return names.length === 0 ? undefined : freeze(clip, new Set(names));
}

/** These parameters of the model, frozen. */
export function freeze(clip: Clip, names: ReadonlySet<string>): Frozen {
  const prefixesOf = (name: string) => [...name.matchAll(/\./g)].map(({ index }) => name.slice(0, index + 1));
  const frozen = new Set([...names].flatMap(prefixesOf));
  for (const name of Object.keys(clip.parameters))
    if (!names.has(name)) for (const prefix of prefixesOf(name)) frozen.delete(prefix);
  return { names, covers: (under) => frozen.has(under) };
}

type Rates = Pick<Start, "layerDecay" | "lrImage" | "lrText" | "pretrained" | "pretrainedImage"> & {
  readonly lr: number;
};

/**
 * A parameter's share of the learning rate; undefined where all have the whole. With layer decay d a parameter of group
 * g of L + 1 has d^(L − g) of its tower's rate (Clark et al. 2020; BEiT's and MAE's fine-tuning).
 */
export function ratesOf(recipe: Rates, clip: Clip): ((name: string) => number) | undefined {
  const { layerDecay = 1, lr, lrImage = lr, lrText = lr, pretrained } = recipe;
  if (layerDecay === 1 && lrImage === lr && lrText === lr) return undefined;
  return (name) => {
    const place = clip.parameters[name] === undefined ? undefined : placeOf(clip, name);
    if (place === undefined) return 1;
    const isImage = towerOf(name) === "image";
    const decay = isImage || pretrained !== undefined ? layerDecay : 1;
    return ((isImage ? lrImage : lrText) / lr) * decay ** (place.depth.count - 1 - place.group);
  };
}
