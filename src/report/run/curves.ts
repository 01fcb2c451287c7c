/** Which curves a run's metrics give, and how to read each. */

import { type EvaluationRecord, isShare, metricWords } from "../../evaluate/records.js";
import { type LineChart, lineChart, type ReferenceLine } from "../charts/chart.js";
import { groupBy, type Point, smooth, thinEvenly, thinToExtremes } from "../charts/series.js";
import type { Html } from "../page/html.js";

/** One line of `metrics.jsonl`: numbers by name. `step` is needed; what is not a number is passed over. */
export type MetricsPoint = Readonly<Record<string, unknown>> & { readonly step: number };

/** A curve over `metrics`. */
export interface Curve {
  readonly title: string;
  /** Names that the value may bear in the metrics; the first that is there is drawn. */
  readonly keys: readonly string[];
  /** One sentence: what a healthy curve looks like. */
  readonly sentence: string;
  readonly log?: boolean;
  readonly fromZero?: boolean;
  /** Multiplies the value, e.g. 100 for percent. Default 1. */
  readonly factor?: number;
  readonly unit?: string;
  /** Draw a moving average over the raw values. */
  readonly smoothed?: boolean;
  readonly references?: readonly ReferenceLine[];
}

/** What the curves' sentences need to know of the run. */
export interface CurveContext {
  /** Pairs in a batch: the loss of guessing is its logarithm. */
  readonly batchSize?: number;
  /** Where the logit scale, one over the temperature, begins. Default 1 / 0.07, as in CLIP. */
  readonly logitScaleInit?: number;
  /** Its clamp. Default 100, as in CLIP. */
  readonly logitScaleMax?: number;
}

/** The curves of a training run, in order of importance; those without values are left out of a report. */
export function trainingCurves({
  batchSize,
  logitScaleInit = 1 / 0.07,
  logitScaleMax = 100,
}: CurveContext): Curve[] {
  const guessing = batchSize === undefined ? undefined : Math.log(batchSize);
  const start = logitScaleInit.toPrecision(3);
  return [
    {
      title: "Loss",
      keys: ["loss", "contrastiveLoss", "contrastive_loss"],
      smoothed: true,
      sentence:
        guessing === undefined
          ? "A healthy loss leaves the flat start, ln(batch), within the warm-up and falls ever more slowly; one that stays there learns nothing."
          : `Guessing costs ln(${batchSize}) = ${guessing.toFixed(2)}. A healthy loss leaves that line within the warm-up and falls ever more slowly; one that stays on it learns nothing.`,
      references:
        guessing === undefined
          ? []
          : [{ value: guessing, label: `guessing, ${guessing.toFixed(2)}`, always: true }],
    },
    {
      title: "Logit scale",
      keys: ["logitScale", "logit_scale", "scale"],
      sentence: `One over the temperature. It starts at ${start} and climbs as pairs become easier to tell apart, at most to its clamp at ${logitScaleMax}; a scale below 5 means collapse, and one long at the clamp asks for more data or a smaller rate.`,
      references: [
        { value: logitScaleInit, label: `start, ${start}` },
        { value: logitScaleMax, label: `clamp, ${logitScaleMax}` },
      ],
    },
    {
      title: "Learning rate",
      keys: ["learningRate", "learning_rate", "lr"],
      fromZero: true,
      sentence:
        "Rises over the warm-up, then falls as the schedule says; it should reach its lowest value at the end of the run.",
    },
    {
      title: "Gradient norm",
      keys: ["gradientNorm", "gradNorm", "gradient_norm", "grad_norm"],
      log: true,
      smoothed: true,
      sentence:
        "Before clipping. Spikes early on are normal; a steady climb, or spikes that grow, call for a smaller learning rate.",
    },
    {
      title: "Speed",
      keys: ["samplesPerSecond", "samples_per_second", "imagesPerSecond"],
      fromZero: true,
      smoothed: true,
      unit: "/s",
      sentence:
        "Image–text pairs a second. It should be flat; a slope down points to heat, swapping or another program on the machine.",
    },
    {
      title: "Waiting for data",
      keys: ["dataWaitShare", "dataWait", "data_wait"],
      fromZero: true,
      smoothed: true,
      factor: 100,
      unit: " %",
      sentence:
        "Share of the time in which the trainer had no batch. Near 0 is right; above 10 % more workers or smaller source images pay off.",
    },
    {
      title: "Memory",
      keys: ["memoryBytes", "rssBytes"],
      fromZero: true,
      factor: 1e-9,
      unit: " GB",
      sentence: "Held by the process. It should be flat after the first steps; a steady climb is a leak.",
    },
  ];
}

/** Charts of all `curves` that have at least two values in `metrics`; x is samples seen where every line says it, else steps. */
export function curveCharts(metrics: readonly MetricsPoint[], curves: readonly Curve[]): Html[] {
  const bySamples = metrics.every((point) => typeof point.samplesSeen === "number");
  const xOf = (point: MetricsPoint): number => (bySamples ? (point.samplesSeen as number) : point.step);
  return curves.flatMap((curve) => {
    const key = curve.keys.find((name) => metrics.some((point) => Number.isFinite(point[name])));
    if (key === undefined) return [];
    const points = metrics.flatMap((point): Point[] => {
      const value = point[key];
      return typeof value === "number" && Number.isFinite(value)
        ? [[xOf(point), value * (curve.factor ?? 1)]]
        : [];
    });
    if (points.length < 2) return [];
    return [lineChart(chartOf(curve, points, bySamples))];
  });
}

/** A smoothed line forgets half of a value over a hundredth of the run, which lags by about a pixel or two. */
const HALF_LIFE_SHARE = 1 / 100;

function chartOf(curve: Curve, points: Point[], bySamples: boolean): LineChart {
  const smoothed = curve.smoothed === true && points.length >= 20;
  const main = smoothed ? smooth(points, Math.max(1, points.length * HALF_LIFE_SHARE)) : points;
  return {
    title: curve.title,
    sentence: curve.sentence,
    xLabel: bySamples ? "samples seen" : "steps",
    ...(curve.unit !== undefined && { unit: curve.unit }),
    log: curve.log ?? false,
    fromZero: curve.fromZero ?? false,
    references: curve.references ?? [],
    lines: [
      ...(smoothed ? [{ name: "as logged", points: thinToExtremes(points, 400), faint: true }] : []),
      { name: smoothed ? "smoothed" : curve.title.toLowerCase(), points: thinEvenly(main, 240) },
    ],
  };
}

/**
 * One chart a data set and kind of task for scores taken at two or more steps, in percent with their intervals; at most four
 * metrics a chart.
 */
export function scoreCharts(records: readonly EvaluationRecord[]): Html[] {
  const timed = records.filter((record) => record.step !== undefined && isShare(record.metric));
  const bySamples = timed.every((record) => record.samplesSeen !== undefined);
  const charts = groupBy(timed, (record) =>
    JSON.stringify([record.dataset, record.split, chartKind(record.metric)]),
  );
  return charts.flatMap((group) => {
    const lines = groupBy(group, (record) => record.metric)
      .map((scores) => [...scores].sort((a, b) => a.step! - b.step!))
      .filter((scores) => new Set(scores.map((score) => score.step)).size > 1)
      .slice(0, 4)
      .map((scores) => {
        const x = (score: EvaluationRecord): number => (bySamples ? score.samplesSeen! : score.step!);
        return {
          name: metricWords(scores[0]!.metric),
          dots: scores.length <= 30,
          points: scores.map((score): Point => [x(score), 100 * score.value]),
          band: scores.map((score) => [x(score), 100 * score.low, 100 * score.high] as const),
        };
      });
    if (lines.length === 0) return [];
    const { dataset, split } = group[0]!;
    const { chance } = group.findLast((score) => score.metric === group[0]!.metric)!;
    const guessing = {
      value: 100 * (chance ?? 0),
      label: `chance of ${metricWords(group[0]!.metric)}`,
    };
    return [
      lineChart({
        title: `Scores on ${dataset}${split === undefined ? "" : ` (${split})`}`,
        sentence:
          "Shaded: 95 % intervals. Scores should still climb at the end; when they turn down while the loss falls, the run has seen its data too often.",
        xLabel: bySamples ? "samples seen" : "steps",
        unit: " %",
        fromZero: true,
        lines,
        references: chance === undefined ? [] : [guessing],
      }),
    ];
  });
}

/** Metrics that share a chart: accuracies together, each direction of retrieval together. */
const chartKind = (metric: string): string => /^(image|text)_retrieval/.exec(metric)?.[0] ?? "classification";
