/** Cross-fitting as a family of scores: relevance and accuracy without a pretrained model. */

import { join } from "node:path";
import { UsageError } from "../../../core/errors.js";
import { readJsonObject } from "../../../core/files.js";
import { type Duration, formatDuration } from "../../../settings/duration.js";
import { defaulted, duration, integer, optional, real, text } from "../../../settings/fields.js";
import type { RecipeInput } from "../../../train/recipe/input.js";
import type { DataFamily, ScoreValues } from "../../scores/score.js";
import { engineFields } from "../model.js";
import type { CombinedScores } from "./combine.js";
import { crossfit } from "./crossfit.js";

const settings = {
  time: defaulted(
    duration("seconds"),
    { value: 1200, unit: "seconds" },
    "For cross-fitting: decides folds, passes and the model by what this machine can do.",
  ),
  folds: optional(integer(2, 20), "Of cross-fitting: models a repeat; at most 5, by the time, otherwise."),
  repeats: optional(integer(1, 20), "Of cross-fitting: times that folds are dealt anew; 3 otherwise."),
  drop: defaulted(
    real({ min: 0, below: 1 }),
    0.2,
    "Of cross-fitting: share of the pairs, the worst so far, that are not trained on from the second repeat on.",
  ),
  crossfitRecipe: optional(
    text("FILE"),
    "Of cross-fitting: JSON with settings of train for its models, such as model and augmentation.",
  ),
  ...engineFields,
};

/** Columns by what is found. */
const COLUMNS: Readonly<Record<string, Exclude<keyof CombinedScores, "plan">>> = {
  crossfit_score: "score",
  crossfit_spread: "spread",
  crossfit_neighbours: "neighbours",
  crossfit_cosine: "cosine",
  crossfit_loss: "loss",
  crossfit_mean_loss: "lossOverTime",
  crossfit_forgotten: "forgotten",
  crossfit_caption_rank: "captionRank",
  crossfit_picture_rank: "pictureRank",
};

export const crossfitFamily: DataFamily = {
  name: "crossfit",
  about: "How well picture and caption agree by small CLIPs trained here, none of which has seen the pair.",
  how:
    "Pictures are dealt into folds, copies together; for each fold a model is trained on the others and scores it. Repeated with " +
    "other folds and without the worst pairs so far, and averaged, the first repeat by half.",
  source: "cross-fitting (1608.00060); s-CLIPLoss (2405.19547); forgetting (1812.05159)",
  over: "data",
  byDefault: false,
  settings,
  columns: [
    {
      name: "crossfit_score",
      kind: "number",
      better: "higher",
      about:
        "Agreement corrected as clip_corrected is, and with the captions of look-alikes, together in standard deviations from the mean of all pairs.",
    },
    {
      name: "crossfit_spread",
      kind: "number",
      about: "Standard deviation of crossfit_score over the repeats: how far the models disagree.",
    },
    {
      name: "crossfit_cosine",
      kind: "number",
      better: "higher",
      about: "Mean cosine of picture and caption.",
    },
    {
      name: "crossfit_loss",
      kind: "number",
      unit: "nats",
      better: "lower",
      about: "Mean contrastive loss of the pair among its fold's others, at the end of training.",
    },
    {
      name: "crossfit_mean_loss",
      kind: "number",
      unit: "nats",
      better: "lower",
      about: "The same, mean over the course of training.",
    },
    {
      name: "crossfit_forgotten",
      kind: "number",
      unit: "nats",
      better: "lower",
      about: "How far the loss rose from its least in the course of training to the end.",
    },
    {
      name: "crossfit_caption_rank",
      kind: "number",
      unit: "share",
      better: "lower",
      about: "Other pictures' captions in its fold that are nearer to the picture than its own.",
    },
    {
      name: "crossfit_picture_rank",
      kind: "number",
      unit: "share",
      better: "lower",
      about: "Other pictures in its fold that are nearer to the caption than its own.",
    },
  ],
  async score({ dataset, rows, folder, workers, onProgress, onNote, ...host }) {
    const { time, folds, repeats, drop, crossfitRecipe, engine, threads } = host.settings as unknown as {
      time: Duration;
      folds?: number;
      repeats?: number;
      drop: number;
      crossfitRecipe?: string;
      engine: NonNullable<RecipeInput["engine"]>;
      threads?: number;
    };
    if (time.unit !== "seconds")
      throw new UsageError(`time: must be a time; got ${formatDuration(time)}. Write e.g. --time 20m.`, {
        key: "time",
      });
    const recipe = crossfitRecipe === undefined ? {} : (readJsonObject(crossfitRecipe) as RecipeInput);
    const found = await crossfit(dataset, rows, {
      folder: join(folder, "models"),
      seconds: time.value,
      folds,
      repeats,
      drop,
      recipe: { engine, ...(threads !== undefined && { threads }), ...recipe },
      workers,
      onProgress,
      onNote,
    });
    return Object.fromEntries(
      Object.entries(COLUMNS).map(([name, of]): [string, ScoreValues] => [name, found[of]]),
    );
  },
};
