/** Choice between captions that differ in little: whether a model reads order and relations, or only words. */

import { UsageError } from "../../core/errors.js";
import type { Question } from "../../data/choices.js";
import { similarity } from "../features/features.js";
import { allRows } from "../features/source.js";
import { cutNotes } from "../prompts/notes.js";
import { classMeanInterval, meanInterval } from "../statistics/bootstrap.js";
import type { Metric, Task, TaskScore } from "./task.js";

const METRICS = ["text_acc", "image_acc", "acc"] as const;
type Name = (typeof METRICS)[number];

const share = (name: Name, words: string, doc: string): Metric => ({
  ...{ name, words, doc, kind: "share", better: "higher" },
});

/** Cosines [images][captions] of one question; caption i belongs to picture i. Equal cosines are wrong. */
export function judgeQuestion(cosines: readonly (readonly number[])[]): Record<Name, boolean> {
  const text = cosines.every((row, i) => row.every((cosine, j) => j === i || cosine < row[i]!));
  const image = cosines.every((row, i) => cosines.every((other, k) => k === i || other[i]! < row[i]!));
  return { text_acc: text, image_acc: image, acc: text && image };
}

/** What guessing gives: cosines in any order, all orders alike. */
const chances: Readonly<Record<string, Readonly<Record<Name, number>>>> = {
  "1×2": { text_acc: 1 / 2, image_acc: 1, acc: 1 / 2 },
  // Of the 24 orders of four cosines, both right ones are above both wrong ones in 4.
  "2×2": { text_acc: 1 / 4, image_acc: 1 / 4, acc: 1 / 6 },
};

const formOf = ({ images, captions }: Question): string => `${images.length}×${captions.length}`;

export const choicesTask: Task = {
  name: "image_caption_selection",
  doc: "Each picture is given one of the captions that differ in little, and each caption one of the pictures.",
  how: "The right one must have the higher cosine; equal ones are wrong (CLIP_benchmark's argmax takes the first, the right one). Over several files the mean of their means. The interval draws questions, within their file.",
  source:
    "Thrush et al. 2022 (Winoground); Hsieh et al. 2023 (SugarCrepe); CLIP_benchmark, image_caption_selection.py",
  needs: ["choices"],
  metrics: [
    share("text_acc", "right caption", "Share of the questions in which each picture has its caption."),
    share("image_acc", "right picture", "Share of the questions in which each caption has its picture."),
    share("acc", "caption and picture", "Share of the questions in which both are right."),
  ],
  async run({ features, data, bootstrap = {} }) {
    const { dataset, questions } = data;
    if (questions === undefined || questions.length === 0) {
      throw new UsageError(
        `evaluate ${dataset.name}: image_caption_selection needs questions; got none. Give --choices FILE.`,
        { key: "choices" },
      );
    }
    const images = await features.images(dataset);
    const rowOf = new Map(Array.from(images.indices, (sample, row) => [sample, row]));
    const asked = questions.filter((question) => question.images.every((image) => rowOf.has(image)));
    const captions = [...new Set(asked.flatMap((question) => question.captions))];
    const texts = await features.texts(captions, `captions of ${dataset.name}`);
    const place = new Map(captions.map((caption, at) => [caption, at]));
    const vectors = allRows(images.features);
    const judged = asked.map((question) =>
      judgeQuestion(
        question.images.map((image) =>
          question.captions.map((caption) =>
            similarity(vectors, rowOf.get(image)!, texts.features, place.get(caption)!),
          ),
        ),
      ),
    );
    const files = [...new Set(asked.map(({ file }) => file))];
    const fileOf = Uint32Array.from(asked, ({ file }) => files.indexOf(file));
    const samples = Uint32Array.from(asked, ({ images: [first] }) => first!);
    // One picture a question leaves the choice of pictures nothing to choose from.
    const pictures = asked.some((question) => question.images.length > 1);
    const chanceOf = (name: Name): number =>
      files.reduce((sum, file) => {
        const form = formOf(asked.find((question) => question.file === file)!);
        return sum + chances[form]![name] / files.length;
      }, 0);
    const scores = METRICS.slice(0, pictures ? 3 : 1).map((name): TaskScore => {
      const values = Float64Array.from(judged, (one) => (one[name] ? 1 : 0));
      // The mean over files is no mean over questions, so it has no items.
      return files.length > 1
        ? { metric: name, score: classMeanInterval(values, fileOf, bootstrap), chance: chanceOf(name) }
        : {
            metric: name,
            score: meanInterval(values, { ...bootstrap, clusters: samples }),
            chance: chanceOf(name),
            items: { values, samples },
          };
    });
    const lost = questions.length - asked.length;
    return {
      scores,
      notes: [
        ...(lost === 0
          ? []
          : [`${lost} of ${questions.length} questions are left out: a picture cannot be read`]),
        ...cutNotes("captions", captions, texts.cut),
      ],
      details: undefined,
    };
  },
};
