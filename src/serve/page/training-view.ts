/** How the run goes that is followed: where it is, its curves, what it has warned of. */

import { make, number } from "../../core/page/dom.js";
import type { Training } from "./source.js";

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 220;
const HEIGHT = 64;

/** `1 h 5 min`, `40 s`. */
export function duration(seconds: number): string {
  if (seconds < 60) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** A value with a few digits, however small. */
const short = (value: number): string =>
  value !== 0 && Math.abs(value) < 1e-3 ? value.toExponential(1) : number(value);

/** Fills `panel` with what is known of the run. */
export function showTraining(panel: HTMLElement, training: Training): void {
  const { state, step, steps, seconds, secondsLeft, dataWait, samplesPerSecond, warnings } = training;
  const words = { running: "Training", done: "Done", stopped: "Not running" }[state];
  const facts: [string, string][] = [
    ["Step", steps === undefined ? number(step) : `${number(step)} of ${number(steps)}`],
    ["Time", duration(seconds)],
    ...(state === "running" && secondsLeft !== undefined
      ? [["Left", duration(secondsLeft)] as [string, string]]
      : []),
    ["Pairs a second", number(samplesPerSecond)],
    ["Waiting for data", `${(100 * dataWait).toFixed(0)} %`],
    ["Pictures of step", shownIn(training)],
  ];
  const told = warnings.map(({ step: at, text }) =>
    make("li", {}, make("b", {}, `Step ${number(at)} `), text),
  );
  panel.replaceChildren(
    make("h2", {}, words),
    make(
      "dl",
      { class: "facts wide-facts" },
      ...facts.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value))),
    ),
    make("div", { class: "curves" }, ...training.curves.filter(({ points }) => points.length > 1).map(curve)),
    ...(told.length === 0 ? [] : [make("ul", { class: "warnings", "aria-label": "Warnings" }, ...told)]),
  );
  panel.hidden = false;
}

const shownIn = ({ shown, embedding }: Training): string =>
  `${shown === undefined ? "none yet" : number(shown)}${embedding ? ", a newer one is coming" : ""}`;

function curve({ title, unit, points }: Training["curves"][number]): HTMLElement {
  const values = points.map(([, value]) => value);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const [first, last] = [points[0]!, points.at(-1)!];
  const x = (step: number) => ((step - first[0]) / Math.max(1, last[0] - first[0])) * (WIDTH - 6) + 3;
  const y = (value: number) => HEIGHT - 4 - ((value - low) / (high - low || 1)) * (HEIGHT - 8);
  const line = document.createElementNS(SVG, "polyline");
  line.setAttribute(
    "points",
    points.map(([step, value]) => `${x(step).toFixed(1)},${y(value).toFixed(1)}`).join(" "),
  );
  const picture = document.createElementNS(SVG, "svg");
  picture.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
  picture.setAttribute("role", "img");
  const now = `${short(last[1])}${unit}`;
  picture.setAttribute("aria-label", `${title}: from ${short(first[1])}${unit} to ${now}`);
  picture.append(line);
  return make("figure", {}, make("figcaption", {}, title, make("b", {}, now)), picture);
}
