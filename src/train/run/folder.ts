/**
 * A run is a folder:
 *
 *     config.json        the recipe, complete
 *     plan.json          the number of steps, fixed once
 *     start.json         of a run that starts from weights, has a teacher or picks by a reference: what started anew, and which
 *     held-out.json      of a run with a valSplit: which samples were held out, of which data
 *     metrics.jsonl      one line per logged step, never doubled
 *     evaluation.jsonl   one line per score
 *     metrics.csv, evaluation.csv, tensorboard/   the same for other programs, where the recipe's reportTo wants it
 *     model.json         what its weights are, and what is done with pictures
 *     tokenizer.json     and whatever else the run needs to be used later
 *     checkpoints/       step-00001200/{params.safetensors,optimizer.safetensors,state.json}
 *     lock-7.json        while a process writes: the run's seventh
 *
 * Opening a folder that holds the same recipe continues it from its latest sound checkpoint. Before the first
 * checkpoint there is nothing to lose, and a run may be begun anew with other settings; one that fails before its first
 * step leaves nothing behind.
 */

import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { z } from "zod";
import {
  type Disk,
  type FileContent,
  firstMissing,
  namesIn,
  realDisk,
  removeEmptyFolders,
  replaceFile,
  textOf,
} from "../../core/disk.js";
import { UsageError } from "../../core/errors.js";
import { withFileErrors } from "../../core/files.js";
import { changeOfData, type DataFingerprint } from "../../data/index.js";
import { kebab } from "../../settings/fields.js";
import { readCheckedJson } from "../../settings/json.js";
import {
  bestCheckpoint,
  type Checkpoint,
  latestSound,
  listCheckpoints,
  pruneCheckpoints,
  removeUnfinished,
  type Score,
  type TrainState,
  writeCheckpoint,
} from "../../storage/checkpoint.js";
import { fenced, type Lock, type Sighting, takeLock, whenLeaseEnds } from "../../storage/lock.js";
import { lengthKeys, type Recipe, recipeFields, recipeToJson } from "../recipe/recipe.js";
import { fingerprintSchema, type Plan, planSchema, uncutPlan } from "../schedule/plan.js";

const CONFIG = "config.json";
const PLAN = "plan.json";
const START = "start.json";
const HELD_OUT = "held-out.json";
const METRICS = "metrics.jsonl";
const EVALUATION = "evaluation.jsonl";
const WARNINGS = "warnings.jsonl";
/** Files of lines with steps. */
const LINES = [METRICS, EVALUATION, WARNINGS];

/** A line of `metrics.jsonl` or `evaluation.jsonl`; lines without `step` outlive a resume. */
export type Line = Readonly<Record<string, unknown>> & { readonly step?: number };

/** What a run starts from, beside its recipe. */
export interface StartRecord {
  /** Variables of the model that did not start from weights; empty where nothing did. */
  readonly fresh: readonly string[];
  /** What the teacher's embeddings are stored as. */
  readonly teacher?: string | undefined;
  /** As `teacher`, of the reference that pairs are picked by. */
  readonly pickReference?: string | undefined;
}

/** What of it names embeddings. */
const EMBEDDED = ["teacher", "pickReference"] as const;

const startSchema: z.ZodType<StartRecord> = z.object({
  fresh: z.array(z.string()),
  teacher: z.string().optional(),
  pickReference: z.string().optional(),
});

/** Samples of the training data that a run holds out. */
export interface HeldOut {
  /** Ascending. */
  readonly indices: readonly number[];
  /** The training data that they count in. */
  readonly data: DataFingerprint;
}

const heldOutSchema: z.ZodType<HeldOut> = z.object({
  indices: z.array(z.int().min(0)),
  data: fingerprintSchema,
});

/** What a run has written before its first checkpoint, and writes again when it begins anew. */
const OF_A_TRY =
  /^(?:(?:plan|start|held-out|model|open_clip_config|tokenizer)\.json|(?:metrics|evaluation|warnings)\.(?:jsonl|csv)|tensorboard|bpe_simple_vocab.*)$/;

/** Files that the run itself writes. */
const isRuns = (name: string): boolean => name === CONFIG || OF_A_TRY.test(name);

/** What a lock that was let go leaves. */
const LOCK_REMAINS = /^\.lock-\d+\.free$/;

/** Settings that say where the run is and how it is opened, not what it computes. */
const LOCATION: ReadonlySet<string> = new Set(["name", "logs", "resume"]);

/**
 * An open run. Only one process may hold it; dispose it to let go.
 */
export class Run implements Disposable {
  /** The folder, absolute. */
  readonly path: string;
  /** The checkpoint to continue from; undefined at the beginning. */
  readonly resumed: Checkpoint | undefined;
  /** What was found on opening it, a line each: checkpoints that are passed over. */
  readonly notes: readonly string[];
  /** The recipe asks for another length than the run has: `config.json` tells it once the plan does. */
  readonly asksForMore: boolean;
  private readonly checkpoints: string;

  private constructor(
    readonly recipe: Recipe,
    private readonly disk: Disk,
    private readonly lock: Lock,
    path: string,
    private begun: Begun | undefined,
    asksForMore: boolean,
  ) {
    this.asksForMore = asksForMore;
    this.path = path;
    this.checkpoints = join(path, "checkpoints");
    opening(path, () => {
      removeUnfinished(disk, this.checkpoints);
      // Files that a killed writer was replacing; others may be writing theirs, as a study its results.
      for (const name of namesIn(path))
        if (name.endsWith(".tmp") && isRuns(name.slice(0, -".tmp".length))) disk.remove(join(path, name));
    });
    if (recipe.resume === "plateau") opening(path, () => this.undoCut());
    const notes: string[] = [];
    this.resumed = latestSound(this.checkpoints, (line) => notes.push(line));
    this.notes = notes;
    const done = this.resumed?.step ?? -1;
    for (const file of LINES) truncateLines(disk, join(path, file), done);
  }

  /**
   * Opens `LOGS/NAME`, making it if need be.
   * @param gone a holder's lock on another machine whose lease is over.
   * @throws UsageError when the folder holds another recipe, another process writes to it, or it cannot be
   *   written; `LeasedElsewhere` when that process is on another machine.
   */
  static open(recipe: Recipe, disk: Disk = realDisk, gone?: Sighting): Run {
    const path = resolve(recipe.logs, recipe.name);
    let change = refuseForeign(recipe, path);
    const isThere = existsSync(join(path, CONFIG)) || listCheckpoints(join(path, "checkpoints")).length > 0;
    const begun = isThere ? undefined : { disk, path, made: firstMissing(path) };
    let lock: Lock | undefined;
    try {
      opening(path, () => disk.makeFolder(join(path, "checkpoints")));
      lock = takeLock(disk, path, { gone });
      const own = fenced(disk, lock);
      // A checkpoint may have come while this process waited for the lock.
      if (change === "settings") change = refuseForeign(recipe, path);
      if (change === "settings") opening(path, () => removeTry(own, path));
      const run = new Run(recipe, own, lock, path, begun, change === "length");
      // Settings that may change are recorded as they are now.
      if (!run.asksForMore) run.saveConfig();
      return run;
    } catch (error) {
      if (begun !== undefined) abandon(begun, lock);
      else lock?.[Symbol.dispose]();
      throw error;
    }
  }

  /** Complete checkpoints, earliest first. */
  listCheckpoints = (): Checkpoint[] => listCheckpoints(this.checkpoints);

  latestCheckpoint = (): Checkpoint | undefined => this.listCheckpoints().at(-1);

  /** The best by the recipe's `keepBest`. */
  bestCheckpoint = (): Checkpoint | undefined => {
    const { keepBest } = this.recipe;
    return keepBest === undefined ? undefined : bestCheckpoint(this.listCheckpoints(), keepBest);
  };

  /** The stored plan, or undefined before `savePlan`. */
  get plan(): Plan | undefined {
    return planIn(this.path);
  }

  /**
   * Fixes the plan, durably. A plan whose length is known is never replaced by another, but by itself cut short.
   * @throws UsageError when the training data are not those with which the run that goes on began.
   */
  savePlan(plan: Plan): Plan {
    const stored = this.plan;
    const otherData = this.hasOtherData(stored, plan);
    const isCut = plan.cut !== undefined && stored?.cut === undefined;
    const fixed = stored?.totalSteps !== undefined && !otherData && !isCut ? stored : undefined;
    if (fixed === undefined) this.writePlan(plan);
    this.saveConfig();
    return fixed ?? plan;
  }

  /** Replaces the plan by one of another length, from the checkpoint on with which the run goes on. Throws as `savePlan`. */
  extend(plan: Plan): Plan {
    this.hasOtherData(this.plan, plan);
    this.writePlan(plan);
    this.saveConfig();
    return plan;
  }

  private hasOtherData(stored: Plan | undefined, plan: Plan): boolean {
    const changed = stored === undefined ? [] : changesOf(stored, plan);
    if (changed.length > 0 && this.resumed !== undefined) {
      throw new UsageError(
        `trainData: must be what the run began with; got ${changed.join(", ")}. Restore the data, or start another run with --name.`,
      );
    }
    return changed.length > 0;
  }

  private writePlan = (plan: Plan): void => this.writeFile(PLAN, `${JSON.stringify(plan, null, 2)}\n`);

  private saveConfig(): void {
    const path = join(this.path, CONFIG);
    const config = `${JSON.stringify(recipeToJson(this.recipe), null, 2)}\n`;
    if (textOf(path) !== config) opening(this.path, () => replaceFile(this.disk, path, config));
  }

  /**
   * Keeps what the run starts from; of a run that goes on, gives what was kept.
   * @throws UsageError when a run that goes on has another teacher or reference than when it began.
   */
  saveStart(start: StartRecord): StartRecord {
    if (this.resumed === undefined) {
      if (start.fresh.length > 0 || EMBEDDED.some((key) => start[key] !== undefined))
        this.writeFile(START, `${JSON.stringify(start, null, 2)}\n`);
      return start;
    }
    const path = join(this.path, START);
    const stored = existsSync(path) ? readCheckedJson(path, startSchema, RESTORE) : { fresh: [] };
    for (const key of EMBEDDED) {
      if (stored[key] === start[key]) continue;
      throw new UsageError(
        `${key}: must be what the run began with, on the same data; got embeddings ${start[key]}, was ${stored[key]}. Restore its weights and the data, or start another run with --name.`,
      );
    }
    return stored;
  }

  /** Appends a line to `metrics.jsonl`. */
  appendMetrics = (line: Line): void => this.append(METRICS, line);

  /** Appends a line to `evaluation.jsonl`: `{ step, dataset, task, metric, value, low, high, n }`. */
  appendEvaluation = (line: Line): void => this.append(EVALUATION, line);

  /** Appends a line to `warnings.jsonl`: `{ step, text }`. */
  appendWarning = (line: Line): void => this.append(WARNINGS, line);

  /** The lines so far. */
  readMetrics = (): Line[] => readLines(join(this.path, METRICS));
  readEvaluation = (): Line[] => readLines(join(this.path, EVALUATION));

  /** Writes or replaces a file of the run, e.g. `tokenizer.json`: the old or the new, nothing between. */
  writeFile(name: string, content: FileContent): void {
    const path = join(this.path, name);
    withFileErrors("write", path, () => replaceFile(this.disk, path, content));
  }

  /** Replaces a folder of the run by one with these files. */
  replaceFolder(name: string, files: Readonly<Record<string, FileContent>>): void {
    const path = join(this.path, name);
    withFileErrors("write", path, () => {
      this.disk.remove(path);
      this.disk.makeFolder(path);
      for (const [file, content] of Object.entries(files)) this.disk.writeNew(join(path, file), content);
    });
  }

  /** Keeps what is held out of the data, for `heldOutIn`. */
  saveHeldOut(heldOut: HeldOut): void {
    this.writeFile(HELD_OUT, `${JSON.stringify(heldOut)}\n`);
  }

  /** Path of a file of the run. */
  file = (name: string): string => join(this.path, name);

  /**
   * Saves a checkpoint and removes those that need not be kept. Logged lines up to here are brought to the
   * disk first, so that no checkpoint is ahead of its metrics: log and evaluate a step before saving it.
   * @param score of these weights, when they were just evaluated with `keepBest`'s metric.
   */
  saveCheckpoint(
    step: number,
    files: Readonly<Record<string, FileContent>>,
    state: TrainState,
    score?: Score,
  ): Checkpoint {
    for (const file of LINES) {
      const path = join(this.path, file);
      if (existsSync(path)) withFileErrors("write", path, () => this.disk.sync(path));
    }
    const written = writeCheckpoint(this.disk, this.checkpoints, step, files, state, score);
    this.begun = undefined;
    const { keepLast, keepBest } = this.recipe;
    pruneCheckpoints(this.disk, this.checkpoints, { keepLast, keepBest, keepStep: this.plan?.cut?.step });
    return written;
  }

  [Symbol.dispose](): void {
    if (this.begun === undefined) this.lock[Symbol.dispose]();
    else abandon(this.begun, this.lock);
  }

  /** Goes back to where a cooldown began early. */
  private undoCut(): void {
    const { plan } = this;
    if (plan?.cut === undefined) return;
    const { step } = plan.cut;
    const checkpoints = this.listCheckpoints();
    if (!checkpoints.some((each) => each.step === step)) {
      throw new UsageError(
        `run: --resume plateau goes on from step ${step}, where the cooldown began; got no checkpoint of it in ${this.path}. Start another run with --name.`,
      );
    }
    for (const each of checkpoints) if (each.step > step) this.disk.remove(each.path);
    this.writePlan(uncutPlan(plan));
  }

  private append(name: string, line: Line): void {
    this.appendFile(name, `${JSON.stringify(line)}\n`);
    this.begun = undefined;
  }

  /** Appends to a file of the run. */
  appendFile(name: string, content: string | Uint8Array): void {
    const path = join(this.path, name);
    const consolation = () => {
      const latest = this.latestCheckpoint();
      return latest ? `It continues from step ${latest.step}.` : "There is no checkpoint yet.";
    };
    withFileErrors("append to", path, () => this.disk.append(path, content), consolation);
  }
}

/** The plan of the run in a folder that nobody need hold; undefined where it has none yet. */
export function planIn(run: string): Plan | undefined {
  const path = join(run, PLAN);
  return existsSync(path) ? readCheckedJson(path, planSchema, RESTORE) : undefined;
}

/** What the run in a folder holds out of `data`; undefined where that is not known, or of other data. */
export function heldOutIn(run: string, data: DataFingerprint): readonly number[] | undefined {
  const path = join(run, HELD_OUT);
  if (!existsSync(path)) return undefined;
  const kept = readCheckedJson(path, heldOutSchema, "Remove it: it is found again.");
  return changeOfData(kept.data, data).changed.length === 0 ? kept.indices : undefined;
}

const RESTORE = "Restore it, or start another run with --name.";

/** Opens `LOGS/NAME`, and waits where a holder on another machine may be gone. */
export const openRun = (recipe: Recipe, say: (line: string) => void): Promise<Run> =>
  whenLeaseEnds((gone) => Run.open(recipe, realDisk, gone), say);

/** How the data of a plan differ from those of the stored one, in words. */
function changesOf(stored: Plan, plan: Plan): readonly string[] {
  const changed =
    stored.data === undefined || plan.data === undefined ? [] : changeOfData(stored.data, plan.data).changed;
  const sameSelection = stored.data?.selection === plan.data?.selection;
  return sameSelection && stored.samplesPerEpoch !== plan.samplesPerEpoch
    ? [`${plan.samplesPerEpoch} samples, was ${stored.samplesPerEpoch}`]
    : changed;
}

const removeTry = (disk: Disk, path: string): void => {
  for (const name of namesIn(path)) if (OF_A_TRY.test(name)) disk.remove(join(path, name));
};

/** A run that has nothing to keep yet. */
interface Begun {
  readonly disk: Disk;
  readonly path: string;
  /** The outermost folder that was made for it. */
  readonly made: string | undefined;
}

/** Removes what a run wrote that took no step, lets go of its lock, and removes the folders that were made for it. */
function abandon({ disk, path, made }: Begun, lock: Lock | undefined): void {
  const checkpoints = join(path, "checkpoints");
  try {
    if (lock !== undefined) {
      lock.check();
      removeTry(disk, path);
      disk.remove(join(path, CONFIG));
      lock[Symbol.dispose]();
      for (const name of namesIn(path)) if (LOCK_REMAINS.test(name)) disk.remove(join(path, name));
    }
    removeEmptyFolders(checkpoints, made ?? checkpoints);
  } catch {
    // What stays can be begun again.
    lock?.[Symbol.dispose]();
  }
}

/** Runs what opening a run does to the disk; a failure names the option that says where runs are. */
const opening = <T>(path: string, body: () => T): T =>
  withFileErrors("open the run", path, body, "The place for runs is given with --logs.");

/** How long a folder may take to be seen by another machine. */
const SEEN_WITHIN_MS = 60_000;

/**
 * A run that process 0 has opened, for the others, which only read it: its folder, and the checkpoint of `step` to
 * continue from. Throws `UsageError` when this process does not see the folder.
 */
export async function followRun(
  recipe: Recipe,
  step: number | undefined,
  patienceMs = SEEN_WITHIN_MS,
): Promise<{ readonly path: string; readonly resumed: Checkpoint | undefined }> {
  const path = resolve(recipe.logs, recipe.name);
  const deadline = Date.now() + patienceMs;
  for (;;) {
    const resumed = listCheckpoints(join(path, "checkpoints")).find((each) => each.step === step);
    if (existsSync(join(path, CONFIG)) && (step === undefined || resumed !== undefined))
      return { path, resumed };
    if (Date.now() > deadline) {
      const what = step === undefined ? CONFIG : `the checkpoint of step ${step}`;
      throw new UsageError(
        `run: every process must see the folder that process 0 writes; got no ${what} in ${path}. Put --logs on a disk that all machines share.`,
      );
    }
    await delay(100);
  }
}

/** Refuses a recipe that is not process 0's. Throws `UsageError`. */
export function refuseOtherRecipe(first: Readonly<Record<string, unknown>>, recipe: Recipe): void {
  const own = recipeToJson(recipe);
  const different = [...decisiveDifferences(first, own), "name", "logs"].filter(
    (key) => JSON.stringify(first[key]) !== JSON.stringify(own[key]),
  );
  if (different.length === 0) return;
  const shown = different.map((key) => `${kebab(key)} ${JSON.stringify(own[key])}`).join(", ");
  throw new UsageError(
    `run: all processes must have one recipe; got ${shown}, and not what process 0 has. Start them with the same command.`,
  );
}

/** Keys in which two recipes differ and that decide the weights. */
export function decisiveDifferences(
  stored: Readonly<Record<string, unknown>>,
  wanted: Readonly<Record<string, unknown>>,
): string[] {
  const free = (key: string) =>
    LOCATION.has(key) ||
    (Object.hasOwn(recipeFields, key) && recipeFields[key as keyof typeof recipeFields].free);
  const keys = new Set([...Object.keys(stored), ...Object.keys(wanted)]);
  return [...keys].filter((key) => !free(key) && JSON.stringify(stored[key]) !== JSON.stringify(wanted[key]));
}

/**
 * Refuses a folder that is something else than this run. Gives what is other in it: all `settings`, where it was begun to
 * no avail, or the `length`, where it is to be extended.
 */
function refuseForeign(recipe: Recipe, path: string): "settings" | "length" | undefined {
  const text = opening(path, () => textOf(join(path, CONFIG)));
  const named = `--name ${recipe.name}-2`;
  if (text === undefined) {
    const names = existsSync(path) ? opening(path, () => namesIn(path)) : [];
    const strangers = names.filter(
      (name) => name !== "checkpoints" && !/^(?:\.|lock-\d+\.json|config\.json\.)/.test(name),
    );
    if (strangers.length === 0) return undefined;
    throw new UsageError(
      `run: the folder holds something else; got ${strangers.slice(0, 3).join(", ")} in ${path}. Choose another --name.`,
    );
  }
  const stored = readCheckedJson(
    join(path, CONFIG),
    z.record(z.string(), z.unknown()),
    "Restore it, or choose another --name.",
  );
  if (recipe.resume === "none") {
    throw new UsageError(
      `run: exists already, and --resume none leaves it alone; got ${path}. Choose another name, e.g. ${named}.`,
    );
  }
  const wanted = recipeToJson(recipe);
  const isLength = (key: string) => (lengthKeys as readonly string[]).includes(key);
  const different = decisiveDifferences(stored, wanted);
  if (different.length === 0) return undefined;
  if (listCheckpoints(join(path, "checkpoints")).length === 0) return "settings";
  if (recipe.resume === "extend" && different.every(isLength)) return "length";
  const show = (value: unknown) => (value === undefined ? "nothing" : JSON.stringify(value));
  const shown = different
    .slice(0, 6)
    .map((key) => `${kebab(key)} ${show(wanted[key])} (was ${show(stored[key])})`);
  const more = different.length > 6 ? ` and ${different.length - 6} more` : "";
  throw new UsageError(
    `run: ${path} was begun with other settings; got ${shown.join(", ")}${more}. Use the old settings to continue it, or start another with ${named}.`,
  );
}

/** Lines of a JSONL file; what is no line of a run, as a torn last one, is left out. */
export function readLines(path: string): Line[] {
  const text = textOf(path) ?? "";
  return text.split("\n").flatMap((line) => {
    const parsed = parseLine(line);
    return parsed === undefined ? [] : [parsed];
  });
}

function parseLine(line: string): Line | undefined {
  if (line === "") return undefined;
  try {
    const parsed: unknown = JSON.parse(line);
    if (parsed === null || typeof parsed !== "object" || Array.isArray(parsed)) return undefined;
    const { step } = parsed as Line;
    return step === undefined || typeof step === "number" ? (parsed as Line) : undefined;
  } catch {
    return undefined;
  }
}

/** Cuts a JSONL file back to `step`: what came later is about to be written again. */
function truncateLines(disk: Disk, path: string, step: number): void {
  const text = textOf(path);
  if (text === undefined) return;
  const kept = text.split("\n").filter((line) => {
    const parsed = parseLine(line);
    return parsed !== undefined && (parsed.step === undefined || parsed.step <= step);
  });
  const cut = kept.map((line) => `${line}\n`).join("");
  if (cut !== text) opening(path, () => replaceFile(disk, path, cut));
}
