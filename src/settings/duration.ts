/**
 * Durations in one place: steps, epochs, samples, percent of the run, or time. They are read once, here, and
 * converted once, here; nothing else in the trainer knows the units.
 */

import { UsageError } from "../core/errors.js";

export const durationUnits = ["steps", "epochs", "samples", "percent", "seconds"] as const;
export type DurationUnit = (typeof durationUnits)[number];

export interface Duration {
  readonly unit: DurationUnit;
  /** Zero or more; `percent` is 0 to 100. */
  readonly value: number;
}

/**
 * What a recipe may say: a bare number (in the key's own unit), text (`500 steps`, `2 epochs`, `1.5M samples`,
 * `10%`, `2h30m`, `90s`), or one named unit (`{ steps: 500 }`).
 */
export type DurationInput = number | string | { readonly [Unit in DurationUnit]?: number | undefined };

/** What is needed to turn a duration into steps. */
export interface Clock {
  /** Samples per step. */
  readonly batchSize: number;
  /** Samples in one pass over the data, when known. */
  readonly samplesPerEpoch?: number | undefined;
  /** Length of the whole run, when known. */
  readonly totalSteps?: number | undefined;
}

const unitNames: Readonly<Record<string, DurationUnit>> = {
  step: "steps",
  steps: "steps",
  epoch: "epochs",
  epochs: "epochs",
  ep: "epochs",
  sample: "samples",
  samples: "samples",
  "%": "percent",
  percent: "percent",
};
/** Letters after a number. */
export const multiples: Readonly<Record<string, number>> = {
  "": 1,
  k: 1e3,
  K: 1e3,
  M: 1e6,
  G: 1e9,
  B: 1e9,
};
const SECONDS: Readonly<Record<string, number>> = { d: 86400, h: 3600, m: 60, min: 60, s: 1 };
const EXAMPLES = 'Write "500 steps", "2 epochs", "100k samples", "10%" or a time such as "2h30m" or "90s"';

/**
 * Reads a duration. `bareUnit` is what a number without a unit means.
 * @throws UsageError naming `key` when the text is not a duration, is negative, or names two units.
 */
export function parseDuration(input: unknown, bareUnit: DurationUnit, key: string): Duration {
  const checked = (unit: DurationUnit, value: number): Duration => {
    if (!Number.isFinite(value) || value < 0) throw refuse("must be zero or more");
    if (unit === "percent" && value > 100) throw refuse("must be at most 100 %");
    return { unit, value };
  };
  const refuse = (rule: string) => new UsageError(`${key}: ${rule}; got ${show(input)}. ${EXAMPLES}.`);
  if (typeof input === "number") return checked(bareUnit, input);
  if (typeof input === "string") {
    const text = input.trim();
    if (text !== "" && Number.isFinite(Number(text))) return checked(bareUnit, Number(text));
    const seconds = parseSeconds(text);
    if (seconds !== undefined) return checked("seconds", seconds);
    const match = /^([\d.]+(?:e\d+)?)\s*([kKMGB]?)\s*(%|[a-z]+)$/.exec(text);
    const unit = unitNames[match?.[3] ?? ""];
    if (!match || unit === undefined) throw refuse("must be a duration");
    return checked(unit, Number(match[1]) * multiples[match[2]!]!);
  }
  if (typeof input === "object" && input !== null) {
    const record: { unit?: unknown; value?: unknown } = input;
    if (typeof record.value === "number" && durationUnits.includes(record.unit as DurationUnit)) {
      return checked(record.unit as DurationUnit, record.value);
    }
    const given = Object.entries(record).filter(([, value]) => value !== undefined);
    const [only] = given;
    if (given.length !== 1 || only === undefined) throw refuse("must name exactly one unit");
    const [unit, value] = only;
    if (!durationUnits.includes(unit as DurationUnit) || typeof value !== "number") {
      throw refuse(`must be a number of ${durationUnits.join(", ")}`);
    }
    return checked(unit as DurationUnit, value);
  }
  throw refuse("must be a duration");
}

/** Seconds in `2h30m`, `90s`, `1d`, `1.5h`; undefined when the text is no time. */
export function parseSeconds(text: string): number | undefined {
  const compact = text.replace(/\s+/g, "");
  if (!/^(?:[\d.]+(?:d|h|min|m|s))+$/.test(compact)) return undefined;
  let seconds = 0;
  for (const [, amount, unit] of compact.matchAll(/([\d.]+)(d|h|min|m|s)/g)) {
    seconds += Number(amount) * SECONDS[unit!]!;
  }
  return Number.isFinite(seconds) ? seconds : undefined;
}

/** The shortest text that `parseDuration` reads back as the same duration. */
export function formatDuration({ unit, value }: Duration): string {
  if (unit === "percent") return `${value}%`;
  if (unit === "seconds") return formatSeconds(value);
  return `${value} ${value === 1 ? unit.slice(0, -1) : unit}`;
}

/** `2h30m`, `4m10s`, `12.5s`: exact, for files. */
export function formatSeconds(seconds: number): string {
  if (seconds < 60 || !Number.isInteger(seconds)) return `${seconds}s`;
  const parts: [number, string][] = [
    [Math.floor(seconds / 86400), "d"],
    [Math.floor(seconds / 3600) % 24, "h"],
    [Math.floor(seconds / 60) % 60, "m"],
    [seconds % 60, "s"],
  ];
  return parts.flatMap(([amount, unit]) => (amount > 0 ? [`${amount}${unit}`] : [])).join("");
}

/**
 * Steps in `duration`, possibly fractional; the caller rounds. Time has no length in steps.
 * @throws UsageError when the clock lacks what the unit needs.
 */
export function stepsIn(duration: Duration, clock: Clock, key: string): number {
  const missing = (what: string, remedy: string) =>
    new UsageError(`${key}: ${what}; got ${key}=${formatDuration(duration)}. ${remedy}`);
  switch (duration.unit) {
    case "steps":
      return duration.value;
    case "samples":
      return duration.value / clock.batchSize;
    case "epochs":
      if (clock.samplesPerEpoch === undefined) {
        throw missing("the length of an epoch is unknown for this source", "Use steps, samples or a time.");
      }
      return (duration.value * clock.samplesPerEpoch) / clock.batchSize;
    case "percent":
      if (clock.totalSteps === undefined) {
        throw missing("the length of the run is not known yet", "Use steps, samples or a time.");
      }
      return (duration.value / 100) * clock.totalSteps;
    case "seconds":
      throw missing("a time has no length in steps", "Use steps, epochs, samples or percent.");
  }
}

/** Whole steps in `duration`: enough to see all of its samples. Half a millionth of a step is rounding. */
export const wholeSteps = (duration: Duration, clock: Clock, key: string): number =>
  Math.ceil(stepsIn(duration, clock, key) - 5e-7);

/** Says after which steps something that happens "every so often" is due. */
export interface Ticker {
  /** `step`: steps done so far (1 after the first). `seconds`: the run's clock. */
  due(step: number, seconds: number): boolean;
}

/**
 * A ticker for `duration`; zero is never. In steps it is a function of the step alone, so that a resumed run
 * does the same at the same steps; by time it counts from the last time it was due.
 * @param clock asked on each call, since the length of a time-limited run becomes known on the way.
 */
export function ticker(duration: Duration, clock: () => Clock, key: string, startSeconds = 0): Ticker {
  if (duration.value === 0) return { due: () => false };
  if (duration.unit === "seconds") {
    let last = startSeconds;
    return {
      due(_step, seconds) {
        if (seconds - last < duration.value) return false;
        last = seconds;
        return true;
      },
    };
  }
  return {
    due(step) {
      const now = clock();
      if (duration.unit === "percent" && now.totalSteps === undefined) return false;
      const interval = Math.max(1, stepsIn(duration, now, key));
      return Math.floor(step / interval + 1e-9) > Math.floor((step - 1) / interval + 1e-9);
    },
  };
}

const show = (value: unknown): string => (typeof value === "string" ? `"${value}"` : JSON.stringify(value));
