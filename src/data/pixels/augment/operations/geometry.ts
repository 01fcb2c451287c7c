/** Operations that move pixels: affine maps by nearest neighbour, and cut-outs. */

import type { Rgb } from "../../read/image.js";
import type { Canvas } from "../canvas.js";
import type { Operation } from "./operation.js";

/** From places of the result to places of the source, pixel (0, 0) being the square 0 … 1. */
type Matrix = readonly [a: number, b: number, c: number, d: number, e: number, f: number];

/** A row of the result that is a run of row `y` of the source, from column `x` on. */
function slideRow(
  from: Uint8Array,
  x: number,
  y: number,
  width: number,
  height: number,
  to: Uint8Array,
  at: number,
  [red, green, blue]: Rgb,
): void {
  const inside = y >= 0 && y < height;
  const low = inside ? Math.min(width, Math.max(0, -x)) : width;
  const high = inside ? Math.max(low, Math.min(width, width - x)) : width;
  if (high > low) {
    const start = (y * width + low + x) * 3;
    to.set(from.subarray(start, start + (high - low) * 3), at + low * 3);
  }
  const paint = (first: number, end: number): void => {
    for (let i = at + first * 3; i < at + end * 3; i += 3) {
      to[i] = red;
      to[i + 1] = green;
      to[i + 2] = blue;
    }
  };
  paint(0, low);
  paint(high, width);
}

/** Pillow's `Image.transform(AFFINE, NEAREST)`: 16.16 fixed point, `fill` where the source has nothing. */
function affine(canvas: Canvas, [a, b, c, d, e, f]: Matrix, fill: Rgb): void {
  const [red, green, blue] = fill;
  const { width, height } = canvas;
  const { from, to } = canvas.redraw();
  const fixed = (x: number): number => Math.floor(x * 65536 + 0.5) | 0;
  const stepX = fixed(a);
  const stepY = fixed(d);
  const lineX = fixed(b);
  const lineY = fixed(e);
  let startX = fixed(c + a * 0.5 + b * 0.5);
  let startY = fixed(f + d * 0.5 + e * 0.5);
  let at = 0;
  const slides = stepX === 65536 && stepY === 0;
  for (let y = 0; y < height; y++) {
    if (slides) {
      slideRow(from, startX >> 16, startY >> 16, width, height, to, at, fill);
      at += width * 3;
      startX = (startX + lineX) | 0;
      startY = (startY + lineY) | 0;
      continue;
    }
    let placeX = startX;
    let placeY = startY;
    for (let x = 0; x < width; x++) {
      const sourceX = placeX >> 16;
      const sourceY = placeY >> 16;
      if (sourceX >= 0 && sourceX < width && sourceY >= 0 && sourceY < height) {
        const i = (sourceY * width + sourceX) * 3;
        to[at] = from[i]!;
        to[at + 1] = from[i + 1]!;
        to[at + 2] = from[i + 2]!;
      } else {
        to[at] = red;
        to[at + 1] = green;
        to[at + 2] = blue;
      }
      at += 3;
      placeX = (placeX + stepX) | 0;
      placeY = (placeY + stepY) | 0;
    }
    startX = (startX + lineX) | 0;
    startY = (startY + lineY) | 0;
  }
  canvas.swap();
}

export const shearX: Operation = {
  doc: "Rows slide along: x from x + k·y.",
  argument: "k, pixels a pixel",
  source: "Pillow Image.transform(AFFINE, NEAREST), as timm shear_x",
  apply: (canvas, k, { fill }) => affine(canvas, [1, k, 0, 0, 1, 0], fill),
};

export const shearY: Operation = {
  doc: "Columns slide along: y from y + k·x.",
  argument: "k, pixels a pixel",
  source: "Pillow Image.transform(AFFINE, NEAREST), as timm shear_y",
  apply: (canvas, k, { fill }) => affine(canvas, [1, 0, 0, k, 1, 0], fill),
};

export const translateX: Operation = {
  doc: "Moved to the left.",
  argument: "pixels; below 0 to the right",
  source: "Pillow Image.transform(AFFINE, NEAREST), as timm translate_x_abs",
  apply: (canvas, pixels, { fill }) => affine(canvas, [1, 0, pixels, 0, 1, 0], fill),
};

export const translateY: Operation = {
  doc: "Moved upwards.",
  argument: "pixels; below 0 downwards",
  source: "Pillow Image.transform(AFFINE, NEAREST), as timm translate_y_abs",
  apply: (canvas, pixels, { fill }) => affine(canvas, [1, 0, 0, 0, 1, pixels], fill),
};

/** To 15 digits, as Pillow does so that right angles are exact. */
const rounded = (x: number): number => Math.round(x * 1e15) / 1e15;

export const rotate: Operation = {
  doc: "Turned about its centre.",
  argument: "degrees, anticlockwise",
  source: "Pillow Image.rotate(NEAREST)",
  apply(canvas, degrees, { fill }) {
    const angle = -(degrees * Math.PI) / 180;
    const cos = rounded(Math.cos(angle));
    const sin = rounded(Math.sin(angle));
    const centreX = canvas.width / 2;
    const centreY = canvas.height / 2;
    const c = centreX - cos * centreX - sin * centreY;
    const f = centreY + sin * centreX - cos * centreY;
    affine(canvas, [cos, sin, c, -sin, cos, f], fill);
  },
};

/** Fills the square of side 2 · `reach` about a pixel, as far as it lies inside. */
export function cutSquare(canvas: Canvas, x: number, y: number, reach: number, fill: Rgb): void {
  const { width, height } = canvas;
  const pixels = canvas.pixels();
  const left = Math.max(0, x - reach);
  const right = Math.min(width, x + reach);
  for (let row = Math.max(0, y - reach); row < Math.min(height, y + reach); row++) {
    for (let column = left; column < right; column++) {
      const at = (row * width + column) * 3;
      for (let c = 0; c < 3; c++) pixels[at + c] = fill[c]!;
    }
  }
}

export const cutout: Operation = {
  doc: "A square about a random pixel is filled.",
  argument: "half its side, pixels",
  source: "big_vision pp/autoaugment.py cutout",
  apply(canvas, reach, { fill, random }) {
    const y = random.integer(canvas.height);
    cutSquare(canvas, random.integer(canvas.width), y, reach, fill);
  },
};
