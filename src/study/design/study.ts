/** A study: runs that differ in what a question asks about and are alike in everything else. */

import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { namesIn } from "../../core/disk.js";
import { didYouMean, UsageError } from "../../core/errors.js";
import { readJson } from "../../core/files.js";
import { checkSuite, loadSuite, type Suite, type SuiteInput } from "../../evaluate/suites/suite.js";
import { findMetric, tasks } from "../../evaluate/tasks/index.js";
import { parseSeconds } from "../../settings/duration.js";
import { importProgram } from "../../settings/program.js";
import { lengthKeys, type RecipeInput, recipeFields } from "../../train/recipe/recipe.js";

/** Which part of the training data a run sees. Parts of one study are nested: the smaller lies in the larger. */
export type PartInput =
  /** This share of the pairs, drawn once for the study. */
  | { readonly random: number }
  /** The share with the highest scores, of a table that `clipwright curate score` wrote. */
  | { readonly top: number; readonly scores: string; readonly by: string };

/** What the study decides of every run: its length, and what tells runs apart. */
type DecidedKey = (typeof lengthKeys)[number] | "seed" | "name" | "logs";

/** What a level changes: settings of the recipe, and the part of the data. */
export type LevelInput = Omit<RecipeInput, DecidedKey> & { readonly part?: PartInput };

/**
 * What is varied: levels by name, each with what it changes; or values of the setting that the factor is named after; of a factor named
 * `part`, shares of the data drawn at random.
 */
export type FactorInput = Readonly<Record<string, LevelInput>> | readonly (string | number | boolean)[];

/** How long a run is: passes over its data, samples whatever they are, multiply-adds (10⁹, forward passes), or time. */
export type RegimeInput =
  | { readonly epochs: number }
  | { readonly samples: number }
  | { readonly gmacs: number }
  | { readonly time: string };

export interface QuestionInput {
  /** In words; the page's heading. */
  readonly text: string;
  /** The factor that is asked about. */
  readonly factor: string;
  /** What a curve is drawn over, where levels of another factor make one. */
  readonly over?: "samples" | "gmacs" | "seconds";
  /** `best`: which level is best; those that fall behind are stopped on the way (successive halving). Default `compare`. */
  readonly kind?: "compare" | "best";
  /** Of `best`: one level of so many goes on from each comparison. Default 3. */
  readonly reduction?: number;
}

export interface StudyInput {
  /** Folder of the study under `studies/`, a single name. Default: the file's name. */
  readonly name?: string;
  readonly question: QuestionInput;
  /** What all runs have in common; without a length. Its paths and the study's others start where the command runs. */
  readonly recipe: Omit<RecipeInput, DecidedKey>;
  /** By name; every combination of their levels is a run. */
  readonly factors: Readonly<Record<string, FactorInput>>;
  /** One, or several by name: then each combination is run in each. */
  readonly regime: RegimeInput | Readonly<Record<string, RegimeInput>>;
  /** How many seeds, or which. Default 3. */
  readonly seeds?: number | readonly number[];
  /** What the runs are scored on: a suite's file, whose paths start from its folder, or the suite. */
  readonly suite: string | SuiteInput;
  /** The score that decides, as `set/metric`, e.g. `concepts/acc1`. */
  readonly score: string;
  /** How one gets the data, in a sentence: told where some of them are missing. */
  readonly dataFrom?: string;
}

/** Several sizes of one study, by name. */
export type StudySizes = Readonly<Record<string, StudyInput>>;

export interface Level {
  readonly name: string;
  readonly recipe: RecipeInput;
  readonly part: PartInput | undefined;
}

export interface Factor {
  readonly name: string;
  readonly levels: readonly Level[];
}

export interface Study {
  readonly name: string;
  readonly question: Required<Omit<QuestionInput, "over">> & Pick<QuestionInput, "over">;
  readonly recipe: RecipeInput;
  readonly factors: readonly Factor[];
  readonly regimes: readonly { readonly name: string; readonly length: RegimeInput }[];
  readonly seeds: readonly number[];
  readonly suite: Suite;
  readonly score: { readonly set: string; readonly metric: string };
  readonly dataFrom?: string | undefined;
}

/**
 * A study in a program, with its types checked by the editor, the settings of its levels and the factor that is asked about among them;
 * `clipwright study` takes the file, `runStudy` takes both.
 */
export const defineStudy = <Name extends string>(
  study: StudyInput & {
    readonly factors: Readonly<Record<Name, FactorInput>>;
    readonly question: { readonly factor: NoInfer<Name> };
  },
): StudyInput => study;

/** Where the studies that come with the package lie, compiled: `dist/recipes/studies`. */
const shipped = fileURLToPath(new URL("../../../recipes/studies/", import.meta.url));

/** Names of the studies that come with the package. */
export const studyNames = (): string[] =>
  namesIn(shipped)
    .filter((file) => file.endsWith(".js"))
    .map((file) => file.slice(0, -".js".length))
    .sort();

/** Which of a study's sizes, and what is said otherwise than it has it. */
export interface LoadStudyOptions {
  /** Of a study in several sizes: which. */
  readonly size?: string | undefined;
  /** As a study has it. Default: what it says. */
  readonly seeds?: StudyInput["seeds"] | undefined;
}

/**
 * The study in a file: `.json`, or a program that exports it as its default; one that comes with the package, by its name; or the object that
 * such a file has. Where it has several sizes by name, `size` names one. Throws `UsageError` naming file and key.
 */
export async function loadStudy(
  source: string | StudyInput | StudySizes,
  { size, seeds }: LoadStudyOptions = {},
): Promise<Study> {
  const { where, name, value } = typeof source === "string" ? await readStudy(source) : inProgram(source);
  const chosen = ofSize(value, size, where);
  const changed = seeds === undefined || !isObject(chosen) ? chosen : { ...chosen, seeds };
  return checkStudy(changed, { where, name: size === undefined ? name : `${name}-${size}` });
}

/** A study before it is checked. `where`: for errors; `name`: of its folder, where it has none of its own. */
interface FoundStudy {
  readonly where: string;
  readonly name: string;
  readonly value: unknown;
}

const inProgram = (value: StudyInput | StudySizes): FoundStudy => ({ where: "study", name: "study", value });

async function readStudy(nameOrPath: string): Promise<FoundStudy> {
  const names = studyNames();
  const path = names.includes(nameOrPath) ? join(shipped, `${nameOrPath}.js`) : nameOrPath;
  if (!/\.(?:json|[cm]?[jt]s)$/.test(path))
    throw new UsageError(
      `${path}: a study is a .json, .js, .mjs, .ts or .mts file, or one of ${names.join(", ")}. Give one.${didYouMean(path, names)}`,
      { code: "ERR_SETTING", file: path },
    );
  const value = path.endsWith(".json") ? readJson(path) : await importProgram(path, "study");
  const name = path.replace(/^.*[/\\]/, "").replace(/\.[cm]?[jt]s(?:on)?$/, "");
  return { where: path, name, value };
}

const isObject = (one: unknown): one is Readonly<Record<string, unknown>> =>
  typeof one === "object" && one !== null;

/** The study of that size among several by name; the study itself where it is one. */
function ofSize(value: unknown, size: string | undefined, path: string): unknown {
  const isStudy = (one: unknown): boolean => isObject(one) && "question" in one;
  const sizes = isObject(value) && !isStudy(value) && Object.values(value).every(isStudy) ? value : {};
  const names = Object.keys(sizes);
  if (names.length === 0 && size === undefined) return value;
  if (size !== undefined && names.includes(size)) return sizes[size];
  const got = size ?? "no size";
  throw new UsageError(
    names.length === 0
      ? `${path}: the study has no sizes; got ${got}. Leave --size out.`
      : `${path}: the study has the sizes ${names.join(", ")}; got ${got}.${size === undefined ? "" : didYouMean(size, names)} Say --size.`,
    { key: "size", file: path },
  );
}

const share = z.number().gt(0).max(1);
const part = z.union([
  z.strictObject({ random: share }),
  z.strictObject({ top: share, scores: z.string().min(1), by: z.string().min(1) }),
]);
const regime = z.union([
  z.strictObject({ epochs: z.number().positive() }),
  z.strictObject({ samples: z.int().positive() }),
  z.strictObject({ gmacs: z.number().positive() }),
  z.strictObject({ time: z.string().refine((time) => (parseSeconds(time) ?? 0) > 0) }),
]);
const regimeKeys = ["epochs", "samples", "gmacs", "time"] as const;
type RegimeKey = (typeof regimeKeys)[number];

const keys = [
  "name",
  "question",
  "recipe",
  "factors",
  "regime",
  "seeds",
  "suite",
  "score",
  "dataFrom",
] as const;
const questionKeys = ["text", "factor", "over", "kind", "reduction"] as const;
const overs = ["samples", "gmacs", "seconds"] as const;
const kinds = ["compare", "best"] as const;
const DEFAULT_REDUCTION = 3;
const MOST_SEEDS = 1000;
const metricNames = tasks.flatMap((task) => task.metrics.map(({ name }) => name));
const scoresAreListed = "clipwright evaluate --list tells what there is.";
/**
 * What levels may differ in where those that fall behind are stopped: rates and augmentation. The best size, encoder or amount of data
 * early in a run is not the best at its end, and under another batch or schedule the same step is another.
 */
const comparableOnTheWay: ReadonlySet<string> = new Set<keyof RecipeInput>([
  ...(["lr", "lrImage", "lrText", "layerDecay", "wd", "optimizer", "beta1", "beta2", "eps"] as const),
  ...(["gradClipNorm", "emaDecay", "labelSmoothing", "logitScaleInit", "logitScaleMax", "dropPath"] as const),
  ...(["augment", "crop", "cropScale", "cropRatio", "affine", "flip", "colorJitter"] as const),
  ...(["colorJitterProb", "grayScaleProb", "inkJitter", "captions", "captionDropout"] as const),
]);

/** Neither the recipe nor a level may say it. */
const decided: readonly (readonly [key: DecidedKey, why: string])[] = [
  ...lengthKeys.map(
    (key) => [key, "the regime says how long runs are: leave it out; several regimes have names"] as const,
  ),
  ...(["seed", "name", "logs"] as const).map(
    (key) => [key, "the study gives each run its own: leave it out"] as const,
  ),
];

/** Checks a study. `where` is named in errors. Throws `UsageError`. */
export async function checkStudy(
  value: unknown,
  { where = "study", name: fileName = "study" } = {},
): Promise<Study> {
  const refuse: Refuse = (key, rule, got, remedy = "") => {
    throw new UsageError(`${where}: ${key}: ${rule}; got ${JSON.stringify(got) ?? "nothing"}.${remedy}`, {
      key,
    });
  };
  const input = record(value, keys, "", refuse) as unknown as StudyInput;
  for (const key of ["question", "recipe", "factors", "regime", "suite", "score"] as const)
    if (input[key] === undefined) refuse(key, "must be said", undefined);
  const question = record(input.question, questionKeys, "question.", refuse) as unknown as QuestionInput;
  if (typeof question.text !== "string" || question.text.trim() === "")
    refuse("question.text", "must be the question in words", question.text);
  if (question.over !== undefined && !overs.includes(question.over))
    refuse("question.over", `must be one of ${overs.join(", ")}`, question.over);
  if (question.kind !== undefined && !kinds.includes(question.kind))
    refuse("question.kind", `must be one of ${kinds.join(", ")}`, question.kind);
  const { kind = "compare", reduction = DEFAULT_REDUCTION } = question;
  if (!Number.isInteger(reduction) || reduction < 2)
    refuse("question.reduction", "must be a whole number from 2 on", reduction);
  if (question.reduction !== undefined && kind !== "best")
    refuse("question.reduction", 'levels are only stopped where question.kind is "best"', reduction);

  const name = input.name ?? fileName;
  if (typeof name !== "string" || !/^[^/\\]+$/.test(name) || /^\.+$/.test(name))
    refuse("name", "must be the name of one folder", name);
  const recipe = settingsOf(input.recipe, settings, "recipe.", refuse) as RecipeInput;
  const named = Object.entries(record(input.factors, undefined, "factors.", refuse));
  if (named.length === 0) refuse("factors", "must hold what is varied", input.factors);
  const factors = named.map(([factor, levels]) => ({
    name: factor,
    levels: levelsOf(factor, levels as FactorInput, refuse),
  }));
  if (!factors.some(({ name: factor }) => factor === question.factor))
    refuse(
      "question.factor",
      `must be one of the factors ${factors.map((f) => f.name).join(", ")}`,
      question.factor,
    );

  const regimes = regimesOf(input.regime, refuse);
  if (kind === "best") {
    for (const level of factors.find((f) => f.name === question.factor)!.levels) {
      const other = Object.keys(level.recipe).find((key) => !comparableOnTheWay.has(key));
      if (level.part !== undefined || other !== undefined)
        refuse(
          "question.kind",
          `levels that differ in ${other ?? "part"} cannot be told from the beginning of their runs: ask with "compare"; best finds rates and augmentation`,
          kind,
        );
    }
    if (regimes.some(({ length }) => "time" in length))
      refuse("question.kind", "levels are compared at the same step: the regime must not be a time", kind);
  }

  const { seeds = 3, score } = input;
  const list =
    typeof seeds === "number" && Number.isInteger(seeds) && seeds <= MOST_SEEDS
      ? Array.from({ length: seeds }, (_, seed) => seed)
      : seeds;
  if (
    !Array.isArray(list) ||
    list.length === 0 ||
    !list.every((seed) => Number.isInteger(seed) && seed >= 0) ||
    new Set(list).size < list.length
  )
    return refuse(
      "seeds",
      `must be how many there are, 1 to ${MOST_SEEDS}, or a list of different whole numbers`,
      seeds,
    );
  const { dataFrom } = input;
  if (dataFrom !== undefined && (typeof dataFrom !== "string" || dataFrom.trim() === ""))
    refuse("dataFrom", "must be a sentence", dataFrom);
  const suite =
    typeof input.suite === "string"
      ? await needingData({ dataFrom }, () => loadSuite(input.suite as string))
      : checkSuite(input.suite, { where: `${where}: suite`, base: "." });
  const [set, metric, ...more] = typeof score === "string" ? score.split("/") : [];
  if (set === undefined || metric === undefined || metric === "" || more.length > 0)
    refuse("score", 'must be "set/metric", e.g. "test/acc1"', score);
  if (!suite.sets.some((one) => one.name === set))
    refuse("score", `must name a set of the suite: ${suite.sets.map((one) => one.name).join(", ")}`, score);
  if (findMetric(metric!) === undefined)
    refuse("score", "no task gives it", score, `${didYouMean(metric!, metricNames)} ${scoresAreListed}`);
  return {
    name,
    question: { ...question, kind, reduction },
    recipe,
    factors,
    regimes,
    seeds: list,
    suite,
    score: { set: set!, metric: metric! },
    dataFrom,
  };
}

/** What `open` gives. Where it finds no file, the error tells how the study's data are got, if the study does. */
export async function needingData<T>(
  { dataFrom }: Pick<Study, "dataFrom">,
  open: () => Promise<T>,
): Promise<T> {
  try {
    return await open();
  } catch (error) {
    if (!(error instanceof UsageError) || error.code !== "ENOENT" || dataFrom === undefined) throw error;
    const { message, code, key, file, line } = error;
    throw new UsageError(`${message} ${dataFrom}`, { code, key, file, line, cause: error });
  }
}

/** Says what is wrong with a key; `remedy` is a sentence after a space. */
type Refuse = (key: string, rule: string, got: unknown, remedy?: string) => never;

function record(
  value: unknown,
  known: readonly string[] | undefined,
  path: string,
  refuse: Refuse,
): Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    return refuse(path === "" ? "study" : path.slice(0, -1), "must be an object", value);
  for (const key of Object.keys(value)) {
    if (known !== undefined && !known.includes(key))
      refuse(`${path}${key}`, "no such key", (value as Record<string, unknown>)[key], didYouMean(key, known));
  }
  return value as Record<string, unknown>;
}

const settings = Object.keys(recipeFields);

/** Settings of a recipe, or of a level, without what the study decides. */
function settingsOf(
  value: unknown,
  known: readonly string[],
  path: string,
  refuse: Refuse,
): Readonly<Record<string, unknown>> {
  const own = record(value, known, path, refuse);
  for (const [key, why] of decided) if (own[key] !== undefined) refuse(`${path}${key}`, why, own[key]);
  return own;
}

function levelsOf(factor: string, input: FactorInput, refuse: Refuse): readonly Level[] {
  const path = `factors.${factor}`;
  if (Array.isArray(input)) {
    const values = input as readonly (string | number | boolean)[];
    if (values.length < 2) refuse(path, "must have at least two levels", input);
    if (factor === "part")
      return values.map((value) => ({
        name: `${Number((100 * Number(value)).toPrecision(6))} %`,
        recipe: {},
        part: partOf({ random: value }, path, refuse),
      }));
    if (!settings.includes(factor))
      refuse(
        path,
        "a list has values of a setting that the factor is named after",
        factor,
        didYouMean(factor, settings),
      );
    const fixed = decided.find(([key]) => key === factor);
    if (fixed !== undefined) refuse(path, fixed[1], input);
    return values.map((value) => ({ name: String(value), recipe: { [factor]: value }, part: undefined }));
  }
  const levels = Object.entries(record(input, undefined, `${path}.`, refuse));
  if (levels.length < 2) refuse(path, "must have at least two levels", input);
  return levels.map(([name, level]) => {
    const at = `${path}.${name}`;
    const { part: own, ...recipe } = settingsOf(level, [...settings, "part"], `${at}.`, refuse) as LevelInput;
    return { name, recipe, part: own === undefined ? undefined : partOf(own, `${at}.part`, refuse) };
  });
}

function partOf(value: unknown, path: string, refuse: Refuse): PartInput {
  const { success, data } = part.safeParse(value);
  return success
    ? data
    : refuse(
        path,
        'must be {"random": share} or {"top": share, "scores": file, "by": column}, shares above 0 up to 1',
        value,
      );
}

function regimesOf(input: StudyInput["regime"], refuse: Refuse): Study["regimes"] {
  const lengthOf = (value: unknown, path: string): RegimeInput => {
    const { success, data } = regime.safeParse(value);
    if (success) return data;
    const unknown = Object.keys(Object(value)).find((key) => !regimeKeys.includes(key as RegimeKey));
    return refuse(
      path,
      'must be one of {epochs}, {samples}, {gmacs}, numbers above 0, and {time}, e.g. "30m"; or several by name',
      value,
      unknown === undefined ? "" : didYouMean(unknown, regimeKeys),
    );
  };
  const entries = Object.entries(record(input, undefined, "regime.", refuse));
  const several = entries.length > 0 && entries.every(([, value]) => typeof value === "object");
  if (several) return entries.map(([name, value]) => ({ name, length: lengthOf(value, `regime.${name}`) }));
  const length = lengthOf(input, "regime");
  return [{ name: nameOf(length), length }];
}

/** A regime in words. */
function nameOf(length: RegimeInput): string {
  if ("epochs" in length) return length.epochs === 1 ? "one pass" : `${length.epochs} passes`;
  if ("samples" in length) return "equal samples";
  return "gmacs" in length ? "equal compute" : "equal time";
}
