/** Made-up studies with everything that a page can show; `node dist/test/report.study-sample.js FOLDER` writes their pages, to look at. */

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { argv, stdout } from "node:process";
import { pathToFileURL } from "node:url";
import { keyFromSeed, Random } from "../src/core/random.js";
import { recordOf } from "../src/evaluate/records.js";
import { writeStudyPage } from "../src/report/study/page.js";
import { answerOf, type DoneRun } from "../src/study/answer/answer.js";
import { type Findings, findingsOf, writeFindings } from "../src/study/answer/findings.js";
import { type Cell, cellsOf } from "../src/study/design/cells.js";
import { checkStudy, type StudyInput } from "../src/study/design/study.js";

const ITEMS = 300;
const PAIRS = 130_000;

/** What a made-up law gives a cell: its error, 0 … 1, before noise. */
type Law = (cell: Cell) => number;

export interface SampleStudy {
  readonly input: StudyInput;
  readonly law: Law;
  /** GMACs of a pair, by level of the factor that is asked about. */
  readonly gmacs?: Readonly<Record<string, number>>;
}

const common = {
  recipe: { trainData: ["icons/"], batchSize: 16, model: "clipwright-nano-32" },
  seeds: 2,
  suite: {
    sets: {
      concepts: { data: "test/", role: "reference" },
      outline: { data: "outline/", role: "shift" },
      duotone: { data: "duotone/", role: "shift" },
    },
  },
  score: "concepts/acc1",
} satisfies Partial<StudyInput>;

/** The kinds of studies of the paper, small. */
export const sampleStudies: Readonly<Record<string, SampleStudy>> = {
  encoders: {
    input: {
      ...common,
      question: { text: "Which encoder, for how much data?", factor: "encoder", over: "samples" },
      recipe: { trainData: ["icons/"], batchSize: 16 },
      factors: {
        encoder: { ViT: { model: "clipwright-nano-32" }, "ResNet-50": { model: "clipwright-micro-32" } },
        part: [0.01, 0.03, 0.1, 0.3, 1],
      },
      regime: { "one pass": { epochs: 1 }, "equal samples": { samples: PAIRS } },
    },
    gmacs: { ViT: 0.06, "ResNet-50": 0.11 },
    law: ({ levels, samples, pairs }) =>
      (levels.encoder === "ViT" ? 0.12 + 9 * samples! ** -0.32 : 0.34 + 15 * samples! ** -0.46) +
      0.25 * (1 - (pairs / PAIRS) ** 0.25),
  },
  quantity: {
    input: {
      ...common,
      question: { text: "More pairs, or more passes?", factor: "part", over: "samples" },
      factors: { part: [0.05, 0.1, 0.2, 0.4, 1] },
      regime: Object.fromEntries([2, 4, 8, 16, 32].map((epochs) => [`${epochs} passes`, { epochs }])),
    },
    law: ({ pairs, samples }) => 0.2 + 20 * pairs ** -0.4 + 0.45 * (samples! / pairs) ** -0.8,
  },
  quality: {
    input: {
      ...common,
      question: { text: "How much of the data should be kept?", factor: "kept" },
      factors: {
        kept: {
          ...Object.fromEntries(
            [0.2, 0.4, 0.6, 0.8].flatMap((share) => [
              [
                `best ${100 * share} %`,
                { part: { top: share, scores: "scores.parquet", by: "crossfit_score" } },
              ],
              [`any ${100 * share} %`, { part: { random: share } }],
            ]),
          ),
          all: {},
        },
      },
      regime: { "one pass": { epochs: 1 }, "equal samples": { samples: PAIRS } },
    },
    law: ({ levels, pairs, samples }) =>
      0.3 +
      (levels.kept!.startsWith("best") ? 0.2 * (pairs / PAIRS - 0.45) ** 2 : 0.06) +
      8 * samples! ** -0.4,
  },
  strategies: {
    input: {
      ...common,
      question: { text: "Which strategy, for how much compute?", factor: "strategy", over: "gmacs" },
      factors: { strategy: ["clip", "slip", "flip", "clip-aug"], part: [0.05, 0.2, 1] },
      regime: { "equal samples": { samples: PAIRS }, "equal compute": { gmacs: 8000 } },
      seeds: 1,
    },
    gmacs: { clip: 0.06, slip: 0.15, flip: 0.038, "clip-aug": 0.06 },
    law: ({ levels, pairs, samples }) =>
      0.3 +
      { clip: 0.05, slip: 0.04, flip: 0.06, "clip-aug": 0 }[levels.strategy!]! * (PAIRS / pairs) ** 0.5 +
      6 * samples! ** -0.4,
  },
};

/** The findings of a made-up study; the last two runs are missing, one of them failed. */
export async function sampleFindings(name: string): Promise<Findings> {
  const { input, law, gmacs = {} } = sampleStudies[name]!;
  const study = await checkStudy(input, { name });
  const cells = cellsOf(study, {
    pairsOf: () => PAIRS,
    gmacsOf: ({ model, strategy }) =>
      gmacs[strategy] ?? (model === "clipwright-micro-32" ? gmacs["ResNet-50"] : gmacs.ViT) ?? 0.06,
  });
  const planned = study.seeds.flatMap((seed) => cells.map((cell) => ({ cell, seed })));
  const runs = planned.slice(0, -2).map(({ cell, seed }, at): DoneRun => {
    const random = new Random(keyFromSeed(7919 * seed + at));
    const error = Math.min(0.97, law(cell) + 0.006 * random.normal());
    const seconds = 4 + (cell.gmacs! / 20) * (1 + 0.12 * random.normal());
    const scored = Object.entries({
      "concepts zeroshot_classification acc1": error,
      "outline zeroshot_classification acc1": 1.1 * error + 0.05,
      "duotone zeroshot_classification acc1": error + 0.08,
      "concepts few_shot fewshot_acc1@5": 0.9 * error + 0.12,
      "concepts linear_probe lp_acc1": 0.7 * error + 0.05,
      "concepts zeroshot_retrieval text_retrieval_recall@1": 0.5 * error + 0.45,
      "concepts zeroshot_retrieval image_retrieval_recall@1": 0.4 * error + 0.56,
    }).map(([key, wrong]) => {
      const [dataset, task, metric] = key.split(" ") as [string, string, string];
      const values = Float64Array.from({ length: ITEMS }, (_, i) =>
        random.uniform() > wrong + 0.12 * Math.sin(i) ? 1 : 0,
      );
      const value = values.reduce((a, b) => a + b, 0) / ITEMS;
      const score = { value, low: value - 0.05, high: value + 0.05, n: ITEMS };
      const items = { values, samples: Uint32Array.from(values, (_, i) => i) };
      return { dataset, task, scores: [{ metric, score, items }] };
    });
    const records = scored.flatMap(({ dataset, task, scores }) =>
      scores.map(({ metric, score }) => recordOf({ dataset, task, metric, ...score })),
    );
    const spent = {
      ...{ samples: cell.samples!, gmacs: cell.gmacs!, seconds, load: 2 },
      // Every fourth run had several sittings.
      ...(at % 4 < 3 && { wholeSeconds: seconds + 2, predictedSeconds: 6.5 + cell.gmacs! / 21 }),
    };
    return { cell, seed, result: { ...spent, records, scored } };
  });
  const [one, two] = planned.slice(-2);
  return findingsOf({
    study,
    answer: answerOf(study, runs),
    done: runs,
    left: [{ ...one!, failed: "train: the loss is not a number at step 12. Lower the rate." }, two!],
  });
}

if (argv[1] !== undefined && import.meta.url === pathToFileURL(argv[1]).href) {
  for (const name of Object.keys(sampleStudies)) {
    const folder = join(argv[2] ?? "studies", name);
    mkdirSync(folder, { recursive: true });
    writeFindings(folder, await sampleFindings(name));
    stdout.write(`${writeStudyPage(folder)}\n`);
  }
}
