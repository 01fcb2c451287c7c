/** Every operation of a policy by itself, at the magnitude that the policy gives it: for people to look at. */
import { keyFromSeed, Random } from "../../../core/random.js";
import type { Canvas } from "../augment/canvas.js";
import type { OperationName } from "../augment/operations/index.js";
import { warp } from "../augment/operations/warp.js";
import type { Policy } from "../augment/policies.js";
import { applyOperation, type ColorJitter, readable, type Step } from "../augment/steps.js";
import type { Rgb } from "../read/image.js";
import { argumentAt, type Magnitude, magnitudeOf, type ScaleName } from "../resize/scales.js";

export interface Shown {
  /** Operation and argument, e.g. `rotate −27`. */
  readonly label: string;
  draw(canvas: Canvas): void;
}

const FILL: Rgb = [128, 128, 128];
/** Where chance has a say (where to cut, where to pull), it is always this. */
const chance = (): Random => new Random(keyFromSeed(1));

const shown = (name: OperationName, argument: number | undefined, fill: Rgb = FILL): Shown => ({
  label: argument === undefined ? name : `${name} ${readable(argument)}`,
  draw: (canvas) => applyOperation(canvas, name, argument, fill, chance()),
});

/** An operation at a level: both signs where there are two. */
function atLevel(name: OperationName, scale: ScaleName, level: number, side: number, fill: Rgb): Shown[] {
  const magnitude: Magnitude | undefined = magnitudeOf(scale, name);
  if (magnitude === undefined) return [shown(name, undefined, fill)];
  return (magnitude.signed === true && level > 0 ? [false, true] : [false]).map((negative) =>
    shown(name, argumentAt(magnitude, level, side, negative), fill),
  );
}

const JITTERED = [
  ["brightness", "brightness"],
  ["contrast", "contrast"],
  ["saturation", "color"],
] as const satisfies readonly (readonly [keyof ColorJitter, OperationName])[];

function ofStep(step: Step, side: number): Shown[] {
  const share = side / 224;
  switch (step.kind) {
    case "choose": {
      const level = step.level === "any" ? 10 : step.level;
      return step.operations.flatMap((name) => atLevel(name, step.scale, level, side, step.fill));
    }
    case "sub-policy": {
      const pairs = step.lists.flat().sort((a, b) => a[0].localeCompare(b[0]) || a[2] - b[2]);
      return pairs.flatMap(([name, , level]) => atLevel(name, step.scale, level, side, step.fill));
    }
    case "jitter": {
      const { hue } = step;
      const factors = JITTERED.filter(([part]) => step[part] > 0).flatMap(([part, name]) => [
        shown(name, Math.max(0, 1 - step[part])),
        shown(name, 1 + step[part]),
      ]);
      return hue > 0 ? [...factors, shown("hue", -hue), shown("hue", hue)] : factors;
    }
    case "grayscale":
      return [shown("grayscale", undefined)];
    case "blur":
      return [shown("blur", step.sigma[1] * share)];
    case "warp": {
      const length = step.reach * share;
      const random = chance();
      const pulls = Float64Array.from({ length: 8 }, () => length * random.normal());
      return [{ label: `warp ${readable(length)}`, draw: (canvas) => warp(canvas, pulls) }];
    }
    case "ink":
      return [];
  }
}

/** The operations of `policy` on an image of side `side`, each once, at the far end where the strength is drawn. */
export function operationsOf(policy: Policy, side: number): Shown[] {
  const found = new Map<string, Shown>();
  for (const step of policy.steps) for (const each of ofStep(step, side)) found.set(each.label, each);
  return [...found.values()];
}
