/** Axes: from values to pixels, round ticks and short numbers. */

export interface Scale {
  /** Pixel of a value. */
  readonly at: (value: number) => number;
  readonly ticks: readonly { readonly value: number; readonly label: string }[];
  readonly domain: readonly [number, number];
  readonly log: boolean;
}

/** A straight scale from `domain` onto the pixels `range`, with about `count` ticks at 1, 2 or 5 times a power of ten. */
export function linearScale(
  domain: readonly [number, number],
  range: readonly [number, number],
  count = 5,
  unit = "",
): Scale {
  const [low, high] = widen(domain);
  const step = niceStep((high - low) / count);
  const values: number[] = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) values.push(i * step);
  const decimals = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  return {
    at: (value) => range[0] + ((value - low) / (high - low)) * (range[1] - range[0]),
    ticks: values.map((value) => ({ value, label: `${shortNumber(value, decimals)}${unit}` })),
    domain: [low, high],
    log: false,
  };
}

/**
 * A logarithmic scale, with ticks at powers of ten and, on less than two decades, at 2 and 5 times them. Values of 0 or below
 * have no place on it: leave them out first.
 */
export function logScale(
  domain: readonly [number, number],
  range: readonly [number, number],
  unit = "",
): Scale {
  const low = domain[0];
  const high = domain[1] > domain[0] ? domain[1] : domain[0] * 10;
  const decades = Math.log10(high / low);
  const values: number[] = [];
  for (let power = Math.floor(Math.log10(low)); 10 ** power <= high; power++) {
    for (const factor of decades < 2 ? [1, 2, 5] : [1]) {
      const value = factor * 10 ** power;
      if (value >= low * (1 - 1e-9) && value <= high * (1 + 1e-9)) values.push(value);
    }
  }
  return {
    at: (value) => range[0] + (Math.log(value / low) / Math.log(high / low)) * (range[1] - range[0]),
    ticks: values.map((value) => ({ value, label: `${shortNumber(value)}${unit}` })),
    domain: [low, high],
    log: true,
  };
}

function widen([low, high]: readonly [number, number]): [number, number] {
  if (high > low) return [low, high];
  const margin = low === 0 ? 1 : Math.abs(low) / 10;
  return [low - margin, high + margin];
}

function niceStep(rough: number): number {
  const power = 10 ** Math.floor(Math.log10(rough));
  // The nearest on a logarithmic axis: the bounds are √2, √10 and √50.
  const factor = rough < Math.SQRT2 * power ? 1 : rough < 3.162 * power ? 2 : rough < 7.071 * power ? 5 : 10;
  return factor * power;
}

/** `1.2M`, `340k`, `0.05`, `2e-5`: three digits. `decimals` fixes those behind the point below 1000; above three it asks for powers. */
export function shortNumber(value: number, decimals?: number): string {
  const size = Math.abs(value);
  if (size < 1e-12) return "0";
  for (const [unit, letter] of [
    [1e9, "G"],
    [1e6, "M"],
    [1e3, "k"],
  ] as const) {
    if (size >= unit) return `${Number((value / unit).toPrecision(3))}${letter}`;
  }
  if (size < 1e-3 || (decimals !== undefined && decimals > 3))
    return Number(value.toPrecision(2)).toExponential();
  return decimals === undefined ? `${Number(value.toPrecision(3))}` : value.toFixed(decimals);
}
