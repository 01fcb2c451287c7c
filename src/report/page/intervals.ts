/** A dot-and-interval chart: a row for each number, its interval on a common axis, and the same in words. */

import type { Interval } from "../../evaluate/statistics/bootstrap.js";
import type { Metric } from "../../evaluate/tasks/task.js";
import { linearScale, type Scale } from "../charts/scale.js";
import { type Html, type HtmlChild, html } from "./html.js";

/** Places on a row, in percent of its width. */
export type IntervalAxis = Pick<Scale, "at" | "ticks">;

export interface IntervalRow {
  readonly name: string;
  /** Drawn; left out, the row has its words only. */
  readonly interval?: Omit<Interval, "n">;
  /** A thin line across the row at a value that means something. */
  readonly mark?: { readonly at: number; readonly title: string };
  /** Drawn without colour: it says nothing. */
  readonly quiet?: boolean;
  readonly value: string;
  readonly detail: HtmlChild;
}

/** The axis of shares. */
export const shareAxis: IntervalAxis = {
  at: (share) => 100 * share,
  ticks: [0, 25, 50, 75, 100].map((at) => ({ value: at / 100, label: at === 100 ? "100 %" : `${at}` })),
};

/** An axis around all of the intervals. */
export function axisAround(
  intervals: readonly { readonly low: number; readonly high: number }[],
  { kind }: Metric,
): IntervalAxis {
  const factor = kind === "share" ? 100 : 1;
  const low = factor * Math.min(...intervals.map((each) => each.low));
  const high = factor * Math.max(...intervals.map((each) => each.high));
  const margin = 0.06 * (high - low);
  const scale = linearScale([low - margin, high + margin], [0, 100], 5);
  return {
    at: (value) => scale.at(factor * value),
    ticks: scale.ticks.map((tick) => ({ ...tick, value: tick.value / factor })),
  };
}

/** The rows, over the axis where any is drawn. What lies outside the axis is drawn at its end. */
export function intervalChart(rows: readonly IntervalRow[], axis: IntervalAxis): Html {
  const hundredths = (percent: number): number => Math.round(percent * 100) / 100;
  const place = (value: number): number => hundredths(Math.min(100, Math.max(0, axis.at(value))));
  const row = ({ name, interval, mark, quiet, value, detail }: IntervalRow): Html =>
    html`<div class="score${quiet === true ? " quieter" : ""}" role="row"><span role="cell">${name}</span>${
      interval === undefined
        ? html`<span></span>`
        : html`<span class="track">${
            mark !== undefined &&
            html`<i class="mark" style="left:${place(mark.at)}%" title="${mark.title}"></i>`
          }<i class="bar" style="left:${place(interval.low)}%;width:${hundredths(place(interval.high) - place(interval.low))}%"></i><i class="dot" style="left:${place(interval.value)}%"></i></span>`
    }<b role="cell">${value}</b><span role="cell" class="quiet">${detail}</span></div>`;
  const ticks = axis.ticks.map(({ value, label }) => {
    const at = place(value);
    return html`<i style="left:${at}%"${at === 0 ? html` class="first"` : at === 100 && html` class="last"`}>${label}</i>`;
  });
  return html`<div role="table">${rows.map(row)}${
    rows.some(({ interval }) => interval !== undefined) &&
    html`<div class="score axis" aria-hidden="true"><span></span><span class="track">${ticks}</span><span></span><span></span></div>`
  }</div>`;
}
