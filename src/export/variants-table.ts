/** Forms of an export's numbers as a table: in the card, in the terminal. */

import { metricWords } from "../evaluate/records.js";
import type { Variant, VariantScore } from "./form.js";
import { decidingScores } from "./onnx/variants.js";

/** A head and a row for each form: its size, its times, and each score that decides with what it differs from fp32. */
export function variantRows(variants: readonly Variant[]): string[][] {
  const [first] = variants;
  if (first === undefined) return [];
  const columns = decidingScores(first);
  const several = new Set(columns.map(({ dataset }) => dataset)).size > 1;
  const titleOf = ({ dataset, metric }: VariantScore): string =>
    several ? `${dataset} ${metricWords(metric)}` : metricWords(metric);
  return [
    ["dtype", "MB", "ms a picture", "ms a text", ...columns.map(titleOf), "written"],
    ...variants.map((variant) => {
      const scores = decidingScores(variant);
      return [
        variant.dtype,
        (variant.sizeBytes / 1e6).toPrecision(3),
        variant.imageMs.toPrecision(2),
        variant.textMs.toPrecision(2),
        ...columns.map((_, i) => (scores[i] === undefined ? "" : scoreText(scores[i]))),
        variant.written ? "yes" : "no",
      ];
    }),
  ];
}

function scoreText({ value, difference }: VariantScore): string {
  const points = (x: number): string => `${x < 0 ? "−" : "+"}${Math.abs(100 * x).toFixed(1)}`;
  const score = `${(100 * value).toFixed(1)} %`;
  if (difference === undefined) return score;
  return `${score}, ${points(difference.value)} (${points(difference.low)} … ${points(difference.high)})`;
}

/** The rows as lines of Markdown. */
export function variantsText(variants: readonly Variant[]): string[] {
  const [head, ...rows] = variantRows(variants);
  if (head === undefined) return [];
  const line = (row: readonly string[]): string => `| ${row.join(" | ")} |`;
  const scored = variants.some(({ scores }) => scores.length > 0);
  return [
    scored
      ? "Each file was scored as it is: beside a score stands its difference from fp32 on the same items, in points with its 95 % interval. Milliseconds are ONNX Runtime's on the exporting machine, one picture or text at a time, the least of 15 runs."
      : "Milliseconds are ONNX Runtime's on the exporting machine, one picture or text at a time, the least of 15 runs. Scores were not measured: there were no data to score on.",
    "",
    line(head),
    line(head.map(() => "---")),
    ...rows.map(line),
  ];
}
