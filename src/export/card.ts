/** The model card of an export: README.md as the Hugging Face hub shows it. */

import { existsSync } from "node:fs";
import { basename, join } from "node:path";
import { readJsonObject, readText } from "../core/files.js";
import { type EvaluationRecord, parseEvaluation } from "../evaluate/records.js";
import type { ClipConfig } from "../models/config/config.js";
import { openaiPreprocess } from "../models/config/preprocess.js";
import { summarize } from "../models/presets/catalog.js";
import type { Exported, ExportForm } from "./form.js";

/** Settings of a recipe that tell how a model was trained. Paths are given by their last part. */
const TOLD = [
  "trainData",
  "pretrained",
  "pretrainedImage",
  "teacher",
  "strategy",
  "epochs",
  "steps",
  "samples",
  "time",
  "batchSize",
  "lr",
  "wd",
  "augment",
  "precision",
  "seed",
] as const;

export function cardOf(model: Exported, form: ExportForm, license: string | undefined): string {
  const { located, name } = model;
  const size = sizeOf(name, located.config);
  const millions = (n: number) => `${(n / 1e6).toPrecision(3)} M`;
  const recipe = recipeOf(located.run);
  const scores = scoresOf(located.run, located.step);
  const caution = form.caution(model);
  const section = (title: string, lines: readonly string[]) =>
    lines.length === 0 ? [] : ["", `## ${title}`, "", ...lines];
  return [
    "---",
    ...(license === undefined ? [] : [`license: ${license}`]),
    `library_name: ${form.library}`,
    "pipeline_tag: zero-shot-image-classification",
    "tags:",
    "- clip",
    "- clipwright",
    "---",
    "",
    `# ${name}`,
    "",
    `${madeBy(located)}: images of ${size.imageSize} × ${size.imageSize} pixels and texts of up to ${size.contextLength} tokens become vectors of ${size.embedDim} numbers.`,
    ...(license === undefined ? ["", "Its maker has not stated a licence."] : []),
    ...section("Size", [
      "| | parameters | 10⁹ multiply-adds |",
      "| --- | --- | --- |",
      `| image tower | ${millions(size.imageParams)} | ${size.imageGmacs.toPrecision(3)} |`,
      `| text tower | ${millions(size.textParams)} | ${size.textGmacs.toPrecision(3)} |`,
    ]),
    ...section("Use", ["```python", form.usage, "```"]),
    ...section("Training", recipe),
    ...section("Scores", scores),
    ...section("Limits", [
      "It knows what its training data show and say, with their gaps and biases, and has been scored on no more than what stands above. Try it on pictures of your own before you rely on it.",
      ...(caution === undefined ? [] : ["", `Preprocessing: ${caution}`]),
    ]),
    "",
  ].join("\n");
}

const madeBy = ({ run, step }: Exported["located"]): string =>
  run === undefined
    ? "A CLIP that Clipwright wrote down in another layout; who trained it stands with the original"
    : `A CLIP trained with Clipwright${step === undefined ? "" : `, ${step.toLocaleString("en-US")} steps`}`;

const sizeOf = (name: string, config: ClipConfig) =>
  summarize({ name, family: "clipwright", about: "", config, preprocess: openaiPreprocess });

/** Texts by what stands behind their last slash, and lists as one text of them. */
const withoutFolders = (value: unknown): unknown =>
  typeof value === "string"
    ? value
        .split("::")
        .map((each) => basename(each))
        .join(", ")
    : Array.isArray(value)
      ? value.map(withoutFolders).join(", ")
      : value;

/** A cell of a table: no bar or line's end of somebody's name may end it. */
const cell = (value: unknown): string =>
  (typeof value === "string" ? value : JSON.stringify(value)).replace(/[|\r\n]/g, " ");

function recipeOf(run: string | undefined): string[] {
  const file = run === undefined ? undefined : join(run, "config.json");
  if (file === undefined || !existsSync(file)) return [];
  const recipe = readJsonObject(file);
  const rows = TOLD.filter((key) => recipe[key] !== undefined && recipe[key] !== null).map(
    (key) => `| ${key} | ${cell(withoutFolders(recipe[key]))} |`,
  );
  return rows.length === 0 ? [] : ["| setting | value |", "| --- | --- |", ...rows];
}

function scoresOf(run: string | undefined, step: number | undefined): string[] {
  const file = run === undefined ? undefined : join(run, "evaluation.jsonl");
  if (file === undefined || !existsSync(file)) return [];
  const last = new Map<string, EvaluationRecord>();
  for (const record of parseEvaluation(readText(file), file)) {
    const { dataset, task, metric } = record;
    if (record.corruption === undefined && record.step === step)
      last.set(JSON.stringify([dataset, task, metric]), record);
  }
  if (last.size === 0) return [];
  const number = (value: number) => value.toPrecision(3);
  return [
    "Of these weights, with 95 % intervals; shares are of 1.",
    "",
    "| data | task | metric | value | interval | guessing | n |",
    "| --- | --- | --- | --- | --- | --- | --- |",
    ...[...last.values()].map(
      ({ dataset, task, metric, value, low, high, chance, n }) =>
        `| ${cell(dataset)} | ${task} | ${metric} | ${number(value)} | ${number(low)} … ${number(high)} | ${chance === undefined ? "" : number(chance)} | ${n} |`,
    ),
  ];
}
