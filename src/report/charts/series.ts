/** Points of a curve: grouping, smoothing, and thinning to as many as a screen can show. */

export type Point = readonly [x: number, y: number];

/**
 * Exponential moving average over points, corrected at the start (as Adam does), with a half-life in points. The first
 * value is the first point itself.
 */
export function smooth(points: readonly Point[], halfLife: number): Point[] {
  const decay = 0.5 ** (1 / halfLife);
  let sum = 0;
  let weight = 0;
  return points.map(([x, y]) => {
    sum = decay * sum + y;
    weight = decay * weight + 1;
    return [x, sum / weight];
  });
}

/** At most about `most` points that keep the peaks: the lowest and the highest of each stretch, in their order. */
export function thinToExtremes(points: readonly Point[], most: number): Point[] {
  if (points.length <= most) return [...points];
  const stretches = Math.floor(most / 2);
  return Array.from({ length: stretches }, (_, s) => {
    const part = points.slice(
      Math.floor((s * points.length) / stretches),
      Math.floor(((s + 1) * points.length) / stretches),
    );
    const low = part.reduce((a, b) => (b[1] < a[1] ? b : a));
    const high = part.reduce((a, b) => (b[1] > a[1] ? b : a));
    if (low === high) return [low];
    return low[0] < high[0] ? [low, high] : [high, low];
  }).flat();
}

/** At most `most` points, evenly picked; the first and the last stay. */
export function thinEvenly(points: readonly Point[], most: number): Point[] {
  if (points.length <= most) return [...points];
  return Array.from({ length: most }, (_, i) => points[Math.round((i * (points.length - 1)) / (most - 1))]!);
}

/** The value below which a share `q` of `values` lies. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))]!;
}

/** The items in groups of equal key, in order of first appearance. */
export function groupBy<T>(items: readonly T[], keyOf: (item: T) => string): T[][] {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [item]);
    else group.push(item);
  }
  return [...groups.values()];
}
