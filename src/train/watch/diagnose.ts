/**
 * Says in words what is wrong with a run. Each rule is a record that looks at the history and gives a message
 * or nothing; each is said once. Rules compare with what a run of this batch size and length should look like,
 * and are silent on healthy curves.
 */

/** One step, as the rules see it. */
export interface StepSignals {
  /** Steps done. */
  readonly step: number;
  readonly loss: number;
  readonly logitScale: number;
  /** Before clipping. */
  readonly gradNorm: number;
  readonly stepSeconds: number;
  /** The part of `stepSeconds` spent waiting for data. */
  readonly dataSeconds: number;
  /** Share of the batch whose caption another image of the batch has too. */
  readonly duplicateCaptionShare: number;
  /** Names of the batch's samples; needed only when the loss is not finite. */
  readonly sampleKeys?: readonly string[] | undefined;
}

export interface History {
  readonly batchSize: number;
  /** The loss of a model that has learned nothing. Default ln(batch): all of the batch's captions equally likely. */
  readonly chanceLoss?: number | undefined;
  /** Undefined while a time-limited run is measured. */
  readonly totalSteps: number | undefined;
  readonly warmupSteps: number;
  readonly logitScaleMax: number;
  readonly gradClipNorm: number;
  /** The last steps, oldest first; at most `WINDOW`. */
  readonly steps: readonly StepSignals[];
  /** Losses on held-out pairs so far, oldest first. */
  readonly validations: readonly {
    readonly step: number;
    readonly loss: number;
    readonly trainLoss: number;
  }[];
}

export interface Rule {
  readonly name: string;
  /** What it looks for, and why that is a fault. */
  readonly doc: string;
  readonly check: (history: History) => string | undefined;
}

/** Steps that the rules look back on. */
export const WINDOW = 200;
/** Fewer steps than these say nothing about a trend. */
const TREND = 40;
/** A loss that does not fall over these is stuck. */
const PLATEAU = 100;

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;
const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1]!;
const percent = (share: number): string => `${Math.round(100 * share)} %`;

const chanceLoss = (history: History): number => history.chanceLoss ?? Math.log(history.batchSize);

const nonFinite: Rule = {
  name: "non-finite-loss",
  doc: "The loss or the gradient is NaN or infinite: nothing after this step means anything.",
  check({ steps }) {
    const bad = steps.find(({ loss, gradNorm }) => !Number.isFinite(loss) || !Number.isFinite(gradNorm));
    if (!bad) return undefined;
    const before = steps.findLast(({ step, gradNorm }) => step < bad.step && Number.isFinite(gradNorm));
    const keys = bad.sampleKeys ?? [];
    const shown = keys.slice(0, 8).join(", ") + (keys.length > 8 ? `, and ${keys.length - 8} more` : "");
    const norm = before ? ` The gradient norm was ${before.gradNorm.toPrecision(3)} just before.` : "";
    const samples = keys.length > 0 ? ` Samples of the batch: ${shown}.` : "";
    return `loss: must be finite; got loss=${bad.loss}, gradient norm=${bad.gradNorm} at step ${bad.step}.${norm} Lower --lr or --grad-clip-norm, or lengthen --warmup.${samples}`;
  },
};

const warmupTooLong: Rule = {
  name: "warm-up-too-long",
  doc: "More than half of the run is warm-up: the peak rate is hardly used (a warm-up of 10,000 steps copied from a long run).",
  check({ totalSteps, warmupSteps }) {
    if (totalSteps === undefined || warmupSteps <= totalSteps / 2) return undefined;
    return `The warm-up takes ${warmupSteps} of ${totalSteps} steps, so the full learning rate is hardly reached. Write a fraction, e.g. --warmup 0.05.`;
  },
};

const lossAtChance: Rule = {
  name: "loss-at-chance",
  doc: "After the warm-up the loss is still that of a model that guesses, ln(batch) for CLIP's, and does not fall.",
  check(history) {
    const recent = history.steps.slice(-PLATEAU);
    if (recent.length < PLATEAU || recent[0]!.step <= history.warmupSteps) return undefined;
    const chance = chanceLoss(history);
    const early = mean(recent.slice(0, PLATEAU / 2).map(({ loss }) => loss));
    const late = mean(recent.slice(PLATEAU / 2).map(({ loss }) => loss));
    if (!(Math.min(early, late) >= 0.97 * chance) || early - late > 0.01 * chance) return undefined;
    const since = recent.at(-1)!.step - history.warmupSteps;
    const verb = late > 1.1 * chance ? "above" : "at";
    const what = history.chanceLoss === undefined ? "ln(batch) = " : "";
    return `The loss is ${verb} ${what}${chance.toFixed(2)}, as if guessing (${late.toFixed(2)}, ${since} steps after the warm-up). Check that captions belong to their images (clipwright inspect), then try --lr three times lower, and higher.`;
  },
};

const gradientExplosion: Rule = {
  name: "gradient-explosion",
  doc: "The gradient norm of the last steps is ten times what was usual: the run is about to diverge.",
  check({ steps, warmupSteps, gradClipNorm }) {
    if (steps.length < TREND + 5 || steps.at(-1)!.step <= warmupSteps) return undefined;
    const usual = median(steps.slice(0, -5).map(({ gradNorm }) => gradNorm));
    const now = median(steps.slice(-5).map(({ gradNorm }) => gradNorm));
    if (!(now > 10 * usual && now > 1)) return undefined;
    const clip = gradClipNorm > 0 ? "Lower --lr" : "Set --grad-clip-norm 1, or lower --lr";
    return `The gradient norm has grown from ${usual.toPrecision(2)} to ${now.toPrecision(2)} within ${steps.length} steps. ${clip}; --beta2 0.95 also calms it.`;
  },
};

const scaleCollapsed: Rule = {
  name: "logit-scale-collapsed",
  doc: "The logit scale has fallen to 1 or below: the model makes all pairs alike rather than tell them apart.",
  check(history) {
    const recent = history.steps.slice(-10);
    if (recent.length < 10 || recent.some(({ logitScale }) => logitScale > 1)) return undefined;
    const at = recent.at(-1)!;
    return `The logit scale has fallen to ${at.logitScale.toFixed(2)} (it starts near 14 and should rise). Usually the rate is too high or captions do not belong to their images: lower --lr, and look at clipwright inspect.`;
  },
};

const scaleAtClamp: Rule = {
  name: "logit-scale-at-clamp",
  doc: "The logit scale is at its clamp in the first half: usual late in long runs, early it means memorizing or a rate too high.",
  check({ steps, totalSteps, logitScaleMax }) {
    const recent = steps.slice(-20);
    if (totalSteps === undefined || recent.length < 20 || recent.at(-1)!.step > totalSteps / 2)
      return undefined;
    if (recent.some(({ logitScale }) => logitScale < 0.999 * logitScaleMax)) return undefined;
    return `The logit scale reached its clamp of ${logitScaleMax} by step ${recent[0]!.step} of ${totalSteps}. Late in a long run that is usual; this early the model memorizes, or the rate is too high. More data or augmentation (--crop-scale 0.5,1), or a lower --lr.`;
  },
};

const dataStarved: Rule = {
  name: "data-starved",
  doc: "The engine waits for images for a third of the time.",
  check({ steps }) {
    // The first steps fill the queues.
    const recent = steps.filter(({ step }) => step > 10).slice(-TREND);
    if (recent.length < TREND) return undefined;
    const seconds = recent.reduce((sum, { stepSeconds }) => sum + stepSeconds, 0);
    const share = recent.reduce((sum, { dataSeconds }) => sum + dataSeconds, 0) / seconds;
    if (!(share > 0.3)) return undefined;
    return `${percent(share)} of the time is spent waiting for data. Raise --workers, store smaller images (the model needs only its own size), or read from a faster disk.`;
  },
};

const duplicateCaptions: Rule = {
  name: "duplicate-captions",
  doc: "Many captions of a batch stand for several images, so that few pairs are real negatives.",
  check({ steps, batchSize }) {
    const recent = steps.slice(-TREND);
    if (recent.length < TREND) return undefined;
    const share = mean(recent.map(({ duplicateCaptionShare }) => duplicateCaptionShare));
    if (!(share > 0.2)) return undefined;
    return `${percent(share)} of the captions in a batch of ${batchSize} also belong to another image there. They count as right answers, but little is learned from them: check for boiler-plate captions (clipwright inspect), or lower --batch-size.`;
  },
};

const overfitting: Rule = {
  name: "over-fitting",
  doc: "The held-out loss has risen for three evaluations while the training loss fell.",
  check({ validations }) {
    if (validations.length < 4) return undefined;
    let best = validations[0]!;
    for (const each of validations) if (each.loss < best.loss) best = each;
    const since = validations.filter(({ step }) => step > best.step);
    const last = validations.at(-1)!;
    const worse = since.length >= 3 && since.every(({ loss }) => loss > 1.02 * best.loss);
    if (!worse || last.loss < 1.05 * best.loss || last.trainLoss >= best.trainLoss) return undefined;
    return `The held-out loss was lowest at step ${best.step} (${best.loss.toFixed(3)}) and is ${last.loss.toFixed(3)} now, while the training loss still falls: the model memorizes. Train shorter, add data or augmentation (--crop-scale 0.5,1), or keep the best (--keep-best).`;
  },
};

/** All rules, gravest first. */
export const rules: readonly Rule[] = Object.freeze([
  nonFinite,
  lossAtChance,
  gradientExplosion,
  scaleCollapsed,
  scaleAtClamp,
  dataStarved,
  warmupTooLong,
  duplicateCaptions,
  overfitting,
]);

/** What a doctor is told of the run beforehand. */
export type RunSignals = Pick<
  History,
  "batchSize" | "chanceLoss" | "warmupSteps" | "totalSteps" | "logitScaleMax" | "gradClipNorm"
>;

export interface Diagnosis {
  /** The rule's name. */
  readonly rule: string;
  readonly message: string;
}

/** What a doctor takes over from an earlier sitting of the run; plain JSON. */
export interface DoctorMemory {
  /** Rules that have spoken. */
  readonly said: readonly string[];
  readonly validations: History["validations"];
  /** The last steps, without their samples: what is found does not hang on when a run was continued. */
  readonly steps: History["steps"];
}

/** The signals alone, in one order, whatever else an object has: they are stored. */
const picked = (signals: StepSignals): StepSignals => ({
  step: signals.step,
  loss: signals.loss,
  logitScale: signals.logitScale,
  gradNorm: signals.gradNorm,
  stepSeconds: signals.stepSeconds,
  dataSeconds: signals.dataSeconds,
  duplicateCaptionShare: signals.duplicateCaptionShare,
  sampleKeys: signals.sampleKeys,
});

/** Watches a run and says each thing once. */
export class Doctor {
  private readonly said: Set<string>;
  private readonly steps: StepSignals[];
  private readonly validations: { step: number; loss: number; trainLoss: number }[];

  constructor(
    private run: RunSignals,
    memory: DoctorMemory = { said: [], validations: [], steps: [] },
  ) {
    this.said = new Set(memory.said);
    this.validations = [...memory.validations];
    this.steps = [...memory.steps];
  }

  get memory(): DoctorMemory {
    return { said: [...this.said], validations: [...this.validations], steps: [...this.steps] };
  }

  /** The length of a time-limited run, once it is fixed. */
  planned(run: Pick<RunSignals, "totalSteps" | "warmupSteps">): void {
    this.run = { ...this.run, ...run };
  }

  /** Takes in a step; gives what is newly found. */
  step(signals: StepSignals): Diagnosis[] {
    this.steps.push(picked(signals));
    if (this.steps.length > WINDOW) this.steps.shift();
    return this.examine();
  }

  /** Takes in a loss on held-out pairs. */
  validation(step: number, loss: number): Diagnosis[] {
    const recent = this.steps.slice(-TREND).map((each) => each.loss);
    this.validations.push({ step, loss, trainLoss: recent.length > 0 ? mean(recent) : Number.NaN });
    return this.examine();
  }

  private examine(): Diagnosis[] {
    const history: History = { ...this.run, steps: this.steps, validations: this.validations };
    return rules.flatMap(({ name, check }) => {
      const message = this.said.has(name) ? undefined : check(history);
      if (message === undefined) return [];
      this.said.add(name);
      return [{ rule: name, message }];
    });
  }
}
