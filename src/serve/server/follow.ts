/** A run that is followed while it trains: its newest checkpoint's pictures, and how it goes. */

import { basename, join, resolve } from "node:path";
import { UsageError } from "../../core/errors.js";
import type { Dataset } from "../../data/dataset.js";
import { subset } from "../../data/dataset.js";
import type { Engine } from "../../engines/engine.js";
import { type LoadedModel, loadModel } from "../../evaluate/model/load-model.js";
import type { ModelSource } from "../../evaluate/model/locate.js";
import { listCheckpoints } from "../../storage/checkpoint.js";
import { readLines } from "../../train/run/folder.js";
import { courseOf } from "../../train/run/list.js";
import type { MakeIndexOptions } from "../index/make.js";
import type { Training } from "../page/source.js";
import type { Shown } from "./app.js";
import { cachedIndex } from "./cached-index.js";
import { Served } from "./served.js";

export interface FollowOptions {
  readonly engine: Engine;
  /** Pictures to show; more than 2,000 are thinned evenly, so that a checkpoint's are there soon. */
  readonly pictures: Dataset;
  /** How the model is opened, but for its path and checkpoint. */
  readonly source?: Omit<ModelSource, "path" | "checkpoint"> | undefined;
  readonly onProgress?: MakeIndexOptions["onProgress"];
  /** Told of what cannot be read, a line each. */
  readonly onProblem?: ((line: string) => void) | undefined;
}

const MOST_PICTURES = 2000;
/** How often it is looked for a newer checkpoint. */
const LOOK_MS = 3000;
/** Points of a curve. */
const MOST_POINTS = 300;
/** Lines of metrics that say how it goes at the moment. */
const LATELY = 5;

interface Shownable {
  readonly served: Served;
  readonly model: LoadedModel;
  readonly step: number;
}

export class FollowedRun implements Shown, Disposable {
  readonly title: string;
  private shown: Shownable | undefined;
  private embedding = false;
  private ended = false;
  private looking: ReturnType<typeof setTimeout> | undefined;
  private readonly pictures: Dataset;

  constructor(
    private readonly path: string,
    private readonly options: FollowOptions,
  ) {
    this.title = basename(resolve(path));
    this.pictures = thinned(options.pictures);
  }

  current = (): Served | undefined => this.shown?.served;

  /** Looks for a newer checkpoint, shows its pictures, and looks again after a while, until it is disposed of. */
  look = async (): Promise<void> => {
    try {
      const newest = listCheckpoints(join(this.path, "checkpoints")).at(-1)?.step;
      if (newest !== undefined && newest !== this.shown?.step) await this.show(newest);
    } catch (error) {
      // A checkpoint may be gone, or half the disk's, while it is looked at: there is another soon.
      if (!(error instanceof UsageError)) throw error;
      this.options.onProblem?.(error.message);
    } finally {
      this.embedding = false;
    }
    if (!this.ended) this.looking = setTimeout(() => void this.look(), LOOK_MS).unref();
  };

  training = (): Training => {
    const { state, step, totalSteps, seconds } = courseOf(this.path);
    const metrics = readLines(join(this.path, "metrics.jsonl"));
    const scores = readLines(join(this.path, "evaluation.jsonl"));
    const lately = metrics.slice(-LATELY);
    const mean = (name: string): number =>
      lately.reduce((sum, line) => sum + Number(line[name] ?? 0), 0) / Math.max(1, lately.length);
    const left = totalSteps === undefined || step === 0 ? undefined : ((totalSteps - step) * seconds) / step;
    return {
      state: state === "unreadable" ? "stopped" : state,
      step,
      ...(totalSteps !== undefined && { steps: totalSteps }),
      seconds,
      ...(left !== undefined && { secondsLeft: left }),
      dataWait: mean("dataWaitShare"),
      samplesPerSecond: mean("samplesPerSecond"),
      curves: [
        curveOf("Loss", "", metrics, "loss"),
        ...scoreCurves(scores),
        curveOf("Learning rate", "", metrics, "learningRate"),
        curveOf("Logit scale", "", metrics, "logitScale"),
        curveOf("Gradient norm", "", metrics, "gradientNorm"),
      ],
      warnings: readLines(join(this.path, "warnings.jsonl")).map(({ step: at, text }) => ({
        step: Number(at),
        text: String(text),
      })),
      ...(this.shown !== undefined && { shown: this.shown.step }),
      embedding: this.embedding,
    };
  };

  [Symbol.dispose](): void {
    this.ended = true;
    clearTimeout(this.looking);
    this.release(this.shown);
    this.shown = undefined;
  }

  private async show(step: number): Promise<void> {
    const { engine, source, onProgress, onProblem } = this.options;
    this.embedding = true;
    const model = await loadModel(engine, { ...source, path: this.path, checkpoint: step });
    try {
      const index = await cachedIndex(
        model,
        this.pictures,
        this.path,
        { onProgress, onNote: onProblem },
        this.path,
      );
      const scale = {
        value: await model.encoder.scale(),
        about: "as the model has learned to be sure so far",
      };
      const served = new Served({
        index,
        encoder: model.encoder,
        scale,
        title: this.title,
        model: `step ${step}`,
      });
      if (this.ended) return this.release({ served, model, step });
      this.release(this.shown);
      this.shown = { served, model, step };
    } catch (error) {
      model[Symbol.dispose]();
      throw error;
    }
  }

  private release(shown: Shownable | undefined): void {
    shown?.served.index.close();
    shown?.model[Symbol.dispose]();
  }
}

function thinned(dataset: Dataset): Dataset {
  if (dataset.length <= MOST_PICTURES) return dataset;
  const chosen = Array.from({ length: MOST_PICTURES }, (_, i) =>
    Math.floor((i * dataset.length) / MOST_PICTURES),
  );
  return subset(dataset, chosen);
}

type Line = Readonly<Record<string, unknown>>;
type Curve = Training["curves"][number];

function curveOf(title: string, unit: string, lines: readonly Line[], name: string, factor = 1): Curve {
  const points = lines.flatMap(({ step, [name]: value }): [number, number][] =>
    typeof step === "number" && typeof value === "number" ? [[step, factor * value]] : [],
  );
  const every = Math.ceil(points.length / MOST_POINTS);
  return { title, unit, points: points.filter((_, i) => i % every === 0 || i === points.length - 1) };
}

/** The scores that tell most, where the run has them. */
const SCORES: readonly (readonly [metric: string, title: string])[] = [
  ["val_loss", "Held-out loss"],
  ["acc1", "Top-1"],
  ["image_retrieval_recall@5", "R@5 by text"],
];

function scoreCurves(lines: readonly Line[]): Curve[] {
  return SCORES.flatMap(([metric, title]) => {
    const own = lines.filter((line) => line.metric === metric && line.samplesSeen !== undefined);
    const first = own.filter(({ dataset }) => dataset === own[0]!.dataset);
    if (first.length === 0) return [];
    return [
      metric === "val_loss" ? curveOf(title, "", first, "value") : curveOf(title, " %", first, "value", 100),
    ];
  });
}
