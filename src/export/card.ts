/** The model card of an export: README.md as the Hugging Face hub shows it. */

import { existsSync } from "node:fs";
import { basename, join } from "node:path";
import { readJsonObject, readText } from "../core/files.js";
import { type EvaluationRecord, parseEvaluation } from "../evaluate/records.js";
import type { ClipConfig } from "../models/config/config.js";
import { openaiPreprocess } from "../models/config/preprocess.js";
import { summarize } from "../models/presets/catalog.js";
import type { Exported, ExportForm, Variant } from "./form.js";
import { variantsText } from "./variants-table.js";

/** Settings of a recipe that tell how a model was trained. Paths are given by their last part. */
const TOLD = [
  "model",
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
  "seed",
] as const;

/** Settings that tell what a model was trained and watched by. */
const DATA = ["trainData", "select", "valData", "valSplit", "zeroshotData"] as const;

export interface CardOptions {
  /** As the hub names it. */
  readonly license: string | undefined;
  /** What was found of the forms of the numbers. */
  readonly variants: readonly Variant[];
}

export function cardOf(model: Exported, form: ExportForm, { license, variants }: CardOptions): string {
  const { located, name } = model;
  const size = sizeOf(name, located.config);
  const recipe = recipeOf(located.run);
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
    ...section("Use", [`\`\`\`${form.language}`, form.usage, "```"]),
    ...section("Size", [
      "| | parameters | 10⁹ multiply-adds |",
      "| --- | --- | --- |",
      `| image tower | ${millions(size.imageParams)} | ${size.imageGmacs.toPrecision(3)} |`,
      `| text tower | ${millions(size.textParams)} | ${size.textGmacs.toPrecision(3)} |`,
    ]),
    ...section("Data", dataOf(recipe, located.run)),
    ...section("Recipe", settingsTable(recipe, TOLD)),
    ...section("Compute", computeOf(recipe, located.run, size.imageGmacs + size.textGmacs)),
    ...section("Scores", scoresOf(located.run, located.step)),
    ...section("Forms of the numbers", variantsText(variants)),
    ...section("Licence", [
      license === undefined
        ? "Its maker has not stated a licence. The data have licences of their own."
        : `${license}, as its maker states. The data have licences of their own.`,
    ]),
    ...section("Limits", [
      "It knows what its training data show and say, with their gaps and biases, and has been scored on no more than what stands above. Try it on pictures of your own before you rely on it, and do not use it to judge people.",
      ...(caution === undefined ? [] : ["", `Preprocessing: ${caution}`]),
    ]),
    "",
  ].join("\n");
}

const millions = (n: number): string => `${(n / 1e6).toPrecision(3)} M`;

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

type Recipe = Readonly<Record<string, unknown>>;

function recipeOf(run: string | undefined): Recipe {
  const file = run === undefined ? undefined : join(run, "config.json");
  return file === undefined || !existsSync(file) ? {} : readJsonObject(file);
}

function settingsTable(recipe: Recipe, keys: readonly string[]): string[] {
  const rows = keys
    .filter((key) => recipe[key] !== undefined && recipe[key] !== null && recipe[key] !== 0)
    .map((key) => `| ${key} | ${cell(withoutFolders(recipe[key]))} |`);
  return rows.length === 0 ? [] : ["| setting | value |", "| --- | --- |", ...rows];
}

function dataOf(recipe: Recipe, run: string | undefined): string[] {
  const table = settingsTable(recipe, DATA);
  const file = run === undefined ? undefined : join(run, "plan.json");
  if (table.length === 0 || file === undefined || !existsSync(file)) return table;
  const { samplesPerEpoch } = readJsonObject(file);
  if (typeof samplesPerEpoch !== "number") return table;
  return [`${samplesPerEpoch.toLocaleString("en-US")} pairs to train on.`, "", ...table];
}

/** What the training took, by the last line of its metrics. */
function computeOf(recipe: Recipe, run: string | undefined, pairGmacs: number): string[] {
  const file = run === undefined ? undefined : join(run, "metrics.jsonl");
  if (file === undefined || !existsSync(file)) return [];
  // A run that was killed may have left half a line.
  const last = readText(file)
    .split("\n")
    .findLast((line) => /"samplesSeen":\d.*"seconds":\d.*\}$/.test(line));
  if (last === undefined) return [];
  const { samplesSeen, seconds } = JSON.parse(last) as { samplesSeen: number; seconds: number };
  const petaMacs = (3 * samplesSeen * pairGmacs) / 1e6;
  const by = ["engine", "precision"].flatMap((key) => (typeof recipe[key] === "string" ? [recipe[key]] : []));
  return [
    `${samplesSeen.toLocaleString("en-US")} pairs seen in ${hours(seconds)}${by.length === 0 ? "" : ` (${by.join(", ")})`}: about ${petaMacs.toPrecision(2)} · 10¹⁵ multiply-adds, three times those of a forward pass.`,
  ];
}

const hours = (seconds: number): string =>
  seconds < 5400 ? `${(seconds / 60).toPrecision(2)} minutes` : `${(seconds / 3600).toPrecision(2)} hours`;

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
