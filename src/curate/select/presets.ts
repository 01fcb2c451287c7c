/** Filters that others published, as rules over the columns of Clipwright's scores. */
import type { Rule } from "./rules.js";

export interface Preset {
  readonly name: string;
  readonly about: string;
  readonly source: string;
  /** Columns that it reads. */
  readonly columns: readonly string[];
  readonly rules: readonly Rule[];
}

const where = (name: string, sql: string): Rule => ({
  kind: "where",
  name,
  sql,
  reads: [...new Set(sql.match(/[a-z]+(_[a-z]+)+|language|words|characters/g))],
});

/**
 * DataComp's rules on captions and pictures. Words are what blanks separate; the sides are the picture's as it was on the web,
 * before a download made it smaller.
 */
const datacompBasic: readonly Rule[] = [
  where("not English", "language = 'en'"),
  where("2 words or fewer", "words > 2"),
  where("5 characters or fewer", "characters > 5"),
  where("a side below 200", "original_width >= 200 AND original_height >= 200"),
  where(
    "longer than 3 : 1",
    "greatest(original_width, original_height) / least(original_width, original_height) <= 3.0",
  ),
];

export const presets: readonly Preset[] = Object.freeze([
  {
    name: "datacomp-basic",
    about:
      "English, more than 2 words and 5 characters, shorter side from 200, at most 3 : 1. Languages are told by another library than DataComp's fastText.",
    source: "mlfoundations/datacomp, baselines/apply_filter.py, basic_filter",
    columns: ["language", "words", "characters", "original_width", "original_height"],
    rules: datacompBasic,
  },
  {
    name: "datacomp-clip",
    about: "The best 30 % by CLIP score, DataComp's best single filter.",
    source: "mlfoundations/datacomp, baselines, clip_score with L/14 at 0.3",
    columns: ["clip_score"],
    rules: [{ kind: "top", score: "clip_score", share: 0.3 }],
  },
  {
    name: "laion-400m",
    about:
      "CLIP score from 0.3, 5 characters or more, 5 kB or more. The threshold is that of OpenAI's ViT-B/32: with another model take a share (--top).",
    source: "Schuhmann et al., LAION-400M (arXiv 2111.02114)",
    columns: ["clip_score", "characters", "image_bytes"],
    rules: [
      where("CLIP score below 0.3", "clip_score >= 0.3"),
      where("fewer than 5 characters", "characters >= 5"),
      where("less than 5 kB", "image_bytes >= 5000"),
    ],
  },
  {
    name: "laion-2b-en",
    about:
      "English, CLIP score from 0.28. The threshold is that of OpenAI's ViT-B/32: with another model take a share (--top).",
    source: "Schuhmann et al., LAION-5B (arXiv 2210.08402); mlfoundations/datacomp, baselines, laion2b",
    columns: ["clip_score", "language"],
    rules: [where("CLIP score below 0.28", "clip_score >= 0.28"), where("not English", "language = 'en'")],
  },
  {
    name: "cleanvision",
    about:
      "No dark, overexposed, blurred, nearly empty or oddly shaped picture, by CleanVision's thresholds.",
    source: "cleanlab/cleanvision 0.3.7, issue_managers",
    columns: [
      "is_dark_issue",
      "is_light_issue",
      "is_odd_aspect_ratio_issue",
      "is_low_information_issue",
      "is_blurry_issue",
    ],
    rules: [
      where("dark", "NOT is_dark_issue"),
      where("overexposed", "NOT is_light_issue"),
      where("odd shape", "NOT is_odd_aspect_ratio_issue"),
      where("nearly empty", "NOT is_low_information_issue"),
      where("blurred", "NOT is_blurry_issue"),
    ],
  },
]);
