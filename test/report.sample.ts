/** A made-up run with everything a report can show; `node dist/test/report.sample.js FILE` writes its page, to look at. */

import { writeFileSync } from "node:fs";
import { argv } from "node:process";
import { pathToFileURL } from "node:url";
import { keyFromSeed, Random } from "../src/core/random.js";
import type { NamedPicture } from "../src/report/page/sections.js";
import { type RunReport, writeRunReport } from "../src/report/run/run.js";

const THINGS = [
  "red heart",
  "grinning face with smiling eyes",
  "hot beverage",
  "umbrella with rain drops",
  "Tyrannosaurus Rex",
  "flag: Ascension Island",
  "fire",
  "guitar",
  "woman in motorized wheelchair facing right",
  "pizza",
  "rocket",
  "snail",
  "hammer and wrench",
  "money bag",
  "soccer ball",
  "light bulb",
] as const;
const GLYPHS = [
  "❤️",
  "😄",
  "☕",
  "☔",
  "🦖",
  "🇦🇨",
  "🔥",
  "🎸",
  "👩‍🦼",
  "🍕",
  "🚀",
  "🐌",
  "🛠️",
  "💰",
  "⚽",
  "💡",
];

const drawing = (at: number): Uint8Array =>
  new TextEncoder().encode(
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64"><text x="32" y="50" font-size="50" text-anchor="middle">${GLYPHS[at]}</text></svg>`,
  );

/** `seed` changes the noise; the shape of the run stays. */
export function sampleReport(seed = 1): RunReport {
  const random = new Random(keyFromSeed(seed));
  const steps = 2400;
  const metrics = Array.from({ length: steps }, (_, i) => {
    const step = i + 1;
    const t = step / steps;
    const rate = 1e-3 * Math.min(step / 120, 0.5 + 0.5 * Math.cos(Math.PI * t));
    return {
      step,
      samplesSeen: step * 256,
      loss: 0.9 + 4.64 * Math.exp(-3.2 * t ** 0.8) + 0.12 * random.normal(),
      logitScale: 14.29 + 62 * (1 - Math.exp(-2 * t)) - 3 * Math.exp(-40 * t),
      learningRate: rate,
      gradientNorm: Math.exp(0.2 + 2.2 * Math.exp(-10 * t) + 0.25 * random.normal()),
      samplesPerSecond: 2080 + 45 * random.normal() - (step === 900 ? 900 : 0),
      dataWaitShare: Math.max(0, 0.012 + 0.008 * random.normal()),
    };
  });
  const scores = Array.from({ length: 9 }, (_, i) => i + 1).flatMap((at) => {
    const t = at / 9;
    return (
      [
        ["acc1", 0.27 * t ** 0.6, 1 / 1560],
        ["acc5", 0.53 * t ** 0.5, 5 / 1560],
      ] as const
    ).map(([metric, value, chance]) => ({
      dataset: "fluent-emoji-flat",
      task: "zeroshot_classification",
      metric,
      value,
      low: value - 0.022,
      high: value + 0.022,
      n: 1560,
      step: Math.round((at * steps) / 9),
      samplesSeen: Math.round((at * steps) / 9) * 256,
      chance,
    }));
  });
  const last = (dataset: string, metric: string, value: number, half: number, n: number, task: string) => ({
    dataset,
    task,
    metric,
    value,
    low: metric.endsWith("rank") ? value - half : Math.max(0, value - half),
    high: value + half,
    n,
  });
  const items = THINGS.map((truth, at): NamedPicture => {
    const others = [...random.permutation(THINGS.length)].filter((other) => other !== at).slice(0, 3);
    const place = [0, 0, 1, 0, 2, 3, 0, 0, 3, 1, 0, 0, 0, 3, 0, 0][at]!;
    const names = others.map((other) => THINGS[other]!);
    if (place < 3) names.splice(place, 0, truth);
    return {
      image: drawing(at),
      truth,
      predictions: names
        .slice(0, 5)
        .map((name, rank) => ({ name, score: 0.62 - 0.08 * rank - 0.05 * random.uniform() })),
    };
  });
  return {
    title: "Naming emoji in a style never seen",
    summary:
      "A CLIP of 4.1 million parameters, trained from nothing for four minutes on 9,870 drawings in six styles, names drawings of a seventh.",
    headline: [
      { value: "27.0 %", label: "top-1, unseen style", detail: "24.8 – 29.2 · chance 0.06 %" },
      { value: "53.0 %", label: "top-5, unseen style", detail: "50.8 – 55.2 · chance 0.3 %" },
      { value: "4 min 6 s", label: "training, 2 cores", detail: "614,400 pairs seen" },
      { value: "4.1 M", label: "parameters", detail: "image 2.2 M, text 1.9 M" },
    ],
    batchSize: 256,
    metrics,
    scores: [
      ...scores,
      last("fluent-emoji-flat", "image_retrieval_recall@1", 0.31, 0.022, 1560, "zeroshot_retrieval"),
      last("fluent-emoji-flat", "image_retrieval_recall@10", 0.66, 0.024, 1560, "zeroshot_retrieval"),
      last("fluent-emoji-flat", "image_retrieval_median_rank", 4, 1, 1560, "zeroshot_retrieval"),
      {
        ...last("emojione-monotone", "acc1", 0.034, 0.011, 1402, "zeroshot_classification"),
        chance: 1 / 1402,
      },
      {
        ...last("emojione-monotone", "acc5", 0.093, 0.016, 1402, "zeroshot_classification"),
        chance: 5 / 1402,
      },
    ],
    grids: [
      {
        title: "Unseen drawings and their nearest names",
        sentence: "Drawn at random from fluent-emoji-flat, none of whose drawings were in the training set.",
        items,
      },
    ],
    searches: [
      {
        title: "Text finds picture",
        sentence: "Nobody chose them.",
        queries: [
          { text: "something to keep you dry", best: 3 },
          { text: "fast food", best: 9 },
          { text: "an animal with a shell", best: 11 },
        ].map(({ text, best }) => ({
          text,
          results: [
            best,
            ...[...random.permutation(THINGS.length)].filter((at) => at !== best).slice(0, 7),
          ].map((at, rank) => ({
            image: drawing(at),
            name: THINGS[at]!,
            score: 0.58 - 0.05 * rank,
            right: at === best,
          })),
        })),
      },
    ],
    tables: [
      {
        title: "Most frequent confusions",
        sentence: "True name, first guess and how often it happened.",
        columns: ["true name", "first guess", "times"],
        rows: [
          ["kissing face", "kissing face with closed eyes", 3],
          ["flag: Chad", "flag: Romania", 2],
          ["mantelpiece clock", "alarm clock", 1],
        ],
      },
    ],
    facts: [
      { name: "Image tower", value: "ViT, 6 layers × 192, 8-pixel patches of 64" },
      { name: "Text tower", value: "transformer, 3 layers × 192, 16 tokens" },
      { name: "Training pairs", value: 9870 },
      { name: "Samples seen", value: 614400 },
      { name: "Batch", value: 256 },
      { name: "Seed", value: 1 },
      { name: "Machine", value: "2 cores, Node 20.19, ONNX Runtime 1.30" },
      { name: "Command", value: "npm run demo" },
    ],
    notes: [
      "Every number comes from one seed; the intervals speak of the test pictures, not of other seeds.",
    ],
    licences: [
      { name: "Fluent UI Emoji", licence: "MIT", source: "https://github.com/microsoft/fluentui-emoji" },
      { name: "Noto Emoji", licence: "Apache 2.0", source: "https://github.com/googlefonts/noto-emoji" },
      { name: "Twemoji", licence: "CC BY 4.0", source: "https://github.com/twitter/twemoji" },
      { name: "OpenMoji", licence: "CC BY-SA 4.0", source: "https://github.com/hfg-gmuend/openmoji" },
    ],
  };
}

if (argv[1] !== undefined && import.meta.url === pathToFileURL(argv[1]).href) {
  writeFileSync(argv[2] ?? "report.html", writeRunReport(sampleReport()));
}
