/** A line chart as inline SVG, with a sentence that says how to read it. */

import { type Html, html, inlineJson } from "../page/html.js";
import { linearScale, logScale, type Scale, shortNumber } from "./scale.js";
import { type Point, quantile } from "./series.js";

export interface Line {
  readonly name: string;
  readonly points: readonly Point[];
  /** Drawn thin behind the others, without a say in the axis beyond its middle 98 %, and not in the hover box. */
  readonly faint?: boolean;
  /** Uncertainty around the line: `[x, low, high]`. */
  readonly band?: readonly (readonly [x: number, low: number, high: number])[];
  /** Draw a dot on every point: for few points. */
  readonly dots?: boolean;
}

/** A dashed horizontal line at a value that means something. */
export interface ReferenceLine {
  readonly value: number;
  readonly label: string;
  /** Stage the axis to show it; otherwise it is drawn only where the data reach. */
  readonly always?: boolean;
}

export interface LineChart {
  readonly title: string;
  /** One sentence: what a healthy curve looks like. */
  readonly sentence: string;
  readonly xLabel: string;
  /** Put after the numbers of the y axis, e.g. ` %`. */
  readonly unit?: string;
  /** Logarithmic y axis; values of 0 and below are left out. */
  readonly log?: boolean;
  /** Start the y axis at 0. */
  readonly fromZero?: boolean;
  readonly lines: readonly Line[];
  readonly references?: readonly ReferenceLine[];
}

const WIDTH = 460;
const HEIGHT = 250;
const PLOT = { left: 46, right: 450, top: 12, bottom: 214 };

/** The chart as a `<figure>`. A line's colour is its place among the lines that are not faint. */
export function lineChart(chart: LineChart): Html {
  const lines = chart.lines.map((line) => drawable(line, chart.log === true));
  const y = yScale(chart, lines);
  const xs = lines.flatMap((line) => line.points.map(([x]) => x));
  const across = linearScale([Math.min(0, least(xs)), greatest(xs)], [PLOT.left, PLOT.right], 5);
  // Steps, samples and checks are counted.
  const whole = across.ticks.filter(({ value }) => Number.isInteger(value));
  const x = { ...across, ticks: whole.map(({ value }) => ({ value, label: shortNumber(value) })) };
  const references = (chart.references ?? []).filter(
    ({ value }) => value >= y.domain[0] && value <= y.domain[1],
  );
  const colours = lineColours(lines);
  const last = lines
    .filter((line) => line.faint !== true && line.points.length > 0)
    .map((line) => `${line.name} ${shortNumber(line.points.at(-1)![1])}${chart.unit ?? ""}`);
  return html`<figure class="chart">
<figcaption><h3>${chart.title}</h3>${legend(lines, colours)}</figcaption>
<div class="plot">
<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${chart.title}. At the end: ${last.join(", ")}.">
${yAxis(y)}
${xAxis(x, chart.xLabel)}
<svg width="${WIDTH}" height="${PLOT.bottom}" viewBox="0 0 ${WIDTH} ${PLOT.bottom}">
${lines.map((line, i) => drawLine(line, colours[i]!, x, y))}
</svg>
${references.map((reference) => drawReference(reference, y))}
<line class="cursor" y1="${PLOT.top}" y2="${PLOT.bottom}"/>
</svg>
<div class="hover"></div>
${hoverData(chart, lines, colours, x, y)}
</div>
<p>${chart.sentence}</p>
</figure>`;
}

/** The line without what cannot be drawn: numbers that are not finite, and on a log axis those that are not positive. */
function drawable(line: Line, log: boolean): Line {
  const fits = (value: number): boolean => Number.isFinite(value) && (!log || value > 0);
  return {
    ...line,
    points: line.points.filter(([, value]) => fits(value)),
    ...(line.band && { band: line.band.filter(([, low, high]) => fits(low) && fits(high)) }),
  };
}

function yScale(chart: LineChart, lines: readonly Line[]): Scale {
  const values = lines.flatMap((line) => {
    const own = line.points.map(([, value]) => value);
    if (line.faint === true && own.length > 0) return [quantile(own, 0.01), quantile(own, 0.99)];
    return [...own, ...(line.band ?? []).flatMap(([, low, high]) => [low, high])];
  });
  for (const { value, always } of chart.references ?? []) if (always === true) values.push(value);
  if (chart.fromZero === true) values.push(0);
  if (values.length === 0) values.push(chart.log === true ? 1 : 0);
  const low = least(values);
  const high = greatest(values);
  const range = [PLOT.bottom, PLOT.top] as const;
  if (chart.log === true) return logScale([low / 1.1, high * 1.1], range, chart.unit);
  const margin = (high - low) * 0.06;
  return linearScale([low === 0 ? 0 : low - margin, high + margin], range, 5, chart.unit);
}

const least = (values: readonly number[]): number => values.reduce((a, b) => Math.min(a, b), values[0] ?? 0);
const greatest = (values: readonly number[]): number =>
  values.reduce((a, b) => Math.max(a, b), values[0] ?? 0);

function lineColours(lines: readonly Line[]): number[] {
  let next = 0;
  return lines.map((line) => (line.faint === true ? 0 : next++ % 4));
}

function legend(lines: readonly Line[], colours: readonly number[]): Html | undefined {
  if (lines.length < 2) return undefined;
  return html`<ul class="legend">${lines.map(
    (line, i) => html`<li class="c${colours[i]!}${line.faint === true ? " faint" : ""}">${line.name}</li>`,
  )}</ul>`;
}

function yAxis(y: Scale): Html[] {
  return y.ticks.map(({ value, label }) => {
    const at = pixel(y.at(value));
    return html`<line class="grid" x1="${PLOT.left}" x2="${PLOT.right}" y1="${at}" y2="${at}"/><text x="${PLOT.left - 7}" y="${at}" dy=".32em" text-anchor="end">${label}</text>`;
  });
}

function xAxis(x: Scale, label: string): Html {
  return html`${x.ticks.map(
    (tick) =>
      html`<text x="${pixel(x.at(tick.value))}" y="${PLOT.bottom + 15}" text-anchor="middle">${tick.label}</text>`,
  )}<line class="base" x1="${PLOT.left}" x2="${PLOT.right}" y1="${PLOT.bottom}" y2="${PLOT.bottom}"/><text class="label" x="${(PLOT.left + PLOT.right) / 2}" y="${PLOT.bottom + 32}" text-anchor="middle">${label}</text>`;
}

function drawLine(line: Line, colour: number, x: Scale, y: Scale): Html {
  const place = (at: number, value: number): string => `${pixel(x.at(at))} ${pixel(y.at(value))}`;
  const path = line.points.map(([at, value]) => place(at, value)).join("L");
  const band = line.band ?? [];
  const upper = band.map(([at, , high]) => place(at, high));
  const lower = band.map(([at, low]) => place(at, low)).reverse();
  return html`${band.length > 1 && html`<path class="band c${colour}" d="M${[...upper, ...lower].join("L")}Z"/>`}${
    path !== "" && html`<path class="line c${colour}${line.faint === true ? " faint" : ""}" d="M${path}"/>`
  }${
    line.dots === true &&
    line.points.map(
      ([at, value]) =>
        html`<circle class="c${colour}" cx="${pixel(x.at(at))}" cy="${pixel(y.at(value))}" r="2.6"/>`,
    )
  }`;
}

function drawReference({ value, label }: ReferenceLine, y: Scale): Html {
  const at = y.at(value);
  const above = at > PLOT.top + 14;
  return html`<line class="reference" x1="${PLOT.left}" x2="${PLOT.right}" y1="${pixel(at)}" y2="${pixel(at)}"/><text class="reference" x="${PLOT.right}" y="${pixel(above ? at - 5 : at + 13)}" text-anchor="end">${label}</text>`;
}

/** What the page's script needs to show values under the pointer. */
function hoverData(
  chart: LineChart,
  lines: readonly Line[],
  colours: readonly number[],
  x: Scale,
  y: Scale,
): Html {
  const shown = lines.flatMap((line, i) =>
    line.faint === true
      ? []
      : [
          {
            name: line.name,
            colour: colours[i]!,
            points: line.points.map(([at, value]) => [
              at,
              Number(value.toPrecision(4)),
              pixel(x.at(at)),
              pixel(y.at(value)),
            ]),
          },
        ],
  );
  const data = { width: WIDTH, x: chart.xLabel, unit: chart.unit ?? "", lines: shown };
  return html`<script type="application/json">${inlineJson(data)}</script>`;
}

const pixel = (value: number): number => Math.round(value * 10) / 10;
