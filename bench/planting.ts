/**
 * Faults of which the truth is known, planted in a copy of a data set: swapped captions, near duplicates, blank and broken
 * pictures, captions in another language.
 *
 *     node dist/bench/planting.js --data 'fashion-*.tar' --out planted/fashion
 *     node dist/bench/planting.js --data 'icons/train/*.tar' --out planted/icons --part 0.25 --swapped 0.3
 *
 * write `pairs.jsonl` with pictures beside it, which `clipwright` reads as any other set, and `truth.jsonl`, a line a caption
 * in the same order. The second plants one fault alone, in a random quarter of the set; with `--swapped 0` there are none.
 *
 *     node dist/bench/planting.js --out planted/icons --scores planted/icons/scores.parquet --by crossfit_score
 *
 * tells how well a table of scores finds what was swapped.
 */

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import sharp from "sharp";
import { makeFolder } from "../src/core/disk.js";
import { readJsonLines } from "../src/core/files.js";
import { foldIn, keyFromSeed, Random } from "../src/core/random.js";
import { readTable } from "../src/curate/tables/read.js";
import { aucOf } from "../src/curate/watch/distributions.js";
import { COPY_KINDS, syntheticCopy } from "../src/data/copies/synthetic.js";
import { type Dataset, openDataset, subset } from "../src/data/index.js";

export type Fault = "none" | "swapped" | "duplicate" | "blank" | "broken" | "language";

/** Shares of the pairs. */
export interface Shares {
  readonly swapped: number;
  readonly duplicate: number;
  readonly blank: number;
  readonly language: number;
}

export const SHARES: Shares = { swapped: 0.2, duplicate: 0.05, blank: 0.05, language: 0.05 };

/** What is true of one caption of one picture. */
export interface Truth {
  /** Position of the picture in `pairs.jsonl`, from 0, and of the caption among its own. */
  readonly row: number;
  readonly captionIndex: number;
  readonly fault: Fault;
  /** The picture's own caption, where it has another's. */
  readonly right?: string;
  /** Whether another's caption says the same of class and colour, as far as the data tell: no one could see the fault. */
  readonly alike?: boolean;
}

/** What a picture shows, in other languages: as little as a shop or an album writes. */
const FOREIGN = [
  "Das Bild zeigt einen Gegenstand auf weißem Grund",
  "Eine schöne Aufnahme aus dem letzten Sommer",
  "Neue Ware, noch nicht getragen, Versand möglich",
  "Une photo prise pendant les vacances à la mer",
  "Article neuf avec étiquette, livraison gratuite",
  "Un dessin très simple que tout le monde connaît",
  "Una imagen tomada en la calle por la mañana",
  "Producto de buena calidad a un precio muy bajo",
  "Una bella giornata passata insieme agli amici",
  "Articolo nuovo mai usato, spedizione in tutta Italia",
  "Uma fotografia antiga da minha família no campo",
  "Een mooie foto van onze wandeling door het bos",
  "Zdjęcie zrobione wczoraj w centrum miasta",
  "Новая вещь хорошего качества по низкой цене",
  "Фотография сделана летом на берегу моря",
  "夏の日に海辺で撮った写真です",
  "新品未使用、送料無料でお届けします",
  "这是一张在公园里拍的照片",
] as const;

/** Writes the planted set to `out`. `captions`: how many of a picture's are taken, at most. */
export async function plant(
  dataset: Dataset,
  out: string,
  {
    seed = 0,
    shares = SHARES,
    captions = Number.POSITIVE_INFINITY,
    kindOf = () => undefined,
  }: {
    readonly seed?: number;
    readonly shares?: Shares;
    readonly captions?: number;
    /** What a sample is of, for `alike`. */
    readonly kindOf?: (i: number) => Promise<string | undefined> | string | undefined;
  } = {},
): Promise<Truth[]> {
  const key = foldIn(keyFromSeed(seed), "plant");
  const N = dataset.length;
  const random = (what: string) => new Random(foldIn(key, what));
  const own = Array.from({ length: N }, (_, i) => dataset.sample(i).captions.slice(0, captions));
  const kinds = await Promise.all(own.map((_, i) => kindOf(i)));

  // Pictures: a twentieth is blank or broken, another twentieth gets a copy.
  const order = random("pictures").permutation(N);
  const blank = new Set(order.subarray(0, Math.round(shares.blank * N)));
  const copied = order.subarray(blank.size, blank.size + Math.round(shares.duplicate * N));

  // Captions of the other pictures.
  const places = own.flatMap((texts, row) =>
    blank.has(row) ? [] : texts.map((_, captionIndex) => ({ row, captionIndex })),
  );
  const shuffled = Array.from(random("captions").permutation(places.length), (at) => places[at]!);
  const total = own.flat().length;
  const foreign = shuffled.slice(0, Math.round(shares.language * total));
  const swapped = shuffled.slice(foreign.length, foreign.length + Math.round(shares.swapped * total));

  const texts = own.map((list) => [...list]);
  const truth = new Map<string, Truth>();
  const set = (t: Truth) => truth.set(`${t.row} ${t.captionIndex}`, t);
  const draw = random("languages");
  for (const place of foreign) {
    texts[place.row]![place.captionIndex] = FOREIGN[draw.integer(FOREIGN.length)]!;
    set({ ...place, fault: "language" });
  }
  // Each of the swapped takes the caption of the next one of another picture that has another text.
  for (const [at, place] of swapped.entries()) {
    const right = own[place.row]![place.captionIndex]!;
    const giver = Array.from(
      { length: swapped.length - 1 },
      (_, n) => swapped[(at + n + 1) % swapped.length]!,
    ).find(
      ({ row, captionIndex }) => row !== place.row && !own[place.row]!.includes(own[row]![captionIndex]!),
    );
    if (giver === undefined) continue;
    texts[place.row]![place.captionIndex] = own[giver.row]![giver.captionIndex]!;
    const kind = kinds[place.row];
    set({ ...place, fault: "swapped", right, alike: kind !== undefined && kind === kinds[giver.row] });
  }

  makeFolder(join(out, "images"));
  const lines: string[] = [];
  const truths: Truth[] = [];
  const put = async (row: number, bytes: Uint8Array, fault?: Fault) => {
    const at = lines.length;
    const name = `images/${String(at).padStart(6, "0")}.${bytes[0] === 0xff ? "jpg" : "png"}`;
    writeFileSync(join(out, name), bytes);
    const { label } = dataset.sample(row);
    lines.push(
      JSON.stringify({ filepath: name, caption: texts[row], ...(label !== undefined && { label }) }),
    );
    for (const captionIndex of texts[row]!.keys()) {
      const known = truth.get(`${row} ${captionIndex}`) ?? { row, captionIndex, fault: "none" as const };
      truths.push({ ...known, row: at, ...(fault !== undefined && { fault }) });
    }
  };
  const plain = random("blank");
  for (let row = 0; row < N; row++) {
    const bytes = await dataset.readBytes(row);
    if (!blank.has(row)) await put(row, bytes);
    else if (plain.uniform() < 0.5) await put(row, bytes.subarray(0, Math.round(bytes.length / 8)), "broken");
    else {
      const { width = 64, height = 64 } = await sharp(bytes).metadata();
      const level = plain.integer(256);
      const background = { r: level, g: level, b: level };
      await put(
        row,
        await sharp({ create: { width, height, channels: 3, background } })
          .png()
          .toBuffer(),
        "blank",
      );
    }
  }
  for (const [n, row] of copied.entries()) {
    const bytes = await syntheticCopy(await dataset.readBytes(row), COPY_KINDS[n % COPY_KINDS.length]!);
    await put(row, bytes, "duplicate");
  }
  writeFileSync(join(out, "pairs.jsonl"), `${lines.join("\n")}\n`);
  writeFileSync(join(out, "truth.jsonl"), `${truths.map((t) => JSON.stringify(t)).join("\n")}\n`);
  return truths;
}

/**
 * How well a column, a number a line of `truth`, tells right captions from swapped ones: AUC with its 95 % interval by Hanley and
 * McNeil's (1982) standard error. `sign` -1 where lower is better; NaN is left out. Undefined where either kind is missing.
 */
export function swappedAuc(truth: readonly Truth[], column: ArrayLike<number>, sign = 1): string | undefined {
  const told = truth.flatMap(({ fault }, i) =>
    (fault === "none" || fault === "swapped") && !Number.isNaN(column[i]!)
      ? [{ right: fault === "none", score: sign * column[i]! }]
      : [],
  );
  const right = told.filter((one) => one.right).length;
  const wrong = told.length - right;
  if (right === 0 || wrong === 0) return undefined;
  const { auc } = aucOf(
    told.map(({ score }) => score),
    told.map((one) => one.right),
  );
  const [q1, q2] = [auc / (2 - auc), (2 * auc * auc) / (1 + auc)];
  const variance =
    (auc * (1 - auc) + (wrong - 1) * (q1 - auc * auc) + (right - 1) * (q2 - auc * auc)) / (right * wrong);
  return `${auc.toFixed(3)} ± ${(1.96 * Math.sqrt(variance)).toFixed(3)}`;
}

/** How well the column `by` of a table of scores finds the swapped pairs, in words. */
async function foundBy(out: string, scores: string, by: string): Promise<string> {
  const truth = readJsonLines(join(out, "truth.jsonl")) as Truth[];
  const column: number[] = [];
  for await (const rows of readTable(scores, { columns: [by] }))
    column.push(...rows.map((row) => (row[by] === null ? Number.NaN : Number(row[by]))));
  const order = [...column.keys()].sort((a, b) => column[b]! - column[a]!);
  const fifths = Array.from({ length: 5 }, (_, at) =>
    order.slice(Math.round((at / 5) * order.length), Math.round(((at + 1) / 5) * order.length)),
  );
  const shares = fifths.map(
    (rows) =>
      `${Math.round((100 * rows.filter((i) => truth[i]!.fault === "swapped").length) / rows.length)} %`,
  );
  return `AUC ${swappedAuc(truth, column)}; swapped of each fifth, the best first: ${shares.join(", ")}`;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      data: { type: "string", multiple: true },
      out: { type: "string" },
      seed: { type: "string", default: "0" },
      captions: { type: "string" },
      part: { type: "string", default: "1" },
      swapped: { type: "string" },
      scores: { type: "string" },
      by: { type: "string", default: "crossfit_score" },
    },
  });
  if (values.scores !== undefined) {
    process.stdout.write(`${await foundBy(values.out!, values.scores, values.by)}\n`);
    return;
  }
  const seed = Number(values.seed);
  const all = await openDataset(values.data!);
  const rows = new Random(foldIn(keyFromSeed(seed), "part")).permutation(all.length);
  const dataset = subset(
    all,
    [...rows.subarray(0, Math.round(Number(values.part) * all.length))].sort((a, b) => a - b),
  );
  const truths = await plant(dataset, values.out!, {
    seed,
    ...(values.swapped !== undefined && {
      shares: { swapped: Number(values.swapped), duplicate: 0, blank: 0, language: 0 },
    }),
    ...(values.captions !== undefined && { captions: Number(values.captions) }),
  });
  const counts = new Map<Fault, number>();
  for (const { fault } of truths) counts.set(fault, (counts.get(fault) ?? 0) + 1);
  process.stdout.write(`${values.out}: ${[...counts].map(([fault, n]) => `${n} ${fault}`).join(", ")}\n`);
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) await main();
