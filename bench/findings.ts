/**
 * The figures and tables of docs/findings.md, out of `docs/findings/NAME/findings.json`, which `clipwright study` wrote.
 *
 *     node dist/bench/findings.js [--from studies]
 *
 * `--from`: takes over what the studies in that folder came to by now. They stand between `<!-- STUDY -->` and `<!-- end -->`;
 * figures are `docs/figures/findings-NAME.svg`.
 */

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { makeFolder } from "../src/core/disk.js";
import { writeFileAtomic } from "../src/core/files.js";
import { sheetsOf } from "../src/report/study/sheet.js";
import {
  type Findings,
  type FoundCell,
  type FoundScore,
  readFindings,
} from "../src/study/answer/findings.js";
import { paperCurves } from "../src/study/paper/curves.js";
import type { PaperExperiment, PaperMetric } from "../src/study/paper/paper.js";
import { formatClock } from "../src/train/watch/progress.js";

const PAGE = fileURLToPath(new URL("../../docs/findings.md", import.meta.url));
const FOLDER = fileURLToPath(new URL("../../docs/findings/", import.meta.url));
const FIGURES = fileURLToPath(new URL("../../docs/figures/", import.meta.url));

/** A column: a score of ours, and the paper's metric beside which it stands. */
interface Column {
  readonly head: string;
  /** Of the suite, or `mean of N shifts`. */
  readonly dataset: string | RegExp;
  readonly metric: string;
  readonly paper: PaperMetric;
}

const COLUMNS: readonly Column[] = [
  { head: "zero-shot", dataset: "concepts", metric: "acc1", paper: "zero-shot" },
  { head: "shifted sets", dataset: /^mean of \d+ shifts$/, metric: "acc1", paper: "shifts" },
  { head: "5-shot", dataset: "concepts", metric: "fewshot_acc1@5", paper: "5-shot" },
  { head: "linear probe", dataset: "concepts", metric: "lp_acc1", paper: "linear probe" },
  { head: "image → text", dataset: "validation", metric: "text_retrieval_recall@1", paper: "image → text" },
  { head: "text → image", dataset: "validation", metric: "image_retrieval_recall@1", paper: "text → image" },
];

const scoreIn = ({ scores }: FoundCell, { dataset, metric }: Column): FoundScore | undefined =>
  scores.find(
    (one) =>
      one.metric === metric &&
      (typeof dataset === "string" ? one.dataset === dataset : dataset.test(one.dataset)),
  );

/** Which numbers of the paper stand beside a cell: its experiment, and x and line of a cell. */
interface Beside {
  readonly experiment: PaperExperiment;
  readonly place: (
    cell: FoundCell,
    regime: string,
  ) => { readonly x: number; readonly level?: string | undefined } | undefined;
}

/** Parts of the drawings beside the paper's sets of as large a share of what equal samples make of the whole. */
const LADDER: Readonly<Record<string, number>> = {
  "1.56 %": 200e6,
  "3.13 %": 400e6,
  "6.25 %": 800e6,
  "12.5 %": 1.7e9,
  "25 %": 3.4e9,
};
/** The smallest parts beside the paper's smallest sets, 10⁶ pairs. */
const FEW = { quantity: [25, 50, 100, 200], augmentation: [10, 25, 50, 100] } as const;
const fewAt = (experiment: keyof typeof FEW, { levels }: FoundCell): number | undefined =>
  FEW[experiment][["0.781 %", "1.56 %", "3.13 %", "6.25 %"].indexOf(levels.part!)];

/** A study of a ladder's parts, whose levels have these names in the paper. */
const onLadder = (
  experiment: PaperExperiment,
  factor: string,
  names: Readonly<Record<string, string>>,
): Beside => ({
  experiment,
  place({ levels }) {
    const [x, level] = [LADDER[levels.part!], names[levels[factor]!]];
    return x === undefined || level === undefined ? undefined : { x, level };
  },
});

const beside: Readonly<Record<string, Beside>> = {
  "quality-small": {
    experiment: "data quality",
    place: ({ levels }) => {
      const share = /^best (\d+) %$/.exec(levels.kept!)?.[1];
      if (levels.kept === "all") return { x: 1 };
      return share === undefined ? undefined : { x: Number(share) / 100 };
    },
  },
  "quantity-small": {
    experiment: "data quantity",
    place(cell, regime) {
      const millions = fewAt("quantity", cell);
      return millions === undefined
        ? undefined
        : { x: Number.parseInt(regime, 10), level: `${millions}M pairs` };
    },
  },
  "vit-sizes-small": onLadder("ViT sizes", "vit", {
    "32 wide": "ViT-Ti/16",
    "64 wide": "ViT-B/32",
    "128 wide": "ViT-L/16",
  }),
  "encoders-small": onLadder("encoders", "encoder", {
    ViT: "ViT-B/32",
    ResNet: "ResNet-50",
    ConvNeXt: "ConvNeXt-T",
    Swin: "Swin-T",
    Mixer: "Mixer-B/32",
  }),
  "augmentation-small": {
    experiment: "augmentation",
    place(cell) {
      const level = {
        none: "no augmentation",
        "crop and flip": "crop and flip",
        RandAugment: "RandAugment",
        "stacked RandAugment": "Stacked RandAugment",
      }[cell.levels.augment!];
      const millions = fewAt("augmentation", cell);
      return level === undefined || millions === undefined ? undefined : { x: millions * 1e6, level };
    },
  },
  "strategies-small": onLadder("strategies", "strategy", {
    CLIP: "CLIP",
    SLIP: "SLIP",
    FLIP: "FLIP",
    "CLIP + augmentation": "CLIP + augmentation",
  }),
};

const percent = (share: number): string => (100 * share).toFixed(1);

/** Error in percent with its interval. */
const error = ({ value, low, high }: FoundScore): string =>
  `${percent(1 - value)} (${percent(1 - high)} to ${percent(1 - low)})`;

function paperError(name: string, cell: FoundCell, regime: string, metric: PaperMetric): string | undefined {
  const known = beside[name];
  const place = known?.place(cell, regime);
  if (known === undefined || place === undefined) return undefined;
  const point = paperCurves
    .filter(
      (curve) =>
        curve.experiment === known.experiment &&
        curve.metric === metric &&
        [regime, "passes"].includes(curve.regime) &&
        (place.level === undefined || curve.level === place.level),
    )
    .flatMap(({ points }) => points)
    .find(({ x }) => x === place.x);
  return point?.y.toFixed(1);
}

const row = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;

/** What a reader opens. */
const folded = (summary: string, text: string): string =>
  `<details><summary>${summary}</summary>\n\n${text}\n\n</details>`;

/** One table a regime: errors of every combination, ours and the paper's. */
export function tablesOf(findings: Findings): string {
  const { name, factors, regimes, cells } = findings;
  const order = (cell: FoundCell): number =>
    factors.reduce(
      (at, { name: factor, levels }) =>
        at * levels.length + levels.findIndex((level) => level.name === cell.levels[factor]),
      0,
    );
  const sections = regimes.flatMap(({ name: regime }) => {
    const own = cells.filter((cell) => cell.regimes.includes(regime)).sort((a, b) => order(a) - order(b));
    if (own.length === 0) return [];
    const columns = COLUMNS.filter((column) => scoreIn(own[0]!, column) !== undefined).map((column) => ({
      column,
      hasPaper: own.some((cell) => paperError(name, cell, regime, column.paper) !== undefined),
    }));
    const heads = [
      ...factors.map((factor) => factor.name),
      ...["samples", "seeds"],
      ...columns.flatMap(({ column: { head }, hasPaper }) => (hasPaper ? [head, "the paper's"] : [head])),
    ];
    const lines = own.map((cell) => [
      ...factors.map((factor) => cell.levels[factor.name]!),
      Math.round(cell.samples).toLocaleString("en-US"),
      String(cell.seeds.length),
      ...columns.flatMap(({ column, hasPaper }) => {
        const score = scoreIn(cell, column);
        const ours = score === undefined ? "–" : error(score);
        return hasPaper ? [ours, paperError(name, cell, regime, column.paper) ?? "–"] : [ours];
      }),
    ]);
    const table = [row(heads), row(heads.map(() => "---")), ...lines.map(row)].join("\n");
    return [folded(`Errors in percent, ${regime}`, table)];
  });
  return [...sections, verdicts(findings), left(findings)].filter((text) => text !== "").join("\n\n");
}

/** Which pairs cannot be told apart once all are corrected together. */
function verdicts({ panels }: Findings): string {
  const lines = panels.flatMap(({ regime, others, pairs }) => {
    if (pairs.length === 0) return [];
    const alike = pairs.filter(({ verdict }) => verdict === "cannot be told apart");
    const where = [regime, ...Object.entries(others).map(([factor, level]) => `${factor} ${level}`)].join(
      ", ",
    );
    const told = alike.map(({ first, second }) => `${first} and ${second}`);
    return [`- ${where}: ${told.join("; ") || "none"} (${alike.length} of ${pairs.length} pairs).`];
  });
  return lines.length === 0
    ? ""
    : folded("Zero-shot: what cannot be told apart after correction for all pairs", lines.join("\n"));
}

function left({ left: missing, seeds, cells, spent }: Findings): string {
  const done = cells.reduce((sum, { seeds: own }) => sum + own.length, 0);
  const runs = `${done} runs done, ${missing.length} of ${done + missing.length} not run yet (${seeds.length} ${seeds.length === 1 ? "seed" : "seeds"}).`;
  if (spent === undefined) return runs;
  const [predicted, real] = [formatClock(spent.predictedSeconds), formatClock(spent.seconds)];
  return `${runs} Predicted ${predicted}, took ${real}: ${spent.runs} runs in one sitting each, at a load of ${spent.load.toFixed(0)}.`;
}

/** A study's figures: of its own score, and of the others where it has them. */
export function figuresOf(findings: Findings): readonly { file: string; words: string; svg: string }[] {
  const { name, question } = findings;
  return sheetsOf(findings).map(({ title, svg }, at) => ({
    file: `findings-${name}${at === 0 ? "" : "-others"}.svg`,
    words: `${question.text} ${title}`,
    svg,
  }));
}

/** What the page says of a study: its figures, and its tables. */
export function sectionOf(findings: Findings): string {
  const figures = figuresOf(findings).map(({ file, words }) => `![${words}](figures/${file})`);
  return [...figures, tablesOf(findings)].join("\n\n");
}

/** The page with its studies' sections made anew. */
export function withSections(page: string, read: (name: string) => Findings | undefined): string {
  return page.replace(
    /(<!-- ([\w-]+) -->\n)[\s\S]*?(<!-- end -->)/g,
    (all, head: string, name: string, end: string) => {
      const findings = read(name);
      return findings === undefined ? all : `${head}\n${sectionOf(findings)}\n\n${end}`;
    },
  );
}

function main(): void {
  const { values } = parseArgs({ options: { from: { type: "string" } } });
  const { from } = values;
  const page = readFileSync(PAGE, "utf8");
  const made = withSections(page, (name) => {
    const folder = join(FOLDER, name);
    const file = join(folder, "findings.json");
    if (from !== undefined && existsSync(join(from, name, "findings.json"))) {
      makeFolder(folder);
      // On one line: a tenth of the lines, half of the bytes.
      writeFileAtomic(file, `${JSON.stringify(readFindings(join(from, name)))}\n`);
    }
    if (!existsSync(file)) return undefined;
    const findings = readFindings(folder);
    for (const figure of figuresOf(findings)) writeFileAtomic(join(FIGURES, figure.file), figure.svg);
    return findings;
  });
  writeFileAtomic(PAGE, made);
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) main();
