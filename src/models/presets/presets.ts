/**
 * Models by name: open_clip's, the paper's, and a family for CPUs and small images; test/models.presets.test.ts holds
 * sizes and options against open_clip and timm.
 */

import { didYouMean, UsageError } from "../../core/errors.js";
import { openClipPresets } from "./open-clip.js";
import { paperPresets } from "./paper.js";
import type { Preset } from "./preset.js";
import { matchedPresets, smallPresets } from "./small.js";

function freeze<T>(value: T): T {
  if (typeof value === "object" && value !== null) for (const child of Object.values(value)) freeze(child);
  return Object.freeze(value);
}

/** All presets, in the order of listings: open_clip's, the paper's, the small ones. */
export const presets: readonly Preset[] = freeze([
  ...openClipPresets,
  ...paperPresets,
  ...smallPresets,
  ...matchedPresets,
]);

const byName = new Map(presets.map((preset) => [preset.name, preset]));

/** The preset called `name`; a `UsageError` with the nearest name where there is none. */
export function findPreset(name: string): Preset {
  const preset = byName.get(name);
  if (preset !== undefined) return preset;
  const hint = didYouMean(name, byName.keys()) || " List them with: clipwright models.";
  throw new UsageError(`model: must be the name of a preset or a .json file; got model=${name}.${hint}`);
}
