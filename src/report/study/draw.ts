/** Charts of a study's page: drawn by Observable Plot, as SVG with a title and a description, over the same numbers as a table. */

import * as Plot from "@observablehq/plot";
import { parseHTML } from "linkedom";
import { linearScale, logScale, type Scale, shortNumber } from "../charts/scale.js";
import { Html, html } from "../page/html.js";

export interface DrawnAxis {
  /** With its unit. */
  readonly label: string;
  readonly scale: "log" | "linear";
  /** Where it may not go beyond. */
  readonly bounds?: readonly [number, number] | undefined;
  /** Where a logarithmic one has its ticks, if they fit. Default: at its points. */
  readonly ticks?: readonly number[] | undefined;
}

export interface DrawnPoint {
  readonly x: number;
  readonly y: number;
  readonly low?: number | undefined;
  readonly high?: number | undefined;
  /** Shown when it is pointed at. */
  readonly words: string;
}

export interface DrawnLine {
  readonly name: string;
  /** Its colour and its shape. */
  readonly style: number;
  readonly points: readonly DrawnPoint[];
  /** Join the points by straight lines. */
  readonly joined?: boolean;
  /** A fitted curve with its band. */
  readonly curve?:
    | readonly { readonly x: number; readonly value: number; readonly low: number; readonly high: number }[]
    | undefined;
}

/** A line without points: a diagonal, a frontier. */
export interface Guide {
  readonly name: string;
  readonly points: readonly (readonly [x: number, y: number])[];
  readonly kind: "dashed" | "strong";
}

export interface Drawing {
  /** Unique on the page. */
  readonly id: string;
  readonly title: string;
  /** What is to be seen, for those who read and for those who cannot see. */
  readonly sentence: string;
  readonly x: DrawnAxis;
  readonly y: DrawnAxis;
  readonly lines: readonly DrawnLine[];
  /** Places on the x axis that mean something, with their intervals. */
  readonly places?: readonly { readonly x: number; readonly low: number; readonly high: number }[];
  readonly guides?: readonly Guide[];
  readonly table: { readonly columns: readonly string[]; readonly rows: readonly (readonly string[])[] };
}

/** Of a chart, in its own units: pixels where it is as wide. */
export const WIDTH = 460;
export const HEIGHT = 300;
const MARGIN = { left: 46, right: 16, top: 26, bottom: 44 };
/** In order of the styles; each has a colour too (`style.ts`). */
export const SHAPES = ["circle", "square", "triangle", "diamond", "star", "wye", "cross", "hexagon"] as const;
export const COLOURS = SHAPES.length;

const { document } = parseHTML("<!doctype html><html><body></body></html>");
/** linkedom's document stands for a browser's. */
const context = { document: document as unknown as NonNullable<Plot.PlotOptions["document"]> };

/** What is asked of an element. */
interface DrawnElement {
  readonly outerHTML: string;
  querySelector(selector: string): DrawnElement | null;
  querySelectorAll(selector: string): Iterable<DrawnElement>;
  getAttribute(name: string): string | null;
  setAttribute(name: string, value: string): void;
  removeAttribute(name: string): void;
  remove(): void;
}

const colourOf = (style: number): string => `var(--s${style % COLOURS})`;
const shapeOf = (style: number) => SHAPES[style % COLOURS]!;
/** Styles beyond the eighth are hollow. */
const isHollow = (style: number): boolean => style % (2 * COLOURS) >= COLOURS;

/** The chart as a `<figure>`. */
export function draw(drawing: Drawing): Html {
  const { id, title, sentence, lines, table } = drawing;
  return html`<figure class="chart" id="${id}">
<figcaption><h3>${title}</h3>${lines.length > 1 && legend(lines)}</figcaption>
${chartOf(drawing)}
<p>${sentence}</p>
<details><summary>The numbers</summary><div class="wide" role="region" tabindex="0" aria-label="${`Numbers: ${title}`}"><table><thead><tr>${table.columns.map(
    (name) => html`<th scope="col">${name}</th>`,
  )}</tr></thead><tbody>${table.rows.map(
    ([head, ...rest]) =>
      html`<tr><th scope="row">${head}</th>${rest.map((cell) => html`<td class="number">${cell}</td>`)}</tr>`,
  )}</tbody></table></div></details>
</figure>`;
}

function legend(lines: readonly DrawnLine[]): Html {
  return html`<ul class="keys">${lines.map(({ name, style }) => html`<li>${symbol(style)}${name}</li>`)}</ul>`;
}

/** A line's mark, for legends. */
export function symbol(style: number): Html {
  const mark = Plot.dot([[9, 9]], { r: 5, symbol: shapeOf(style), ...inkOf(style) });
  const svg = Plot.plot({
    ...context,
    ...{ width: 18, height: 18, axis: null, margin: 0 },
    x: { domain: [0, 18], range: [0, 18] },
    y: { domain: [0, 18], range: [0, 18] },
    marks: [mark],
  });
  return serialized(svg, { "aria-hidden": "true" });
}

const inkOf = (style: number) =>
  isHollow(style)
    ? { fill: "var(--card)", stroke: colourOf(style), strokeWidth: 1.6 }
    : { fill: colourOf(style), stroke: "var(--card)", strokeWidth: 0.8 };

/** The chart alone, as `<svg>`: its colours are custom properties of the document around it. */
export function chartOf({ id, title, sentence, x, y, lines, places = [], guides = [] }: Drawing): Html {
  const points = lines.flatMap((line) => line.points);
  const curves = lines.flatMap((line) => line.curve ?? []);
  const along = [...points.map((point) => point.x), ...curves.map((one) => one.x)];
  const up = [
    ...points.map((point) => point.y),
    ...curves.map(({ value }) => value),
    ...guides.filter(({ kind }) => kind === "strong").flatMap((guide) => guide.points.map(([, at]) => at)),
  ];
  const whiskers = points.flatMap((point) => [point.low ?? point.y, point.high ?? point.y]);
  const xScale = scaleOf(
    x,
    along,
    [MARGIN.left, WIDTH - MARGIN.right],
    x.ticks ?? points.map((point) => point.x),
  );
  const yScale = scaleOf(y, reaching(up, whiskers, y.scale), [HEIGHT - MARGIN.bottom, MARGIN.top]);
  const within = (value: number): number => Math.min(yScale.domain[1], Math.max(yScale.domain[0], value));
  const labels = (scale: Scale): string[] => scale.ticks.map(({ label }) => label);
  const values = (scale: Scale): number[] => scale.ticks.map(({ value }) => value);
  const svg = Plot.plot({
    ...context,
    ...{ width: WIDTH, height: HEIGHT },
    marginLeft: MARGIN.left,
    marginRight: MARGIN.right,
    marginTop: MARGIN.top,
    marginBottom: MARGIN.bottom,
    x: { type: x.scale, domain: [...xScale.domain], label: null },
    y: { type: y.scale, domain: [...yScale.domain], label: null },
    marks: [
      Plot.gridY(values(yScale), { stroke: "var(--grid)", strokeOpacity: 1 }),
      Plot.axisY(values(yScale), {
        text: labels(yScale),
        tickSize: 0,
        label: y.label,
        labelArrow: "none",
      }),
      Plot.axisX(values(xScale), {
        ...{ text: labels(xScale), tickSize: 4, stroke: "var(--line)" },
        ...{ label: x.label, labelAnchor: "center", labelArrow: "none", labelOffset: 38 },
      }),
      Plot.ruleY([yScale.domain[0]], { stroke: "var(--line)" }),
      ...places.flatMap((place) => [
        Plot.rectX([place], {
          x1: Math.max(place.low, xScale.domain[0]),
          x2: Math.min(place.high, xScale.domain[1]),
          ...{ fill: "var(--quiet)", fillOpacity: 0.09 },
        }),
        Plot.ruleX([place.x], { stroke: "var(--quiet)", strokeDasharray: "4 3" }),
      ]),
      ...guides.map(({ points: way, kind }) =>
        Plot.line(
          way.map(([at, value]) => [at, within(value)]),
          kind === "dashed"
            ? { stroke: "var(--quiet)", strokeDasharray: "4 3", strokeWidth: 1 }
            : { stroke: "var(--ink)", strokeOpacity: 0.55, strokeWidth: 1.6, curve: "step-after" },
        ),
      ),
      ...lines.flatMap(({ curve = [], style }) => [
        Plot.areaY(curve, {
          // Of many bands each is fainter, so that they do not add up to a dark one.
          ...{ x: "x", fill: colourOf(style), fillOpacity: Math.min(0.13, 0.26 / lines.length) },
          y1: (one: { low: number }) => within(one.low),
          y2: (one: { high: number }) => within(one.high),
        }),
        Plot.line(curve, {
          ...{ x: "x", stroke: colourOf(style), strokeWidth: 1.8 },
          y: (one: { value: number }) => within(one.value),
        }),
      ]),
      ...lines.flatMap(({ points: own, style, joined = false }) => [
        ...(joined ? [Plot.line(own, { x: "x", y: "y", stroke: colourOf(style), strokeWidth: 1.6 })] : []),
        Plot.ruleX(
          own.filter(({ low }) => low !== undefined),
          {
            x: "x",
            y1: (one: DrawnPoint) => within(one.low!),
            y2: (one: DrawnPoint) => within(one.high!),
            stroke: colourOf(style),
            strokeWidth: 1.2,
            strokeOpacity: 0.75,
          },
        ),
      ]),
      ...lines.map(({ points: own, style }) =>
        Plot.dot(own, { x: "x", y: "y", r: 4.2, symbol: shapeOf(style), ...inkOf(style), title: "words" }),
      ),
    ],
  });
  const [titleId, descriptionId] = [`${id}-title`, `${id}-what`];
  return serialized(
    svg,
    { role: "img", "aria-labelledby": `${titleId} ${descriptionId}` },
    html`<title id="${titleId}">${title}</title><desc id="${descriptionId}">${sentence} Along: ${x.label}; upwards: ${y.label}.</desc>`,
  );
}

/** The values, and as much of the whiskers as half of the values' range beyond them: one wide interval flattens no chart. */
function reaching(
  values: readonly number[],
  whiskers: readonly number[],
  scale: DrawnAxis["scale"],
): readonly number[] {
  if (scale === "log") return [...values, ...whiskers];
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const room = 0.5 * (high - low || Math.abs(high));
  return [
    Math.max(low - room, Math.min(...whiskers)),
    low,
    high,
    Math.min(high + room, Math.max(...whiskers)),
  ];
}

/** A scale over the values with room at both ends. `ticked`: the values at which a logarithmic axis would have its ticks. */
function scaleOf(
  { scale, bounds }: DrawnAxis,
  values: readonly number[],
  range: readonly [number, number],
  ticked: readonly number[] = values,
): Scale {
  const low = Math.min(...values);
  const high = Math.max(...values);
  if (scale === "linear") {
    const margin = 0.06 * (high - low || Math.abs(high) || 1);
    const [least, most] = bounds ?? [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];
    return linearScale([Math.max(least, low - margin), Math.min(most, high + margin)], range);
  }
  const room = Math.max(1.08, (high / low) ** 0.06);
  const found = logScale([low / room, high * room], range);
  return { ...found, ticks: logTicks(found, ticked) };
}

/** Between the middles of two tick labels, in pixels. */
const APART = 36;
/** Multiples of powers of ten that are tried until there are three ticks. */
const MULTIPLES = [[1], [1, 3], [1, 2, 5], [1, 1.5, 2, 3, 4, 5, 6, 8]] as const;

/** Ticks of a logarithmic axis: at the values themselves where these are few and far apart, else at round numbers. */
function logTicks(scale: Scale, values: readonly number[]): Scale["ticks"] {
  const labelled = (value: number) => ({ value, label: shortNumber(value) });
  const fit = (places: readonly number[]): boolean =>
    places.every((value, at) => at === 0 || Math.abs(scale.at(value) - scale.at(places[at - 1]!)) >= APART);
  const own = [...new Set(values.map((value) => Number(value.toPrecision(3))))].sort((a, b) => a - b);
  if (own.length > 2 && own.length <= 8 && fit(own)) return own.map(labelled);
  const [low, high] = scale.domain;
  for (const multiples of MULTIPLES) {
    const places: number[] = [];
    for (let power = Math.floor(Math.log10(low)); 10 ** power <= high; power++)
      for (const multiple of multiples) {
        const value = Number((multiple * 10 ** power).toPrecision(2));
        if (value >= low && value <= high) places.push(value);
      }
    if (places.length >= 3 && fit(places)) return places.map(labelled);
  }
  return linearScale(scale.domain, [0, 1], 4).ticks;
}

const NUMBERS = ["x", "x1", "x2", "y", "y1", "y2", "cx", "cy", "r", "d", "transform", "width", "height"];

/** Plot's element as text: without its style sheet, its numbers to a hundredth of a pixel, so that the same data give the same bytes anywhere. */
function serialized(
  element: unknown,
  attributes: Readonly<Record<string, string>>,
  head: Html | undefined = undefined,
): Html {
  const svg = element as DrawnElement;
  svg.querySelector("style")?.remove();
  for (const name of ["class", "font-family", "font-size"]) svg.removeAttribute(name);
  for (const one of [svg, ...svg.querySelectorAll("*")]) {
    one.removeAttribute("aria-label");
    for (const name of NUMBERS) {
      const value = one.getAttribute(name);
      if (value !== null)
        one.setAttribute(
          name,
          value.replace(/-?\d+\.\d+/g, (number) => String(Math.round(100 * Number(number)) / 100)),
        );
    }
  }
  for (const [name, value] of Object.entries(attributes)) svg.setAttribute(name, value);
  return new Html(svg.outerHTML.replace(/^<svg[^>]*>/, (tag) => `${tag}${head?.text ?? ""}`));
}
