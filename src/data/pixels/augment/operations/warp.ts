/**
 * A smooth warp: four places at the thirds of the image are pulled, and all else follows by a thin-plate spline
 * (TensorFlow Addons' `sparse_image_warp`, as SupCon's preprocessing uses it).
 */
import type { Canvas } from "../canvas.js";

/** The spline is evaluated at every fourth pixel and drawn out between: within 0.1 pixel of the spline. */
const MESH = 4;
const POINTS = 4;
const UNKNOWNS = POINTS + 3;

/** r² ln r, from r². */
const thinPlate = (square: number): number => (square === 0 ? 0 : 0.5 * square * Math.log(square));

/** Places of the pulled points before the pull, [4, (y, x)], in pixels. */
export function controlPoints(width: number, height: number): Float64Array {
  const places = new Float64Array(POINTS * 2);
  for (let k = 0; k < POINTS; k++) {
    places[2 * k] = (((k >> 1) + 1) * height) / 3;
    places[2 * k + 1] = (((k & 1) + 1) * width) / 3;
  }
  return places;
}

/**
 * The displacement at any place of the image whose four control points are pulled by `pulls` ([4, (y, x)], pixels).
 * Gives y and x by turns into `out`.
 */
export function splineOf(
  width: number,
  height: number,
  pulls: Float64Array,
): (y: number, x: number, out: Float64Array) => void {
  const places = controlPoints(width, height).map((place, i) => place + pulls[i]!);
  // Rows: the spline passes through each pull; its weights sum to nothing against 1, y and x.
  const N = UNKNOWNS;
  const rows = Array.from({ length: N }, () => new Float64Array(N + 2));
  for (let i = 0; i < POINTS; i++) {
    for (let j = 0; j < POINTS; j++) {
      const dy = places[2 * i]! - places[2 * j]!;
      const dx = places[2 * i + 1]! - places[2 * j + 1]!;
      rows[i]![j] = thinPlate(dy * dy + dx * dx);
    }
    for (const [k, value] of [1, places[2 * i]!, places[2 * i + 1]!].entries()) {
      rows[i]![POINTS + k] = value;
      rows[POINTS + k]![i] = value;
    }
    rows[i]![N] = pulls[2 * i]!;
    rows[i]![N + 1] = pulls[2 * i + 1]!;
  }
  eliminate(rows);
  return (y, x, out) => {
    for (let c = 0; c < 2; c++) {
      const weight = (k: number): number => rows[k]![N + c]!;
      let value = weight(POINTS) + weight(POINTS + 1) * y + weight(POINTS + 2) * x;
      for (let k = 0; k < POINTS; k++) {
        const dy = y - places[2 * k]!;
        const dx = x - places[2 * k + 1]!;
        value += weight(k) * thinPlate(dy * dy + dx * dx);
      }
      out[c] = value;
    }
  };
}

/** Gauss and Jordan with pivots: the columns past the square become the solution. */
function eliminate(rows: Float64Array[]): void {
  for (let k = 0; k < rows.length; k++) {
    let best = k;
    for (let i = k; i < rows.length; i++) if (Math.abs(rows[i]![k]!) > Math.abs(rows[best]![k]!)) best = i;
    [rows[k], rows[best]] = [rows[best]!, rows[k]!];
    const pivot = rows[k]!;
    const scale = 1 / pivot[k]!;
    for (let j = k; j < pivot.length; j++) pivot[j]! *= scale;
    for (const [i, row] of rows.entries()) {
      const share = row[k]!;
      if (i === k || share === 0) continue;
      for (let j = k; j < row.length; j++) row[j]! -= share * pivot[j]!;
    }
  }
}

/** Draws the image pulled so: each pixel is read, by bilinear weights, where the spline's displacement takes it from. */
export function warp(canvas: Canvas, pulls: Float64Array): void {
  const { width, height } = canvas;
  const displacement = splineOf(width, height, pulls);
  const columns = Math.ceil(width / MESH) + 1;
  const mesh = new Float64Array((Math.ceil(height / MESH) + 1) * columns * 2);
  const found = new Float64Array(2);
  for (let at = 0; at < mesh.length; at += 2) {
    const node = at / 2;
    displacement(Math.floor(node / columns) * MESH, (node % columns) * MESH, found);
    mesh.set(found, at);
  }
  const { from, to } = canvas.redraw();
  const bottom = Math.max(0, height - 2);
  const right = Math.max(0, width - 2);
  const stepRight = width > 1 ? 3 : 0;
  const stepDown = height > 1 ? width * 3 : 0;
  let at = 0;
  for (let y = 0; y < height; y++) {
    const v = (y % MESH) / MESH;
    const above = Math.floor(y / MESH) * columns * 2;
    for (let x = 0; x < width; x++, at += 3) {
      const u = (x % MESH) / MESH;
      const node = above + ((x / MESH) | 0) * 2;
      const below = node + columns * 2;
      const moveY =
        (1 - v) * ((1 - u) * mesh[node]! + u * mesh[node + 2]!) +
        v * ((1 - u) * mesh[below]! + u * mesh[below + 2]!);
      const moveX =
        (1 - v) * ((1 - u) * mesh[node + 1]! + u * mesh[node + 3]!) +
        v * ((1 - u) * mesh[below + 1]! + u * mesh[below + 3]!);
      const sourceY = y - moveY;
      const sourceX = x - moveX;
      const top = Math.max(0, Math.min(bottom, Math.floor(sourceY)));
      const left = Math.max(0, Math.min(right, Math.floor(sourceX)));
      const b = Math.max(0, Math.min(1, sourceY - top));
      const a = Math.max(0, Math.min(1, sourceX - left));
      const i = (top * width + left) * 3;
      for (let c = 0; c < 3; c++) {
        const upper = from[i + c]! + a * (from[i + stepRight + c]! - from[i + c]!);
        const j = i + stepDown + c;
        const lower = from[j]! + a * (from[j + stepRight]! - from[j]!);
        to[at + c] = upper + b * (lower - upper);
      }
    }
  }
  canvas.swap();
}
